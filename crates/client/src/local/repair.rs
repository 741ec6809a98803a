//! Renewing this device's keys for the sake of a group's tree.

use std::time::Duration;

use conclave_engine::Change;
use conclave_protocol::{Epoch, GroupId, UnixMillis};

use super::{Tx, outbox::Item};
use crate::{ClientError, intent::Intent, session::Call};

impl Tx<'_> {
    /// How long to wait before that; `None` where it is not needed.
    pub(crate) fn repair_wait(&self, group: GroupId) -> Result<Option<Duration>, ClientError> {
        Ok(self.engine.repair_wait(self, group)?)
    }

    /// Puts it into the outbox, where nothing else waits there: that may well bring a path of its own.
    pub(crate) fn repair(&self, group: GroupId) -> Result<(), ClientError> {
        if !self.has_waiting(group)? {
            self.enqueue(group, &Intent::Repair(self.engine.epoch(self, group)?))?;
        }
        Ok(())
    }

    /// Where another epoch has begun, somebody else's turn came first.
    pub(super) fn prepare_repair(
        &self,
        group: GroupId,
        item: &Item,
        epoch: Epoch,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        if self.engine.epoch(self, group)? != epoch {
            return self.settle_without_bytes(group, item);
        }
        self.prepare_commit(group, item, Change::update(), true, now)
    }
}
