//! The outbox: durable intents, in order per group, each turned into bytes when its turn comes.
//!
//! A row is *queued* (no submission), *prepared* (a submission that the service may or may not have
//! seen; sending it again is harmless), or *settled* (landed in the log, or given up with a
//! reason). Only the log settles a row: a Commit is merged, and a message counts as sent, when this
//! device reads it there.

use conclave_engine::{Change, EngineError, KeyPackage, PreparedCommit};
use conclave_protocol::{
    Content, DeviceId, GroupId, RequestId, Sequence, UnixMillis, UserId,
    limits::ADDS_PER_COMMIT_MAX,
};
use conclave_rpc::v1::{self, submit_request::Body};
use prost::Message as _;
use rusqlite::{OptionalExtension as _, Row};

use super::{
    Tx,
    groups::{number, sequence},
    random,
};
use crate::{ClientError, Group, Receipt, Standing, intent::Intent};

/// Outcomes that are kept for another program on the same home that may be waiting for them.
const OUTCOMES_KEPT: i64 = 1000;

/// What has to happen next for a group's outbox to move on.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing waits.
    Idle,
    /// Make the group known to the service.
    Create {
        row: i64,
        request: v1::CreateGroupRequest,
    },
    /// Get KeyPackages of the users to be added.
    TakeKeyPackages {
        row: i64,
        request: v1::TakeKeyPackagesRequest,
    },
    /// Submit; the log will tell whether it landed.
    Submit {
        row: i64,
        request: v1::SubmitRequest,
    },
}

impl Step {
    /// The row of the outbox that the step is for.
    pub(crate) fn row(&self) -> Option<i64> {
        match self {
            Self::Idle => None,
            Self::Create { row, .. }
            | Self::TakeKeyPackages { row, .. }
            | Self::Submit { row, .. } => Some(*row),
        }
    }
}

/// How an intent ended.
pub(crate) type Outcome = Result<Receipt, String>;

/// A row that the log has just settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Landed {
    pub(crate) intent: Intent,
}

struct Item {
    id: i64,
    intent: Intent,
    request_id: RequestId,
    key_packages: Option<Vec<u8>>,
    submission: Option<Vec<u8>>,
    completes: bool,
}

