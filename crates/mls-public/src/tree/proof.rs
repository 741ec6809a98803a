//! Membership proofs (the Partial MLS draft, `draft-ietf-mls-partial`).

use conclave_crypto::{CipherSuite, Hash};

use super::{
    RatchetTree,
    hash::{hash_leaf, hash_node},
};
use crate::{
    Error,
    math::{NodeIndex, TreeSize},
    wire::{CopathHash, MembershipProof, Node},
};

impl RatchetTree {
    /// Proves to somebody who knows the tree's hash who is at this leaf.
    ///
    /// # Errors
    /// [`Error::UnknownLeaf`] if there is no member.
    pub fn prove(&mut self, leaf: u32) -> Result<MembershipProof, Error> {
        self.leaf(leaf).ok_or(Error::UnknownLeaf)?;
        self.compute(self.size.root());
        let at = NodeIndex::of_leaf(leaf);
        let path = std::iter::once(at).chain(self.size.direct_path(at));
        let beside = self.size.path_with_copath(at);
        Ok(MembershipProof {
            leaf_index: leaf,
            n_leaves: self.size.leaves(),
            direct_path_nodes: path.map(|node| self.node(node).cloned()).collect(),
            copath_hashes: beside
                .map(|(_, beside)| CopathHash {
                    hash_value: self.known_hash(beside).into(),
                })
                .collect(),
        })
    }
}

/// The tree hash that a proof leads to. The proof is valid for a group if that is the group's.
///
/// # Errors
/// [`Error::MembershipProof`] if it has not the form of a proof, or is for a blank leaf.
pub fn tree_hash_of(suite: CipherSuite, proof: &MembershipProof) -> Result<Hash, Error> {
    let size = TreeSize::of_leaves(proof.n_leaves).map_err(|_| Error::MembershipProof)?;
    let at = NodeIndex::of_leaf(proof.leaf_index);
    if !size.contains(at) {
        return Err(Error::MembershipProof);
    }
    let Some((Some(Node::Leaf(leaf)), above)) = proof.direct_path_nodes.split_first() else {
        return Err(Error::MembershipProof);
    };
    let steps: Vec<_> = size.path_with_copath(at).collect();
    if steps.len() != above.len() || steps.len() != proof.copath_hashes.len() {
        return Err(Error::MembershipProof);
    }
    let mut hash = hash_leaf(suite, proof.leaf_index, Some(leaf));
    for (((parent, beside), node), other) in steps.iter().zip(above).zip(&proof.copath_hashes) {
        let (own, other) = (hash.as_bytes(), other.hash_value.as_slice());
        let (left, right) = if beside < parent {
            (other, own)
        } else {
            (own, other)
        };
        hash = hash_node(suite, node.as_ref(), left, right).ok_or(Error::MembershipProof)?;
    }
    Ok(hash)
}

/// Whether two proofs are about the same tree.
///
/// # Errors
/// [`Error::MembershipProof`] if one has not the form of a proof.
pub fn same_tree(
    suite: CipherSuite,
    one: &MembershipProof,
    other: &MembershipProof,
) -> Result<bool, Error> {
    let hashes = (tree_hash_of(suite, one)?, tree_hash_of(suite, other)?);
    Ok(one.n_leaves == other.n_leaves && hashes.0 == hashes.1)
}
