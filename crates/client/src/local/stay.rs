//! From where on this device has followed a log. Who has just joined asks what members said of Commits
//! before: the group may have ended already, or be about to.

use conclave_protocol::{GroupId, Sequence, UserId};
use conclave_rpc::v1;
use rusqlite::OptionalExtension as _;

use super::{
    Tx,
    groups::{number, sequence},
    log::{Run, is_word},
};
use crate::{ClientError, Standing};

impl Tx<'_> {
    /// Notes that this device was added to a group.
    pub(super) fn begin_stay(
        &self,
        id: GroupId,
        at: Sequence,
        by: &UserId,
    ) -> Result<(), ClientError> {
        self.sql.execute(
            "INSERT OR REPLACE INTO stays VALUES (?1, ?2, ?2, ?3, 1)",
            (id.as_bytes(), number(at), by.as_str()),
        )?;
        Ok(())
    }

    /// Notes that this device has come in or back by itself.
    pub(super) fn resume_stay(&self, id: GroupId, at: Sequence) -> Result<(), ClientError> {
        self.sql.execute(
            "INSERT INTO stays VALUES (?, ?, NULL, NULL, 1)
             ON CONFLICT (group_id) DO UPDATE SET since = excluded.since, is_unheard = 1",
            (id.as_bytes(), number(at)),
        )?;
        Ok(())
    }

    /// From where on this device has followed a log, and where it was added, and by whom.
    pub(super) fn stay(
        &self,
        id: GroupId,
    ) -> Result<(Sequence, Option<(Sequence, UserId)>), ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT since, added, added_by FROM stays WHERE group_id = ?")?;
        let row = query.query_row([id.as_bytes()], |row| {
            let by: Option<String> = row.get(2)?;
            let by = by.and_then(|by| by.parse().ok());
            let added = match by {
                Some(by) => Some((sequence(row, 1)?, by)),
                None => None,
            };
            Ok((sequence(row, 0)?, added))
        });
        // Who made the group was there from its beginning.
        Ok(row.optional()?.unwrap_or_default())
    }

    /// Whether this device has yet to ask what was said before it joined.
    pub(crate) fn is_unheard(&self, id: GroupId) -> Result<bool, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT 1 FROM stays WHERE group_id = ? AND is_unheard = 1")?;
        Ok(query.exists([id.as_bytes()])?)
    }

    /// Takes in what members said of Commits before this device joined. It makes no lines of history:
    /// those are of a time when it was not there.
    pub(crate) fn hear_before(
        &self,
        id: GroupId,
        words: &[v1::LogEntry],
    ) -> Result<Run, ClientError> {
        let mut run = Run::default();
        let Some(mut group) = self.group(id)? else {
            return Ok(run);
        };
        if group.standing == Standing::Ended || !self.is_unheard(id)? {
            return Ok(run);
        }
        for word in words.iter().filter(|it| is_word(it)) {
            self.hear(id, word)?;
        }
        run.events = self.follow_words(&mut group)?;
        self.sql.execute(
            "UPDATE stays SET is_unheard = 0 WHERE group_id = ?",
            [id.as_bytes()],
        )?;
        Ok(run)
    }
}
