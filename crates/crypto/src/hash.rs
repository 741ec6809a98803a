use std::fmt;

use aws_lc_rs::{digest, hmac};

use crate::{CipherSuite, CryptoError, label};

/// The longest output of a hash function here, in bytes: SHA-512's.
pub const HASH_BYTES_MAX: usize = 64;

/// What a hash function or a MAC gave: 32, 48 or 64 bytes, kept in place, so that a tree of many
/// hashes is one allocation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash {
    bytes: [u8; HASH_BYTES_MAX],
    len: u8,
}

impl Hash {
    /// The bytes of the hash.
    pub fn as_bytes(&self) -> &[u8] {
        self.as_ref()
    }

    fn new(output: &[u8]) -> Self {
        let mut bytes = [0; HASH_BYTES_MAX];
        bytes[..output.len()].copy_from_slice(output);
        let len = u8::try_from(output.len()).unwrap_or(u8::MAX);
        Self { bytes, len }
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl CipherSuite {
    /// The suite's hash of `data`.
    pub fn hash(self, data: &[u8]) -> Hash {
        self.hash_algorithm().hash(data)
    }

    /// `RefHash(label, value)` of RFC 9420 §5.2, which names KeyPackages and proposals.
    pub fn ref_hash(self, label: &str, value: &[u8]) -> Hash {
        let mut input = Vec::with_capacity(label.len() + value.len() + 8);
        label::write_bytes(&mut input, label.as_bytes());
        label::write_bytes(&mut input, value);
        self.hash(&input)
    }

    /// `MAC(key, data)`: HMAC with the suite's hash (RFC 9420 §5.1).
    pub fn mac(self, key: &[u8], data: &[u8]) -> Hash {
        self.hash_algorithm().hmac(key, data)
    }

    /// Checks a MAC in constant time.
    ///
    /// # Errors
    /// [`CryptoError::Mac`] if `tag` is another one.
    pub fn verify_mac(self, key: &[u8], data: &[u8], tag: &[u8]) -> Result<(), CryptoError> {
        let key = hmac::Key::new(self.hash_algorithm().hmac_algorithm(), key);
        hmac::verify(&key, data, tag).map_err(|_| CryptoError::Mac)
    }
}

/// A hash function and the HMAC and HKDF that stand on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HashAlgorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl HashAlgorithm {
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    pub(crate) fn hash(self, data: &[u8]) -> Hash {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        Hash::new(digest::digest(algorithm, data).as_ref())
    }

    pub(crate) fn hmac(self, key: &[u8], data: &[u8]) -> Hash {
        let key = hmac::Key::new(self.hmac_algorithm(), key);
        Hash::new(hmac::sign(&key, data).as_ref())
    }

    pub(crate) fn hmac_algorithm(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }
}
