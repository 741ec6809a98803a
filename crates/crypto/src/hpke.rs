//! HPKE in base mode (RFC 9180 §5.1.1, §6.1), written over the library's primitives: the wrappers
//! that exist bring backends of their own, and this is what MLS needs of it.

use crate::{
    CipherSuite, CryptoError, HpkeKeyPair, Random, Secret,
    aead::AeadAlgorithm,
    hash::HashAlgorithm,
    kem::{Encapsulated, KemAlgorithm},
    label,
};

/// A ciphertext to one public key (RFC 9420 §7.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The encapsulated key: `kem_output`.
    pub kem_output: Vec<u8>,
    /// The ciphertext with its tag.
    pub ciphertext: Vec<u8>,
}

impl CipherSuite {
    /// `EncryptWithLabel` of RFC 9420 §5.1.3.
    ///
    /// # Errors
    /// [`CryptoError::PublicKey`] if `public` is none, [`CryptoError::Random`] without randomness.
    pub fn encrypt_with_label(
        self,
        public: &[u8],
        label: &str,
        context: &[u8],
        plaintext: &[u8],
        random: &mut dyn Random,
    ) -> Result<Sealed, CryptoError> {
        let info = label::labelled(label, context);
        self.hpke().seal(public, &info, &[], plaintext, random)
    }

    /// `DecryptWithLabel` of RFC 9420 §5.1.3. What MLS encrypts so is always secret.
    ///
    /// # Errors
    /// [`CryptoError::PublicKey`] if the encapsulated key is none, [`CryptoError::Open`] if the
    /// ciphertext is for another key, label or context.
    pub fn decrypt_with_label(
        self,
        pair: &HpkeKeyPair,
        label: &str,
        context: &[u8],
        kem_output: &[u8],
        ciphertext: &[u8],
    ) -> Result<Secret, CryptoError> {
        let info = label::labelled(label, context);
        let plaintext = self.hpke().open(pair, kem_output, &info, &[], ciphertext)?;
        Ok(plaintext.into())
    }

    /// The sender's side of an external init (RFC 9420 §8.3): the `kem_output` to send and the
    /// exported secret.
    ///
    /// # Errors
    /// As [`encrypt_with_label`](Self::encrypt_with_label); [`CryptoError::DerivedLength`].
    pub fn hpke_export_to(
        self,
        public: &[u8],
        exporter_context: &[u8],
        len: usize,
        random: &mut dyn Random,
    ) -> Result<(Vec<u8>, Secret), CryptoError> {
        self.hpke()
            .export_to(public, &[], exporter_context, len, random)
    }

    /// The receiver's side of an external init (RFC 9420 §8.3).
    ///
    /// # Errors
    /// [`CryptoError::PublicKey`], [`CryptoError::DerivedLength`].
    pub fn hpke_export_from(
        self,
        pair: &HpkeKeyPair,
        kem_output: &[u8],
        exporter_context: &[u8],
        len: usize,
    ) -> Result<Secret, CryptoError> {
        self.hpke()
            .export_from(pair, kem_output, &[], exporter_context, len)
    }

    fn hpke(self) -> Hpke {
        Hpke {
            kem: self.kem_algorithm(),
            kdf: self.hash_algorithm(),
            aead: self.aead_algorithm(),
        }
    }
}

/// One HPKE configuration (RFC 9180 §7).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hpke {
    pub(crate) kem: KemAlgorithm,
    pub(crate) kdf: HashAlgorithm,
    pub(crate) aead: AeadAlgorithm,
}

/// The part of a context that single-shot use needs (RFC 9180 §5.1). Its sequence number stays
/// zero, so the base nonce is the nonce.
struct Context {
    key: Secret,
    nonce: Secret,
    exporter: Secret,
}

impl Hpke {
    pub(crate) fn seal(
        self,
        public: &[u8],
        info: &[u8],
        aad: &[u8],
        plaintext: &[u8],
        random: &mut dyn Random,
    ) -> Result<Sealed, CryptoError> {
        let (kem_output, context) = self.setup_sender(public, info, random)?;
        let (key, nonce) = (context.key.as_bytes(), context.nonce.as_bytes());
        let ciphertext = self.aead.seal(key, nonce, aad, plaintext)?;
        Ok(Sealed {
            kem_output,
            ciphertext,
        })
    }

