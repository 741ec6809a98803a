use crate::{
    CryptoError, aead::AeadAlgorithm, hash::HashAlgorithm, kem::KemAlgorithm,
    signature::SignatureAlgorithm,
};

/// A cipher suite of RFC 9420 §17.1 that this crate can work with. Its methods are the
/// cryptography of RFC 9420 §5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum CipherSuite {
    /// `MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519`
    X25519Aes128Sha256Ed25519 = 1,
    /// `MLS_128_DHKEMP256_AES128GCM_SHA256_P256`
    P256Aes128Sha256P256 = 2,
    /// `MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519`
    X25519ChaChaSha256Ed25519 = 3,
    /// `MLS_256_DHKEMP521_AES256GCM_SHA512_P521`
    P521Aes256Sha512P521 = 5,
    /// `MLS_256_DHKEMP384_AES256GCM_SHA384_P384`
    P384Aes256Sha384P384 = 7,
}

use CipherSuite::{
    P256Aes128Sha256P256, P384Aes256Sha384P384, P521Aes256Sha512P521, X25519Aes128Sha256Ed25519,
    X25519ChaChaSha256Ed25519,
};

impl CipherSuite {
    /// Every suite that is supported, by number.
    pub const ALL: [Self; 5] = [
        X25519Aes128Sha256Ed25519,
        P256Aes128Sha256P256,
        X25519ChaChaSha256Ed25519,
        P521Aes256Sha512P521,
        P384Aes256Sha384P384,
    ];

    /// Bytes of a hash: `Kdf.Nh`.
    pub const fn hash_len(self) -> usize {
        self.hash_algorithm().len()
    }

    /// Bytes of an AEAD key: `AEAD.Nk`.
    pub const fn key_len(self) -> usize {
        self.aead_algorithm().key_len()
    }

    /// Bytes of an AEAD nonce: `AEAD.Nn`.
    pub const fn nonce_len(self) -> usize {
        self.aead_algorithm().nonce_len()
    }

    pub(crate) const fn hash_algorithm(self) -> HashAlgorithm {
        match self {
            X25519Aes128Sha256Ed25519 | P256Aes128Sha256P256 | X25519ChaChaSha256Ed25519 => {
                HashAlgorithm::Sha256
            }
            P521Aes256Sha512P521 => HashAlgorithm::Sha512,
            P384Aes256Sha384P384 => HashAlgorithm::Sha384,
        }
    }

    pub(crate) const fn aead_algorithm(self) -> AeadAlgorithm {
        match self {
            X25519Aes128Sha256Ed25519 | P256Aes128Sha256P256 => AeadAlgorithm::Aes128Gcm,
            X25519ChaChaSha256Ed25519 => AeadAlgorithm::ChaCha20Poly1305,
            P521Aes256Sha512P521 | P384Aes256Sha384P384 => AeadAlgorithm::Aes256Gcm,
        }
    }

    pub(crate) const fn kem_algorithm(self) -> KemAlgorithm {
        match self {
            X25519Aes128Sha256Ed25519 | X25519ChaChaSha256Ed25519 => KemAlgorithm::X25519,
            P256Aes128Sha256P256 => KemAlgorithm::P256,
            P521Aes256Sha512P521 => KemAlgorithm::P521,
            P384Aes256Sha384P384 => KemAlgorithm::P384,
        }
    }

    pub(crate) const fn signature_algorithm(self) -> SignatureAlgorithm {
        match self {
            X25519Aes128Sha256Ed25519 | X25519ChaChaSha256Ed25519 => SignatureAlgorithm::Ed25519,
            P256Aes128Sha256P256 => SignatureAlgorithm::EcdsaP256,
            P521Aes256Sha512P521 => SignatureAlgorithm::EcdsaP521,
            P384Aes256Sha384P384 => SignatureAlgorithm::EcdsaP384,
        }
    }
}

impl TryFrom<u16> for CipherSuite {
    type Error = CryptoError;

    fn try_from(number: u16) -> Result<Self, CryptoError> {
        match number {
            4 | 6 => Err(CryptoError::UnsupportedSuite),
            _ => Self::ALL
                .into_iter()
                .find(|suite| *suite as u16 == number)
                .ok_or(CryptoError::UnknownSuite),
        }
    }
}

impl From<CipherSuite> for u16 {
    fn from(suite: CipherSuite) -> Self {
        suite as Self
    }
}
