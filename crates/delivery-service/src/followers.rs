//! The followers in memory: those of the groups that changed last.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use conclave_protocol::GroupId;

use crate::{follower::Follower, limits::FOLLOWERS_CACHED_MAX};

/// The place of one group's follower. Whoever holds its lock is the only one on this node who
/// checks handshake messages of the group. Empty where the follower has to come from the store.
pub(crate) type Slot = Arc<Mutex<Option<Follower>>>;

/// A bounded number of slots.
#[derive(Default)]
pub(crate) struct Followers(Mutex<Slots>);

#[derive(Default)]
struct Slots {
    by_group: HashMap<GroupId, (u64, Slot)>,
    uses: u64,
}

impl Followers {
    /// The slot of a group. Another slot may lose its place: who still holds that one can go on,
    /// since the store has the last word on what is accepted.
    pub(crate) fn slot(&self, group: GroupId) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.uses += 1;
        let uses = slots.uses;
        let (last_used, slot) = slots.by_group.entry(group).or_default();
        *last_used = uses;
        let slot = Arc::clone(slot);
        slots.evict();
        slot
    }
}

impl Slots {
    fn evict(&mut self) {
        if self.by_group.len() <= FOLLOWERS_CACHED_MAX {
            return;
        }
        let oldest = self.by_group.iter().min_by_key(|(_, (used, _))| *used);
        if let Some(group) = oldest.map(|(group, _)| *group) {
            self.by_group.remove(&group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_that_was_used_least_recently_gives_way() {
        let followers = Followers::default();
        let group = |number: usize| GroupId::from_bytes([u8::try_from(number).unwrap(); 16]);
        let first = followers.slot(group(0));
        let second = followers.slot(group(1));
        for number in 2..FOLLOWERS_CACHED_MAX {
            followers.slot(group(number));
        }
        assert!(Arc::ptr_eq(&first, &followers.slot(group(0))));
        followers.slot(group(FOLLOWERS_CACHED_MAX));
        assert!(Arc::ptr_eq(&first, &followers.slot(group(0))));
        assert!(!Arc::ptr_eq(&second, &followers.slot(group(1))));
    }
}
