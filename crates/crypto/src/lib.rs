//! The cryptography of MLS, typed, on AWS-LC, and the provider behind OpenMLS's crypto traits.
//!
//! A [`CipherSuite`] is a number of RFC 9420 §17.1 whose algorithms are here: suites 1, 2, 3, 5 and
//! 7. Suites 4 and 6 need X448 and Ed448, which no library that we would trust offers; they are
//! refused by name. The suite's methods are the functions of RFC 9420 §5 and §8: hash, MAC and
//! derivation, AEAD, HPKE with labels, signatures with labels. What a member must keep is a
//! [`Secret`], an [`HpkeKeyPair`] or a [`SigningKey`]: wiped on drop and silent in `Debug`.
//! Randomness is an argument, [`Random`].
//!
//! [`Crypto`] is what the engine and the service give to OpenMLS.

mod aead;
mod error;
mod hash;
mod hpke;
mod kdf;
mod kem;
mod label;
mod provider;
mod random;
mod secret;
mod signature;
mod suite;

pub use error::CryptoError;
pub use hash::{HASH_BYTES_MAX, Hash};
pub use hpke::Sealed;
pub use kem::HpkeKeyPair;
pub use provider::AwsLcCrypto;
pub use random::{Random, SystemRandomness};
pub use secret::Secret;
pub use signature::SigningKey;
pub use suite::CipherSuite;

/// Cryptography and randomness for OpenMLS: what the engine and the service use.
///
/// AWS-LC rather than RustCrypto, by measurement (`docs/performance.md`, "Cryptography"): with suite 1
/// it signs in half the time, verifies in four fifths and opens HPKE in two thirds of it, and it has
/// suites 5 and 7. RustCrypto stays as the reference that the tests hold it against.
pub type Crypto = AwsLcCrypto;
