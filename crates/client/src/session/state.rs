//! Where a device stands with a group, and with what it wants done there.

use conclave_protocol::GroupId;

use super::Session;
use crate::{ClientError, Standing};

/// An intent in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntentId(pub(crate) i64);

/// The state of a group's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Made here; the service does not know it yet.
    Creating,
    /// About to join from outside: nothing can be read yet.
    Joining,
    /// This device can't follow the group; it comes back by an external Commit.
    Resyncing,
    /// The log is not read to its end, as far as is known.
    CatchingUp,
    /// A Commit of this device waits for the log's verdict.
    CommitPending,
    /// A member that can read and send.
    Operational,
    /// No longer a member.
    Removed,
}

impl Session {
    /// The state of a group; `None` for one that is not known here.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn state(&mut self, group: GroupId) -> Result<Option<State>, ClientError> {
        let Some(known) = self.local.read(|tx| tx.group(group))? else {
            return Ok(None);
        };
        let reads = |it: &super::Progress| it.log.is_due();
        let is_out = self.groups.get(&group).is_some_and(super::Progress::is_out);
        Ok(Some(match known.standing {
            Standing::Creating => State::Creating,
            Standing::Joining => State::Joining,
            Standing::Ended => State::Removed,
            Standing::Member | Standing::Leaving if is_out => State::Resyncing,
            Standing::Member | Standing::Leaving => {
                if self.groups.get(&group).is_none_or(reads) {
                    State::CatchingUp
                } else if self.local.read(|tx| tx.has_pending_commit(group))? {
                    State::CommitPending
                } else {
                    State::Operational
                }
            }
        }))
    }
}
