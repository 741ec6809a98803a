//! The log entry that is being taken in, and where what it says goes.

use conclave_protocol::{Evidence, Sequence, UnixMillis, UserId};

use super::{Tx, evidence::Noted};
use crate::{ClientError, Entry, EntryKind, Event, Group, Standing};

/// One entry of a group's log.
pub(super) struct Line<'a> {
    pub(super) group: &'a mut Group,
    pub(super) sequence: Sequence,
    pub(super) accepted: UnixMillis,
    /// The time at which it is taken in.
    pub(super) now: UnixMillis,
    /// What proves it, where it is a message that could be reported.
    pub(super) evidence: Option<Evidence>,
    /// Whether it has to be noted that it was stamped, or was.
    pub(super) stamp: Noted,
    pub(super) events: &'a mut Vec<Event>,
}

impl Line<'_> {
    pub(super) fn add(
        &mut self,
        tx: &Tx<'_>,
        author: UserId,
        kind: EntryKind,
    ) -> Result<(), ClientError> {
        let mut entry = Entry {
            group: self.group.id,
            sequence: self.sequence,
            accepted: self.accepted,
            author,
            kind,
        };
        match &entry.kind {
            EntryKind::Message(posted) => {
                tx.record_line(&entry)?;
                tx.keep_named(self, posted)?;
            }
            _ => {
                tx.record(&entry)?;
                tx.keep_said(self, entry.sequence)?;
            }
        }
        if !tx.is_hidden(&entry)? {
            tx.fill_answers(std::slice::from_mut(&mut entry))?;
            self.events.push(Event::Entry(entry));
        }
        if self.group.standing == Standing::Ended {
            self.events.push(Event::Ended(self.group.id));
        }
        Ok(())
    }

    /// What a Commit changed about who is there.
    pub(super) fn add_change(
        &mut self,
        tx: &Tx<'_>,
        by: &UserId,
        added: Vec<UserId>,
        removed: Vec<UserId>,
    ) -> Result<(), ClientError> {
        let kind = match (added.is_empty(), removed.is_empty()) {
            (true, true) => return Ok(()),
            (false, true) => EntryKind::Added(added),
            (true, false) => EntryKind::Removed(removed),
            // Who asked to leave goes with whatever Commit comes next.
            (false, false) => EntryKind::Changed { added, removed },
        };
        self.add(tx, by.clone(), kind)
    }
}
