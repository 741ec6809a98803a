//! Filling a tree that many were added to: by whoever's turn it is, as the engine says.

use conclave_protocol::{GroupId, UnixMillis};

use super::Session;
use crate::{ClientError, Standing};

impl Session {
    /// Finds out when it is this device's turn, where an epoch has begun, and takes it when it has come.
    pub(super) fn repair(&mut self, id: GroupId, now: UnixMillis) -> Result<(), ClientError> {
        let Some(progress) = self.groups.get_mut(&id) else {
            return Ok(());
        };
        if std::mem::take(&mut progress.has_turned) {
            let wait = match progress.standing {
                Standing::Member => self.local.read(|tx| tx.repair_wait(id))?,
                _ => None,
            };
            progress.repair_at = wait.map(|wait| now.after(wait));
        }
        if progress.repair_at.is_none_or(|at| now < at) {
            return Ok(());
        }
        progress.repair_at = None;
        self.local.write(|tx| tx.repair(id))?;
        progress.outbox.set();
        Ok(())
    }
}
