use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce,
    UnboundKey,
};

use crate::{CipherSuite, CryptoError};

impl CipherSuite {
    /// `AEAD.Seal`: the ciphertext with its tag.
    ///
    /// # Errors
    /// [`CryptoError::Length`] if the key or nonce is not as long as the suite's.
    pub fn seal(
        self,
        key: &[u8],
        nonce: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.aead_algorithm().seal(key, nonce, aad, plaintext)
    }

    /// `AEAD.Open`: the plaintext.
    ///
    /// # Errors
    /// [`CryptoError::Length`] as for [`seal`](Self::seal), [`CryptoError::Open`] if the ciphertext
    /// is not one of these.
    pub fn open(
        self,
        key: &[u8],
        nonce: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.aead_algorithm().open(key, nonce, aad, ciphertext)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum AeadAlgorithm {
    Aes128Gcm = 1,
    Aes256Gcm = 2,
    ChaCha20Poly1305 = 3,
}

impl AeadAlgorithm {
    pub(crate) const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }

    pub(crate) const fn nonce_len(self) -> usize {
        NONCE_LEN
    }

    pub(crate) fn seal(
        self,
        key: &[u8],
        nonce: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let (key, nonce) = self.key(key, nonce)?;
        let mut out = Vec::with_capacity(plaintext.len() + key.algorithm().tag_len());
        out.extend_from_slice(plaintext);
        key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut out)
            .map_err(|_| CryptoError::Library)?;
        Ok(out)
    }

    pub(crate) fn open(
        self,
        key: &[u8],
        nonce: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let (key, nonce) = self.key(key, nonce)?;
        let mut out = ciphertext.to_vec();
        let len = key
            .open_in_place(nonce, Aad::from(aad), &mut out)
            .map_err(|_| CryptoError::Open)?
            .len();
        out.truncate(len);
        Ok(out)
    }

    fn key(self, key: &[u8], nonce: &[u8]) -> Result<(LessSafeKey, Nonce), CryptoError> {
        let key = UnboundKey::new(self.algorithm(), key).map_err(|_| CryptoError::Length)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CryptoError::Length)?;
        Ok((LessSafeKey::new(key), nonce))
    }

    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Aes128Gcm => &AES_128_GCM,
            Self::Aes256Gcm => &AES_256_GCM,
            Self::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        }
    }
}
