use super::RatchetTree;
use crate::{
    Error,
    math::{NodeIndex, TreeSize},
    wire::{LeafNode, Node},
};

impl RatchetTree {
    /// Adds a member at the leftmost blank leaf, and says which (RFC 9420 §12.1.1).
    ///
    /// # Errors
    /// [`Error::TooLarge`] if the tree is full and may not grow.
    pub fn add_leaf(&mut self, leaf: LeafNode) -> Result<u32, Error> {
        let index = self.make_room()?;
        let at = NodeIndex::of_leaf(index);
        self.set(at, Some(Node::Leaf(Box::new(leaf))));
        let above: Vec<_> = self.size.direct_path(at).collect();
        for parent in above {
            if let Some(mut node) = self.parent(parent).cloned() {
                let place = node.unmerged_leaves.partition_point(|leaf| *leaf < index);
                node.unmerged_leaves.insert(place, index);
                self.set(parent, Some(Node::Parent(Box::new(node))));
            }
        }
        Ok(index)
    }

    /// Replaces a member's leaf and blanks what is above it (RFC 9420 §12.1.2).
    ///
    /// # Errors
    /// [`Error::UnknownLeaf`] if there is no such member.
    pub fn update_leaf(&mut self, index: u32, leaf: LeafNode) -> Result<(), Error> {
        self.leaf(index).ok_or(Error::UnknownLeaf)?;
        let at = NodeIndex::of_leaf(index);
        self.set(at, Some(Node::Leaf(Box::new(leaf))));
        self.blank_path(at);
        Ok(())
    }

    /// Removes a member, blanks what was above it, and truncates the tree (RFC 9420 §12.1.3).
    ///
    /// # Errors
    /// [`Error::UnknownLeaf`] if there is no such member.
    pub fn remove_leaf(&mut self, index: u32) -> Result<(), Error> {
        self.leaf(index).ok_or(Error::UnknownLeaf)?;
        let at = NodeIndex::of_leaf(index);
        self.set(at, None);
        self.blank_path(at);
        while let Some(half) = self.size.halved()
            && self
                .size
                .root()
                .right()
                .is_some_and(|right| self.members_below(right) == 0)
        {
            self.resize(half);
        }
        Ok(())
    }

    /// The leftmost blank leaf, for which the tree grows if it is full.
    pub(crate) fn make_room(&mut self) -> Result<u32, Error> {
        if self.member_count() == self.size.leaves() {
            self.resize(self.size.doubled()?);
        }
        Ok(self.leftmost_blank())
    }

    /// Makes the tree larger or smaller. What falls off is blank, or was never part of the tree.
    pub(super) fn resize(&mut self, size: TreeSize) {
        for index in size.nodes()..self.size.nodes() {
            self.set(NodeIndex(index), None);
        }
        while self.size < size {
            self.grow();
        }
        self.size = size;
        let nodes = size.nodes() as usize;
        self.nodes.truncate(nodes);
        self.members.truncate(nodes);
        self.hashes.resize(nodes);
    }

    /// Doubles the tree: what it was becomes the left half.
    fn grow(&mut self) {
        let (members, nodes) = (self.member_count(), 2 * self.nodes.len() + 1);
        self.nodes.resize(nodes, None);
        self.members.resize(nodes, 0);
        self.hashes.resize(nodes);
        // The size was that of a tree, and so is twice it; the bound is checked by who asks.
        self.size = TreeSize::of_leaves(self.size.leaves() * 2).unwrap_or(self.size);
        self.members[self.size.root().0 as usize] = members;
    }

    fn blank_path(&mut self, at: NodeIndex) {
        let above: Vec<_> = self.size.direct_path(at).collect();
        for index in above {
            self.set(index, None);
        }
    }

    fn leftmost_blank(&self) -> u32 {
        let mut at = self.size.root();
        while let (Some(left), Some(right)) = (at.left(), at.right()) {
            let room = left.leaves().len() as u64 - u64::from(self.members_below(left));
            at = if room > 0 { left } else { right };
        }
        at.leaves().start
    }
}
