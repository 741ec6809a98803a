//! Coming back into a group by an external Commit (RFC 9420 §12.4.3.2), without a person's help.
//!
//! A group that this device can't follow any longer is noted as *to be joined again*, with the
//! reason and the earliest time. The external Commit that does it is a *pending join*: its bytes and
//! its writes wait here, and the log decides. OpenMLS has merged it in those writes already, so they
//! are applied in the transaction that takes in its log entry, or dropped where another Commit
//! stands in its place. History, name and outbox stay what they were.

use std::time::Duration;

use conclave_engine::{Effects, EngineError, Opening, PreparedCommit};
use conclave_protocol::{GroupId, Sequence, UnixMillis};
use conclave_rpc::v1::{self, submit_request::Body};
use prost::Message as _;
use rusqlite::OptionalExtension as _;

use super::{
    Tx,
    groups::{number, sequence},
    log::Run,
};
use crate::{ClientError, Entry, EntryKind, Event, Standing, intent::Intent, waits::RESYNC_WAITS};

/// After so long without having to come back, the waits begin anew.
const CALM: Duration = Duration::from_hours(1);

/// Why a group has to be joined again, and how sure that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    /// In a sentence.
    pub(crate) text: String,
    /// Whether it holds even if the service's epoch turns out to be this device's own, as where its
    /// keys were used by a copy of it.
    pub(crate) is_sure: bool,
}

impl Reason {
    /// The group can't be followed, unless this device turns out to be in its epoch.
    pub(crate) fn behind(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_sure: false,
        }
    }

    /// Whatever epoch this device is in, it has to come back with new keys.
    pub(crate) fn sure(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_sure: true,
        }
    }
}

/// An external Commit that waits for the log's verdict.
#[derive(Debug)]
pub(crate) struct PendingJoin {
    /// As it is submitted.
    pub(crate) request: v1::SubmitRequest,
    /// The log is read after this to learn what became of it.
    pub(crate) after: Sequence,
    /// Where the log ended when it was made.
    head: Sequence,
    message: Vec<u8>,
}

/// What came of making an external Commit.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    /// What the application hears.
    pub(crate) events: Vec<Event>,
    /// Why there is none.
    pub(crate) problem: Option<ClientError>,
}

