use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
        ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_ASN1_SIGNING,
        ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
        UnparsedPublicKey, VerificationAlgorithm,
    },
};

use crate::{CipherSuite, CryptoError, Random, Secret, kem::KemAlgorithm, label};

impl CipherSuite {
    /// `VerifyWithLabel` of RFC 9420 §5.1.2.
    ///
    /// # Errors
    /// [`CryptoError::PublicKey`] if `public` is no key of the suite, [`CryptoError::Signature`] if
    /// it did not sign this.
    pub fn verify_with_label(
        self,
        public: &[u8],
        label: &str,
        content: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        self.signature_algorithm()
            .verify(public, &label::labelled(label, content), signature)
    }
}

/// A private key for signatures, expanded once, so that each signature costs only itself. The
/// private bytes live inside the library, which wipes them when they are freed.
pub struct SigningKey {
    inner: Inner,
    algorithm: SignatureAlgorithm,
    public: Vec<u8>,
}

enum Inner {
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair),
}

impl SigningKey {
    /// From its bytes: Ed25519's seed, or a big-endian integer, leading zeros or not.
    ///
    /// # Errors
    /// [`CryptoError::PrivateKey`] if these are no key of the suite.
    pub fn from_bytes(suite: CipherSuite, private: &[u8]) -> Result<Self, CryptoError> {
        Self::load(suite.signature_algorithm(), private)
    }

    /// A new key, from fresh randomness.
    ///
    /// # Errors
    /// [`CryptoError::Random`] if there is none.
    pub fn generate(suite: CipherSuite, random: &mut dyn Random) -> Result<Self, CryptoError> {
        let algorithm = suite.signature_algorithm();
        let private = algorithm.generate(random)?;
        Self::load(algorithm, private.as_bytes())
    }

    /// The public key: 32 bytes, or an uncompressed point (RFC 9420 §5.1.1).
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// `SignWithLabel` of RFC 9420 §5.1.2. ECDSA draws its nonce inside the library.
    ///
    /// # Errors
    /// [`CryptoError::Library`] if the library fails.
    pub fn sign_with_label(&self, label: &str, content: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.sign(&label::labelled(label, content))
    }

    pub(crate) fn sign(&self, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let signature = match &self.inner {
            Inner::Ed25519(key) => key.try_sign(data),
            Inner::Ecdsa(key) => key.sign(&SystemRandom::new(), data),
        };
        Ok(signature
            .map_err(|_| CryptoError::Library)?
            .as_ref()
            .to_vec())
    }

    pub(crate) fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    pub(crate) fn load(algorithm: SignatureAlgorithm, private: &[u8]) -> Result<Self, CryptoError> {
        let refused = |_| CryptoError::PrivateKey;
        let (inner, public) = match algorithm.ecdsa() {
            None => {
                let key = Ed25519KeyPair::from_seed_unchecked(private).map_err(refused)?;
                let public = key.public_key().as_ref().to_vec();
                (Inner::Ed25519(key), public)
            }
            Some((curve, signing)) => {
                let pair = curve.key_pair(private)?;
                let key = EcdsaKeyPair::from_private_key_and_public_key(
                    signing,
                    pair.private().as_bytes(),
                    pair.public(),
                )
                .map_err(refused)?;
                (Inner::Ecdsa(key), pair.public().to_vec())
            }
        };
        Ok(Self {
            inner,
            algorithm,
            public,
        })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignatureAlgorithm {
    Ed25519,
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
}

impl SignatureAlgorithm {
    /// A private key's bytes.
    pub(crate) fn generate(self, random: &mut dyn Random) -> Result<Secret, CryptoError> {
        if let Some((curve, _)) = self.ecdsa() {
            // Key derivation rejects what is out of range, which a plain draw would have to do too.
            return Ok(curve.generate(random)?.private().clone());
        }
        let mut seed = vec![0; 32];
        random.fill(&mut seed)?;
        Ok(seed.into())
    }

    pub(crate) fn verify(
        self,
        public: &[u8],
        data: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        // RFC 9420 §5.1.1: the library also takes compressed points and certificates' key formats.
        if public.len() != self.public_len() {
            return Err(CryptoError::PublicKey);
        }
        UnparsedPublicKey::new(self.verification(), public)
            .verify(data, signature)
            .map_err(|_| CryptoError::Signature)
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Ed25519 => &ED25519,
            Self::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
            Self::EcdsaP384 => &ECDSA_P384_SHA384_ASN1,
            Self::EcdsaP521 => &ECDSA_P521_SHA512_ASN1,
        }
    }

    fn ecdsa(self) -> Option<(KemAlgorithm, &'static EcdsaSigningAlgorithm)> {
        match self {
            Self::Ed25519 => None,
            Self::EcdsaP256 => Some((KemAlgorithm::P256, &ECDSA_P256_SHA256_ASN1_SIGNING)),
            Self::EcdsaP384 => Some((KemAlgorithm::P384, &ECDSA_P384_SHA384_ASN1_SIGNING)),
            Self::EcdsaP521 => Some((KemAlgorithm::P521, &ECDSA_P521_SHA512_ASN1_SIGNING)),
        }
    }

    const fn public_len(self) -> usize {
        match self {
            Self::Ed25519 => 32,
            Self::EcdsaP256 => 65,
            Self::EcdsaP384 => 97,
            Self::EcdsaP521 => 133,
        }
    }
}
