//! A group for the time of one operation: from memory where it is loaded and nobody has written since,
//! otherwise from the state.

use conclave_protocol::GroupId;
use openmls::prelude::MlsGroup;

use super::{Engine, Provider, load, mls_group_id};
use crate::{
    Effects, EngineError, State,
    loaded::{Lease, Loaded},
};

impl Engine {
    /// Runs an operation that changes a group. What it wrote leaves with its value.
    pub(super) fn on_group<T>(
        &self,
        state: &dyn State,
        group: GroupId,
        operation: impl FnOnce(&Provider<'_>, &mut Loaded) -> Result<T, EngineError>,
    ) -> Result<Effects<T>, EngineError> {
        self.transact(state, |provider| {
            let mut loaded = provider.hold(group)?;
            let (lease, epoch) = (loaded.lease, loaded.group.epoch());
            // Where it fails, OpenMLS may have done half of it in memory: the group is loaded anew.
            let value = operation(provider, &mut loaded)?;
            loaded.turn(epoch);
            provider.let_go(group, loaded, lease)?;
            Ok(value)
        })
    }

    /// Asks a group something.
    pub(super) fn ask<T>(
        &self,
        state: &dyn State,
        group: GroupId,
        question: impl FnOnce(&Provider<'_>, &MlsGroup) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        self.look(state, |provider| {
            let loaded = provider.hold(group)?;
            let answer = question(provider, &loaded.group);
            provider.shelve(group, loaded);
            answer
        })
    }
}

impl Provider<'_> {
    fn hold(&self, group: GroupId) -> Result<Loaded, EngineError> {
        let lease = self.lease(group)?;
        let known = self.loaded.and_then(|groups| groups.take(group));
        if let Some(mut loaded) = known.filter(|loaded| loaded.lease == lease) {
            self.storage.swap_tree(loaded.tree.take());
            return Ok(loaded);
        }
        Ok(Loaded::new(load(self, group)?, lease, None))
    }

    /// Keeps a group that an operation was done with, and what is written of it beside its entities.
    fn let_go(
        &self,
        group: GroupId,
        mut loaded: Loaded,
        lease_before: Option<Lease>,
    ) -> Result<(), EngineError> {
        if self.storage.secrets_bytes() > 0 {
            loaded.secrets_written(self.storage.secrets_bytes());
        }
        let has_writes = self.storage.has_writes();
        if has_writes && (self.loaded.is_some() || loaded.lease.is_some()) {
            let new = self.new_lease()?;
            loaded.lease = Some(loaded.lease.map_or(new, |lease| Lease {
                stamp: new.stamp,
                ..lease
            }));
        }
        if loaded.lease != lease_before {
            loaded.is_touched = true;
            self.put_lease(group, loaded.lease)?;
        }
        self.shelve(group, loaded);
        Ok(())
    }

    fn shelve(&self, group: GroupId, mut loaded: Loaded) {
        if let Some(groups) = self.loaded {
            loaded.tree = self.storage.swap_tree(None);
            groups.put(group, loaded);
        }
    }

    /// A group was made, or takes the place of an older one: whoever has that loaded is to notice.
    pub(super) fn begin_lease(&self, group: GroupId) -> Result<Option<Lease>, EngineError> {
        if self.loaded.is_none() && self.lease(group)?.is_none() {
            return Ok(None);
        }
        let lease = Some(self.new_lease()?);
        self.put_lease(group, lease)?;
        Ok(lease)
    }

    /// A group that was made here, with all that is written of it, stays loaded. Where that is not applied,
    /// the state has another lease.
    pub(super) fn keep_made(&self, id: GroupId, group: MlsGroup, lease: Option<Lease>) {
        let mut loaded = Loaded::new(group, lease, None);
        loaded.secrets_written(self.storage.secrets_bytes());
        loaded.is_touched = true;
        self.shelve(id, loaded);
    }

    /// A group was deleted.
    pub(super) fn end_lease(&self, group: GroupId) -> Result<(), EngineError> {
        drop(self.loaded.and_then(|groups| groups.take(group)));
        if self.lease(group)?.is_some() {
            self.put_lease(group, None)?;
        }
        Ok(())
    }

    fn lease(&self, group: GroupId) -> Result<Option<Lease>, EngineError> {
        let row = self.storage.lease(&mls_group_id(group));
        let row = row.map_err(|_| EngineError::Corrupt)?;
        row.map(|row| Lease::from_bytes(&row).ok_or(EngineError::Corrupt))
            .transpose()
    }

    fn put_lease(&self, group: GroupId, lease: Option<Lease>) -> Result<(), EngineError> {
        let row = lease.map(Lease::to_bytes);
        let stored = self.storage.put_lease(&mls_group_id(group), row);
        stored.map_err(|_| EngineError::Corrupt)
    }

    fn new_lease(&self) -> Result<Lease, EngineError> {
        let stamp = self.storage.draw().map_err(|_| EngineError::Corrupt)?;
        Ok(Lease {
            stamp,
            sent: 0,
            behind: 0,
        })
    }
}
