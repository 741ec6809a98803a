//! Finding out that this device's state is a copy, or was restored, before anything is encrypted
//! with it: a nonce that is drawn anew at each check, and a count of what was encrypted, both
//! compared with what the service saw last.

use conclave_protocol::{GroupId, Sequence, UnixMillis};
use conclave_rpc::v1;

use super::{Reason, Tx};
use crate::{ClientError, Event, Group, Standing};

/// What came of a check.
#[derive(Debug)]
pub(crate) enum Checked {
    /// The answer was to an older question, such as that of another program on the same home.
    Stale,
    /// Nobody else has shown a later state.
    Same,
    /// This state is not the latest: all its keys are given up, and it begins anew.
    Copied(Vec<Event>),
}

impl Tx<'_> {
    /// The question whether this state is the latest. The nonce that comes after is drawn and kept
    /// where none is waiting for its answer.
    pub(crate) fn ask_about_instance(&self) -> Result<v1::CheckInstanceRequest, ClientError> {
        self.sql.execute(
            "UPDATE instance SET next_nonce = ? WHERE next_nonce IS NULL",
            [self.random::<16>()],
        )?;
        self.instance_question()
    }

    /// Whether a question was asked, and its answer may have been lost.
    pub(crate) fn has_instance_question(&self) -> Result<bool, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT 1 FROM instance WHERE next_nonce IS NOT NULL")?;
        Ok(query.exists([])?)
    }

    /// Takes in what the service knows of this state: where it is behind, the groups that the device
    /// is a member of.
    pub(crate) fn take_instance(
        &self,
        asked: &v1::CheckInstanceRequest,
        behind: Option<&[GroupId]>,
        now: UnixMillis,
    ) -> Result<Checked, ClientError> {
        if !self.has_instance_question()? || self.instance_question()? != *asked {
            return Ok(Checked::Stale);
        }
        let Some(memberships) = behind else {
            self.sql.execute(
                "UPDATE instance SET nonce = next_nonce, next_nonce = NULL, starts_over = 0",
                [],
            )?;
            return Ok(Checked::Same);
        };
        self.sql
            .execute("UPDATE instance SET next_nonce = NULL, starts_over = 1", [])?;
        let mut events = Vec::new();
        let reason = Reason::sure(ClientError::Copied.to_string());
        for group in self.groups()? {
            if matches!(group.standing, Standing::Member | Standing::Leaving) {
                events.extend(self.note_resync(group.id, &reason, now)?);
            }
        }
        for id in memberships {
            events.extend(self.find_again(*id, &reason, now)?);
        }
        Ok(Checked::Copied(events))
    }

    /// Comes into a group that a later state of this device was in, and this one is not.
    pub(super) fn find_again(
        &self,
        id: GroupId,
        reason: &Reason,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let known = self.group(id)?;
        if known
            .as_ref()
            .is_some_and(|it| it.standing != Standing::Ended || it.successor.is_some())
        {
            return Ok(Vec::new());
        }
        self.put_group(&Group {
            id,
            name: known.as_ref().and_then(|it| it.name.clone()),
            standing: Standing::Joining,
            cursor: known.map_or(Sequence(0), |it| it.cursor),
            successor: None,
        })?;
        self.note_resync(id, reason, now)
    }

    /// Counts a message that was encrypted in this transaction, in the row of the outbox that it is for:
    /// that is written anyway.
    pub(super) fn count_encrypted(&self, row: i64) -> Result<(), ClientError> {
        self.sql
            .prepare_cached("UPDATE outbox SET encrypted = encrypted + 1 WHERE id = ?")?
            .execute([row])?;
        Ok(())
    }

    /// Counts what was encrypted for a row that is about to be deleted.
    pub(super) fn keep_count_of(&self, row: i64) -> Result<(), ClientError> {
        self.sql
            .prepare_cached(
                "UPDATE instance SET sent = sent + encrypted FROM outbox WHERE outbox.id = ?",
            )?
            .execute([row])?;
        Ok(())
    }

    fn instance_question(&self) -> Result<v1::CheckInstanceRequest, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT nonce, next_nonce, sent + (SELECT coalesce(sum(encrypted), 0) FROM outbox),
                        starts_over FROM instance",
        )?;
        Ok(query.query_row([], |row| {
            Ok(v1::CheckInstanceRequest {
                nonce: row.get::<_, Vec<u8>>(0)?.into(),
                next_nonce: row.get::<_, Vec<u8>>(1)?.into(),
                sent: row.get::<_, i64>(2)?.unsigned_abs(),
                start_over: row.get(3)?,
            })
        })?)
    }
}
