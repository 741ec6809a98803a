use tls_codec::{TlsSerialize, TlsSize, VLByteSlice};

use super::RatchetTree;
use crate::{
    Error,
    math::NodeIndex,
    wire::{Bytes, LeafNodeSource, Node, ParentNode, encode},
};

/// `ParentHashInput` (RFC 9420 §7.9).
#[derive(TlsSerialize, TlsSize)]
struct ParentHashInput<'a> {
    encryption_key: &'a Bytes,
    parent_hash: &'a Bytes,
    original_sibling_tree_hash: VLByteSlice<'a>,
}

impl RatchetTree {
    /// The parent hash of a node, given the original tree hash of the child beside the path
    /// (RFC 9420 §7.9).
    pub(super) fn parent_hash_input(&self, parent: &ParentNode, sibling_hash: &[u8]) -> Vec<u8> {
        let input = encode(&ParentHashInput {
            encryption_key: &parent.encryption_key,
            parent_hash: &parent.parent_hash,
            original_sibling_tree_hash: VLByteSlice(sibling_hash),
        });
        debug_assert!(input.is_ok(), "a node of a tree is far below 2^30 bytes");
        self.suite
            .hash(&input.unwrap_or_default())
            .as_bytes()
            .to_vec()
    }

    /// Checks that each parent was set by somebody below it, along with everything on the way
    /// (RFC 9420 §7.9.2).
    ///
    /// # Errors
    /// [`Error::ParentHash`].
    pub(super) fn check_parent_hashes(&mut self) -> Result<(), Error> {
        self.compute(self.size.root());
        let parents = (1..self.size.nodes()).step_by(2).map(NodeIndex);
        for index in parents {
            if let Some(parent) = self.parent(index)
                && !self.is_linked(index, parent)
            {
                return Err(Error::ParentHash);
            }
        }
        Ok(())
    }

    /// Whether a node below was set together with this parent. That node is a leaf or itself linked,
    /// so that the chain ends at a leaf, whose signature covers it.
    fn is_linked(&self, index: NodeIndex, parent: &ParentNode) -> bool {
        let (Some(left), Some(right)) = (index.left(), index.right()) else {
            return false;
        };
        [(left, right), (right, left)]
            .into_iter()
            .any(|(child, sibling)| {
                let Some(linked) = self.only_merged_node(child, parent) else {
                    return false;
                };
                let original = self.original_hash(sibling, &parent.unmerged_leaves);
                self.parent_hash_of(linked) == Some(&self.parent_hash_input(parent, &original))
            })
    }

    /// The one node in a child's resolution that the parent does not hold for unmerged, if all others
    /// and no more are unmerged (RFC 9420 §7.9.2).
    fn only_merged_node(&self, child: NodeIndex, parent: &ParentNode) -> Option<NodeIndex> {
        let below = |leaf: &&u32| child.covers(NodeIndex::of_leaf(**leaf));
        let unmerged = parent.unmerged_leaves.iter().filter(below).count();
        let mut resolution = Vec::new();
        self.resolve(child, unmerged + 1, &mut resolution);
        if resolution.len() != unmerged + 1 {
            return None;
        }
        let is_merged = |node: &&NodeIndex| {
            let leaf = node.leaf();
            leaf.is_none_or(|leaf| parent.unmerged_leaves.binary_search(&leaf).is_err())
        };
        let mut merged = resolution.iter().filter(is_merged);
        let only = merged.next().copied();
        only.filter(|_| merged.next().is_none())
    }

    fn parent_hash_of(&self, index: NodeIndex) -> Option<&[u8]> {
        match self.node(index)? {
            Node::Parent(parent) => Some(parent.parent_hash.as_slice()),
            Node::Leaf(leaf) => match &leaf.leaf_node_source {
                LeafNodeSource::Commit(parent_hash) => Some(parent_hash.as_slice()),
                LeafNodeSource::KeyPackage(_) | LeafNodeSource::Update => None,
            },
        }
    }
}
