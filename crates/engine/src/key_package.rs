//! KeyPackages of other devices, checked.

use conclave_protocol::{DeviceCertificate, UnixMillis};

use crate::EngineError;

/// A KeyPackage by which its device can be added to a group. One that exists has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyPackage {
    inner: openmls::prelude::KeyPackage,
    certificate: DeviceCertificate,
}

impl KeyPackage {
    /// Reads an MLSMessage with a KeyPackage and checks it: signatures, lifetime, suite,
    /// capabilities, and that its certificate is valid at `now` for its key (RFC 9420 §10.1).
    ///
    /// # Errors
    /// [`EngineError::Malformed`], [`Invalid`](EngineError::Invalid),
    /// [`Certificate`](EngineError::Certificate) or [`Violation`](EngineError::Violation).
    pub fn from_bytes(bytes: &[u8], now: UnixMillis) -> Result<Self, EngineError> {
        let _ = (bytes, now);
        Err(EngineError::Internal("not built yet"))
    }

    /// Who the device is.
    #[must_use]
    pub fn certificate(&self) -> &DeviceCertificate {
        &self.certificate
    }

    pub(crate) fn into_inner(self) -> openmls::prelude::KeyPackage {
        self.inner
    }
}
