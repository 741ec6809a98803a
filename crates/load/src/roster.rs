//! Who is in which group, as far as is known here, and who is next to come or go.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Where somebody stands with a group; those who are not in it stand nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On the way in, which was due then.
    Coming(Duration),
    In,
    /// On the way out, which was due then.
    Going(Duration),
    /// Nobody knows: a request failed, and may have its effect yet.
    Unsure,
}

/// Who comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// This one is to come in, and that member asks for it.
    Join { user: usize, asker: usize },
    /// This one leaves.
    Leave { user: usize },
}

/// One group.
#[derive(Debug, Clone)]
pub(crate) struct Roster {
    users: usize,
    /// Who made the group, and does not leave.
    owner: usize,
    /// How many it began with.
    size: usize,
    places: BTreeMap<usize, Place>,
    /// Who is saying something, and how many things: they leave only once that is said.
    speaking: BTreeMap<usize, usize>,
}

impl Roster {
    /// A group of these, whom the first has brought together, out of so many users.
    pub(crate) fn new(users: usize, founders: impl Iterator<Item = usize>) -> Self {
        let founders: Vec<usize> = founders.collect();
        Self {
            users,
            owner: founders.first().copied().unwrap_or_default(),
            size: founders.len(),
            places: founders.into_iter().map(|user| (user, Place::In)).collect(),
            speaking: BTreeMap::new(),
        }
    }

    /// Those who read what is said from now on.
    pub(crate) fn readers(&self) -> BTreeSet<usize> {
        self.members().collect()
    }

    /// One of the members.
    pub(crate) fn member(&self, lot: u64) -> Option<usize> {
        pick(self.members(), lot)
    }

    /// Somebody begins to say something.
    pub(crate) fn speaks(&mut self, user: usize) {
        *self.speaking.entry(user).or_default() += 1;
    }

    /// Somebody has said it.
    pub(crate) fn has_spoken(&mut self, user: usize) {
        if let Some(count) = self.speaking.get_mut(&user) {
            *count -= 1;
        }
        self.speaking.retain(|_, count| *count > 0);
    }

    /// Who comes or goes next: either, as long as the group is between half and one and a half times as
    /// large as it was.
    pub(crate) fn change(&mut self, lot: u64, due: Duration) -> Option<Change> {
        let stays = |place: &&Place| matches!(place, Place::In | Place::Coming(_));
        let size = self.places.values().filter(stays).count();
        let is_small = size <= self.size.div_ceil(2);
        let is_large = size >= self.size + self.size / 2;
        // The lowest bit decides, and the others who.
        let (grows, lot) = (is_small || (lot & 1 == 0 && !is_large), lot >> 1);
        let (join, leave) = (Self::join, Self::leave);
        if grows {
            join(self, lot, due).or_else(|| leave(self, lot, due))
        } else {
            leave(self, lot, due).or_else(|| join(self, lot, due))
        }
    }

    fn join(&mut self, lot: u64, due: Duration) -> Option<Change> {
        let outside = (0..self.users).filter(|user| !self.places.contains_key(user));
        let (user, asker) = (pick(outside, lot)?, pick(self.members(), lot >> 8)?);
        self.places.insert(user, Place::Coming(due));
        Some(Change::Join { user, asker })
    }

    fn leave(&mut self, lot: u64, due: Duration) -> Option<Change> {
        let may = |user: &usize| *user != self.owner && !self.speaking.contains_key(user);
        let others = self.members().filter(may);
        let user = pick(others, lot)?;
        self.places.insert(user, Place::Going(due));
        Some(Change::Leave { user })
    }

    /// Somebody has come in: when that was due, where it is known.
    pub(crate) fn came(&mut self, user: usize) -> Option<Duration> {
        match self.places.insert(user, Place::In) {
            Some(Place::Coming(due)) => Some(due),
            _ => None,
        }
    }

