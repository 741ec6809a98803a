//! A Merkle tree over what is signed together, as certificate logs have it (RFC 9162 §2.1).

use sha2::{Digest as _, Sha256};

pub(super) type Hash = [u8; 32];

/// RFC 9162 §2.1.1: a leaf and a node are never taken for each other.
pub(super) fn leaf(bytes: &[u8]) -> Hash {
    let hash = Sha256::new().chain_update([0]).chain_update(bytes);
    hash.finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let hash = Sha256::new().chain_update([1]).chain_update(left);
    hash.chain_update(right).finalize().into()
}

/// A tree of at least one leaf.
pub(super) struct Tree {
    /// From the leaves to the level below the root. A node without a right neighbour is handed up as it is, which
    /// gives RFC 9162's tree.
    levels: Vec<Vec<Hash>>,
    root: Hash,
    size: u32,
}

impl Tree {
    /// `None` of no leaves.
    pub(super) fn new(leaves: Vec<Hash>) -> Option<Self> {
        let size = u32::try_from(leaves.len()).ok()?;
        let (mut levels, mut level) = (Vec::new(), leaves);
        while level.len() > 1 {
            let pairs = level.chunks(2).map(|pair| match pair {
                [left, right] => node(left, right),
                alone => alone[0],
            });
            let above = pairs.collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        let root = *level.first()?;
        if levels.is_empty() {
            levels.push(level);
        }
        Some(Self { levels, root, size })
    }

    pub(super) fn root(&self) -> Hash {
        self.root
    }

    pub(super) fn size(&self) -> u32 {
        self.size
    }

    pub(super) fn leaves(&self) -> &[Hash] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    /// What stands beside the way from a leaf to the root (RFC 9162 §2.1.3.1).
    pub(super) fn path(&self, leaf: u32) -> Vec<Hash> {
        let mut at = leaf as usize;
        let beside = self.levels.iter().filter_map(|level| {
            let hash = level.get(at ^ 1).copied();
            at /= 2;
            hash
        });
        beside.collect()
    }
}

/// The root above a leaf, of a tree of so many (RFC 9162 §2.1.3.2). `None` where the path is not as long as it
/// has to be, or the leaf is none of them.
pub(super) fn root_above(leaf: Hash, index: u32, size: u32, path: &[Hash]) -> Option<Hash> {
    let mut last = size.checked_sub(1)?;
    if index > last {
        return None;
    }
    let (mut at, mut hash, mut path) = (index, leaf, path.iter());
    while last > 0 {
        if at % 2 == 1 {
            hash = node(path.next()?, &hash);
        } else if at < last {
            hash = node(&hash, path.next()?);
        }
        (at, last) = (at / 2, last / 2);
    }
    path.next().is_none().then_some(hash)
}
