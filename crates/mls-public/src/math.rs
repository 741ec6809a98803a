//! The arithmetic of the array-based tree (RFC 9420 Appendix C): leaves stand at even indices,
//! parents at odd ones, and a tree is always full, its number of leaves a power of two.

use crate::{Error, limits::LEAVES_MAX};

/// A node's place in the array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub u32);

impl NodeIndex {
    /// Where the leaf with this index stands. Leaf indices come from the wire, so one that no tree
    /// has gives a node that no tree has.
    pub const fn of_leaf(leaf: u32) -> Self {
        Self(leaf.saturating_mul(2))
    }

    /// The leaf's index, if this is a leaf.
    pub const fn leaf(self) -> Option<u32> {
        if self.0.is_multiple_of(2) {
            Some(self.0 / 2)
        } else {
            None
        }
    }

    /// How far above the leaves it stands.
    pub const fn level(self) -> u32 {
        self.0.trailing_ones()
    }

    /// The child on the left, of a parent.
    pub const fn left(self) -> Option<Self> {
        match self.level() {
            0 => None,
            level => Some(Self(self.0 ^ (1 << (level - 1)))),
        }
    }

    /// The child on the right, of a parent.
    pub const fn right(self) -> Option<Self> {
        match self.level() {
            0 => None,
            level => Some(Self(self.0 ^ (3 << (level - 1)))),
        }
    }

    /// The leaves below, or itself.
    pub const fn leaves(self) -> std::ops::Range<u32> {
        let reach = (1 << self.level()) - 1;
        (self.0 - reach) / 2..(self.0 + reach) / 2 + 1
    }

    /// Whether `other` is this node or stands below it.
    pub fn covers(self, other: Self) -> bool {
        let reach = (1 << self.level()) - 1;
        (self.0 - reach..=self.0 + reach).contains(&other.0)
    }
}

/// The number of leaves of a full tree: a power of two, at most [`LEAVES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreeSize(u32);

impl TreeSize {
    /// The smallest tree.
    pub const ONE: Self = Self(1);

    /// The smallest tree that has `nodes` nodes or more.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if that has over [`LEAVES_MAX`] leaves.
    pub fn holding_nodes(nodes: usize) -> Result<Self, Error> {
        let leaves = u32::try_from(nodes / 2 + 1).map_err(|_| Error::TooLarge)?;
        Self::of_leaves(leaves.checked_next_power_of_two().ok_or(Error::TooLarge)?)
    }

    /// The tree with this many leaves.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if they are over [`LEAVES_MAX`], [`Error::Malformed`] if they are no power
    /// of two.
    pub fn of_leaves(leaves: u32) -> Result<Self, Error> {
        match leaves {
            _ if !leaves.is_power_of_two() => Err(Error::Malformed),
            ..=LEAVES_MAX => Ok(Self(leaves)),
            _ => Err(Error::TooLarge),
        }
    }

    /// How many leaves, blank ones included.
    pub const fn leaves(self) -> u32 {
        self.0
    }

    /// How many nodes.
    pub const fn nodes(self) -> u32 {
        2 * self.0 - 1
    }

    /// The root.
    pub const fn root(self) -> NodeIndex {
        NodeIndex(self.0 - 1)
    }

    /// Twice as large.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn doubled(self) -> Result<Self, Error> {
        Self::of_leaves(self.0 * 2)
    }

    /// Half as large, if there is more than one leaf.
    pub const fn halved(self) -> Option<Self> {
        match self.0 {
            1 => None,
            leaves => Some(Self(leaves / 2)),
        }
    }

    /// Whether the tree has such a node.
    pub const fn contains(self, node: NodeIndex) -> bool {
        node.0 < self.nodes()
    }

    /// The node above; the root has none.
    pub const fn parent(self, node: NodeIndex) -> Option<NodeIndex> {
        if node.0 == self.root().0 || !self.contains(node) {
            return None;
        }
        let level = node.level();
        let above = (node.0 | (1 << level)) & !(1 << (level + 1));
        Some(NodeIndex(above))
    }

    /// The other child of the node above; the root has none.
    pub fn sibling(self, node: NodeIndex) -> Option<NodeIndex> {
        let parent = self.parent(node)?;
        if node < parent {
            parent.right()
        } else {
            parent.left()
        }
    }

    /// The nodes above, from below, the root included: the direct path (RFC 9420 §4.2).
    pub fn direct_path(self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        std::iter::successors(self.parent(node), move |above| self.parent(*above))
    }

    /// For each node of the direct path, from below: the node, and its child that is not on the path.
    pub fn path_with_copath(self, node: NodeIndex) -> impl Iterator<Item = (NodeIndex, NodeIndex)> {
        let steps = std::iter::successors(Some(node), move |at| self.parent(*at));
        steps.filter_map(move |at| Some((self.parent(at)?, self.sibling(at)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_covers_its_leaves_and_no_others() {
        let size = TreeSize::of_leaves(32).unwrap();
        for index in 0..size.nodes() {
            let node = NodeIndex(index);
            for leaf in 0..size.leaves() {
                let at = NodeIndex::of_leaf(leaf);
                let below = at == node || size.direct_path(at).any(|above| above == node);
                assert_eq!(node.covers(at), below);
                assert_eq!(node.leaves().contains(&leaf), below);
            }
        }
    }

    #[test]
    fn sizes_beyond_the_bound_are_refused() {
        assert_eq!(TreeSize::of_leaves(3), Err(Error::Malformed));
        assert_eq!(TreeSize::of_leaves(0), Err(Error::Malformed));
        assert_eq!(TreeSize::of_leaves(LEAVES_MAX * 2), Err(Error::TooLarge));
        assert_eq!(TreeSize::holding_nodes(usize::MAX), Err(Error::TooLarge));
        assert_eq!(TreeSize::holding_nodes(4).map(TreeSize::leaves), Ok(4));
        assert_eq!(TreeSize::holding_nodes(3).map(TreeSize::leaves), Ok(2));
    }
}
