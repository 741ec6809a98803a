//! The one crypto provider behind OpenMLS's crypto traits.
//!
//! Everything in this workspace that needs cryptography for MLS names [`Crypto`] and nothing else,
//! so what stands behind it can change in one place. Today it is the RustCrypto provider that the
//! OpenMLS project maintains: suites 1, 2 and 3 of RFC 9420 §17.1, and a ChaCha20 generator seeded
//! from the operating system.

use openmls_rust_crypto::RustCrypto;

/// Cryptography and randomness for MLS: an [`OpenMlsCrypto`](openmls_traits::crypto::OpenMlsCrypto)
/// and an [`OpenMlsRand`](openmls_traits::random::OpenMlsRand) in one.
///
/// Making one draws a seed from the operating system, so make one and keep it; it is `Send` and
/// `Sync`. An alias, not a wrapper: a wrapper would repeat every method of both traits only to pass
/// it on.
pub type Crypto = RustCrypto;

#[cfg(test)]
mod tests {
    use openmls_traits::{
        crypto::OpenMlsCrypto as _, random::OpenMlsRand as _, types::Ciphersuite,
    };

    use super::*;

    #[test]
    fn the_groups_suite_is_supported_and_randomness_does_not_repeat() {
        let (one, other) = (Crypto::default(), Crypto::default());
        let suite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
        assert_eq!(one.supports(suite), Ok(()));
        let drawn = [
            one.random_array::<16>().unwrap(),
            one.random_array::<16>().unwrap(),
            other.random_array::<16>().unwrap(),
        ];
        assert!(drawn[0] != drawn[1] && drawn[0] != drawn[2] && drawn[1] != drawn[2]);
    }
}
