//! Stamps that are signed together.

use std::fmt;

use tls_codec::{
    DeserializeBytes as _, Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize,
};

use super::{Frank, StampingKey, frank::to_be_signed, tree};
use crate::{KeyId, limits::FRANKS_PER_BATCH_MAX};

/// The stamps of messages that a service appends together, and its one signature over them.
///
/// The service keeps this, and makes each message's [`Frank`] of it when somebody reads the message: a hash for
/// each is less than a path for each.
///
/// ```text
/// struct {
///     opaque key_id[16];
///     opaque leaves<V>;            // hashes of 32 bytes, in their order
///     opaque signature[64];
/// } FrankBatch;
/// ```
pub struct FrankBatch {
    key: KeyId,
    tree: tree::Tree,
    signature: [u8; 64],
}

impl FrankBatch {
    /// Signs stamps, by their leaves ([`Stamp::leaf`](super::Stamp::leaf)). `None` of no stamps, and of more than
    /// [`FRANKS_PER_BATCH_MAX`].
    #[must_use]
    pub fn seal(leaves: Vec<[u8; 32]>, key: &StampingKey) -> Option<Self> {
        let tree = bounded(leaves)?;
        let signature = key.sign_root(&to_be_signed(key.id(), tree.size(), &tree.root()));
        Some(Self {
            key: key.id(),
            tree,
            signature,
        })
    }

    /// The frank of the message whose stamp is the one at this place; `mac` is what
    /// [`StampingKey::authenticate`] gave for it. `None` where there is no such place.
    #[must_use]
    pub fn frank(&self, leaf_index: u32, mac: [u8; 32]) -> Option<Frank> {
        let tree_size = self.tree.size();
        (leaf_index < tree_size).then(|| Frank {
            key: self.key,
            mac,
            leaf_index,
            tree_size,
            path: self.tree.path(leaf_index),
            signature: self.signature,
        })
    }

    /// The encoding, to be stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = Wire {
            key: *self.key.as_bytes(),
            leaves: self.tree.leaves().to_vec(),
            signature: self.signature,
        };
        // Serializing fails only past 2^30 bytes; there are at most 32 KiB of leaves.
        wire.tls_serialize_detached().unwrap_or_default()
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` for anything else. The signature is not checked.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let wire = Wire::tls_deserialize_exact_bytes(bytes).ok()?;
        Some(Self {
            key: KeyId::from_bytes(wire.key),
            tree: bounded(wire.leaves)?,
            signature: wire.signature,
        })
    }
}

impl fmt::Debug for FrankBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FrankBatch({:?}, {} stamps)", self.key, self.tree.size())
    }
}

fn bounded(leaves: Vec<tree::Hash>) -> Option<tree::Tree> {
    (leaves.len() <= FRANKS_PER_BATCH_MAX)
        .then(|| tree::Tree::new(leaves))
        .flatten()
}

#[derive(TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct Wire {
    key: [u8; 16],
    leaves: Vec<[u8; 32]>,
    signature: [u8; 64],
}
