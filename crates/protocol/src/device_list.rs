//! The list of a user's devices: what makes a revocation final.
//!
//! ```text
//! struct {
//!     opaque device[16];
//!     opaque signature_key[32];       // as in the device's certificate
//! } ListedDevice;
//!
//! struct {
//!     uint16 format = 1;
//!     opaque user<V>;                 // name@domain, ASCII
//!     uint64 version;                 // 1 at first, higher with each change
//!     ListedDevice devices<V>;        // in the order of their ids, each once
//!     opaque identity_key[32];        // Ed25519; the user's
//! } DeviceListTBS;
//!
//! struct {
//!     DeviceListTBS list;
//!     opaque signature[64];           // by identity_key, label "DeviceList"
//! } DeviceList;
//! ```
//!
//! There is one encoding of each list. Whoever has seen a version accepts none before it, so a
//! device that a list does not name can't come back by its certificate, which goes on being valid.

use std::collections::BTreeMap;

use thiserror::Error;
use tls_codec::{
    DeserializeBytes as _, Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes,
};

use crate::{
    DeviceCertificate, DeviceId, SignatureError, SigningKey, UserId, VerifyingKey,
    limits::{DEVICE_LIST_BYTES_MAX, DEVICES_PER_USER_MAX},
};

const FORMAT: u16 = 1;
const LABEL: &str = "DeviceList";

/// Why a device list is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DeviceListError {
    /// The bytes are not the encoding of a device list.
    #[error("the device list is malformed")]
    Malformed,
    /// A newer format than this program knows.
    #[error("the device list has format {0}, which this program does not know")]
    Format(u16),
    /// The identity key did not sign this list.
    #[error("the device list's signature does not verify")]
    Signature,
    /// More devices than a user may have.
    #[error("a user has at most {DEVICES_PER_USER_MAX} devices")]
    TooMany,
}

impl From<SignatureError> for DeviceListError {
    fn from(_: SignatureError) -> Self {
        Self::Signature
    }
}

/// All devices of a user, under the signature of the user's identity key.
///
/// A value of this type has been checked: the signature verifies under the identity key in it. That
/// this is the user's key is for the reader to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceList {
    user: UserId,
    version: u64,
    devices: BTreeMap<DeviceId, VerifyingKey>,
    identity_key: VerifyingKey,
    signature: [u8; 64],
}

impl DeviceList {
    /// The list of these devices, each with the key that it signs with. `version` is higher than
    /// that of any list before, from 1 on.
    ///
    /// # Errors
    /// [`DeviceListError::TooMany`], and [`Malformed`](DeviceListError::Malformed) for a version
    /// that is none.
    pub fn issue(
        user: UserId,
        version: u64,
        devices: impl IntoIterator<Item = (DeviceId, VerifyingKey)>,
        identity: &SigningKey,
    ) -> Result<Self, DeviceListError> {
        let mut list = Self {
            user,
            version,
            devices: devices.into_iter().collect(),
            identity_key: identity.verifying_key(),
            signature: [0; 64],
        };
        if list.devices.len() > DEVICES_PER_USER_MAX {
            return Err(DeviceListError::TooMany);
        }
        if !is_version(version) {
            return Err(DeviceListError::Malformed);
        }
        list.signature = identity.sign(LABEL, &list.to_be_signed());
        Ok(list)
    }

