//! OpenMLS's crypto traits over this crate's own functions.

use openmls_traits::{
    crypto::OpenMlsCrypto,
    random::OpenMlsRand,
    signatures::{Signer, SignerError},
    types::{
        AeadType, Ciphersuite, CryptoError as Refusal, ExporterSecret, HashType, HpkeAeadType,
        HpkeCiphertext, HpkeConfig, HpkeKdfType, HpkeKemType, HpkeKeyPair, KemOutput,
        SignatureScheme,
    },
};
use tls_codec::SecretVLBytes;

use crate::{
    CipherSuite, CryptoError, Random as _, SigningKey, SystemRandomness, aead::AeadAlgorithm,
    hash::HashAlgorithm, hpke::Hpke, kem::KemAlgorithm, signature::SignatureAlgorithm,
};

/// Cryptography and randomness for OpenMLS on AWS-LC, for the suites of [`CipherSuite`]. It holds
/// nothing, so it costs nothing to make.
#[derive(Debug, Clone, Copy, Default)]
pub struct AwsLcCrypto;

impl OpenMlsCrypto for AwsLcCrypto {
    fn supports(&self, suite: Ciphersuite) -> Result<(), Refusal> {
        match CipherSuite::try_from(u16::from(suite)) {
            Ok(_) => Ok(()),
            Err(_) => Err(Refusal::UnsupportedCiphersuite),
        }
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        let numbers = CipherSuite::ALL.into_iter().map(u16::from);
        numbers
            .filter_map(|number| Ciphersuite::try_from(number).ok())
            .collect()
    }

    fn hkdf_extract(
        &self,
        hash: HashType,
        salt: &[u8],
        ikm: &[u8],
    ) -> Result<SecretVLBytes, Refusal> {
        Ok(hash_of(hash).extract(salt, &[ikm]).as_bytes().into())
    }

    fn hmac(&self, hash: HashType, key: &[u8], message: &[u8]) -> Result<SecretVLBytes, Refusal> {
        Ok(hash_of(hash).hmac(key, message).as_bytes().into())
    }

    fn hkdf_expand(
        &self,
        hash: HashType,
        prk: &[u8],
        info: &[u8],
        len: usize,
    ) -> Result<SecretVLBytes, Refusal> {
        let expanded = hash_of(hash).expand(prk, &[info], len).map_err(refusal)?;
        Ok(expanded.as_bytes().into())
    }

    fn hash(&self, hash: HashType, data: &[u8]) -> Result<Vec<u8>, Refusal> {
        Ok(hash_of(hash).hash(data).as_bytes().to_vec())
    }

    fn aead_encrypt(
        &self,
        aead: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        aead_of(aead).seal(key, nonce, aad, data).map_err(refusal)
    }

    fn aead_decrypt(
        &self,
        aead: AeadType,
        key: &[u8],
        ciphertext: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        aead_of(aead)
            .open(key, nonce, aad, ciphertext)
            .map_err(refusal)
    }

    fn signature_key_gen(&self, scheme: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
        let algorithm = signature_of(scheme)?;
        let private = algorithm.generate(&mut SystemRandomness).map_err(refusal)?;
        let key = SigningKey::load(algorithm, private.as_bytes()).map_err(refusal)?;
        Ok((private.as_bytes().to_vec(), key.public().to_vec()))
    }

    fn verify_signature(
        &self,
        scheme: SignatureScheme,
        data: &[u8],
        public: &[u8],
        signature: &[u8],
    ) -> Result<(), Refusal> {
        signature_of(scheme)?
            .verify(public, data, signature)
            .map_err(refusal)
    }