impl Tx<'_> {
    /// Creates a group here; its intent tells the service.
    pub(crate) fn create_group(
        &self,
        name: &str,
        now: UnixMillis,
    ) -> Result<(GroupId, i64), ClientError> {
        let Content::GroupName(name) = Content::group_name(name)? else {
            return Err(ClientError::Content(
                conclave_protocol::ContentError::GroupName,
            ));
        };
        let id = GroupId::from_bytes(random());
        let created = self.apply(self.engine.create_group(self, id, now)?)?;
        self.put_group(&Group {
            id,
            name: Some(name),
            standing: Standing::Creating,
            cursor: Sequence(0),
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
        self.sql.execute(
            "INSERT INTO outbox (group_id, intent, request_id) VALUES (?, ?, ?)",
            (group.as_bytes(), intent.to_bytes(), random::<16>()),
        )?;
        Ok(self.sql.last_insert_rowid())
    }

    /// Whether an intent like this waits in the group's outbox already.
    pub(crate) fn is_queued(&self, group: GroupId, intent: &Intent) -> Result<bool, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT 1 FROM outbox WHERE group_id = ? AND intent = ? AND landed IS NULL
             AND failure IS NULL",
        )?;
        Ok(query.exists((group.as_bytes(), intent.to_bytes()))?)
    }

    /// The next step of a group's outbox. Turns a queued intent into bytes, durably, before they
    /// are shown to anybody.
    pub(crate) fn next_step(&self, group: GroupId, now: UnixMillis) -> Result<Step, ClientError> {
        while let Some(item) = self.first_item(group)? {
            if let Some(submission) = &item.submission {
                return decode_step(&item, submission);
            }
            if let Some(step) = self.prepare(group, &item, now)? {
                return Ok(step);
            }
        }
        Ok(Step::Idle)
    }

    /// Keeps the KeyPackages that were taken for an intent: if it is rebased, it uses them again.
    pub(crate) fn keep_key_packages(
        &self,
        row: i64,
        taken: &v1::TakeKeyPackagesResponse,
    ) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE outbox SET key_packages = ? WHERE id = ?",
            (taken.encode_to_vec(), row),
        )?;
        Ok(())
    }

    /// The service has the group now.
    pub(crate) fn group_created(&self, group: GroupId, row: i64) -> Result<(), ClientError> {
        self.set_standing(group, Standing::Member)?;
        self.settle(row, Sequence(0))
    }

    /// Makes a prepared row queued again: its bytes are of an epoch that has passed.
    pub(crate) fn rebase(&self, group: GroupId) -> Result<(), ClientError> {
        if self.engine.has_pending_commit(self, group)? {
            self.apply(self.engine.discard_pending(self, group)?)?;
        }
        self.sql.execute(
            "UPDATE outbox SET submission = NULL, message = NULL, rebased = rebased + 1
             WHERE group_id = ? AND submission IS NOT NULL AND landed IS NULL",
            [group.as_bytes()],
        )?;
        Ok(())
    }

    /// Gives an intent up, with the reason for the application.
    pub(crate) fn give_up(
        &self,
        group: GroupId,
        row: i64,
        reason: &str,
    ) -> Result<(), ClientError> {
        match self.engine.discard_pending(self, group) {
            Ok(effects) => self.apply(effects)?,
            Err(EngineError::UnknownGroup | EngineError::Evicted) => (),
            Err(error) => return Err(error.into()),
        }
        self.sql.execute(
            "UPDATE outbox SET failure = ?, submission = NULL, message = NULL WHERE id = ?",
            (reason, row),
        )?;
        Ok(())
    }

    /// Takes the outcome of a settled intent out of the outbox; `None` while it waits.
    pub(crate) fn take_outcome(&self, row: i64) -> Result<Option<Outcome>, ClientError> {
        let outcome = self
            .sql
            .query_row(
                "SELECT landed, rebased, failure FROM outbox
                 WHERE id = ? AND (landed IS NOT NULL OR failure IS NOT NULL)",
                [row],
                |row| {
                    Ok(match row.get::<_, Option<String>>(2)? {
                        Some(reason) => Err(reason),
                        None => Ok(Receipt {
                            sequence: sequence(row, 0)?,
                            rebased: row.get(1)?,
                        }),
                    })
                },
            )
            .optional()?;
        if outcome.is_some() {
            self.sql.execute("DELETE FROM outbox WHERE id = ?", [row])?;
        }
        Ok(outcome)
    }

    /// Forgets outcomes that nobody asked for, but for those that somebody may be waiting for now.
    pub(super) fn forget_old_outcomes(&self) -> Result<(), ClientError> {
        self.sql.execute(
            "DELETE FROM outbox WHERE (landed IS NOT NULL OR failure IS NOT NULL)
             AND id <= (SELECT MAX(id) FROM outbox) - ?",
            [OUTCOMES_KEPT],
        )?;
        Ok(())
    }

    /// Gives up everything that waits for a group, for example because this device was removed.
    pub(super) fn abandon(&self, group: GroupId, reason: &str) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE outbox SET failure = ?, submission = NULL, message = NULL
             WHERE group_id = ? AND landed IS NULL AND failure IS NULL",
            (reason, group.as_bytes()),
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
    ) -> Result<Option<Landed>, ClientError> {
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
        if item.completes {
            self.settle(item.id, at)?;
            return Ok(Some(Landed {
                intent: item.intent,
            }));
        }
        self.sql.execute(
            "UPDATE outbox SET submission = NULL, message = NULL, completes = 1 WHERE id = ?",
            [item.id],
        )?;
        Ok(Some(Landed {
            intent: Intent::Confirm,
        }))
    }

    fn settle(&self, row: i64, at: Sequence) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE outbox SET landed = ? WHERE id = ?",
            (number(at), row),
        )?;
        Ok(())
    }

    fn first_item(&self, group: GroupId) -> Result<Option<Item>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT id, intent, request_id, key_packages, submission, completes FROM outbox
             WHERE group_id = ? AND landed IS NULL AND failure IS NULL ORDER BY id LIMIT 1",
        )?;
        Ok(query
            .query_row([group.as_bytes()], item_from_row)
            .optional()?)
    }

    /// Makes the bytes for an intent. `None` where it is settled without any.
    fn prepare(
        &self,
        group: GroupId,
        item: &Item,
        now: UnixMillis,
    ) -> Result<Option<Step>, ClientError> {
        let prepared = match &item.intent {
            // A group's creation is prepared when it is enqueued.
            Intent::Create => Err(ClientError::Protocol("a creation without its bytes".into())),
            Intent::Send(content) => self.prepare_send(group, item, content, now),
            Intent::Add(users) => self.prepare_add(group, item, users, now),
            Intent::Remove(users) => self.prepare_remove(group, item, users, now),
            Intent::Update => self.prepare_commit(group, item, Change::update(), true, now),
            Intent::Leave => self.prepare_leave(group, item),
            Intent::Confirm => self.prepare_confirm(group, item, now),
            Intent::AddFor(users) => self.prepare_add(group, item, users, now),
            Intent::RemoveFor(users) => {
                let own = &self.own_certificate().address().user;
                let others: Vec<UserId> = users.iter().filter(|it| *it != own).cloned().collect();
                self.prepare_remove(group, item, &others, now)
            }
        };
        match prepared {
            Err(error) if is_final(&error) => {
                self.give_up(group, item.id, &error.to_string())?;
                Ok(None)
            }
            other => other,
        }
    }

    fn prepare_send(
        &self,
        group: GroupId,
        item: &Item,
        content: &[u8],
        now: UnixMillis,
    ) -> Result<Option<Step>, ClientError> {
        match self.engine.encrypt(self, group, content, None) {
            Ok(effects) => {
                let message = self.apply(effects)?;
                let body = Body::ApplicationMessage(message.clone().into());
                self.prepared(group, item, body, &message, true)
            }
            // RFC 9420 §12.4: whoever leaves has to be gone before the next message.
            Err(EngineError::PendingProposals) => {
                self.prepare_commit(group, item, Change::update(), false, now)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn prepare_add(
        &self,
        group: GroupId,
        item: &Item,
        users: &[UserId],
        now: UnixMillis,
    ) -> Result<Option<Step>, ClientError> {
        let members = self.members(group)?;
        let missing: Vec<&UserId> = users
            .iter()
            .filter(|user| !members.iter().any(|member| member.user == **user))
            .collect();
        if missing.is_empty() {
            return self.settle_without_bytes(group, item);
        }
        let Some(taken) = &item.key_packages else {
            let request = v1::TakeKeyPackagesRequest {
                request_id: item.request_id.as_bytes().to_vec().into(),
                users: missing.iter().map(ToString::to_string).collect(),
            };
            return Ok(Some(Step::TakeKeyPackages {
                row: item.id,
                request,
            }));
        };
        let taken = v1::TakeKeyPackagesResponse::decode(taken.as_slice())
            .map_err(|_| ClientError::Protocol("KeyPackages in another form".into()))?;
        // One user who can't be added is not to spoil what others were asked for.
        let missing = match item.intent {
            Intent::AddFor(_) => missing
                .into_iter()
                .filter(|it| has_any(&taken, it))
                .collect(),
            _ => missing,
        };
        if missing.is_empty() {
            return self.settle_without_bytes(group, item);
        }
        let adds = self.check_key_packages(&missing, &taken, now)?;
        self.prepare_commit(group, item, Change::add(adds), true, now)
    }

    /// The service may hand out anything: each package must be of the user it was asked for.
    fn check_key_packages(
        &self,
        users: &[&UserId],
        taken: &v1::TakeKeyPackagesResponse,
        now: UnixMillis,
    ) -> Result<Vec<KeyPackage>, ClientError> {
        let (mut unknown, mut empty, mut adds) = (Vec::new(), Vec::new(), Vec::new());
        for user in users {
            let found = taken.users.iter().find(|taken| taken.user == user.as_str());
            match found {
                Some(found) if !found.key_packages.is_empty() => {
                    for bytes in &found.key_packages {
                        let package = KeyPackage::from_bytes(bytes, now)?;
                        if package.certificate().address().user != **user {
                            return Err(ClientError::Protocol("another user's KeyPackage".into()));
                        }
                        adds.push(package);
                    }
                }
                Some(found) if found.known => empty.push(user.to_string()),
                _ => unknown.push(user.to_string()),
            }
        }
        if !unknown.is_empty() {
            return Err(ClientError::UnknownUser(unknown));
        }
        if !empty.is_empty() {
            return Err(ClientError::NoKeyPackages(empty));
        }
        self.pin_all(adds.iter().map(KeyPackage::certificate))?;
        Ok(adds)
    }

    fn prepare_remove(
        &self,
        group: GroupId,
        item: &Item,
        users: &[UserId],
        now: UnixMillis,
    ) -> Result<Option<Step>, ClientError> {
        let devices: Vec<DeviceId> = self
            .members(group)?
            .into_iter()
            .filter(|member| users.contains(&member.user))
            .flat_map(|member| member.devices)
            .collect();
        if devices.is_empty() {
            return self.settle_without_bytes(group, item);
        }
        self.prepare_commit(group, item, Change::remove(devices), true, now)
    }

    fn prepare_leave(&self, group: GroupId, item: &Item) -> Result<Option<Step>, ClientError> {
        match self.engine.leave(self, group) {
            Ok(proposal) => {
                let body = Body::Proposal(proposal.clone().into());
                self.prepared(group, item, body, &proposal, true)
            }
            Err(EngineError::Leaving) => self.settle_without_bytes(group, item),
            Err(error) => Err(error.into()),
        }
    }

    fn prepare_confirm(
        &self,
        group: GroupId,
        item: &Item,
        now: UnixMillis,
    ) -> Result<Option<Step>, ClientError> {
        if self.engine.pending_leaves(self, group)?.is_empty() {
            return self.settle_without_bytes(group, item);
        }
        self.prepare_commit(group, item, Change::update(), true, now)
    }

    fn prepare_commit(
        &self,
        group: GroupId,
        item: &Item,
        change: Change,
        completes: bool,
        now: UnixMillis,
    ) -> Result<Option<Step>, ClientError> {
        let PreparedCommit {
            commit,
            welcome,
            group_info,
            ..
        } = self.apply(self.engine.commit(self, group, change, now)?)?;
        let bundle = v1::CommitBundle {
            commit: commit.clone().into(),
            welcome: welcome.unwrap_or_default().into(),
            group_info: group_info.into(),
        };
        self.prepared(group, item, Body::Commit(bundle), &commit, completes)
    }

    /// Makes the bytes durable under a request id of their own, so that they can be sent again.
    fn prepared(
        &self,
        group: GroupId,
        item: &Item,
        body: Body,
        message: &[u8],
        completes: bool,
    ) -> Result<Option<Step>, ClientError> {
        let request = v1::SubmitRequest {
            group_id: group.as_bytes().to_vec().into(),
            request_id: random::<16>().to_vec().into(),
            body: Some(body),
        };
        self.set_submission(item.id, &request.encode_to_vec(), Some(message), completes)?;
        Ok(Some(Step::Submit {
            row: item.id,
            request,
        }))
    }

    fn set_submission(
        &self,
        row: i64,
        submission: &[u8],
        message: Option<&[u8]>,
        completes: bool,
    ) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE outbox SET submission = ?, message = ?, completes = ? WHERE id = ?",
            (submission, message, completes, row),
        )?;
        Ok(())
    }

    /// What was wanted is already so.
    fn settle_without_bytes(
        &self,
        group: GroupId,
        item: &Item,
    ) -> Result<Option<Step>, ClientError> {
        let cursor = self.group(group)?.map_or(Sequence(0), |group| group.cursor);
        self.settle(item.id, cursor)?;
        Ok(None)
    }
}

/// Splits a long list of users into intents that one Commit each can do.
pub(crate) fn add_intents(users: &[UserId]) -> impl Iterator<Item = Intent> {
    users
        .chunks(ADDS_PER_COMMIT_MAX)
        .map(|users| Intent::Add(users.to_vec()))
}

fn has_any(taken: &v1::TakeKeyPackagesResponse, user: &UserId) -> bool {
    let found = taken.users.iter().find(|it| it.user == user.as_str());
    found.is_some_and(|found| !found.key_packages.is_empty())
}

/// Whether trying the intent again can't help.
fn is_final(error: &ClientError) -> bool {
    !matches!(
        error,
        ClientError::Database(_)
            | ClientError::Io(_)
            | ClientError::Engine(EngineError::State(_) | EngineError::PendingCommit)
    )
}

fn decode_step(item: &Item, submission: &[u8]) -> Result<Step, ClientError> {
    let row = item.id;
    let step = if item.intent == Intent::Create {
        v1::CreateGroupRequest::decode(submission).map(|request| Step::Create { row, request })
    } else {
        v1::SubmitRequest::decode(submission).map(|request| Step::Submit { row, request })
    };
    step.map_err(|_| ClientError::Protocol("an outbox row in another form".into()))
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