    /// Reads and verifies a list.
    ///
    /// # Errors
    /// All of [`DeviceListError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DeviceListError> {
        let list = Self::from_verified_bytes(bytes)?;
        list.identity_key
            .verify(LABEL, &list.to_be_signed(), &list.signature)?;
        Ok(list)
    }

    /// Reads a list that was verified before, as when it comes back from one's own state: all but
    /// the signature is checked again.
    ///
    /// # Errors
    /// All of [`DeviceListError`]; [`Signature`](DeviceListError::Signature) where a key is none.
    pub fn from_verified_bytes(bytes: &[u8]) -> Result<Self, DeviceListError> {
        let malformed = |_| DeviceListError::Malformed;
        if bytes.len() > DEVICE_LIST_BYTES_MAX {
            return Err(DeviceListError::Malformed);
        }
        let (format, _) = u16::tls_deserialize_bytes(bytes).map_err(malformed)?;
        if format != FORMAT {
            return Err(DeviceListError::Format(format));
        }
        let (wire, signature) = Wire::tls_deserialize_bytes(bytes).map_err(malformed)?;
        let signature = signature
            .try_into()
            .map_err(|_| DeviceListError::Malformed)?;
        let list = wire.into_list(signature)?;
        // One encoding for each list: order, doubles and the form of lengths are held by this.
        if list.to_bytes() == bytes {
            Ok(list)
        } else {
            Err(DeviceListError::Malformed)
        }
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.to_be_signed();
        bytes.extend_from_slice(&self.signature);
        bytes
    }

    /// Whose devices these are.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// Of two lists of a user, the one with the higher version counts.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The key that signed, which has to be the user's.
    #[must_use]
    pub fn identity_key(&self) -> &VerifyingKey {
        &self.identity_key
    }

    /// The devices in the order of their ids, each with the key that it signs with.
    pub fn devices(&self) -> impl Iterator<Item = (DeviceId, &VerifyingKey)> {
        self.devices.iter().map(|(device, key)| (*device, key))
    }

    /// Whether a device is one of them, with the key that the certificate certifies, under the same
    /// identity key. Whether the certificate is valid is not asked here.
    #[must_use]
    pub fn names(&self, certificate: &DeviceCertificate) -> bool {
        let address = certificate.address();
        address.user == self.user
            && *certificate.identity_key() == self.identity_key
            && self.devices.get(&address.device) == Some(&certificate.claims().signature_key)
    }

    fn to_be_signed(&self) -> Vec<u8> {
        let devices = self.devices.iter().map(|(device, key)| ListedDevice {
            device: *device.as_bytes(),
            signature_key: *key.as_bytes(),
        });
        let wire = Wire {
            format: FORMAT,
            user: self.user.as_str().as_bytes().into(),
            version: self.version,
            devices: devices.collect(),
            identity_key: *self.identity_key.as_bytes(),
        };
        // Serializing fails only past 2^30 bytes, and devices and names are bounded far below.
        wire.tls_serialize_detached().unwrap_or_default()
    }
}

/// Databases hold signed numbers.
fn is_version(version: u64) -> bool {
    version >= 1 && i64::try_from(version).is_ok()
}

#[derive(Debug, TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct ListedDevice {
    device: [u8; 16],
    signature_key: [u8; 32],
}

#[derive(TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct Wire {
    format: u16,
    user: VLBytes,
    version: u64,
    devices: Vec<ListedDevice>,
    identity_key: [u8; 32],
}

