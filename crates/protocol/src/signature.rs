//! Ed25519 with a label in front, so that a signature made for one purpose serves no other.

use std::{fmt, sync::Arc};

use aws_lc_rs::signature::Ed25519KeyPair;
use ed25519_dalek::Signer as _;
use thiserror::Error;
use tls_codec::{Serialize as _, TlsSerialize, TlsSize, VLByteSlice};
use zeroize::Zeroizing;

/// A signature or key that is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The bytes are no Ed25519 public key.
    #[error("not an Ed25519 public key")]
    Key,
    /// The signature was not made by this key over this content.
    #[error("the signature does not verify")]
    Signature,
}

/// An Ed25519 private key. Zeroized on drop; `Debug` shows nothing of it.
#[derive(Clone)]
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    /// The same key in a library that signs in half the time, but can lack memory to do so.
    fast: Option<Arc<Ed25519KeyPair>>,
}

impl SigningKey {
    /// Bytes of a seed.
    pub const SEED_BYTES: usize = 32;

    /// The key of a seed (RFC 8032 §5.1.5); the caller draws it at random.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let fast = Ed25519KeyPair::from_seed_unchecked(seed);
        Self {
            key: ed25519_dalek::SigningKey::from_bytes(seed),
            fast: fast.ok().map(Arc::new),
        }
    }

    /// The seed, to be stored.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.key.verifying_key().to_bytes())
    }

    /// Signs `content` for the purpose that `label` names; 64 bytes.
    #[must_use]
    pub fn sign(&self, label: &str, content: &[u8]) -> [u8; 64] {
        self.sign_bytes(&labelled(label, content))
    }

    /// Signs bytes as they are: for MLS, which brings labels of its own (RFC 9420 §5.1.2).
    #[must_use]
    pub fn sign_bytes(&self, bytes: &[u8]) -> [u8; 64] {
        let fast = self.fast.as_ref().and_then(|key| key.try_sign(bytes).ok());
        let signature = fast.and_then(|it| <[u8; 64]>::try_from(it.as_ref()).ok());
        // Both make the same signature: it is determined by key and content (RFC 8032 §5.1.6).
        signature.unwrap_or_else(|| self.key.sign(bytes).to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}

/// An Ed25519 public key. It is kept as it is encoded: to find its point costs as much as a tenth of
/// verifying a signature, and of most keys that are read nothing is verified.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    /// The key in its 32-byte encoding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key whose encoding was [checked](Self::try_from) before; any other one verifies nothing.
    pub(crate) fn known(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Checks a signature that [`SigningKey::sign`] made with the same label and content.
    ///
    /// # Errors
    /// [`SignatureError::Signature`]. Strict verification: low-order keys are refused too.
    pub fn verify(
        &self,
        label: &str,
        content: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        self.prepare()?.verify(label, content, signature)
    }

    /// The key with its point found, for many signatures of it.
    pub(crate) fn prepare(&self) -> Result<PreparedKey, SignatureError> {
        ed25519_dalek::VerifyingKey::from_bytes(&self.0)
            .map(PreparedKey)
            .map_err(|_| SignatureError::Key)
    }
}

/// A [`VerifyingKey`] with its point.
#[derive(Clone)]
pub(crate) struct PreparedKey(ed25519_dalek::VerifyingKey);

impl PreparedKey {
    /// What [`VerifyingKey::verify`] says.
    pub(crate) fn verify(
        &self,
        label: &str,
        content: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        let signature = ed25519_dalek::Signature::from_slice(signature)
            .map_err(|_| SignatureError::Signature)?;
        self.0
            .verify_strict(&labelled(label, content), &signature)
            .map_err(|_| SignatureError::Signature)
    }
}

impl TryFrom<&[u8]> for VerifyingKey {
    type Error = SignatureError;

    fn try_from(bytes: &[u8]) -> Result<Self, SignatureError> {
        ed25519_dalek::VerifyingKey::try_from(bytes)
            .map(|key| Self(key.to_bytes()))
            .map_err(|_| SignatureError::Key)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey(")?;
        self.as_bytes()[..4]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}

/// The same shape as MLS's `SignContent` (RFC 9420 §5.1.2), under a prefix of our own.
#[derive(TlsSerialize, TlsSize)]
struct SignContent<'a> {
    label: VLByteSlice<'a>,
    content: VLByteSlice<'a>,
}

fn labelled(label: &str, content: &[u8]) -> Vec<u8> {
    let label = format!("Conclave 1.0 {label}");
    let sign_content = SignContent {
        label: VLByteSlice(label.as_bytes()),
        content: VLByteSlice(content),
    };
    // Serializing fails only past 2^30 bytes, and all that is signed here is bounded far below.
    sign_content.tls_serialize_detached().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whichever_library_signs_the_signature_is_the_same(seed: [u8; 32], content: Vec<u8>) {
            let key = SigningKey::from_seed(&seed);
            let slow = SigningKey { fast: None, ..key.clone() };
            prop_assert!(key.fast.is_some());
            prop_assert_eq!(key.sign_bytes(&content), slow.sign_bytes(&content));
        }
    }

    #[test]
    fn a_signature_serves_one_label_and_content_only() {
        let key = SigningKey::from_seed(&[7; 32]);
        let signature = key.sign("Purpose", b"content");
        let public = key.verifying_key();
        assert_eq!(public.verify("Purpose", b"content", &signature), Ok(()));
        for (label, content) in [("Purpos", &b"econtent"[..]), ("Purpose", b"Content")] {
            assert_eq!(
                public.verify(label, content, &signature),
                Err(SignatureError::Signature)
            );
        }
        assert!(!format!("{key:?}").contains('7'));
    }
}
