//! How far this user and others have read a group, and what this user does not want to hear.

use conclave_protocol::{Content, GroupId, Sequence, UserId, limits::RECEIPT_MEMBERS_MAX};
use rusqlite::OptionalExtension as _;

use super::{
    Tx,
    groups::{id_column, number, sequence},
};
use crate::{ClientError, Unread, UserReceipt};

/// The name of the setting that has this device send receipts.
const RECEIPTS: &str = "receipts";

impl Tx<'_> {
    /// Raises what is known of a user's reading; whether it did. For this user it is the mark up to
    /// where everything is read.
    pub(crate) fn raise_receipt(
        &self,
        group: GroupId,
        user: &UserId,
        delivered: Sequence,
        read: Sequence,
    ) -> Result<bool, ClientError> {
        let raised = self
            .sql
            .prepare_cached(
                "INSERT INTO receipts VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
                 SET delivered = max(delivered, ?3), read = max(read, ?4)
                 WHERE delivered < ?3 OR read < ?4",
            )?
            .execute((
                group.as_bytes(),
                user.as_str(),
                number(delivered),
                number(read),
            ))?;
        Ok(raised > 0)
    }

    /// What the members of a group have said of their reading.
    pub(crate) fn receipts(&self, group: GroupId) -> Result<Vec<UserReceipt>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT user, delivered, read FROM receipts WHERE group_id = ? ORDER BY user",
        )?;
        let rows = query.query_map([group.as_bytes()], |row| {
            Ok((row.get(0)?, sequence(row, 1)?, sequence(row, 2)?))
        })?;
        rows.map(|row| {
            let (user, delivered, read): (String, _, _) = row?;
            let user = user.parse()?;
            Ok(UserReceipt {
                user,
                delivered,
                read,
            })
        })
        .collect()
    }

    /// Up to where this user has read, and how many messages of others stand after that.
    pub(crate) fn unread(&self, group: GroupId) -> Result<Unread, ClientError> {
        let own = self.own_user().as_str();
        let mut query = self
            .sql
            .prepare_cached("SELECT read FROM receipts WHERE group_id = ? AND user = ?")?;
        let read = query.query_row((group.as_bytes(), own), |row| sequence(row, 0));
        let read = read.optional()?.unwrap_or_default();
        let mut count = self.sql.prepare_cached(
            "SELECT count(*) FROM history WHERE group_id = ? AND sequence > ?
             AND kind IN ('message', 'unknown') AND author <> ?
             AND author NOT IN (SELECT user FROM blocked)",
        )?;
        let count: u32 =
            count.query_row((group.as_bytes(), number(read), own), |row| row.get(0))?;
        Ok(Unread { read, count })
    }

    /// What this device says of its user's reading; `None` where nothing is to be said: the user
    /// does not want it, the group is too large, or nothing is read.
    pub(super) fn receipt(&self, group: GroupId) -> Result<Option<Vec<u8>>, ClientError> {
        let read = self.unread(group)?.read;
        if read == Sequence(0) || !self.sends_receipts_in(group)? {
            return Ok(None);
        }
        let known = self.group(group)?;
        let delivered = known.map_or(read, |group| group.cursor);
        self.seal(&Content::Receipt { delivered, read }).map(Some)
    }

    pub(crate) fn sends_receipts_in(&self, group: GroupId) -> Result<bool, ClientError> {
        Ok(self.sends_receipts()?
            && self.members(group)?.len() <= RECEIPT_MEMBERS_MAX
            && self.may_send(group, self.own_user())?)
    }

    pub(crate) fn sends_receipts(&self) -> Result<bool, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT 1 FROM settings WHERE name = ?")?;
        Ok(query.exists([RECEIPTS])?)
    }

    pub(crate) fn set_sends_receipts(&self, sends: bool) -> Result<(), ClientError> {
        let statement = if sends {
            "INSERT OR REPLACE INTO settings VALUES (?, x'01')"
        } else {
            "DELETE FROM settings WHERE name = ?"
        };
        self.sql.execute(statement, [RECEIPTS])?;
        Ok(())
    }

    pub(crate) fn set_muted(&self, group: GroupId, muted: bool) -> Result<(), ClientError> {
        let statement = if muted {
            "INSERT OR IGNORE INTO muted VALUES (?)"
        } else {
            "DELETE FROM muted WHERE group_id = ?"
        };
        self.sql.execute(statement, [group.as_bytes()])?;
        Ok(())
    }

    pub(crate) fn muted(&self) -> Result<Vec<GroupId>, ClientError> {
        let mut query = self.sql.prepare_cached("SELECT group_id FROM muted")?;
        let rows = query.query_map([], |row| id_column(row, 0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn set_blocked(&self, user: &UserId, blocked: bool) -> Result<(), ClientError> {
        let statement = if blocked {
            "INSERT OR IGNORE INTO blocked VALUES (?)"
        } else {
            "DELETE FROM blocked WHERE user = ?"
        };
        self.sql.execute(statement, [user.as_str()])?;
        Ok(())
    }

    pub(crate) fn blocked(&self) -> Result<Vec<UserId>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT user FROM blocked ORDER BY user")?;
        let rows = query.query_map([], |row| row.get::<_, String>(0))?;
        rows.map(|user| Ok(user?.parse()?)).collect()
    }

    pub(crate) fn is_blocked(&self, user: &UserId) -> Result<bool, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT 1 FROM blocked WHERE user = ?")?;
        Ok(query.exists([user.as_str()])?)
    }
}
