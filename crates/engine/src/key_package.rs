//! KeyPackages of other devices, checked.

use std::{
    num::NonZeroUsize,
    thread,
    time::{Duration, UNIX_EPOCH},
};

use conclave_crypto::Crypto;
use conclave_protocol::{DeviceCertificate, UnixMillis, limits::KEY_PACKAGE_BYTES_MAX};
use openmls::prelude::{
    MlsMessageBodyIn, MlsMessageIn, ProtocolVersion, tls_codec::DeserializeBytes as _,
};

use crate::{
    EngineError, RuleViolation, certificates,
    limits::{PACKAGES_PER_THREAD_MIN, THREADS_MAX},
    profile,
};

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
    /// [`EngineError::Malformed`], [`TooLarge`](EngineError::TooLarge),
    /// [`Invalid`](EngineError::Invalid), [`Certificate`](EngineError::Certificate) or
    /// [`Violation`](EngineError::Violation).
    pub fn from_bytes(bytes: &[u8], now: UnixMillis) -> Result<Self, EngineError> {
        if bytes.len() > KEY_PACKAGE_BYTES_MAX {
            return Err(EngineError::TooLarge);
        }
        let message = MlsMessageIn::tls_deserialize_exact_bytes(bytes);
        let Ok(MlsMessageBodyIn::KeyPackage(unverified)) = message.map(MlsMessageIn::extract)
        else {
            return Err(EngineError::Malformed);
        };
        let inner = unverified
            .validate(&Crypto::default(), ProtocolVersion::Mls10)
            .map_err(EngineError::invalid)?;
        if inner.ciphersuite() != profile::SUITE {
            return Err(RuleViolation::Capabilities.into());
        }
        let key_package = Self {
            certificate: certificates::verify_leaf(inner.leaf_node())?,
            inner,
        };
        key_package.check(now)?;
        Ok(key_package)
    }

    /// Reads and checks many, on as many threads as the machine has for it. The answers are in the order
    /// of what they are about.
    #[must_use]
    pub fn from_many(packages: &[&[u8]], now: UnixMillis) -> Vec<Result<Self, EngineError>> {
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let each = packages
            .len()
            .div_ceil(threads.min(THREADS_MAX))
            .max(PACKAGES_PER_THREAD_MIN);
        let check = |part: &[&[u8]]| -> Vec<_> {
            part.iter().map(|it| Self::from_bytes(it, now)).collect()
        };
        thread::scope(|scope| {
            let mut parts = packages.chunks(each);
            let first = parts.next();
            let others: Vec<_> = parts.map(|part| scope.spawn(move || check(part))).collect();
            let mut checked = first.map(check).unwrap_or_default();
            for (other, part) in others.into_iter().zip(packages.chunks(each).skip(1)) {
                // A thread that panicked has checked nothing.
                checked.extend(other.join().unwrap_or_else(|_| check(part)));
            }
            checked
        })
    }

    /// Who the device is.
    #[must_use]
    pub fn certificate(&self) -> &DeviceCertificate {
        &self.certificate
    }

    /// Checks that it may still be used.
    pub(crate) fn check(&self, now: UnixMillis) -> Result<(), EngineError> {
        self.certificate.check_time(now)?;
        // RFC 9420 §7.2, and §7.3 for the longest lifetime that is accepted.
        let lifetime = self.inner.life_time();
        if !lifetime.has_acceptable_range() {
            return Err(EngineError::Malformed);
        }
        lifetime
            .validate_with_time(UNIX_EPOCH + Duration::from_millis(now.0))
            .map_err(EngineError::invalid)
    }

    pub(crate) fn into_inner(self) -> openmls::prelude::KeyPackage {
        self.inner
    }
}
