use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::{Bytes, LeafNode};

/// A node of the ratchet tree that is not blank (RFC 9420 §12.4.3.3). Boxed, since a tree of blank
/// nodes costs a byte each on the wire and must not cost a leaf each in memory.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
#[repr(u8)]
pub enum Node {
    /// A member.
    #[tls_codec(discriminant = 1)]
    Leaf(Box<LeafNode>),
    /// What members below share.
    #[tls_codec(discriminant = 2)]
    Parent(Box<ParentNode>),
}

/// A parent node (RFC 9420 §7.1).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct ParentNode {
    /// HPKE public key.
    pub encryption_key: Bytes,
    /// The hash that links it to the node above that was set with it (§7.9).
    pub parent_hash: Bytes,
    /// Leaves below that don't know the private key, by index, sorted.
    pub unmerged_leaves: Vec<u32>,
}
