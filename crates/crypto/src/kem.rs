use aws_lc_rs::agreement::{
    self, Algorithm, ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey, UnparsedPublicKey, X25519,
};

use crate::{
    CipherSuite, CryptoError, Random, Secret,
    hash::HashAlgorithm,
    hpke::{labeled_expand, labeled_extract},
};

/// A key pair for HPKE: the private key, with the public one kept beside it, which opening needs too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HpkeKeyPair {
    private: Secret,
    public: Vec<u8>,
}

impl HpkeKeyPair {
    /// The private key: X25519's 32 bytes, or a big-endian integer of the curve's length.
    pub fn private(&self) -> &Secret {
        &self.private
    }

    /// The public key as RFC 9180 §7.1.1 serializes it: for the NIST curves, uncompressed.
    pub fn public(&self) -> &[u8] {
        &self.public
    }
}

impl CipherSuite {
    /// `KEM.DeriveKeyPair(ikm)` (RFC 9180 §7.1.3), for node secrets (RFC 9420 §7.4).
    ///
    /// # Errors
    /// [`CryptoError::Library`] if 256 candidates are out of range, which never happens.
    pub fn derive_key_pair(self, ikm: &Secret) -> Result<HpkeKeyPair, CryptoError> {
        self.kem_algorithm().derive_key_pair(ikm.as_bytes())
    }

    /// A new key pair from fresh randomness.
    ///
    /// # Errors
    /// [`CryptoError::Random`] if there is none.
    pub fn generate_key_pair(self, random: &mut dyn Random) -> Result<HpkeKeyPair, CryptoError> {
        self.kem_algorithm().generate(random)
    }

    /// A key pair from its private key; a NIST curve's may come without its leading zeros.
    ///
    /// # Errors
    /// [`CryptoError::PrivateKey`] if it is too long or out of range.
    pub fn key_pair(self, private: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
        self.kem_algorithm().key_pair(private)
    }
}

/// A DHKEM of RFC 9180 §7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum KemAlgorithm {
    P256 = 0x0010,
    P384 = 0x0011,
    P521 = 0x0012,
    X25519 = 0x0020,
}

/// What encapsulation gives: the shared secret and what the receiver needs to find it.
pub(crate) struct Encapsulated {
    pub(crate) shared_secret: Secret,
    pub(crate) kem_output: Vec<u8>,
}

impl KemAlgorithm {
    pub(crate) fn generate(self, random: &mut dyn Random) -> Result<HpkeKeyPair, CryptoError> {
        let mut ikm = Secret::zero(self.private_len()).as_bytes().to_vec();
        random.fill(&mut ikm)?;
        self.derive_key_pair(Secret::from(ikm).as_bytes())
    }

    pub(crate) fn key_pair(self, private: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
        let missing = self
            .private_len()
            .checked_sub(private.len())
            .filter(|missing| *missing == 0 || self != Self::X25519)
            .ok_or(CryptoError::PrivateKey)?;
        let private = Secret::from([&vec![0; missing], private].concat());
        let public = self
            .load(&private)?
            .compute_public_key()
            .map_err(|_| CryptoError::PrivateKey)?
            .as_ref()
            .to_vec();
        Ok(HpkeKeyPair { private, public })
    }

    /// RFC 9180 §7.1.3.
    pub(crate) fn derive_key_pair(self, ikm: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
        let (hash, suite_id) = (self.hash(), self.suite_id());
        let prk = labeled_extract(hash, &suite_id, &[], "dkp_prk", ikm);
        if self == Self::X25519 {
            let private = labeled_expand(hash, &suite_id, &prk, "sk", &[], self.private_len())?;
            return self.key_pair(private.as_bytes());
        }
        for counter in 0..=u8::MAX {
            let candidate = labeled_expand(
                hash,
                &suite_id,
                &prk,
                "candidate",
                &[counter],
                self.private_len(),
            )?;
            let mut bytes = candidate.as_bytes().to_vec();
            bytes[0] &= self.bit_mask();
            // A candidate out of range, zero included, is refused by the library.
            if let Ok(pair) = self.key_pair(Secret::from(bytes).as_bytes()) {
                return Ok(pair);
            }
        }
        Err(CryptoError::Library)
    }

    /// `Encap(pkR)` (RFC 9180 §4.1) with this ephemeral key.
    pub(crate) fn encap(
        self,
        ephemeral: HpkeKeyPair,
        public: &[u8],
    ) -> Result<Encapsulated, CryptoError> {
        let dh = self.agree(&ephemeral, public)?;
        let shared_secret = self.extract_and_expand(&dh, &[&ephemeral.public, public])?;
        Ok(Encapsulated {
            shared_secret,
            kem_output: ephemeral.public,
        })
    }

    /// `Decap(enc, skR)` (RFC 9180 §4.1).
    pub(crate) fn decap(
        self,
        kem_output: &[u8],
        pair: &HpkeKeyPair,
    ) -> Result<Secret, CryptoError> {
        let dh = self.agree(pair, kem_output)?;
        self.extract_and_expand(&dh, &[kem_output, &pair.public])
    }

    fn extract_and_expand(self, dh: &Secret, context: &[&[u8]]) -> Result<Secret, CryptoError> {
        let (hash, suite_id) = (self.hash(), self.suite_id());
        let prk = labeled_extract(hash, &suite_id, &[], "eae_prk", dh.as_bytes());
        let context = context.concat();
        labeled_expand(hash, &suite_id, &prk, "shared_secret", &context, hash.len())
    }

    /// Diffie-Hellman. The library refuses points off the curve and, for X25519, an all-zero result
    /// (RFC 9180 §7.1.4).
    fn agree(self, pair: &HpkeKeyPair, public: &[u8]) -> Result<Secret, CryptoError> {
        // RFC 9180 §7.1.1: the library also takes compressed points, which are no public keys here.
        if public.len() != self.public_len() {
            return Err(CryptoError::PublicKey);
        }
        let private = self.load(&pair.private)?;
        let public = UnparsedPublicKey::new(self.algorithm(), public);
        agreement::agree(&private, public, CryptoError::PublicKey, |shared| {
            Ok(shared.into())
        })
    }

    fn load(self, private: &Secret) -> Result<PrivateKey, CryptoError> {
        PrivateKey::from_private_key(self.algorithm(), private.as_bytes())
            .map_err(|_| CryptoError::PrivateKey)
    }

    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::P256 => &ECDH_P256,
            Self::P384 => &ECDH_P384,
            Self::P521 => &ECDH_P521,
            Self::X25519 => &X25519,
        }
    }

    fn hash(self) -> HashAlgorithm {
        match self {
            Self::P256 | Self::X25519 => HashAlgorithm::Sha256,
            Self::P384 => HashAlgorithm::Sha384,
            Self::P521 => HashAlgorithm::Sha512,
        }
    }

    fn suite_id(self) -> [u8; 5] {
        let [high, low] = (self as u16).to_be_bytes();
        [b'K', b'E', b'M', high, low]
    }

    const fn private_len(self) -> usize {
        match self {
            Self::P256 | Self::X25519 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    const fn public_len(self) -> usize {
        match self {
            Self::P256 => 65,
            Self::P384 => 97,
            Self::P521 => 133,
            Self::X25519 => 32,
        }
    }

    const fn bit_mask(self) -> u8 {
        match self {
            Self::P521 => 0x01,
            Self::P256 | Self::P384 | Self::X25519 => 0xff,
        }
    }
}