impl Wire {
    fn into_list(self, signature: [u8; 64]) -> Result<DeviceList, DeviceListError> {
        if self.devices.len() > DEVICES_PER_USER_MAX {
            return Err(DeviceListError::TooMany);
        }
        let user = String::from_utf8(self.user.into()).ok();
        let user = user.and_then(|user| user.parse().ok());
        let devices = self.devices.iter().map(|listed| {
            let key = VerifyingKey::try_from(&listed.signature_key[..])?;
            Ok((DeviceId::from_bytes(listed.device), key))
        });
        Ok(DeviceList {
            user: user
                .filter(|_| is_version(self.version))
                .ok_or(DeviceListError::Malformed)?,
            version: self.version,
            devices: devices.collect::<Result<_, SignatureError>>()?,
            identity_key: VerifyingKey::try_from(&self.identity_key[..])?,
            signature,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{DeviceAddress, DeviceClaims, UnixMillis};

    fn key(number: u8) -> SigningKey {
        SigningKey::from_seed(&[number; 32])
    }

    fn devices(numbers: &[u8]) -> Vec<(DeviceId, VerifyingKey)> {
        let device = |number| {
            (
                DeviceId::from_bytes([number; 16]),
                key(number).verifying_key(),
            )
        };
        numbers.iter().map(|number| device(*number)).collect()
    }

    fn list(version: u64, numbers: &[u8]) -> Result<DeviceList, DeviceListError> {
        DeviceList::issue("a@x".parse().unwrap(), version, devices(numbers), &key(99))
    }

    fn certificate(user: &str, device: u8, signature_key: u8, identity: u8) -> DeviceCertificate {
        let address = DeviceAddress {
            user: user.parse().unwrap(),
            device: DeviceId::from_bytes([device; 16]),
        };
        let signature_key = key(signature_key).verifying_key();
        let claims = DeviceClaims::starting(address, signature_key, UnixMillis(0));
        DeviceCertificate::issue(claims, &key(identity))
    }

    #[test]
    fn a_list_names_its_devices_and_nothing_like_them() {
        let list = list(3, &[2, 1]).unwrap();
        assert_eq!(DeviceList::from_bytes(&list.to_bytes()), Ok(list.clone()));
        let ids: Vec<_> = list.devices().map(|(id, _)| id.as_bytes()[0]).collect();
        assert_eq!((list.version(), ids), (3, vec![1, 2]));
        assert!(list.names(&certificate("a@x", 1, 1, 99)));
        for (user, device, signature_key, identity) in [
            ("b@x", 1, 1, 99),
            ("a@x", 3, 3, 99),
            ("a@x", 1, 2, 99),
            ("a@x", 1, 1, 98),
        ] {
            assert!(!list.names(&certificate(user, device, signature_key, identity)));
        }
    }

    #[test]
    fn a_list_has_one_encoding_and_its_bounds() {
        let bytes = list(1, &[1, 2]).unwrap().to_bytes();
        // format, user<V>, version, the length of the devices
        let at = 2 + 4 + 8 + 2;
        let mut swapped = bytes.clone();
        swapped[at..at + 96].rotate_left(48);
        let mut doubled = bytes.clone();
        doubled.copy_within(at..at + 48, at + 48);
        for other in [&swapped, &doubled] {
            assert_eq!(
                DeviceList::from_verified_bytes(other),
                Err(DeviceListError::Malformed)
            );
        }
        for version in [0, u64::MAX] {
            assert_eq!(list(version, &[1]), Err(DeviceListError::Malformed));
        }
        let most: Vec<u8> = (1..=u8::try_from(DEVICES_PER_USER_MAX).unwrap()).collect();
        let longest = format!("{0}@{0}", "a".repeat(64));
        let full = DeviceList::issue(longest.parse().unwrap(), 1, devices(&most), &key(99));
        let full = full.unwrap();
        assert!(full.to_bytes().len() <= DEVICE_LIST_BYTES_MAX);
        assert_eq!(DeviceList::from_bytes(&full.to_bytes()), Ok(full));
        let more = [&most[..], &[200]].concat();
        assert_eq!(list(1, &more), Err(DeviceListError::TooMany));
        let nobody = list(1, &[]).unwrap();
        assert_eq!(DeviceList::from_bytes(&nobody.to_bytes()), Ok(nobody));
    }

    proptest! {
        #[test]
        fn no_changed_byte_is_accepted(at in any::<prop::sample::Index>(), change in 1u8..) {
            let mut bytes = list(7, &[1, 2, 3]).unwrap().to_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            prop_assert!(DeviceList::from_bytes(&bytes).is_err());
            prop_assert!(DeviceList::from_bytes(&bytes[..at]).is_err());
        }

        #[test]
        fn no_bytes_make_a_list_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = DeviceList::from_bytes(&bytes);
            let _ = DeviceList::from_bytes(&[&[0, 1][..], &bytes].concat());
        }
    }
}