    fn sign(&self, scheme: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, Refusal> {
        let key = SigningKey::load(signature_of(scheme)?, key).map_err(refusal)?;
        key.sign(data).map_err(refusal)
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        public: &[u8],
        info: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext, Refusal> {
        let sealed = hpke_of(&config)?
            .seal(public, info, aad, plaintext, &mut SystemRandomness)
            .map_err(refusal)?;
        Ok(HpkeCiphertext {
            kem_output: sealed.kem_output.into(),
            ciphertext: sealed.ciphertext.into(),
        })
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        private: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        let hpke = hpke_of(&config)?;
        let pair = hpke.kem.key_pair(private).map_err(refusal)?;
        let (kem_output, ciphertext) = (input.kem_output.as_slice(), input.ciphertext.as_slice());
        hpke.open(&pair, kem_output, info, aad, ciphertext)
            .map_err(|_| Refusal::HpkeDecryptionError)
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        public: &[u8],
        info: &[u8],
        context: &[u8],
        len: usize,
    ) -> Result<(KemOutput, ExporterSecret), Refusal> {
        let (kem_output, secret) = hpke_of(&config)?
            .export_to(public, info, context, len, &mut SystemRandomness)
            .map_err(refusal)?;
        Ok((kem_output, secret.as_bytes().to_vec().into()))
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        kem_output: &[u8],
        private: &[u8],
        info: &[u8],
        context: &[u8],
        len: usize,
    ) -> Result<ExporterSecret, Refusal> {
        let hpke = hpke_of(&config)?;
        let pair = hpke.kem.key_pair(private).map_err(refusal)?;
        let secret = hpke
            .export_from(&pair, kem_output, info, context, len)
            .map_err(refusal)?;
        Ok(secret.as_bytes().to_vec().into())
    }

    fn derive_hpke_keypair(&self, config: HpkeConfig, ikm: &[u8]) -> Result<HpkeKeyPair, Refusal> {
        let pair = hpke_of(&config)?
            .kem
            .derive_key_pair(ikm)
            .map_err(refusal)?;
        Ok(HpkeKeyPair {
            private: pair.private().as_bytes().into(),
            public: pair.public().to_vec(),
        })
    }
}

impl OpenMlsRand for AwsLcCrypto {
    type Error = CryptoError;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], CryptoError> {
        let mut out = [0; N];
        SystemRandomness.fill(&mut out)?;
        Ok(out)
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, CryptoError> {
        let mut out = vec![0; len];
        SystemRandomness.fill(&mut out)?;
        Ok(out)
    }
}

impl Signer for SigningKey {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Self::sign(self, payload).map_err(|_| SignerError::SigningError)
    }

    fn signature_scheme(&self) -> SignatureScheme {
        match self.algorithm() {
            SignatureAlgorithm::Ed25519 => SignatureScheme::ED25519,
            SignatureAlgorithm::EcdsaP256 => SignatureScheme::ECDSA_SECP256R1_SHA256,
            SignatureAlgorithm::EcdsaP384 => SignatureScheme::ECDSA_SECP384R1_SHA384,
            SignatureAlgorithm::EcdsaP521 => SignatureScheme::ECDSA_SECP521R1_SHA512,
        }
    }
}

fn hash_of(hash: HashType) -> HashAlgorithm {
    match hash {
        HashType::Sha2_256 => HashAlgorithm::Sha256,
        HashType::Sha2_384 => HashAlgorithm::Sha384,
        HashType::Sha2_512 => HashAlgorithm::Sha512,
    }
}

fn aead_of(aead: AeadType) -> AeadAlgorithm {
    match aead {
        AeadType::Aes128Gcm => AeadAlgorithm::Aes128Gcm,
        AeadType::Aes256Gcm => AeadAlgorithm::Aes256Gcm,
        AeadType::ChaCha20Poly1305 => AeadAlgorithm::ChaCha20Poly1305,
    }
}

fn signature_of(scheme: SignatureScheme) -> Result<SignatureAlgorithm, Refusal> {
    match scheme {
        SignatureScheme::ED25519 => Ok(SignatureAlgorithm::Ed25519),
        SignatureScheme::ECDSA_SECP256R1_SHA256 => Ok(SignatureAlgorithm::EcdsaP256),
        SignatureScheme::ECDSA_SECP384R1_SHA384 => Ok(SignatureAlgorithm::EcdsaP384),
        SignatureScheme::ECDSA_SECP521R1_SHA512 => Ok(SignatureAlgorithm::EcdsaP521),
        _ => Err(Refusal::UnsupportedSignatureScheme),
    }
}

fn hpke_of(config: &HpkeConfig) -> Result<Hpke, Refusal> {
    let kem = match config.0 {
        HpkeKemType::DhKemP256 => KemAlgorithm::P256,
        HpkeKemType::DhKemP384 => KemAlgorithm::P384,
        HpkeKemType::DhKemP521 => KemAlgorithm::P521,
        HpkeKemType::DhKem25519 => KemAlgorithm::X25519,
        _ => return Err(Refusal::UnsupportedCiphersuite),
    };
    let kdf = match config.1 {
        HpkeKdfType::HkdfSha256 => HashAlgorithm::Sha256,
        HpkeKdfType::HkdfSha384 => HashAlgorithm::Sha384,
        HpkeKdfType::HkdfSha512 => HashAlgorithm::Sha512,
    };
    let aead = match config.2 {
        HpkeAeadType::AesGcm128 => AeadAlgorithm::Aes128Gcm,
        HpkeAeadType::AesGcm256 => AeadAlgorithm::Aes256Gcm,
        HpkeAeadType::ChaCha20Poly1305 => AeadAlgorithm::ChaCha20Poly1305,
        HpkeAeadType::Export => return Err(Refusal::UnsupportedAeadAlgorithm),
    };
    Ok(Hpke { kem, kdf, aead })
}

fn refusal(error: CryptoError) -> Refusal {
    match error {
        CryptoError::UnknownSuite | CryptoError::UnsupportedSuite => {
            Refusal::UnsupportedCiphersuite
        }
        CryptoError::PublicKey => Refusal::InvalidPublicKey,
        CryptoError::Length | CryptoError::PrivateKey => Refusal::InvalidLength,
        CryptoError::DerivedLength => Refusal::HkdfOutputLengthInvalid,
        CryptoError::Open => Refusal::AeadDecryptionError,
        CryptoError::Signature | CryptoError::Mac => Refusal::InvalidSignature,
        CryptoError::Random => Refusal::InsufficientRandomness,
        CryptoError::Library => Refusal::CryptoLibraryError,
    }
}

#[cfg(test)]
mod tests;
