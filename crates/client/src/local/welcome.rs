//! Joining from a Welcome, and the KeyPackages that make it possible.

use conclave_engine::EngineError;
use conclave_protocol::{DeviceId, GroupId, Sequence, UnixMillis, limits::KEY_PACKAGE_STOCK};
use conclave_rpc::{group_id, v1};

use super::{Reason, Tx};
use crate::{ClientError, Entry, EntryKind, Event, Group, Standing};

/// What to do with a Welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// It leads into a group that this device is not in.
    Yes,
    /// It was taken in before, or led to where this device has been since.
    No,
    /// This device was removed from the group and added again, and has not read of its removal.
    AfterLog,
}

impl Tx<'_> {
    /// Makes KeyPackages to fill the stock at the service, so that others can add this device, and
    /// a fresh last-resort one.
    pub(crate) fn make_key_packages(
        &self,
        stock: u32,
        now: UnixMillis,
    ) -> Result<v1::PublishKeyPackagesRequest, ClientError> {
        let count = KEY_PACKAGE_STOCK.saturating_sub(stock as usize);
        let packages = self.apply(self.engine.key_packages(self, count, now)?)?;
        let last_resort = self.apply(self.engine.last_resort_key_package(self, now)?)?;
        Ok(v1::PublishKeyPackagesRequest {
            key_packages: packages.into_iter().map(Into::into).collect(),
            last_resort_key_package: last_resort.into(),
        })
    }

    /// Whether KeyPackages should be published: after registering and after each joining, until it
    /// has been done.
    pub(crate) fn stock_is_due(&self) -> Result<bool, ClientError> {
        Ok(self
            .sql
            .query_row("SELECT stock_due FROM account", [], |row| row.get(0))?)
    }

    /// Notes whether KeyPackages should be published.
    pub(crate) fn set_stock_due(&self, due: bool) -> Result<(), ClientError> {
        self.sql
            .execute("UPDATE account SET stock_due = ?", [due])?;
        Ok(())
    }

    /// Whether a Welcome still has to be taken in; if not, its tree need not be fetched.
    pub(crate) fn wants(&self, welcome: &v1::Welcome) -> Result<Wanted, ClientError> {
        let Some(group) = self.group(welcome_group(welcome)?)? else {
            return Ok(Wanted::Yes);
        };
        // What was joined from outside lies behind every Welcome before it.
        let comes_back = group.standing == Standing::Joining || self.resync_at(group.id)?.is_some();
        Ok(if group.cursor.0 >= welcome.sequence || comes_back {
            Wanted::No
        } else if group.standing == Standing::Ended {
            Wanted::Yes
        } else {
            Wanted::AfterLog
        })
    }

    /// Joins a group. A Welcome that can't be accepted is dropped, since it must not block the
    /// mailbox, and the application hears why.
    pub(crate) fn join(
        &self,
        welcome: &v1::Welcome,
        ratchet_tree: &[u8],
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let id = welcome_group(welcome)?;
        let effects = match self.engine.join(self, &welcome.welcome, ratchet_tree) {
            Ok(effects) if effects.value.group == id => effects,
            Ok(_) => return Ok(refused(id, &EngineError::WrongGroup)),
            Err(error @ EngineError::State(_)) => return Err(error.into()),
            // This device is in the group all the same, so it comes in from outside.
            Err(error) if is_unusable(&error) => {
                return self.join_from_outside(welcome, &error, now);
            }
            Err(error) => return Ok(refused(id, &error)),
        };
        let roster = effects.value.roster.iter();
        let met = self.meet(roster.map(|member| &member.certificate))?;
        let joined = self.apply(effects)?;
        self.set_stock_due(true)?;
        let name = self.group(id)?.and_then(|group| group.name);
        let cursor = Sequence(welcome.sequence);
        self.put_group(&Group {
            id,
            name,
            standing: Standing::Member,
            cursor,
            successor: None,
        })?;
        self.take_name(id)?;
        self.begin_stay(id, cursor, &joined.added_by.user)?;
        self.look_for_unlisted_among(joined.roster, id)?;
        self.await_absent(id)?;
        let entry = Entry {
            group: id,
            sequence: cursor,
            accepted: UnixMillis(welcome.accepted_millis),
            author: joined.added_by.user,
            kind: EntryKind::Added(vec![self.own_certificate().address().user.clone()]),
        };
        self.record(&entry)?;
        let mut events = vec![Event::Joined(id), Event::Entry(entry)];
        events.extend(met.events);
        Ok(events)
    }

    /// Joins by an external Commit where a Welcome, or the tree that belongs to it, is of no use.
    pub(crate) fn join_from_outside(
        &self,
        welcome: &v1::Welcome,
        reason: &dyn std::error::Error,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let id = welcome_group(welcome)?;
        let name = self.group(id)?.and_then(|group| group.name);
        self.put_group(&Group {
            id,
            name,
            standing: Standing::Joining,
            cursor: Sequence(welcome.sequence),
            successor: None,
        })?;
        self.take_name(id)?;
        self.note_resync(id, &Reason::sure(reason.to_string()), now)
    }

    /// How many members come before this device to confirm that others leave; `None` where nobody does.
    pub(crate) fn turn_to_confirm(&self, id: GroupId) -> Result<Option<u32>, ClientError> {
        let group = self.group(id)?.map(|group| self.has_leaves(&group));
        match group.transpose()? {
            Some(true) => Ok(Some(self.engine.turn(self, id)?)),
            _ => Ok(None),
        }
    }

    /// Whether this device and all others who are there have asked to leave, but for these, which are no more.
    pub(crate) fn is_deserted(&self, id: GroupId, gone: &[DeviceId]) -> Result<bool, ClientError> {
        let group = self.group(id)?;
        Ok(
            group.is_some_and(|group| group.standing == Standing::Leaving)
                && self.engine.is_deserted(self, id, gone)?,
        )
    }

    /// Whether somebody who leaves this group waits for a Commit of another member.
    pub(crate) fn has_leaves(&self, group: &Group) -> Result<bool, ClientError> {
        Ok(group.standing == Standing::Member
            && !self.engine.pending_leaves(self, group.id)?.is_empty())
    }
}

pub(crate) fn welcome_group(welcome: &v1::Welcome) -> Result<GroupId, ClientError> {
    group_id(&welcome.group_id).map_err(|error| ClientError::Protocol(error.to_string()))
}

fn refused(group: GroupId, error: &dyn std::error::Error) -> Vec<Event> {
    vec![Event::Refused {
        group,
        reason: error.to_string(),
    }]
}

/// Whether the Welcome is one that this device can't open, whatever the group is like: its secrets
/// are of a state that was lost, or whoever made it made it wrong.
fn is_unusable(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::NotForThisDevice | EngineError::Undecryptable
    )
}