impl Tx<'_> {
    /// Notes that a group has to be joined again, not before a random wait that grows with each
    /// time it was needed lately.
    pub(crate) fn note_resync(
        &self,
        id: GroupId,
        reason: &Reason,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let known = self.resync_row(id)?;
        if let Some(row) = known.as_ref().filter(|row| row.is_due) {
            // Whatever is sure stays so.
            if reason.is_sure && !row.reason.is_sure {
                self.put_resync(id, reason, true, row.attempts, row.not_before)?;
            }
            return Ok(Vec::new());
        }
        let recent = known.filter(|row| row.not_before > now.before(CALM));
        self.schedule(id, reason, recent.map_or(0, |row| row.attempts) + 1, now)?;
        Ok(vec![Event::Resyncing {
            group: id,
            reason: reason.text.clone(),
        }])
    }

    /// When a group may be joined again, where it has to be.
    pub(crate) fn resync_at(&self, id: GroupId) -> Result<Option<UnixMillis>, ClientError> {
        let row = self.resync_row(id)?.filter(|row| row.is_due);
        Ok(row.map(|row| row.not_before))
    }

    /// Puts off joining a group again, unless it is being done.
    pub(super) fn put_off_resync(&self, id: GroupId, until: UnixMillis) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE resyncs SET at_millis = MAX(at_millis, ?1) WHERE group_id = ?2 AND is_due
             AND group_id NOT IN (SELECT group_id FROM pending_joins)",
            (i64::try_from(until.0).unwrap_or(i64::MAX), id.as_bytes()),
        )?;
        Ok(())
    }

    /// An attempt to join again came to nothing; the next one waits longer.
    pub(crate) fn resync_failed(&self, id: GroupId, now: UnixMillis) -> Result<(), ClientError> {
        self.drop_join(id)?;
        match self.resync_row(id)?.filter(|row| row.is_due) {
            Some(row) => self.schedule(id, &row.reason, row.attempts + 1, now),
            None => Ok(()),
        }
    }

    /// Makes the external Commit from what the service gave, and keeps it as a pending join; or
    /// finds that there is no need for one. An error is what is wrong with what the service gave;
    /// what is refused without one is that somebody is there under another identity key: the Commit
    /// would be encrypted to them.
    pub(crate) fn open_join(
        &self,
        id: GroupId,
        first: &v1::FetchGroupInfoResponse,
        tree: &[u8],
        now: UnixMillis,
    ) -> Result<Opened, ClientError> {
        let Some(row) = self.resync_row(id)?.filter(|row| row.is_due) else {
            return Ok(Opened::default());
        };
        if self.pending_join(id)?.is_some() {
            return Ok(Opened::default());
        }
        if !row.reason.is_sure && self.engine.is_in_epoch_of(self, id, &first.group_info)? {
            self.put_resync(id, &row.reason, false, row.attempts, now)?;
            return Ok(Opened::default());
        }
        let proposals: Vec<Vec<u8>> = first
            .pending_proposals
            .iter()
            .map(|it| it.to_vec())
            .collect();
        let opening = Opening {
            group_info: &first.group_info,
            ratchet_tree: tree,
            proposals: &proposals,
            approval: &first.approval,
        };
        let joined = self.engine.external_join(self, id, opening, now)?;
        // Promise 4: nobody is in the group under another identity than the one known here.
        let roster = self.engine.roster(&joined.writes.over(self), id)?;
        let met = self.meet(roster.iter().map(|member| &member.certificate))?;
        let problem = met.refuse_changed().err();
        if problem.is_some() {
            self.resync_failed(id, now)?;
        } else {
            let head = Sequence(first.head_sequence);
            self.keep_join(id, joined, head)?;
        }
        Ok(Opened {
            events: met.events,
            problem,
        })
    }

    /// The external Commit of a group that waits for the log's verdict.
    pub(crate) fn pending_join(&self, id: GroupId) -> Result<Option<PendingJoin>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT submission, message, after_sequence, head_sequence FROM pending_joins
             WHERE group_id = ?",
        )?;
        let row = query.query_row([id.as_bytes()], |row| {
            let (after, head) = (sequence(row, 2)?, sequence(row, 3)?);
            Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, after, head))
        });
        let Some((submission, message, after, head)) = row.optional()? else {
            return Ok(None);
        };
        let request = v1::SubmitRequest::decode(submission.as_slice())
            .map_err(|_| ClientError::Protocol("a pending join in another form".into()))?;
        Ok(Some(PendingJoin {
            request,
            after,
            head,
            message,
        }))
    }

    /// Forgets an external Commit that did not come into the log.
    pub(crate) fn drop_join(&self, id: GroupId) -> Result<(), ClientError> {
        for table in ["pending_joins", "pending_writes"] {
            let delete = format!("DELETE FROM {table} WHERE group_id = ?");
            self.sql.execute(&delete, [id.as_bytes()])?;
        }
        Ok(())
    }

    /// Reads on in the log for the first Commit after a pending join was made: it is the join, which
    /// is then merged, or another, and the join is dropped. Says which; `None` while neither came.
    pub(crate) fn decide_join(
        &self,
        id: GroupId,
        entries: &[v1::LogEntry],
        now: UnixMillis,
    ) -> Result<(Option<bool>, Run), ClientError> {
        let mut run = Run::default();
        let Some(join) = self.pending_join(id)? else {
            return Ok((None, run));
        };
        let mut after = join.after;
        for (index, entry) in entries.iter().enumerate() {
            // Before the join this device may be no member, and then not see all of the log.
            after = after.max(Sequence(entry.sequence));
            if self.overhear(id, std::slice::from_ref(entry), &mut run, now)? {
                return Ok((Some(false), run));
            }
            if entry.kind() != v1::EntryKind::Commit || entry.sequence <= join.head.0 {
                continue;
            }
            if entry.message != join.message {
                self.resync_failed(id, now)?;
                return Ok((Some(false), run));
            }
            run.events.extend(self.land_join(id, entry)?);
            let rest = self.take_in(id, &entries[index + 1..], None, now)?;
            let before = std::mem::replace(&mut run, rest).events;
            run.events.splice(0..0, before);
            run.has_landed = true;
            return Ok((Some(true), run));
        }
        self.sql.execute(
            "UPDATE pending_joins SET after_sequence = ? WHERE group_id = ?",
            (number(after), id.as_bytes()),
        )?;
        Ok((None, run))
    }

    /// Ends a group that the service has no more of for this device.
    pub(crate) fn end_group(&self, id: GroupId) -> Result<Vec<Event>, ClientError> {
        self.drop_join(id)?;
        self.sql
            .execute("DELETE FROM resyncs WHERE group_id = ?", [id.as_bytes()])?;
        self.abandon(id, &ClientError::NotMember.to_string())?;
        self.set_standing(id, Standing::Ended)?;
        match self.engine.delete_group(self, id) {
            Ok(effects) => self.apply(effects)?,
            Err(EngineError::State(error)) => return Err(EngineError::from(error).into()),
            // There is nothing that could be deleted.
            Err(_) => {}
        }
        Ok(vec![Event::Ended(id)])
    }

    /// The join is in the log: its writes count from now on, and the group is read from here.
    fn land_join(&self, id: GroupId, entry: &v1::LogEntry) -> Result<Vec<Event>, ClientError> {
        let was = self.group(id)?.map(|group| group.standing);
        self.sql.execute(
            "DELETE FROM state WHERE key IN
             (SELECT key FROM pending_writes WHERE group_id = ? AND value IS NULL)",
            [id.as_bytes()],
        )?;
        self.sql.execute(
            "INSERT OR REPLACE INTO state
             SELECT key, value FROM pending_writes WHERE group_id = ? AND value IS NOT NULL",
            [id.as_bytes()],
        )?;
        self.drop_join(id)?;
        if let Some(row) = self.resync_row(id)? {
            let at = UnixMillis(entry.accepted_millis);
            self.put_resync(id, &row.reason, false, row.attempts, at)?;
        }
        self.will_not_read(id)?;
        self.set_standing(id, Standing::Member)?;
        self.set_cursor(id, Sequence(entry.sequence))?;
        self.resume_stay(id, Sequence(entry.sequence))?;
        self.look_for_unlisted(id)?;
        if was == Some(Standing::Leaving) {
            // Its wish to leave went with its old leaf.
            self.enqueue(id, &Intent::Leave)?;
        }
        let line = Entry {
            group: id,
            sequence: Sequence(entry.sequence),
            accepted: UnixMillis(entry.accepted_millis),
            author: self.own_certificate().address().user.clone(),
            kind: if self.take_redeemed(id)? {
                EntryKind::Added(vec![self.own_user().clone()])
            } else {
                EntryKind::Rejoined
            },
        };
        self.record(&line)?;
        let joined = match was {
            Some(Standing::Joining) => Event::Joined(id),
            _ => Event::Resynced(id),
        };
        Ok(vec![joined, Event::Entry(line)])
    }

    fn keep_join(
        &self,
        id: GroupId,
        joined: Effects<PreparedCommit>,
        head: Sequence,
    ) -> Result<(), ClientError> {
        let PreparedCommit {
            commit, group_info, ..
        } = joined.value;
        let request = v1::SubmitRequest {
            group_id: id.as_bytes().to_vec().into(),
            request_id: self.random::<16>().to_vec().into(),
            body: Some(Body::Commit(v1::CommitBundle {
                commit: commit.clone().into(),
                welcome: Vec::new().into(),
                group_info: group_info.into(),
            })),
        };
        self.sql.execute(
            "INSERT INTO pending_joins VALUES (?, ?, ?, ?, ?)",
            (
                id.as_bytes(),
                request.encode_to_vec(),
                commit,
                number(self.reads_on_from(id, head)?),
                number(head),
            ),
        )?;
        let mut write = self
            .sql
            .prepare_cached("INSERT INTO pending_writes VALUES (?, ?, ?)")?;
        for (key, value) in joined.writes.iter() {
            write.execute((id.as_bytes(), key, value))?;
        }
        Ok(())
    }

    /// From where the log is read for the verdict on an external Commit that was made at its end: from
    /// farther back, where members may have said something there that this device has to hear.
    fn reads_on_from(&self, id: GroupId, head: Sequence) -> Result<Sequence, ClientError> {
        Ok(if self.has_case(id)? {
            self.overheard(id)?.min(head)
        } else {
            head
        })
    }

    fn schedule(
        &self,
        id: GroupId,
        reason: &Reason,
        attempts: u32,
        now: UnixMillis,
    ) -> Result<(), ClientError> {
        let share = u16::from_le_bytes(self.random());
        let not_before = now.after(RESYNC_WAITS.after(attempts, share));
        self.put_resync(id, reason, true, attempts, not_before)
    }

    fn put_resync(
        &self,
        id: GroupId,
        reason: &Reason,
        is_due: bool,
        attempts: u32,
        at: UnixMillis,
    ) -> Result<(), ClientError> {
        self.sql.execute(
            "INSERT OR REPLACE INTO resyncs VALUES (?, ?, ?, ?, ?, ?)",
            (
                id.as_bytes(),
                &reason.text,
                reason.is_sure,
                is_due,
                attempts,
                i64::try_from(at.0).unwrap_or(i64::MAX),
            ),
        )?;
        Ok(())
    }

    fn resync_row(&self, id: GroupId) -> Result<Option<Row>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT reason, is_sure, is_due, attempts, at_millis FROM resyncs WHERE group_id = ?",
        )?;
        let row = query.query_row([id.as_bytes()], |row| {
            Ok(Row {
                reason: Reason {
                    text: row.get(0)?,
                    is_sure: row.get(1)?,
                },
                is_due: row.get(2)?,
                attempts: row.get(3)?,
                not_before: UnixMillis(row.get::<_, i64>(4)?.unsigned_abs()),
            })
        });
        Ok(row.optional()?)
    }
}

/// A group that has to be joined again, or had to be.
struct Row {
    reason: Reason,
    is_due: bool,
    attempts: u32,
    /// The earliest time of the next attempt; where none is due, when the last one ended.
    not_before: UnixMillis,
}
