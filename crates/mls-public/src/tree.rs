//! The ratchet tree as everybody sees it: public keys, members, hashes (RFC 9420 §4, §7).
//!
//! The nodes stand in one flat array. Beside each there are two numbers that make large groups
//! cheap: how many members are below it, so that resolutions and free leaves are found without
//! scanning, and its tree hash, if nothing below has changed since it was computed, so that a Commit
//! costs as many hashes as the tree is high. What must be unique or agreed on among all members is
//! counted in a census rather than looked up.
//!
//! Between [`begin`](RatchetTree::begin) and [`keep`](RatchetTree::keep) the tree remembers what it
//! overwrote, so that a Commit can be tried on the tree itself, undone if it is invalid, and its
//! changes handed to a store.

mod census;
mod edit;
mod hash;
mod journal;
mod parent_hash;
mod path;
mod proof;
mod validate;

pub use journal::Changes;
pub use proof::{same_tree, tree_hash_of};

use conclave_crypto::CipherSuite;

use crate::{
    Error,
    math::{NodeIndex, TreeSize},
    wire::{LeafNode, Node, ParentNode},
};

use census::Census;
use hash::HashCache;
use journal::Journal;

/// A group's public ratchet tree.
#[derive(Debug, Clone)]
pub struct RatchetTree {
    suite: CipherSuite,
    size: TreeSize,
    nodes: Vec<Option<Node>>,
    /// For each node, how many leaves at or below it are not blank.
    members: Vec<u32>,
    hashes: HashCache,
    census: Census,
    journal: Option<Journal>,
}

impl RatchetTree {
    /// A tree with one member.
    pub fn new(suite: CipherSuite, leaf: LeafNode) -> Self {
        let mut tree = Self {
            suite,
            size: TreeSize::ONE,
            nodes: vec![None],
            members: vec![0],
            hashes: HashCache::new(suite, 1),
            census: Census::default(),
            journal: None,
        };
        tree.set(NodeIndex(0), Some(Node::Leaf(Box::new(leaf))));
        tree
    }

    /// A tree as the `ratchet_tree` extension carries it (RFC 9420 §12.4.3.3). Its form is checked
    /// here; whether its content is valid, in [`validate`](Self::validate).
    ///
    /// # Errors
    /// [`Error::TreeShape`] if leaves and parents are not where they must be or the last node is
    /// blank, [`Error::TooLarge`].
    pub fn from_nodes(suite: CipherSuite, mut nodes: Vec<Option<Node>>) -> Result<Self, Error> {
        // RFC 9420 §12.4.3.3
        if !matches!(nodes.last(), Some(Some(_))) {
            return Err(Error::TreeShape);
        }
        let is_misplaced = |(index, node): (usize, &Option<Node>)| match node {
            Some(Node::Leaf(_)) => index % 2 == 1,
            Some(Node::Parent(_)) => index % 2 == 0,
            None => false,
        };
        if nodes.iter().enumerate().any(is_misplaced) {
            return Err(Error::TreeShape);
        }
        let size = TreeSize::holding_nodes(nodes.len())?;
        nodes.resize(size.nodes() as usize, None);
        let mut tree = Self {
            suite,
            size,
            members: vec![0; nodes.len()],
            hashes: HashCache::new(suite, nodes.len()),
            census: nodes.iter().flatten().collect(),
            nodes,
            journal: None,
        };
        tree.count_members(size.root());
        tree.check_minimal()?;
        Ok(tree)
    }

    /// The nodes for the `ratchet_tree` extension, up to the last that is not blank.
    pub fn to_nodes(&self) -> Vec<Option<Node>> {
        let end = self.nodes.iter().rposition(Option::is_some);
        self.nodes[..end.map_or(0, |last| last + 1)].to_vec()
    }

    /// The suite of the group.
    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// How large it is.
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// How many members it has.
    pub fn member_count(&self) -> u32 {
        self.members_below(self.size.root())
    }

    /// A node, unless it is blank or there is none.
    pub fn node(&self, index: NodeIndex) -> Option<&Node> {
        self.nodes.get(index.0 as usize)?.as_ref()
    }