    pub(crate) fn open(
        self,
        pair: &HpkeKeyPair,
        kem_output: &[u8],
        info: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let shared_secret = self.kem.decap(kem_output, pair)?;
        let context = self.key_schedule(&shared_secret, info)?;
        let (key, nonce) = (context.key.as_bytes(), context.nonce.as_bytes());
        self.aead.open(key, nonce, aad, ciphertext)
    }

    pub(crate) fn export_to(
        self,
        public: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        len: usize,
        random: &mut dyn Random,
    ) -> Result<(Vec<u8>, Secret), CryptoError> {
        let (kem_output, context) = self.setup_sender(public, info, random)?;
        Ok((kem_output, self.export(&context, exporter_context, len)?))
    }

    pub(crate) fn export_from(
        self,
        pair: &HpkeKeyPair,
        kem_output: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        len: usize,
    ) -> Result<Secret, CryptoError> {
        let shared_secret = self.kem.decap(kem_output, pair)?;
        let context = self.key_schedule(&shared_secret, info)?;
        self.export(&context, exporter_context, len)
    }

    fn setup_sender(
        self,
        public: &[u8],
        info: &[u8],
        random: &mut dyn Random,
    ) -> Result<(Vec<u8>, Context), CryptoError> {
        let ephemeral = self.kem.generate(random)?;
        let Encapsulated {
            shared_secret,
            kem_output,
        } = self.kem.encap(ephemeral, public)?;
        Ok((kem_output, self.key_schedule(&shared_secret, info)?))
    }

    /// `KeySchedule` in base mode, without a PSK (RFC 9180 §5.1).
    fn key_schedule(self, shared_secret: &Secret, info: &[u8]) -> Result<Context, CryptoError> {
        const MODE_BASE: u8 = 0;
        let (hash, suite_id) = (self.kdf, self.suite_id());
        let psk_id_hash = labeled_extract(hash, &suite_id, &[], "psk_id_hash", &[]);
        let info_hash = labeled_extract(hash, &suite_id, &[], "info_hash", info);
        let context = [&[MODE_BASE], psk_id_hash.as_bytes(), info_hash.as_bytes()].concat();
        let secret = labeled_extract(hash, &suite_id, shared_secret.as_bytes(), "secret", &[]);
        let expand = |label, len| labeled_expand(hash, &suite_id, &secret, label, &context, len);
        Ok(Context {
            key: expand("key", self.aead.key_len())?,
            nonce: expand("base_nonce", self.aead.nonce_len())?,
            exporter: expand("exp", hash.len())?,
        })
    }

    /// `Context.Export` (RFC 9180 §5.3).
    fn export(
        self,
        context: &Context,
        exporter_context: &[u8],
        len: usize,
    ) -> Result<Secret, CryptoError> {
        let suite_id = self.suite_id();
        labeled_expand(
            self.kdf,
            &suite_id,
            &context.exporter,
            "sec",
            exporter_context,
            len,
        )
    }

    fn suite_id(self) -> [u8; 10] {
        let kdf: u16 = match self.kdf {
            HashAlgorithm::Sha256 => 1,
            HashAlgorithm::Sha384 => 2,
            HashAlgorithm::Sha512 => 3,
        };
        let mut id = *b"HPKE\0\0\0\0\0\0";
        id[4..6].copy_from_slice(&(self.kem as u16).to_be_bytes());
        id[6..8].copy_from_slice(&kdf.to_be_bytes());
        id[8..10].copy_from_slice(&(self.aead as u16).to_be_bytes());
        id
    }
}

const VERSION: &[u8] = b"HPKE-v1";

/// `LabeledExtract` (RFC 9180 §4).
pub(crate) fn labeled_extract(
    hash: HashAlgorithm,
    suite_id: &[u8],
    salt: &[u8],
    label: &str,
    ikm: &[u8],
) -> Secret {
    hash.extract(salt, &[VERSION, suite_id, label.as_bytes(), ikm])
}

/// `LabeledExpand` (RFC 9180 §4).
pub(crate) fn labeled_expand(
    hash: HashAlgorithm,
    suite_id: &[u8],
    prk: &Secret,
    label: &str,
    info: &[u8],
    len: usize,
) -> Result<Secret, CryptoError> {
    let length = u16::try_from(len)
        .map_err(|_| CryptoError::DerivedLength)?
        .to_be_bytes();
    let info = [&length, VERSION, suite_id, label.as_bytes(), info];
    hash.expand(prk.as_bytes(), &info, len)
}

#[cfg(test)]
mod tests;
