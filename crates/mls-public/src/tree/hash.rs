use conclave_crypto::{CipherSuite, Hash};
use tls_codec::VLByteSlice;

use super::RatchetTree;
use crate::{
    math::{NodeIndex, TreeSize},
    wire::{LeafNode, Node, ParentNode},
};

/// The tree hash of each node, if it is known.
#[derive(Debug, Clone)]
pub(super) struct HashCache {
    len: usize,
    known: Vec<bool>,
    bytes: Vec<u8>,
}

impl HashCache {
    pub(super) fn new(suite: CipherSuite, nodes: usize) -> Self {
        let len = suite.hash_len();
        Self {
            len,
            known: vec![false; nodes],
            bytes: vec![0; nodes * len],
        }
    }

    /// A node has changed, so its hash and those above are known no more. Where one is unknown, so
    /// are all above it.
    pub(super) fn forget(&mut self, index: NodeIndex, size: TreeSize) {
        for index in std::iter::once(index).chain(size.direct_path(index)) {
            if !std::mem::replace(&mut self.known[index.0 as usize], false) {
                break;
            }
        }
    }

    pub(super) fn resize(&mut self, nodes: usize) {
        self.known.resize(nodes, false);
        self.bytes.resize(nodes * self.len, 0);
    }

    fn find(&self, index: NodeIndex) -> Option<&[u8]> {
        let at = index.0 as usize;
        self.known[at].then(|| &self.bytes[at * self.len..(at + 1) * self.len])
    }

    fn store(&mut self, index: NodeIndex, hash: Hash) {
        let at = index.0 as usize;
        self.bytes[at * self.len..(at + 1) * self.len].copy_from_slice(hash.as_bytes());
        self.known[at] = true;
    }
}

impl RatchetTree {
    /// The tree's hash (RFC 9420 §7.8): that of its root.
    pub fn tree_hash(&mut self) -> Vec<u8> {
        self.hash_of(self.size.root())
    }

    /// A node's tree hash (RFC 9420 §7.8).
    pub fn hash_of(&mut self, index: NodeIndex) -> Vec<u8> {
        self.compute(index);
        self.known_hash(index).to_vec()
    }

    /// Computes what is not known at or below a node.
    pub(super) fn compute(&mut self, index: NodeIndex) {
        if self.hashes.find(index).is_some() {
            return;
        }
        let hash = match (index.leaf(), index.left(), index.right()) {
            (None, Some(left), Some(right)) => {
                self.compute(left);
                self.compute(right);
                let (left, right) = (self.known_hash(left), self.known_hash(right));
                hash_parent(self.suite, self.parent(index), left, right)
            }
            (leaf, ..) => {
                let leaf = leaf.unwrap_or_default();
                hash_leaf(self.suite, leaf, self.leaf(leaf))
            }
        };
        self.hashes.store(index, hash);
    }

    /// The tree hash that a node had before these leaves were added below it: they count as blank,
    /// and as merged (RFC 9420 §7.9). `without` is sorted. Hashes must have been computed.
    pub(super) fn original_hash(&self, index: NodeIndex, without: &[u32]) -> Vec<u8> {
        let leaves = index.leaves();
        let from = without.partition_point(|leaf| *leaf < leaves.start);
        let to = without.partition_point(|leaf| *leaf < leaves.end);
        let below = &without[from..to.max(from)];
        if below.is_empty() {
            return self.known_hash(index).to_vec();
        }
        let hash = match (index.left(), index.right()) {
            (Some(left), Some(right)) => {
                let (left, right) = (
                    self.original_hash(left, below),
                    self.original_hash(right, below),
                );
                let parent = self.parent(index).cloned().map(|mut parent| {
                    let unmerged = &mut parent.unmerged_leaves;
                    unmerged.retain(|leaf| below.binary_search(leaf).is_err());
                    parent
                });
                hash_parent(self.suite, parent.as_ref(), &left, &right)
            }
            _ => hash_leaf(self.suite, leaves.start, None),
        };
        hash.as_bytes().to_vec()
    }

    /// A hash that was computed before: callers that only read begin with one that computes all.
    pub(super) fn known_hash(&self, index: NodeIndex) -> &[u8] {
        debug_assert!(
            self.hashes.find(index).is_some(),
            "the hash is not computed"
        );
        self.hashes.find(index).unwrap_or_default()
    }
}

/// The tree hash of a leaf from `TreeHashInput` (RFC 9420 §7.8).
pub(super) fn hash_leaf(suite: CipherSuite, index: u32, leaf: Option<&LeafNode>) -> Hash {
    const LEAF: u8 = 1;
    let mut input = vec![LEAF];
    input.extend(index.to_be_bytes());
    write(&leaf, &mut input);
    suite.hash(&input)
}

/// The tree hash of a parent from `TreeHashInput` (RFC 9420 §7.8).
pub(super) fn hash_parent(
    suite: CipherSuite,
    parent: Option<&ParentNode>,
    left: &[u8],
    right: &[u8],
) -> Hash {
    const PARENT: u8 = 2;
    let mut input = vec![PARENT];
    write(&parent, &mut input);
    write(&VLByteSlice(left), &mut input);
    write(&VLByteSlice(right), &mut input);
    suite.hash(&input)
}

/// The tree hash of a node with known children, wherever it comes from.
pub(super) fn hash_node(
    suite: CipherSuite,
    node: Option<&Node>,
    left: &[u8],
    right: &[u8],
) -> Option<Hash> {
    match node {
        Some(Node::Leaf(_)) => None,
        Some(Node::Parent(parent)) => Some(hash_parent(suite, Some(parent), left, right)),
        None => Some(hash_parent(suite, None, left, right)),
    }
}

fn write(part: &impl tls_codec::Serialize, out: &mut Vec<u8>) {
    let written = part.tls_serialize(out);
    debug_assert!(written.is_ok(), "a node of a tree is far below 2^30 bytes");
}
