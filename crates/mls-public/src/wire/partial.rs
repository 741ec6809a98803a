//! The structures of the Partial MLS draft (`draft-ietf-mls-partial`).

use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::{Bytes, MlsMessage, Node, Welcome};

/// The tree hash of a node that stands beside a direct path.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct CopathHash {
    /// The hash.
    pub hash_value: Bytes,
}

/// A leaf, all nodes above it and the hashes of what stands beside them: enough to compute the
/// tree's hash, and so to prove what the leaf is.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct MembershipProof {
    /// Which leaf.
    pub leaf_index: u32,
    /// How many leaves the tree has, blank ones included.
    pub n_leaves: u32,
    /// From the leaf to the root, both included.
    pub direct_path_nodes: Vec<Option<Node>>,
    /// Beside each of them but the root, from below.
    pub copath_hashes: Vec<CopathHash>,
}

/// A message with the proof that its sender is a member.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct SenderAuthenticated<
    T: tls_codec::Serialize + tls_codec::DeserializeBytes + tls_codec::Size,
> {
    /// The message.
    pub message: T,
    /// The proof.
    pub sender_membership_proof: MembershipProof,
}

/// A Welcome for someone who does not fetch the tree.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct AnnotatedWelcome {
    /// The Welcome, and proof of its sender.
    pub welcome: SenderAuthenticated<Welcome>,
    /// Proof of the joiner.
    pub joiner_membership_proof: MembershipProof,
}

/// A Commit for someone who does not have the tree.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct AnnotatedCommit {
    /// The Commit as a public or private message.
    pub commit: MlsMessage,
    /// Proof of a member that sent it, in the tree before.
    pub sender_membership_proof: Option<MembershipProof>,
    /// The tree's hash after it.
    pub tree_hash_after: Bytes,
    /// Which ciphertext is the receiver's, if there is a path.
    pub resolution_index: Option<u32>,
    /// Proof of the sender in the tree after.
    pub sender_membership_proof_after: MembershipProof,
    /// Proof of the receiver in the tree after.
    pub receiver_membership_proof_after: MembershipProof,
}
