use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::{CipherSuite, CryptoError, Secret, hash::HashAlgorithm, label};

impl CipherSuite {
    /// `KDF.Extract(salt, ikm)` (RFC 9420 §5.1).
    pub fn extract(self, salt: &[u8], ikm: &[u8]) -> Secret {
        self.hash_algorithm().extract(salt, &[ikm])
    }

    /// `ExpandWithLabel(secret, label, context, len)` of RFC 9420 §8.
    ///
    /// # Errors
    /// [`CryptoError::DerivedLength`] if `len` is over 255 hashes.
    pub fn expand_with_label(
        self,
        secret: &Secret,
        label: &str,
        context: &[u8],
        len: usize,
    ) -> Result<Secret, CryptoError> {
        let mut info = u16::try_from(len)
            .map_err(|_| CryptoError::DerivedLength)?
            .to_be_bytes()
            .to_vec();
        info.extend(label::labelled(label, context));
        self.hash_algorithm()
            .expand(secret.as_bytes(), &[&info], len)
    }

    /// `DeriveSecret(secret, label)` of RFC 9420 §8.
    ///
    /// # Errors
    /// As [`expand_with_label`](Self::expand_with_label), which for one hash never happens.
    pub fn derive_secret(self, secret: &Secret, label: &str) -> Result<Secret, CryptoError> {
        self.expand_with_label(secret, label, &[], self.hash_len())
    }

    /// `DeriveTreeSecret(secret, label, generation, len)` of RFC 9420 §9.
    ///
    /// # Errors
    /// As [`expand_with_label`](Self::expand_with_label).
    pub fn derive_tree_secret(
        self,
        secret: &Secret,
        label: &str,
        generation: u32,
        len: usize,
    ) -> Result<Secret, CryptoError> {
        self.expand_with_label(secret, label, &generation.to_be_bytes(), len)
    }
}

impl HashAlgorithm {
    /// HKDF-Extract (RFC 5869 §2.2) of the parts' concatenation.
    pub(crate) fn extract(self, salt: &[u8], ikm: &[&[u8]]) -> Secret {
        let key = hmac::Key::new(self.hmac_algorithm(), salt);
        let mut context = hmac::Context::with_key(&key);
        for part in ikm {
            context.update(part);
        }
        context.sign().as_ref().into()
    }

    /// HKDF-Expand (RFC 5869 §2.3) with the parts' concatenation as info.
    pub(crate) fn expand(
        self,
        prk: &[u8],
        info: &[&[u8]],
        len: usize,
    ) -> Result<Secret, CryptoError> {
        if len > 255 * self.len() {
            return Err(CryptoError::DerivedLength);
        }
        let key = hmac::Key::new(self.hmac_algorithm(), prk);
        // Room for whole blocks, so that the secret is never moved and left behind unwiped.
        let mut out = Zeroizing::new(Vec::with_capacity(len + self.len()));
        for counter in 1..=u8::MAX {
            if out.len() >= len {
                break;
            }
            let mut context = hmac::Context::with_key(&key);
            context.update(&out[out.len().saturating_sub(self.len())..]);
            for part in info {
                context.update(part);
            }
            context.update(&[counter]);
            out.extend_from_slice(context.sign().as_ref());
        }
        Ok(out[..len].into())
    }
}