    /// Somebody is out: when that was due, where it is known.
    pub(crate) fn went(&mut self, user: usize) -> Option<Duration> {
        match self.places.remove(&user) {
            Some(Place::Going(due)) => Some(due),
            _ => None,
        }
    }

    /// What somebody wanted has failed, as far as is known.
    pub(crate) fn failed(&mut self, user: usize) {
        if let Some(place @ (Place::Coming(_) | Place::Going(_))) = self.places.get_mut(&user) {
            *place = Place::Unsure;
        }
    }

    /// Whether somebody is on the way in.
    pub(crate) fn is_coming(&self, user: usize) -> bool {
        matches!(self.places.get(&user), Some(Place::Coming(_)))
    }

    /// How many are on their way, in or out.
    pub(crate) fn on_their_way(&self) -> usize {
        let moves = |place: &&Place| matches!(place, Place::Coming(_) | Place::Going(_));
        self.places.values().filter(moves).count()
    }

    fn members(&self) -> impl Iterator<Item = usize> {
        let is_in = |(user, place): (&usize, &Place)| (*place == Place::In).then_some(*user);
        self.places.iter().filter_map(is_in)
    }
}

fn pick(users: impl Iterator<Item = usize>, lot: u64) -> Option<usize> {
    let users: Vec<usize> = users.collect();
    let place = lot.checked_rem(users.len() as u64)?;
    users.get(usize::try_from(place).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn only_outsiders_come_and_only_members_go_and_the_owner_stays(
            users in 2..30_usize, size in 2..30_usize, lots in proptest::collection::vec(any::<u64>(), 1..200),
        ) {
            let size = size.min(users);
            let mut roster = Roster::new(users, 0..size);
            let mut inside: BTreeSet<usize> = (0..size).collect();
            for (number, lot) in lots.into_iter().enumerate() {
                let due = Duration::from_secs(number as u64);
                match roster.change(lot, due) {
                    Some(Change::Join { user, asker }) => {
                        prop_assert!(inside.contains(&asker));
                        prop_assert!(!roster.readers().contains(&user), "reads before coming in");
                        prop_assert_eq!(roster.came(user), Some(due));
                        prop_assert!(inside.insert(user));
                    }
                    Some(Change::Leave { user }) => {
                        prop_assert!(user != 0);
                        prop_assert!(!roster.readers().contains(&user), "reads after going");
                        prop_assert_eq!(roster.went(user), Some(due));
                        prop_assert!(inside.remove(&user));
                    }
                    None => prop_assert!(false, "nobody to come or go"),
                }
                prop_assert_eq!(&roster.readers(), &inside);
                prop_assert!(inside.contains(&roster.member(lot).unwrap()));
                prop_assert!(inside.len() + 1 >= size.div_ceil(2) && inside.len() <= size + size / 2);
            }
            prop_assert_eq!(roster.on_their_way(), 0);
        }
    }

    #[test]
    fn nobody_leaves_in_the_middle_of_a_sentence() {
        let mut roster = Roster::new(2, 0..2);
        roster.speaks(1);
        roster.speaks(1);
        assert_eq!(roster.change(1, Duration::ZERO), None);
        roster.has_spoken(1);
        assert_eq!(roster.change(1, Duration::ZERO), None);
        roster.has_spoken(1);
        assert_eq!(
            roster.change(1, Duration::ZERO),
            Some(Change::Leave { user: 1 })
        );
    }

    #[test]
    fn what_failed_is_not_expected_and_may_happen_yet() {
        let mut roster = Roster::new(2, 0..2);
        let due = Duration::from_secs(1);
        assert_eq!(roster.change(1, due), Some(Change::Leave { user: 1 }));
        assert_eq!(roster.on_their_way(), 1);
        roster.failed(1);
        assert_eq!((roster.on_their_way(), roster.readers().len()), (0, 1));
        assert_eq!(roster.went(1), None);
    }
}
