//! Whose turn it is to fill a tree that is blank.
//!
//! Whom a Commit without a path adds stands under blank nodes, and a Commit with a path carries a
//! ciphertext for each subtree without a key: in a group that was just made of many, one for each
//! member. A member's own Commit fills the nodes above its leaf. So members who are online take turns,
//! without anybody who says when: each finds out, from the tree and the epoch alone, how long to
//! wait, and whoever waits shortest comes first. The others see that in the log, and wait anew.
//!
//! Who stands under the largest subtree without a key goes first, since that saves all others most. So
//! the tree fills from its root, and half as many ciphertexts are left each time that twice as many
//! members have had their turn.

use std::time::Duration;

/// Members under a node without a key that are not worth a Commit: with no more under each, a path has
/// fewer than twice as many ciphertexts and one for each level, and is small enough.
const MEMBERS_ENOUGH: u32 = 64;

/// Bytes of repairs that each member of a group is to read a second, at most.
const BYTES_A_SECOND: usize = 8 * 1024;

/// In what time those who would do the same for the tree take their turns: with a hundred online, the
/// first comes after a third of a second, and a Commit takes less than that to be read.
const TURNS: Duration = Duration::from_secs(30);

/// Bytes of a ciphertext in a path (RFC 9420 §7.6): an X25519 key and a sealed secret, with their lengths.
const CIPHERTEXT_BYTES: usize = 82;

/// Bytes of a node in a path: its key, and the lengths.
const NODE_BYTES: usize = 37;

/// Bytes of all else in a Commit: the leaf with its certificate, signatures and tags.
const REST_BYTES: usize = 1500;

/// What a tree looks like: where there are members, and which nodes have keys.
pub(crate) struct Shape {
    /// Subtrees without a key under each node, or 1 where it has one, and the unmerged leaves besides:
    /// the length of its resolution (RFC 9420 §4.1.1). By height, and then from the left.
    resolutions: Vec<Vec<u32>>,
    /// Whether a node has a key.
    filled: Vec<Vec<bool>>,
    /// The height of the largest subtree that has members and no key.
    largest: usize,
}

impl Shape {
    /// Of the leaves, whether each is somebody's; of the nodes above that have keys, the height, the place
    /// among those of that height, and how many leaves are unmerged.
    pub(crate) fn new(leaves: &[bool], parents: impl Iterator<Item = (usize, usize, u32)>) -> Self {
        let width = leaves.len().next_power_of_two();
        let heights = width.trailing_zeros() as usize;
        let mut filled: Vec<Vec<bool>> = (0..=heights).map(|it| vec![false; width >> it]).collect();
        let mut resolutions: Vec<Vec<u32>> = (0..=heights).map(|it| vec![0; width >> it]).collect();
        for (place, is_there) in leaves.iter().enumerate() {
            filled[0][place] = *is_there;
            resolutions[0][place] = u32::from(*is_there);
        }
        for (height, place, unmerged) in parents {
            if let Some(node) = filled.get_mut(height).and_then(|it| it.get_mut(place)) {
                *node = true;
                resolutions[height][place] = 1 + unmerged;
            }
        }
        for height in 1..=heights {
            let (below, here) = resolutions.split_at_mut(height);
            for (place, resolution) in here[0].iter_mut().enumerate() {
                if !filled[height][place] {
                    let children = &below[height - 1][2 * place..2 * place + 2];
                    *resolution = children.iter().sum();
                }
            }
        }
        let is_blank = |height: &usize| {
            let mut nodes = resolutions[*height].iter().zip(&filled[*height]);
            nodes.any(|(resolution, is_filled)| *resolution > 0 && !is_filled)
        };
        let largest = (1..=heights).rev().find(is_blank).unwrap_or(0);
        Self {
            resolutions,
            filled,
            largest,
        }
    }

    /// About how many bytes a Commit with a path by this leaf has.
    pub(crate) fn commit_bytes(&self, leaf: usize) -> usize {
        let beside = |height: usize| self.resolutions[height][(leaf >> height) ^ 1] as usize;
        let path = (0..self.heights()).map(|height| NODE_BYTES + CIPHERTEXT_BYTES * beside(height));
        REST_BYTES + path.sum::<usize>()
    }

    /// How long the member at this leaf waits, in this epoch, before it renews its path; `None` where it
    /// need not.
    pub(crate) fn wait(&self, leaf: usize, epoch: u64) -> Option<Duration> {
        let bytes = self.commit_bytes(leaf);
        let blank = |height: &usize| !self.filled[*height][leaf >> height];
        let highest = (1..=self.heights()).rev().find(blank)?;
        let members = self.resolutions[highest][leaf >> highest];
        if members <= MEMBERS_ENOUGH {
            return None;
        }
        // Those under smaller blank subtrees come after all under larger ones, as far as there are any.
        let later = u32::try_from(self.largest.saturating_sub(highest)).unwrap_or(u32::MAX);
        let wait = Duration::from_secs((bytes / BYTES_A_SECOND) as u64);
        Some(wait + TURNS * later + TURNS.mul_f64(lot(leaf, epoch)))
    }

