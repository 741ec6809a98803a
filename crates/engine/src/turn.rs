//! Whose turn it is to do what any member could: an order that all members know without asking anybody.

use crate::repair::lot;

/// How many of these leaves come before one of them, in this epoch. The order is another one in each epoch,
/// so that the same member does not do everything.
pub(crate) fn rank(leaves: impl Iterator<Item = usize>, own: usize, epoch: u64) -> u32 {
    let before = (lot(own, epoch), own);
    let earlier = leaves.filter(|leaf| (lot(*leaf, epoch), *leaf) < before);
    u32::try_from(earlier.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_place_of_its_own_and_another_one_in_the_next_epoch() {
        let leaves: Vec<usize> = (0..2000).filter(|leaf| leaf % 3 != 0).collect();
        let ranks = |epoch| -> Vec<u32> {
            let rank_of = |leaf: &usize| rank(leaves.iter().copied(), *leaf, epoch);
            leaves.iter().map(rank_of).collect()
        };
        let places: BTreeSet<u32> = ranks(7).into_iter().collect();
        assert!(
            places
                .into_iter()
                .eq(0..u32::try_from(leaves.len()).unwrap())
        );
        let first = |epoch| ranks(epoch).iter().position(|it| *it == 0);
        let firsts: BTreeSet<_> = (0..20).map(first).collect();
        assert!(firsts.len() > 15, "{firsts:?}");
    }
}
