//! The device that an engine acts for.

use std::fmt;

use conclave_protocol::{
    CertificateError, DeviceAddress, DeviceCertificate, SigningKey, UnixMillis,
};
use openmls::prelude::{CredentialWithKey, SignatureScheme};
use openmls_traits::signatures::{Signer, SignerError};

use crate::certificates;

/// A device's own secrets: its signature key, and the certificate for it.
#[derive(Clone)]
pub struct Device {
    certificate: DeviceCertificate,
    key: SigningKey,
}

impl Device {
    /// A device that signs with `key`, which `certificate` certifies.
    ///
    /// # Errors
    /// [`CertificateError::OtherKey`] where it certifies another key.
    pub fn new(certificate: DeviceCertificate, key: SigningKey) -> Result<Self, CertificateError> {
        if certificate.claims().signature_key != key.verifying_key() {
            return Err(CertificateError::OtherKey);
        }
        Ok(Self { certificate, key })
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &DeviceCertificate {
        &self.certificate
    }

    /// Whose device it is, and which.
    #[must_use]
    pub fn address(&self) -> &DeviceAddress {
        self.certificate.address()
    }

    /// Checks that others will accept what this device signs at `now`.
    pub(crate) fn check(&self, now: UnixMillis) -> Result<(), CertificateError> {
        self.certificate.check_time(now)
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    pub(crate) fn signer(&self) -> DeviceSigner<'_> {
        DeviceSigner(&self.key)
    }

    pub(crate) fn credential_with_key(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: certificates::credential(&self.certificate),
            signature_key: self.key.verifying_key().as_bytes().as_slice().into(),
        }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Device(redacted)")
    }
}

/// Signs for OpenMLS without showing OpenMLS's trait in [`Device`]'s own interface.
pub(crate) struct DeviceSigner<'a>(pub(crate) &'a SigningKey);

impl Signer for DeviceSigner<'_> {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign_bytes(payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
