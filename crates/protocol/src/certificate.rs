//! The device certificate: what a leaf's credential holds, and why a leaf belongs to a user.
//!
//! ```text
//! struct {
//!     uint16 version = 1;
//!     opaque user<V>;                 // name@domain, ASCII
//!     opaque device[16];
//!     opaque signature_key[32];       // Ed25519; the same key as the leaf's signature_key
//!     uint64 not_before_seconds;      // since 1970-01-01 UTC, inclusive
//!     uint64 not_after_seconds;       // inclusive
//!     opaque identity_key[32];        // Ed25519; the user's
//! } DeviceClaims;
//!
//! struct {
//!     DeviceClaims claims;
//!     opaque signature[64];           // by identity_key, label "DeviceCertificate"
//! } DeviceCertificate;
//! ```
//!
//! That the identity key is the one that the user's contacts know is theirs to check: they keep the
//! first one they saw.

use std::time::Duration;

use thiserror::Error;
use tls_codec::{
    DeserializeBytes as _, Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes,
};

use crate::{
    DeviceAddress, DeviceId, SignatureError, SigningKey, UnixMillis, UserId, VerifyingKey,
    limits::{CERTIFICATE_BYTES_MAX, CERTIFICATE_LIFETIME, CLOCK_SKEW},
};

const VERSION: u16 = 1;
const LABEL: &str = "DeviceCertificate";

/// Why a certificate is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The bytes are not the encoding of a certificate.
    #[error("the device certificate is malformed")]
    Malformed,
    /// A newer format than this program knows.
    #[error("the device certificate has version {0}, which this program does not know")]
    Version(u16),
    /// The identity key did not sign these claims.
    #[error("the device certificate's signature does not verify")]
    Signature,
    /// Used before or after the time it is valid.
    #[error("the device certificate is not valid at this time")]
    Expired,
    /// The key that the device uses is not the one that was certified.
    #[error("the device certificate is for another signature key")]
    OtherKey,
}

impl From<SignatureError> for CertificateError {
    fn from(_: SignatureError) -> Self {
        Self::Signature
    }
}

/// What a user states about a device by certifying it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceClaims {
    /// Whose device it is, and which.
    pub address: DeviceAddress,
    /// The key of the device's leaf in every group; it never changes.
    pub signature_key: VerifyingKey,
    /// First second at which the certificate is valid, since 1970-01-01 UTC.
    pub not_before_seconds: u64,
    /// Last second at which the certificate is valid.
    pub not_after_seconds: u64,
}

impl DeviceClaims {
    /// Claims that are valid from a little before `now` for [`CERTIFICATE_LIFETIME`].
    #[must_use]
    pub fn starting(address: DeviceAddress, signature_key: VerifyingKey, now: UnixMillis) -> Self {
        let now_seconds = now.as_seconds();
        Self {
            address,
            signature_key,
            not_before_seconds: now_seconds.saturating_sub(CLOCK_SKEW.as_secs()),
            not_after_seconds: now_seconds.saturating_add(CERTIFICATE_LIFETIME.as_secs()),
        }
    }
}

/// Claims about a device under the signature of its user's identity key.
///
/// A value of this type has been checked: the signature verifies and the fields parse. Whether it
/// is valid *now* and fits a leaf are the questions of [`Self::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCertificate {
    claims: DeviceClaims,
    identity_key: VerifyingKey,
    signature: [u8; 64],
}

impl DeviceCertificate {
    /// Certifies a device with its user's identity key.
    #[must_use]
    pub fn issue(claims: DeviceClaims, identity: &SigningKey) -> Self {
        let identity_key = identity.verifying_key();
        let signature = identity.sign(LABEL, &encode(&Wire::new(&claims, &identity_key)));
        Self {
            claims,
            identity_key,
            signature,
        }
    }

