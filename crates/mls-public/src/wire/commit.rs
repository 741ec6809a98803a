use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::{Bytes, LeafNode, ProposalOrRef};

/// What begins a new epoch (RFC 9420 §12.4).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct Commit {
    /// The changes.
    pub proposals: Vec<ProposalOrRef>,
    /// Fresh keys for the committer and the nodes above it.
    pub path: Option<UpdatePath>,
}

/// Fresh keys for a leaf and its filtered direct path (RFC 9420 §7.6).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct UpdatePath {
    /// The committer's new leaf.
    pub leaf_node: LeafNode,
    /// One for each node of the filtered direct path, from below.
    pub nodes: Vec<UpdatePathNode>,
}

/// A fresh key, and its secret for those who may know it (RFC 9420 §7.6).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct UpdatePathNode {
    /// HPKE public key.
    pub encryption_key: Bytes,
    /// The path secret, once for each node in the copath child's resolution.
    pub encrypted_path_secret: Vec<HpkeCiphertext>,
}

/// A ciphertext to one HPKE key (RFC 9420 §7.6).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct HpkeCiphertext {
    /// The encapsulated key.
    pub kem_output: Bytes,
    /// The ciphertext.
    pub ciphertext: Bytes,
}