    /// A member, unless the leaf is blank or there is none.
    pub fn leaf(&self, leaf: u32) -> Option<&LeafNode> {
        match self.node(NodeIndex::of_leaf(leaf))? {
            Node::Leaf(leaf) => Some(leaf),
            Node::Parent(_) => None,
        }
    }

    /// A parent, unless it is blank or there is none.
    pub fn parent(&self, index: NodeIndex) -> Option<&ParentNode> {
        match self.node(index)? {
            Node::Parent(parent) => Some(parent),
            Node::Leaf(_) => None,
        }
    }

    /// The HPKE public key of a node, unless it is blank.
    pub fn encryption_key(&self, index: NodeIndex) -> Option<&[u8]> {
        self.node(index).map(encryption_key)
    }

    /// All members with their leaf indices, from the left.
    pub fn members(&self) -> impl Iterator<Item = (u32, &LeafNode)> {
        (0..self.size.leaves()).filter_map(|leaf| Some((leaf, self.leaf(leaf)?)))
    }

    /// The nodes whose keys reach all members below this one: its resolution (RFC 9420 §4.1.1).
    pub fn resolution(&self, index: NodeIndex) -> Vec<NodeIndex> {
        let mut resolution = Vec::new();
        self.resolve(index, usize::MAX, &mut resolution);
        resolution
    }

    /// Appends the resolution, and stops once there are more than `limit` nodes.
    fn resolve(&self, index: NodeIndex, limit: usize, out: &mut Vec<NodeIndex>) {
        if out.len() > limit {
            return;
        }
        match self.node(index) {
            Some(Node::Leaf(_)) => out.push(index),
            Some(Node::Parent(parent)) => {
                out.push(index);
                let unmerged = parent.unmerged_leaves.iter();
                out.extend(unmerged.map(|leaf| NodeIndex::of_leaf(*leaf)));
            }
            None if self.members_below(index) == 0 => {}
            None => {
                for child in [index.left(), index.right()].into_iter().flatten() {
                    self.resolve(child, limit, out);
                }
            }
        }
    }

    fn members_below(&self, index: NodeIndex) -> u32 {
        self.members[index.0 as usize]
    }

    /// Replaces a node, and keeps everything beside the nodes in step. All changes come through here.
    fn set(&mut self, index: NodeIndex, node: Option<Node>) {
        let slot = &mut self.nodes[index.0 as usize];
        if slot.is_none() && node.is_none() {
            return;
        }
        slot.iter().for_each(|old| self.census.remove(old));
        node.iter().for_each(|new| self.census.insert(new));
        let (was, is) = (slot.is_some(), node.is_some());
        let old = std::mem::replace(slot, node);
        if let Some(journal) = &mut self.journal {
            journal.remember(index, old);
        }
        if index.leaf().is_some() && was != is {
            self.recount(index, is);
        }
        self.hashes.forget(index, self.size);
    }

    fn recount(&mut self, leaf: NodeIndex, joined: bool) {
        for index in std::iter::once(leaf).chain(self.size.direct_path(leaf)) {
            let members = &mut self.members[index.0 as usize];
            *members = if joined { *members + 1 } else { *members - 1 };
        }
    }

    fn count_members(&mut self, index: NodeIndex) -> u32 {
        let members = match (index.left(), index.right()) {
            (Some(left), Some(right)) => self.count_members(left) + self.count_members(right),
            _ => u32::from(self.node(index).is_some()),
        };
        self.members[index.0 as usize] = members;
        members
    }

    /// RFC 9420 §7.7: the tree is truncated whenever its right half is empty.
    fn check_minimal(&self) -> Result<(), Error> {
        match self.size.root().right() {
            Some(right) if self.members_below(right) == 0 => Err(Error::TreeShape),
            _ if self.member_count() == 0 => Err(Error::TreeShape),
            _ => Ok(()),
        }
    }
}

fn encryption_key(node: &Node) -> &[u8] {
    match node {
        Node::Leaf(leaf) => leaf.encryption_key.as_slice(),
        Node::Parent(parent) => parent.encryption_key.as_slice(),
    }
}
