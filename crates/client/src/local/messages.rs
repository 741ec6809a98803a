//! What is known of each message beside its line in the history.

use conclave_protocol::{
    Content, GroupId, Message, MessageId, Sequence, UnixMillis, UserId,
    limits::REACTIONS_PER_USER_MAX,
};
use rusqlite::OptionalExtension as _;

use super::{
    Tx,
    evidence::Kept,
    groups::{id_column, number, sequence},
};
use crate::{ClientError, Entry, EntryKind, Event, Reaction, posted::Posted};

/// Messages that one transaction deletes when they have expired.
const EXPIRED_PER_STEP: usize = 500;

/// What is noted of a message that goes where it was stamped: who shows what was said around it can't show that
/// nothing was left out.
const NOTE_STAMPED: &str = "
    INSERT OR IGNORE INTO evidence SELECT group_id, sequence, sequence, 0, 0, x'' FROM messages
    WHERE group_id = ? AND sequence = ? AND evidence IS NOT NULL";

impl Tx<'_> {
    /// Content in the bytes that are encrypted, with fresh salt.
    pub(crate) fn seal(&self, content: &Content) -> Result<Vec<u8>, ClientError> {
        Ok(content.seal(self.random())?)
    }

    /// The line of history that is a message.
    pub(crate) fn entry_of(
        &self,
        group: GroupId,
        id: MessageId,
    ) -> Result<Option<Entry>, ClientError> {
        match self.place_of(group, id)? {
            Some(at) => self.entry(group, at),
            None => Ok(None),
        }
    }

    fn place_of(&self, group: GroupId, id: MessageId) -> Result<Option<Sequence>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT sequence FROM messages WHERE group_id = ? AND id = ?")?;
        Ok(query
            .query_row((group.as_bytes(), id.as_bytes()), |row| sequence(row, 0))
            .optional()?)
    }

    /// The messages whose id begins with these hexadecimal digits; two at most.
    pub(crate) fn messages_beginning(
        &self,
        group: GroupId,
        digits: &str,
    ) -> Result<Vec<Sequence>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT sequence FROM messages WHERE group_id = ?1
             AND substr(lower(hex(id)), 1, length(?2)) = lower(?2) LIMIT 2",
        )?;
        let found = query.query_map((group.as_bytes(), digits), |row| sequence(row, 0))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Notes the id of a line of history, when it is to be gone, and what proves it.
    pub(super) fn name_message(
        &self,
        (group, at): (GroupId, Sequence),
        id: MessageId,
        expires: Option<UnixMillis>,
        proof: Option<&Kept>,
    ) -> Result<(), ClientError> {
        self.sql
            .prepare_cached(
                "INSERT OR IGNORE INTO messages
                 (group_id, sequence, id, expires_millis, envelope_bytes, evidence)
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute((
                group.as_bytes(),
                number(at),
                id.as_bytes(),
                expires.map(millis),
                proof.map(|it| it.envelope_bytes),
                proof.map(|it| &it.evidence),
            ))?;
        Ok(())
    }

    pub(super) fn set_text(
        &self,
        entry: &Entry,
        message: &Message,
        edited: UnixMillis,
    ) -> Result<(), ClientError> {
        let place = (entry.group.as_bytes(), number(entry.sequence));
        self.sql
            .prepare_cached("UPDATE history SET body = ? WHERE group_id = ? AND sequence = ?")?
            .execute((message.to_bytes(), place.0, place.1))?;
        self.sql
            .prepare_cached(
                "UPDATE messages SET edited_millis = ? WHERE group_id = ? AND sequence = ?",
            )?
            .execute((millis(edited), place.0, place.1))?;
        self.wipes();
        Ok(())
    }

    /// Keeps that there was a message, and nothing of it.
    pub(super) fn set_deleted(&self, entry: &Entry) -> Result<(), ClientError> {
        let place = (entry.group.as_bytes(), number(entry.sequence));
        for statement in [
            "UPDATE history SET kind = 'message', body = x'' WHERE group_id = ? AND sequence = ?",
            "UPDATE messages SET deleted = 1, edited_millis = NULL
             WHERE group_id = ? AND sequence = ?",
            "DELETE FROM reactions WHERE group_id = ? AND sequence = ?",
        ] {
            self.sql.prepare_cached(statement)?.execute(place)?;
        }
        self.forget_evidence(entry.group, entry.sequence)?;
        self.wipes();
        Ok(())
    }

    /// What a user thinks of a message. Further reactions than a user may have do not count.
    pub(super) fn set_reaction(
        &self,
        entry: &Entry,
        user: &UserId,
        reaction: &str,
        withdrawn: bool,
    ) -> Result<(), ClientError> {
        let (group, at) = (entry.group.as_bytes(), number(entry.sequence));
        if withdrawn {
            self.sql
                .prepare_cached(
                    "DELETE FROM reactions
                     WHERE group_id = ? AND sequence = ? AND user = ? AND reaction = ?",
                )?
                .execute((group, at, user.as_str(), reaction))?;
            return Ok(());
        }
        let most = i64::try_from(REACTIONS_PER_USER_MAX).unwrap_or(i64::MAX);
        self.sql
            .prepare_cached(
                "INSERT OR IGNORE INTO reactions SELECT ?1, ?2, ?3, ?4 WHERE ?5 > (
                     SELECT count(*) FROM reactions
                     WHERE group_id = ?1 AND sequence = ?2 AND user = ?3)",
            )?
            .execute((group, at, user.as_str(), reaction, most))?;
        Ok(())
    }

    /// Fills in the reactions to the messages among entries of one group, which are in order.
    pub(super) fn fill_reactions(&self, entries: &mut [Entry]) -> Result<(), ClientError> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Ok(());
        };
        let mut query = self.sql.prepare_cached(
            "SELECT sequence, user, reaction FROM reactions
             WHERE group_id = ? AND sequence BETWEEN ? AND ? ORDER BY sequence, user, reaction",
        )?;
        let range = (
            first.group.as_bytes().to_vec(),
            number(first.sequence),
            number(last.sequence),
        );
        let mut rows = query.query(range)?;
        while let Some(row) = rows.next()? {
            let (at, user): (_, String) = (sequence(row, 0)?, row.get(1)?);
            let found = entries.binary_search_by_key(&at, |entry| entry.sequence);
            let kind = found.ok().and_then(|at| entries.get_mut(at));
            if let Some(EntryKind::Message(Posted { reactions, .. })) = kind.map(|it| &mut it.kind)
            {
                reactions.push(Reaction {
                    user: user.parse()?,
                    text: row.get(2)?,
                });
            }
        }
        Ok(())
    }

    /// Fills in where the messages stand that others answer.
    pub(super) fn fill_answers(&self, entries: &mut [Entry]) -> Result<(), ClientError> {
        for entry in entries {
            if let EntryKind::Message(posted) = &mut entry.kind
                && let Some(id) = posted.message.replies_to()
            {
                posted.answers = self.place_of(entry.group, id)?;
            }
        }
        Ok(())
    }

    /// Messages that were edited after a moment and a place, in that order: those of one group are
    /// edited in the order of its log.
    pub(crate) fn edited_since(
        &self,
        group: GroupId,
        since: (UnixMillis, Sequence),
    ) -> Result<Vec<(UnixMillis, Sequence)>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT edited_millis, sequence FROM messages WHERE group_id = ?
             AND edited_millis IS NOT NULL AND (edited_millis, sequence) > (?, ?)
             ORDER BY edited_millis, sequence",
        )?;
        let rows = query.query_map(
            (group.as_bytes(), millis(since.0), number(since.1)),
            |row| {
                let edited = UnixMillis(row.get::<_, i64>(0)?.unsigned_abs());
                Ok((edited, sequence(row, 1)?))
            },
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Deletes some messages whose time is over, and says which; nothing where there is none left.
    pub(crate) fn delete_expired(&self, now: UnixMillis) -> Result<Vec<Event>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT group_id, sequence FROM messages WHERE expires_millis <= ? LIMIT ?",
        )?;
        let due = query.query_map((millis(now), EXPIRED_PER_STEP), |row| {
            Ok((id_column(row, 0)?, sequence(row, 1)?))
        })?;
        let due: Vec<(GroupId, Sequence)> = due.collect::<Result<_, _>>()?;
        for (group, at) in &due {
            self.forget_evidence(*group, *at)?;
            for statement in [
                NOTE_STAMPED,
                "DELETE FROM history WHERE group_id = ? AND sequence = ?",
                "DELETE FROM messages WHERE group_id = ? AND sequence = ?",
                "DELETE FROM reactions WHERE group_id = ? AND sequence = ?",
            ] {
                let mut statement = self.sql.prepare_cached(statement)?;
                statement.execute((group.as_bytes(), number(*at)))?;
            }
        }
        if !due.is_empty() {
            self.wipes();
        }
        let told = |(group, sequence)| Event::Expired { group, sequence };
        Ok(due.into_iter().map(told).collect())
    }

    /// When the next message is to be gone.
    pub(crate) fn next_expiry(&self) -> Result<Option<UnixMillis>, ClientError> {
        let mut query = self.sql.prepare_cached(NEXT_EXPIRY)?;
        let at: Option<i64> = query.query_row([], |row| row.get(0))?;
        Ok(at.map(|at| UnixMillis(at.unsigned_abs())))
    }
}

/// Asked after each event, so it must not read all messages.
const NEXT_EXPIRY: &str =
    "SELECT min(expires_millis) FROM messages WHERE expires_millis IS NOT NULL";

/// SQLite's numbers are signed; no time reaches the upper half.
pub(super) fn millis(time: UnixMillis) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::local::schema::MIGRATIONS;

    #[test]
    fn the_next_expiry_is_found_without_reading_all_messages() {
        let database = Connection::open_in_memory().unwrap();
        for migration in &MIGRATIONS {
            database.execute_batch(migration).unwrap();
        }
        let plan: String = database
            .query_row(&format!("EXPLAIN QUERY PLAN {NEXT_EXPIRY}"), [], |step| {
                step.get(3)
            })
            .unwrap();
        assert!(plan.starts_with("SEARCH messages USING"), "{plan}");
    }
}
