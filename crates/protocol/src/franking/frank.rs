//! What stands beside an entry of the log and proves its stamp.

use std::fmt;

use thiserror::Error;
use tls_codec::{
    DeserializeBytes as _, Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize,
};

use super::{Stamp, StampingKeyCertificate, tree};
use crate::{KeyId, signature::PreparedKey};

const VERSION: u8 = 1;

/// What a signature over a root is for.
pub(super) const ROOT_LABEL: &str = "FrankRoot";

/// Why a message can't be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum FrankError {
    /// It came without a frank.
    #[error("the service did not stamp it")]
    None,
    /// What stands in the Safe AAD is no commitment.
    #[error("its sender did not commit to it")]
    NoCommitment,
    /// The sender committed to something else.
    #[error("its sender committed to something else")]
    Commitment,
    /// The key that stamped it is not certified by the operator, or not for that time.
    #[error("the key that stamped it is not the operator's")]
    Key,
    /// The signature is not over this stamp: another sender, group, epoch, place, time, commitment or message.
    #[error("the stamp is not of this message")]
    Stamp,
}

/// What proves that a service stated a [`Stamp`]:
///
/// ```text
/// struct {
///     uint8  version = 1;
///     opaque key_id[16];
///     opaque mac[32];              // for the service itself
///     uint32 leaf_index;
///     uint32 tree_size;
///     opaque path<V>;              // hashes of 32 bytes (RFC 9162 §2.1.3.1)
///     opaque signature[64];        // by the stamping key, label "FrankRoot", over key_id || tree_size || root
/// } Frank;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frank {
    pub(super) key: KeyId,
    pub(super) mac: [u8; 32],
    pub(super) leaf_index: u32,
    pub(super) tree_size: u32,
    pub(super) path: Vec<tree::Hash>,
    pub(super) signature: [u8; 64],
}

/// A root that a stamping key signed: whoever has checked one need not do so for its other messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRoot {
    to_be_signed: Vec<u8>,
    signature: [u8; 64],
}

impl Frank {
    /// The key that signed.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// What the service authenticates its own stamp by ([`StampingKey::authenticate`](super::StampingKey::authenticate)).
    #[must_use]
    pub fn mac(&self) -> &[u8; 32] {
        &self.mac
    }

    /// The signature, which the franks of all messages that were signed together have in common.
    #[must_use]
    pub fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    /// What the signature has to cover if this is of that stamp. The only error is that the path is none of a tree
    /// of this size.
    pub(super) fn root(&self, stamp: &Stamp) -> Result<SignedRoot, FrankError> {
        let root = tree::root_above(stamp.leaf(), self.leaf_index, self.tree_size, &self.path);
        let root = root.ok_or(FrankError::Stamp)?;
        Ok(SignedRoot {
            to_be_signed: to_be_signed(self.key, self.tree_size, &root),
            signature: self.signature,
        })
    }

    /// Checks that the service stated this stamp, by a key whose certificate the caller has verified.
    ///
    /// # Errors
    /// [`FrankError::Key`], [`FrankError::Stamp`].
    pub fn verify(&self, stamp: &Stamp, by: &StampingKeyCertificate) -> Result<(), FrankError> {
        let key = CertifiedKey::new(by.clone()).ok_or(FrankError::Key)?;
        key.verify(&key.root(self, stamp)?)
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = Wire {
            version: VERSION,
            key: *self.key.as_bytes(),
            mac: self.mac,
            leaf_index: self.leaf_index,
            tree_size: self.tree_size,
            path: self.path.clone(),
            signature: self.signature,
        };
        // Serializing fails only past 2^30 bytes; a path has at most some hundred.
        wire.tls_serialize_detached().unwrap_or_default()
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let wire = Wire::tls_deserialize_exact_bytes(bytes).ok()?;
        (wire.version == VERSION).then_some(Self {
            key: KeyId::from_bytes(wire.key),
            mac: wire.mac,
            leaf_index: wire.leaf_index,
            tree_size: wire.tree_size,
            path: wire.path,
            signature: wire.signature,
        })
    }
}

impl SignedRoot {
    /// Checks the signature.
    ///
    /// # Errors
    /// [`FrankError::Stamp`].
    pub fn verify(&self, by: &StampingKeyCertificate) -> Result<(), FrankError> {
        by.key()
            .verify(ROOT_LABEL, &self.to_be_signed, &self.signature)
            .map_err(|_| FrankError::Stamp)
    }
}

/// A stamping key whose certificate was verified, ready to check many franks: its name and its point are found once.
#[derive(Clone)]
pub struct CertifiedKey {
    certificate: StampingKeyCertificate,
    id: KeyId,
    key: PreparedKey,
}

impl CertifiedKey {
    /// `None` where the certified key is no point of the curve.
    #[must_use]
    pub fn new(certificate: StampingKeyCertificate) -> Option<Self> {
        Some(Self {
            id: certificate.id(),
            key: certificate.key().prepare().ok()?,
            certificate,
        })
    }

    /// What the signature has to cover if a frank is of that stamp, by this key, which stamps for the sender's service at
    /// that time: whoever has verified it once need not do so for the other messages under it.
    ///
    /// # Errors
    /// [`FrankError::Key`], [`FrankError::Stamp`].
    pub fn root(&self, frank: &Frank, stamp: &Stamp) -> Result<SignedRoot, FrankError> {
        let is_its = self.id == frank.key
            && self.certificate.covers(stamp.accepted)
            && self.certificate.server() == stamp.sender.user.domain();
        if is_its {
            frank.root(stamp)
        } else {
            Err(FrankError::Key)
        }
    }

    /// Checks the signature over a root.
    ///
    /// # Errors
    /// [`FrankError::Stamp`].
    pub fn verify(&self, root: &SignedRoot) -> Result<(), FrankError> {
        self.key
            .verify(ROOT_LABEL, &root.to_be_signed, &root.signature)
            .map_err(|_| FrankError::Stamp)
    }
}

impl fmt::Debug for CertifiedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertifiedKey({:?})", self.id)
    }
}

/// What a stamping key signs.
pub(super) fn to_be_signed(key: KeyId, tree_size: u32, root: &tree::Hash) -> Vec<u8> {
    [&key.as_bytes()[..], &tree_size.to_be_bytes(), root].concat()
}

#[derive(TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct Wire {
    version: u8,
    key: [u8; 16],
    mac: [u8; 32],
    leaf_index: u32,
    tree_size: u32,
    path: Vec<[u8; 32]>,
    signature: [u8; 64],
}