    fn heights(&self) -> usize {
        self.filled.len() - 1
    }
}

/// The height of a parent node, by its number among parents, and its place among those of that height.
pub(crate) fn place(index: u32) -> (usize, usize) {
    // It is node 2i + 1 of the array (RFC 9420, appendix C), which is as high as it ends in ones.
    let below = index.trailing_ones();
    (below as usize + 1, (index >> below >> 1) as usize)
}

/// A number below 1 that is another one in each epoch (a step of SplitMix64). Whoever would choose a leaf
/// to be first gains nothing by it.
pub(crate) fn lot(leaf: usize, epoch: u64) -> f64 {
    let mut number = (leaf as u64).wrapping_add(epoch.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let [.., high, low] = (number ^ (number >> 31)).to_le_bytes();
    f64::from(u16::from_be_bytes([low, high])) / 65_536.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What a Commit in a group of 10,000 is to come down to.
    const COMMIT_BYTES_ENOUGH: usize = 16 * 1024;

    /// A group that was just made of many, and what repairs make of it.
    struct Group {
        leaves: Vec<bool>,
        filled: BTreeSet<(usize, usize)>,
    }

    impl Group {
        fn new(members: usize) -> Self {
            Self {
                leaves: vec![true; members],
                filled: BTreeSet::new(),
            }
        }

        fn shape(&self) -> Shape {
            Shape::new(
                &self.leaves,
                self.filled
                    .iter()
                    .map(|(height, place)| (*height, *place, 0)),
            )
        }

        /// Whoever of these waits shortest commits: the bytes of that.
        fn repair(&mut self, online: &[usize], epoch: u64) -> Option<(usize, Duration)> {
            let shape = self.shape();
            let waits = online
                .iter()
                .filter_map(|it| Some((shape.wait(*it, epoch)?, *it)));
            let (wait, leaf) = waits.min()?;
            let path = (1..=shape.heights()).map(|height| (height, leaf >> height));
            self.filled.extend(path);
            Some((shape.commit_bytes(leaf), wait))
        }

        /// Of what all members would send: the median and the most.
        fn sizes(&self) -> (usize, usize) {
            let shape = self.shape();
            let mut sizes: Vec<usize> = (0..self.leaves.len())
                .map(|it| shape.commit_bytes(it))
                .collect();
            sizes.sort_unstable();
            (sizes[sizes.len() / 2], sizes[sizes.len() - 1])
        }
    }

    /// `cargo test -p conclave-engine --lib repair -- --nocapture` shows the table in
    /// `docs/performance.md`.
    #[test]
    #[allow(clippy::print_stdout, reason = "a measurement is shown")]
    fn a_hundred_and_twenty_eight_repairs_make_commits_of_ten_thousand_small() {
        for online in [10_000, 1_000, 200] {
            let mut group = Group::new(10_000);
            let online: Vec<usize> = (0..online).map(|it| it * 10_000 / online).collect();
            let (mut bytes, mut took) = (0, Duration::ZERO);
            for repairs in 0_u64..=128 {
                if repairs.is_power_of_two() || repairs == 0 {
                    let (median, most) = group.sizes();
                    println!(
                        "{} online, {repairs} repairs: a Commit has {median} bytes, at most {most}; \
                         each has read {bytes}, in {} s",
                        online.len(),
                        took.as_secs()
                    );
                }
                let (size, wait) = group.repair(&online, repairs).unwrap_or_default();
                (bytes, took) = (bytes + size, took + wait);
            }
            assert!(group.sizes().1 <= COMMIT_BYTES_ENOUGH);
        }
    }

    #[test]
    fn who_can_do_nothing_for_the_tree_waits_for_ever() {
        let mut group = Group::new(1000);
        assert!(group.repair(&[7], 0).is_some());
        assert_eq!(group.repair(&[7], 1), None);
        assert_eq!(Group::new(64).repair(&[7], 0), None);
    }

    #[test]
    fn nodes_are_found_where_they_stand() {
        // Four leaves: parents 0 and 2 above two leaves each, 1 above all.
        assert_eq!([0, 1, 2].map(place), [(1, 0), (2, 0), (1, 1)]);
        assert_eq!(place(3), (3, 0));
        assert_eq!(place(5), (2, 1));
    }

    #[test]
    fn blank_leaves_and_a_single_one_are_no_trouble() {
        let shape = Shape::new(&[true], std::iter::empty());
        assert_eq!(shape.wait(0, 0), None);
        let shape = Shape::new(&[true, false, true], [(1, 1, 1)].into_iter());
        assert_eq!(shape.resolutions[2][0], 3);
    }
}