    /// Reads and verifies a certificate.
    ///
    /// # Errors
    /// All of [`CertificateError`] but `Expired` and `OtherKey`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CertificateError> {
        let certificate = Self::from_verified_bytes(bytes)?;
        // Before anything else, so that no certificate exists with a key that is none.
        VerifyingKey::try_from(&certificate.claims.signature_key.as_bytes()[..])?;
        let signed = encode(&Wire::new(&certificate.claims, &certificate.identity_key));
        let signature = &certificate.signature;
        certificate.identity_key.verify(LABEL, &signed, signature)?;
        Ok(certificate)
    }

    /// Reads a certificate that was verified before, as when it comes back from one's own state: all
    /// but the signature and its keys is checked again, at a hundredth of the cost.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`], [`Version`](CertificateError::Version).
    pub fn from_verified_bytes(bytes: &[u8]) -> Result<Self, CertificateError> {
        if bytes.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::Malformed);
        }
        let (version, _) =
            u16::tls_deserialize_bytes(bytes).map_err(|_| CertificateError::Malformed)?;
        if version != VERSION {
            return Err(CertificateError::Version(version));
        }
        let (wire, signature) =
            Wire::tls_deserialize_bytes(bytes).map_err(|_| CertificateError::Malformed)?;
        let signature: [u8; 64] = signature
            .try_into()
            .map_err(|_| CertificateError::Malformed)?;
        Ok(Self {
            identity_key: VerifyingKey::known(wire.identity_key),
            claims: wire.into_claims()?,
            signature,
        })
    }

    /// The encoding, as it stands in the leaf's credential.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = encode(&Wire::new(&self.claims, &self.identity_key));
        bytes.extend_from_slice(&self.signature);
        bytes
    }

    /// Checks that the certificate is valid at `now` and certifies exactly `signature_key`.
    ///
    /// # Errors
    /// [`CertificateError::Expired`] or [`CertificateError::OtherKey`].
    pub fn check(&self, signature_key: &[u8], now: UnixMillis) -> Result<(), CertificateError> {
        if signature_key != self.claims.signature_key.as_bytes() {
            return Err(CertificateError::OtherKey);
        }
        self.check_time(now)
    }

    /// Checks that the certificate is valid at `now`.
    ///
    /// # Errors
    /// [`CertificateError::Expired`].
    pub fn check_time(&self, now: UnixMillis) -> Result<(), CertificateError> {
        let valid = self.claims.not_before_seconds..=self.claims.not_after_seconds;
        if !valid.contains(&now.as_seconds()) {
            return Err(CertificateError::Expired);
        }
        Ok(())
    }

    /// Whether `other` speaks for the same device: same user, device, signature and identity key.
    /// A renewed certificate does.
    #[must_use]
    pub fn same_device(&self, other: &Self) -> bool {
        self.claims.address == other.claims.address
            && self.claims.signature_key == other.claims.signature_key
            && self.identity_key == other.identity_key
    }

    /// What was certified.
    #[must_use]
    pub fn claims(&self) -> &DeviceClaims {
        &self.claims
    }

    /// Whose device it is, and which.
    #[must_use]
    pub fn address(&self) -> &DeviceAddress {
        &self.claims.address
    }

    /// The user's key that made the certificate.
    #[must_use]
    pub fn identity_key(&self) -> &VerifyingKey {
        &self.identity_key
    }

    /// How long the certificate still is valid at `now`; zero once it is not.
    #[must_use]
    pub fn remaining(&self, now: UnixMillis) -> Duration {
        Duration::from_secs(
            self.claims
                .not_after_seconds
                .saturating_sub(now.as_seconds()),
        )
    }
}

#[derive(TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct Wire {
    version: u16,
    user: VLBytes,
    device: [u8; 16],
    signature_key: [u8; 32],
    not_before_seconds: u64,
    not_after_seconds: u64,
    identity_key: [u8; 32],
}

impl Wire {
    fn new(claims: &DeviceClaims, identity_key: &VerifyingKey) -> Self {
        Self {
            version: VERSION,
            user: claims.address.user.as_str().as_bytes().into(),
            device: *claims.address.device.as_bytes(),
            signature_key: *claims.signature_key.as_bytes(),
            not_before_seconds: claims.not_before_seconds,
            not_after_seconds: claims.not_after_seconds,
            identity_key: *identity_key.as_bytes(),
        }
    }

    fn into_claims(self) -> Result<DeviceClaims, CertificateError> {
        let user: UserId = std::str::from_utf8(self.user.as_slice())
            .ok()
            .and_then(|user| user.parse().ok())
            .ok_or(CertificateError::Malformed)?;
        Ok(DeviceClaims {
            address: DeviceAddress {
                user,
                device: DeviceId::from_bytes(self.device),
            },
            signature_key: VerifyingKey::known(self.signature_key),
            not_before_seconds: self.not_before_seconds,
            not_after_seconds: self.not_after_seconds,
        })
    }
}

fn encode(wire: &Wire) -> Vec<u8> {
    // Serializing fails only past 2^30 bytes; a user has at most 129.
    wire.tls_serialize_detached().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn certificate(seed: [u8; 32]) -> DeviceCertificate {
        let key = SigningKey::from_seed(&seed).verifying_key();
        let address = DeviceAddress {
            user: "alice@example.org".parse().unwrap(),
            device: DeviceId::from_bytes([3; 16]),
        };
        let claims = DeviceClaims::starting(address, key, NOW);
        DeviceCertificate::issue(claims, &SigningKey::from_seed(&[9; 32]))
    }

    #[test]
    fn time_and_key_bound_a_certificate() {
        let certificate = certificate([1; 32]);
        let key = *certificate.claims().signature_key.as_bytes();
        let end = UnixMillis(certificate.claims().not_after_seconds * 1000);
        assert_eq!(certificate.check(&key, NOW), Ok(()));
        assert_eq!(certificate.check(&key, end), Ok(()));
        assert_eq!(
            certificate.check(&key, UnixMillis(end.0 + 1000)),
            Err(CertificateError::Expired)
        );
        assert_eq!(
            certificate.check(&key, UnixMillis(0)),
            Err(CertificateError::Expired)
        );
        assert_eq!(
            certificate.check(&[0; 32], NOW),
            Err(CertificateError::OtherKey)
        );
    }

    #[test]
    fn a_later_version_is_named() {
        let mut bytes = certificate([1; 32]).to_bytes();
        bytes[1] = 2;
        assert_eq!(
            DeviceCertificate::from_bytes(&bytes),
            Err(CertificateError::Version(2))
        );
    }

    proptest! {
        #[test]
        fn round_trips_and_no_changed_byte_is_accepted(
            seed: [u8; 32], at in any::<prop::sample::Index>(), flip in 1u8..,
        ) {
            let certificate = certificate(seed);
            let mut bytes = certificate.to_bytes();
            prop_assert_eq!(DeviceCertificate::from_bytes(&bytes), Ok(certificate));
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(DeviceCertificate::from_bytes(&bytes).is_err());
        }

        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(DeviceCertificate::from_bytes(&bytes).is_err());
        }
    }
}
