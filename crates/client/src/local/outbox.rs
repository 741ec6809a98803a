//! The outbox: durable intents, in order per group, each turned into bytes when its turn comes.
//!
//! A row is *queued* (no submission), *prepared* (a submission that the service may or may not have
//! seen; sending it again is harmless), or *settled* (landed in the log, or given up with a
//! reason). Only the log settles a row: a Commit is merged, and a message counts as sent, when this
//! device reads it there.

mod outcomes;

use conclave_protocol::{
    GroupId, GroupRules, Profile, RequestId, Sequence, UnixMillis, UserId,
    limits::ADDS_PER_COMMIT_MAX,
};
use conclave_rpc::v1;
use prost::Message as _;
use rusqlite::{OptionalExtension as _, Row};

use super::{Tx, groups::id_column};
use crate::{ClientError, Group, Standing, intent::Intent};

pub(crate) use outcomes::Outcome;

/// Rows whose outcomes were taken out, and that are deleted together: each is a look-up.
const TAKEN_MAX: usize = 64;

/// A row that is not settled.
pub(super) struct Item {
    pub(super) id: i64,
    pub(super) intent: Intent,
    pub(super) request_id: RequestId,
    pub(super) key_packages: Option<Vec<u8>>,
    pub(super) submission: Option<Vec<u8>>,
    completes: bool,
}

