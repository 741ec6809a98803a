//! KeyPackages as they are uploaded.

use conclave_protocol::{
    DeviceCertificate, UnixMillis,
    limits::{CLOCK_SKEW, KEY_PACKAGE_LIFETIME, KEY_PACKAGE_REMAINING_MIN},
};
use openmls::prelude::{KeyPackageIn, MlsMessageBodyIn, ProtocolVersion};

use super::{
    CRYPTO, IMPOSSIBLE, Result, SUITE,
    leaf::{certificate, check_capabilities},
    parse,
};
use crate::{error::Refusal, store::StockedKeyPackage};

/// A KeyPackage that may be kept in stock.
#[derive(Debug)]
pub(crate) struct CheckedKeyPackage {
    /// Whose it is.
    pub(crate) certificate: DeviceCertificate,
    /// What is kept.
    pub(crate) stocked: StockedKeyPackage,
    /// Whether it says that it may be used more than once (RFC 9420 §16.8).
    pub(crate) is_last_resort: bool,
}

impl CheckedKeyPackage {
    /// Checks an MLSMessage with a KeyPackage (RFC 9420 §10.1) that is uploaded now.
    pub(crate) fn check(message: &[u8], now: UnixMillis) -> Result<Self> {
        let MlsMessageBodyIn::KeyPackage(package) = parse(message)? else {
            return Err(Refusal::Invalid("not a KeyPackage"));
        };
        let package = KeyPackageIn::validate(package, &*CRYPTO, ProtocolVersion::Mls10)
            .map_err(|_| Refusal::Invalid("the KeyPackage is not valid in MLS"))?;
        if package.ciphersuite() != SUITE {
            return Err(Refusal::Invalid(
                "the KeyPackage is of another cipher suite",
            ));
        }
        let certificate = certificate(package.leaf_node(), now)?;
        check_capabilities(package.leaf_node())?;
        let expires_seconds = package.life_time().not_after();
        let remaining = expires_seconds.saturating_sub(now.as_seconds());
        let longest = KEY_PACKAGE_LIFETIME.as_secs() + CLOCK_SKEW.as_secs();
        if !(KEY_PACKAGE_REMAINING_MIN.as_secs()..=longest).contains(&remaining) {
            return Err(Refusal::Invalid(
                "the KeyPackage has too short or long a lifetime",
            ));
        }
        let reference = package.hash_ref(&*CRYPTO).map_err(|_| IMPOSSIBLE)?;
        Ok(Self {
            certificate,
            stocked: StockedKeyPackage {
                reference: reference.as_slice().to_vec(),
                expires_seconds,
                message: message.to_vec(),
            },
            is_last_resort: package.last_resort(),
        })
    }
}