impl Tx<'_> {
    /// Creates a group here, whose owner this user is; its intent tells the service.
    pub(crate) fn create_group(
        &self,
        name: &str,
        now: UnixMillis,
    ) -> Result<(GroupId, i64), ClientError> {
        let rules = GroupRules::founded_by(self.own_user().clone());
        let rules = rules.with_operator_key(self.operator_key()?.as_ref());
        let (rules, profile) = self.first_profile(name, rules)?;
        let founded = self.found_group(Some(name.to_owned()), &rules, now)?;
        self.put_profile(founded.0, &profile, &Profile::named(name))?;
        Ok(founded)
    }

    /// Creates a group that may have no name yet.
    pub(super) fn found_group(
        &self,
        name: Option<String>,
        rules: &GroupRules,
        now: UnixMillis,
    ) -> Result<(GroupId, i64), ClientError> {
        let id = GroupId::from_bytes(self.random());
        let created = self.apply(self.engine.create_group(self, id, rules, now)?)?;
        self.put_group(&Group {
            id,
            name,
            standing: Standing::Creating,
            cursor: Sequence(0),
            successor: None,
        })?;
        let row = self.enqueue(id, &Intent::Create)?;
        let request = v1::CreateGroupRequest {
            group_id: id.as_bytes().to_vec().into(),
            group_info: created.group_info.into(),
            ratchet_tree: created.ratchet_tree.into(),
        };
        self.set_submission(row, &request.encode_to_vec(), None, true)?;
        Ok((id, row))
    }

    /// Puts an intent at the end of its group's outbox.
    pub(crate) fn enqueue(&self, group: GroupId, intent: &Intent) -> Result<i64, ClientError> {
        self.sql
            .prepare_cached("INSERT INTO outbox (group_id, intent, request_id) VALUES (?, ?, ?)")?
            .execute((group.as_bytes(), intent.to_bytes(), self.random::<16>()))?;
        let row = self.sql.last_insert_rowid();
        if self.taken.borrow().len() >= TAKEN_MAX {
            self.delete_taken()?;
        }
        Ok(row)
    }

    /// Puts an intent before what this device is about to say, which may wait for the Commit that lets
    /// leavers go, and before its leaving, after which it commits nothing more.
    pub(crate) fn enqueue_first(&self, group: GroupId, intent: &Intent) -> Result<(), ClientError> {
        let gives_way = |it: &Intent| speaks(it) || matches!(it, Intent::Leave);
        if !self.is_about_to(group, gives_way)? {
            return self.enqueue(group, intent).map(drop);
        }
        // The order is that of the ids, and nobody waits for the outcome of this one.
        self.sql.execute(
            "INSERT INTO outbox (id, group_id, intent, request_id)
             SELECT MIN(id) - 1, ?, ?, ? FROM outbox",
            (group.as_bytes(), intent.to_bytes(), self.random::<16>()),
        )?;
        Ok(())
    }

    /// Whether what comes next in a group's outbox is something to be said, and nothing was made of it yet.
    pub(crate) fn is_about_to_speak(&self, group: GroupId) -> Result<bool, ClientError> {
        self.is_about_to(group, speaks)
    }

    fn is_about_to(
        &self,
        group: GroupId,
        what: impl FnOnce(&Intent) -> bool,
    ) -> Result<bool, ClientError> {
        let item = self.first_item(group)?;
        Ok(item.is_some_and(|item| item.submission.is_none() && what(&item.intent)))
    }

    /// Whether an intent like this waits in the group's outbox already.
    pub(crate) fn is_queued(&self, group: GroupId, intent: &Intent) -> Result<bool, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT 1 FROM outbox WHERE group_id = ? AND intent = ? AND landed IS NULL
             AND failure IS NULL",
        )?;
        Ok(query.exists((group.as_bytes(), intent.to_bytes()))?)
    }

    /// Keeps the KeyPackages that were taken for an intent: if it is rebased, it uses them again.
    pub(crate) fn keep_key_packages(
        &self,
        request_id: &[u8],
        taken: &v1::TakeKeyPackagesResponse,
    ) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE outbox SET key_packages = ? WHERE request_id = ?",
            (taken.encode_to_vec(), request_id),
        )?;
        Ok(())
    }

    /// The group and the row that wait for KeyPackages under a request id.
    pub(crate) fn waits_for_key_packages(
        &self,
        request_id: &[u8],
    ) -> Result<Option<(GroupId, i64)>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT group_id, id FROM outbox WHERE request_id = ? AND landed IS NULL
             AND failure IS NULL",
        )?;
        let row = query.query_row([request_id], |row| Ok((id_column(row, 0)?, row.get(1)?)));
        Ok(row.optional()?)
    }

    /// The row that waits for an answer to exactly this submission.
    pub(crate) fn row_of(
        &self,
        group: GroupId,
        submission: &[u8],
    ) -> Result<Option<i64>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT id FROM outbox WHERE group_id = ? AND submission = ? AND landed IS NULL
             AND failure IS NULL",
        )?;
        let row = query.query_row((group.as_bytes(), submission), |row| row.get(0));
        Ok(row.optional()?)
    }

    /// The service has the group now.
    pub(crate) fn group_created(&self, group: GroupId, row: i64) -> Result<(), ClientError> {
        self.set_standing(group, Standing::Member)?;
        self.settle(row, Sequence(0))
    }

    /// Makes a prepared row queued again: its bytes are of an epoch that has passed. Where it is not
    /// known whether they were accepted in that epoch, the service is asked first.
    pub(crate) fn rebase(&self, group: GroupId) -> Result<(), ClientError> {
        if self.engine.has_pending_commit(self, group)? {
            self.apply(self.engine.discard_pending(self, group)?)?;
        }
        self.sql.execute(
            "UPDATE outbox SET submission = NULL, message = NULL, rebased = rebased + 1
             WHERE group_id = ? AND submission IS NOT NULL AND landed IS NULL AND is_unsure = 0",
            [group.as_bytes()],
        )?;
        Ok(())
    }

    /// The service has said that the bytes of a row were not accepted.
    pub(crate) fn came_second(&self, group: GroupId, row: i64) -> Result<(), ClientError> {
        self.sql
            .execute("UPDATE outbox SET is_unsure = 0 WHERE id = ?", [row])?;
        self.rebase(group)
    }

    /// This device has joined the group again and will not read what the log held before, its own
    /// messages among it.
    pub(super) fn will_not_read(&self, group: GroupId) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE outbox SET is_unsure = 1
             WHERE group_id = ? AND submission IS NOT NULL AND landed IS NULL",
            [group.as_bytes()],
        )?;
        Ok(())
    }

    /// Settles the row whose bytes this own log entry is. A Commit that only cleared the way for
    /// its intent puts the intent back in the queue.
    pub(super) fn land(
        &self,
        group: GroupId,
        message: &[u8],
        at: Sequence,
    ) -> Result<Option<Intent>, ClientError> {
        let Some(item) = self.first_item(group)? else {
            return Ok(None);
        };
        let matches = self.sql.query_row(
            "SELECT message IS ? FROM outbox WHERE id = ?",
            (message, item.id),
            |row| row.get::<_, bool>(0),
        )?;
        if !matches {
            return Ok(None);
        }
        self.settle_item(item, at).map(Some)
    }

    /// The first row, where the service has exactly this submission of it.
    pub(super) fn land_unread(
        &self,
        group: GroupId,
        submission: &[u8],
        at: Sequence,
    ) -> Result<Option<Intent>, ClientError> {
        let item = self.first_item(group)?;
        let item = item.filter(|item| item.submission.as_deref() == Some(submission));
        let Some(mut item) = item else {
            return Ok(None);
        };
        // A wish to leave went with the leaf that this device had before it joined again.
        item.completes &= item.intent != Intent::Leave;
        self.settle_item(item, at).map(Some)
    }

    fn settle_item(&self, item: Item, at: Sequence) -> Result<Intent, ClientError> {
        if item.completes {
            self.settle(item.id, at)?;
            return Ok(item.intent);
        }
        self.sql.execute(
            "UPDATE outbox SET submission = NULL, message = NULL, completes = 1, is_unsure = 0
             WHERE id = ?",
            [item.id],
        )?;
        Ok(Intent::Confirm)
    }

    pub(super) fn set_submission(
        &self,
        row: i64,
        submission: &[u8],
        message: Option<&[u8]>,
        completes: bool,
    ) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE outbox SET submission = ?, message = ?, completes = ?, is_unsure = 0
             WHERE id = ?",
            (submission, message, completes, row),
        )?;
        Ok(())
    }

    /// A message was in the log before this state was made, or put back: where, it can't know.
    pub(crate) fn was_sent_before(&self, group: GroupId, bytes: &[u8]) -> Result<(), ClientError> {
        let cursor = self.group(group)?.map_or(Sequence(0), |group| group.cursor);
        match self.row_of(group, bytes)? {
            Some(row) => self.settle(row, cursor),
            None => Ok(()),
        }
    }

    /// Whether any intent of a group is not settled.
    pub(crate) fn has_waiting(&self, group: GroupId) -> Result<bool, ClientError> {
        Ok(self.first_item(group)?.is_some())
    }

    /// The content of all that waits to be sent to a group, in order.
    pub(crate) fn waiting_contents(
        &self,
        group: GroupId,
    ) -> Result<Vec<(i64, Vec<u8>)>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT id, intent, request_id, key_packages, submission, completes FROM outbox
             WHERE group_id = ? AND landed IS NULL AND failure IS NULL ORDER BY id",
        )?;
        let items = query.query_map([group.as_bytes()], item_from_row)?;
        let mut contents = Vec::new();
        for item in items {
            let item = item?;
            if let Intent::Send(content) = item.intent {
                contents.push((item.id, content));
            }
        }
        Ok(contents)
    }

    pub(super) fn first_item(&self, group: GroupId) -> Result<Option<Item>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT id, intent, request_id, key_packages, submission, completes FROM outbox
             WHERE group_id = ? AND landed IS NULL AND failure IS NULL ORDER BY id LIMIT 1",
        )?;
        Ok(query
            .query_row([group.as_bytes()], item_from_row)
            .optional()?)
    }
}

fn speaks(intent: &Intent) -> bool {
    matches!(intent, Intent::Send(_) | Intent::Receipt)
}

/// Splits a long list of users into intents that one Commit each can do.
pub(crate) fn add_intents(users: &[UserId]) -> impl Iterator<Item = Intent> {
    users
        .chunks(ADDS_PER_COMMIT_MAX)
        .map(|users| Intent::Add(users.to_vec()))
}

/// The same, without those who can't be added spoiling it for the others.
pub(super) fn add_for_intents(users: &[UserId]) -> impl Iterator<Item = Intent> {
    users
        .chunks(ADDS_PER_COMMIT_MAX)
        .map(|users| Intent::AddFor(users.to_vec()))
}

fn item_from_row(row: &Row<'_>) -> rusqlite::Result<Item> {
    let intent: Vec<u8> = row.get(1)?;
    Ok(Item {
        id: row.get(0)?,
        intent: Intent::from_bytes(&intent).ok_or_else(|| {
            rusqlite::Error::InvalidColumnType(1, "intent".into(), rusqlite::types::Type::Blob)
        })?,
        request_id: RequestId::from_bytes(row.get(2)?),
        key_packages: row.get(3)?,
        submission: row.get(4)?,
        completes: row.get(5)?,
    })
}
