//! What members say of Commits that they can't process, as far as this device has read it.
//!
//! A Commit that this device can't process opens a *case*, which keeps who was in the epoch before.
//! Reports and votes are *heard* in the order of the log, whether this device follows the group or
//! only reads on for them, and `conclave_protocol` says what follows.

use std::collections::{BTreeMap, BTreeSet};

use conclave_engine::EngineError;
use conclave_protocol::{
    Bystander, Case, CommitReport, DeviceAddress, DeviceId, Epoch, GroupId, Heard, Judgement,
    ReportedCommit, Says, Sequence, SuccessorVote, UnixMillis, UserId, VerifyingKey,
};
use conclave_rpc::{device_id, v1};
use prost::Message as _;
use rusqlite::{OptionalExtension as _, Row};

use super::{
    Tx,
    groups::{number, sequence},
};
use crate::{ClientError, Entry, EntryKind};

/// A Commit that this device could not process.
pub(super) struct OpenCase {
    pub(super) case: Case,
    /// Who made it.
    pub(super) author: UserId,
    /// Whether others than its author have committed since.
    pub(super) is_overtaken: bool,
}

/// Where a group's log ends, and where it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conclusion {
    pub(super) to: GroupId,
    /// The last entry that counts.
    pub(super) at: Sequence,
    /// Who is not there any more, where this device knows who that is.
    pub(super) without: Option<UserId>,
}

impl Tx<'_> {
    /// Keeps who was in the epoch before a Commit that this device can't process.
    pub(super) fn open_case(
        &self,
        commit: ReportedCommit,
        author: &DeviceAddress,
        accepted: UnixMillis,
    ) -> Result<(), ClientError> {
        let case = Case::new(commit, accepted, self.devices_in(commit.group)?);
        let voters = case.voters().iter().map(|(device, user)| Voter {
            device: device.as_bytes().to_vec(),
            user: user.to_string(),
        });
        let facts = Facts {
            epoch: commit.epoch.0,
            commit_hash: commit.commit_hash.to_vec(),
            author: author.device.as_bytes().to_vec(),
            accepted_millis: accepted.0,
            voters: voters.collect(),
        };
        self.sql.execute(
            "INSERT OR IGNORE INTO cases VALUES (?, ?, ?, ?, 0)",
            (
                commit.group.as_bytes(),
                number(commit.sequence),
                author.user.as_str(),
                facts.encode_to_vec(),
            ),
        )?;
        Ok(())
    }

    /// The Commits of a group that this device could not process, in their order.
    pub(super) fn cases(&self, id: GroupId) -> Result<Vec<OpenCase>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT sequence, author, facts, is_overtaken FROM cases WHERE group_id = ?
             ORDER BY sequence",
        )?;
        let rows = query.query_map([id.as_bytes()], |row| {
            let (at, author) = (sequence(row, 0)?, row.get::<_, String>(1)?);
            Ok((at, author, row.get::<_, Vec<u8>>(2)?, row.get(3)?))
        })?;
        let mut cases = Vec::new();
        for row in rows {
            let (at, author, facts, is_overtaken) = row?;
            let read = Facts::decode(facts.as_slice()).ok();
            let case = read.and_then(|facts| facts.into_case(id, at));
            let (Some(case), Ok(author)) = (case, author.parse()) else {
                return Err(ClientError::Protocol("a case in another form".into()));
            };
            cases.push(OpenCase {
                case,
                author,
                is_overtaken,
            });
        }
        Ok(cases)
    }

    /// Whether anything was said, here or by others, of Commits of this group.
    pub(crate) fn has_case(&self, id: GroupId) -> Result<bool, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM cases WHERE group_id = ?1)
                OR EXISTS (SELECT 1 FROM heard WHERE group_id = ?1)",
        )?;
        Ok(query.exists([id.as_bytes()])?)
    }

    /// Keeps a report or vote, where a member says it, and gives the line of history that it makes.
    pub(super) fn hear(
        &self,
        id: GroupId,
        entry: &v1::LogEntry,
    ) -> Result<Option<Entry>, ClientError> {
        let members = match self.engine.roster(self, id) {
            Err(EngineError::UnknownGroup | EngineError::Evicted) => return Ok(None),
            members => members?,
        };
        let known = |device: DeviceId| {
            let mut members = members.iter().map(|member| &member.certificate);
            members.find(|it| it.address().device == device)
        };
        let Some((by, says)) = read_word(entry, |device| {
            known(device).map(|it| it.claims().signature_key)
        }) else {
            return Ok(None);
        };
        let (Some(speaker), true) = (known(by), says.commit().group == id) else {
            return Ok(None);
        };
        let user = speaker.address().user.clone();
        self.sql.execute(
            "INSERT OR IGNORE INTO heard VALUES (?, ?, ?, ?, ?, ?)",
            (
                id.as_bytes(),
                number(Sequence(entry.sequence)),
                millis(UnixMillis(entry.accepted_millis)),
                by.as_bytes(),
                user.as_str(),
                &entry.message[..],
            ),
        )?;
        let (Says::Report(commit), Some(author)) = (says, known(says.commit().author)) else {
            return Ok(None);
        };
        Ok(Some(Entry {
            group: commit.group,
            sequence: Sequence(entry.sequence),
            accepted: UnixMillis(entry.accepted_millis),
            author: user,
            kind: EntryKind::Reported(author.address().user.clone()),
        }))
    }

    /// What was heard in a group's log, in its order.
    pub(super) fn heard(&self, id: GroupId) -> Result<Vec<Heard>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT sequence, accepted_millis, device, user, message FROM heard
             WHERE group_id = ? ORDER BY sequence",
        )?;
        let rows = query.query_map([id.as_bytes()], |row| Ok(heard_from_row(row)))?;
        let mut heard = Vec::new();
        for row in rows {
            heard.extend(row??);
        }
        Ok(heard)
    }

    /// Where a group goes on, if the log says so by now.
    pub(super) fn conclusion(&self, id: GroupId) -> Result<Option<Conclusion>, ClientError> {
        let mut heard = self.heard(id)?;
        let mut found: Vec<Conclusion> = Vec::new();
        for OpenCase { case, author, .. } in self.cases(id)? {
            let decided = case.judge(&heard).successor;
            found.extend(decided.map(|(to, at)| Conclusion {
                to,
                at,
                without: Some(author),
            }));
            heard.retain(|it| it.says.commit() != case.commit());
        }
        let (since, added) = self.stay(id)?;
        let bystander = Bystander {
            members: self.devices_in(id)?,
            own: self.own_user().clone(),
            since,
            added,
        };
        if let Some((commit, to, at)) = bystander.follow(&heard) {
            let author = bystander.members.get(&commit.author).cloned();
            let without = match author {
                Some(author) => Some(author),
                None => self.reported_author(&heard, commit)?,
            };
            found.push(Conclusion { to, at, without });
        }
        Ok(found.into_iter().min_by_key(|it| it.at))
    }

    /// Who made a Commit that was reported when they were still there; they may have gone since.
    fn reported_author(
        &self,
        heard: &[Heard],
        commit: ReportedCommit,
    ) -> Result<Option<UserId>, ClientError> {
        for report in heard.iter().filter(|it| *it.says.commit() == commit) {
            if let Some(entry) = self.entry(commit.group, report.at)?
                && let EntryKind::Reported(author) = entry.kind
            {
                return Ok(Some(author));
            }
        }
        Ok(None)
    }

    /// Whether enough members have reported a Commit that this device could not process.
    pub(crate) fn is_upheld(&self, id: GroupId) -> Result<bool, ClientError> {
        Ok(self.upheld(id)?.is_some())
    }

    /// The first Commit of a group that enough members have reported, and what was said of it.
    pub(super) fn upheld(&self, id: GroupId) -> Result<Option<(OpenCase, Judgement)>, ClientError> {
        let heard = self.heard(id)?;
        let judged = self.cases(id)?.into_iter().map(|it| {
            let judgement = it.case.judge(&heard);
            (it, judgement)
        });
        Ok(judged
            .into_iter()
            .find(|(_, judgement)| judgement.upheld.is_some()))
    }

    /// Notes that somebody has committed after a Commit that this device could not process. What its
    /// author commits then changes nothing for those who can't follow.
    pub(super) fn overtake(&self, id: GroupId, at: Sequence, by: &[u8]) -> Result<(), ClientError> {
        let by = device_id(by).ok();
        let devices = self.devices_in(id)?;
        let by = by.and_then(|device| devices.get(&device));
        self.sql.execute(
            "UPDATE cases SET is_overtaken = 1
             WHERE group_id = ? AND sequence < ? AND author IS NOT ?",
            (id.as_bytes(), number(at), by.map(UserId::as_str)),
        )?;
        Ok(())
    }

    /// How far a log was read for what members say, where this device can't follow the group.
    pub(crate) fn overheard(&self, id: GroupId) -> Result<Sequence, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT MAX(overheard, cursor) FROM groups WHERE group_id = ?")?;
        let at = query.query_row([id.as_bytes()], |row| sequence(row, 0));
        Ok(at.optional()?.unwrap_or_default())
    }

    pub(super) fn set_overheard(&self, id: GroupId, at: Sequence) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE groups SET overheard = ? WHERE group_id = ?",
            (number(at), id.as_bytes()),
        )?;
        Ok(())
    }

    /// Forgets what was said of a group's Commits.
    pub(crate) fn forget_cases(&self, id: GroupId) -> Result<(), ClientError> {
        for table in ["cases", "heard", "reports"] {
            let delete = format!("DELETE FROM {table} WHERE group_id = ?");
            self.sql.execute(&delete, [id.as_bytes()])?;
        }
        Ok(())
    }

    /// The devices in a group's epoch, as this device knows it; none where it knows none.
    pub(super) fn devices_in(
        &self,
        id: GroupId,
    ) -> Result<BTreeMap<DeviceId, UserId>, ClientError> {
        let roster = match self.engine.roster(self, id) {
            Err(EngineError::UnknownGroup | EngineError::Evicted) => return Ok(BTreeMap::new()),
            roster => roster?,
        };
        let addresses = roster.iter().map(|it| it.certificate.address());
        Ok(addresses.map(|it| (it.device, it.user.clone())).collect())
    }

    /// The users in a group's epoch, as this device knows it.
    pub(super) fn users_in(&self, id: GroupId) -> Result<BTreeSet<UserId>, ClientError> {
        Ok(self.devices_in(id)?.into_values().collect())
    }
}

/// Reads what an entry says, under the key of the device that says so.
fn read_word(
    entry: &v1::LogEntry,
    key: impl Fn(DeviceId) -> Option<VerifyingKey>,
) -> Option<(DeviceId, Says)> {
    if entry.kind() == v1::EntryKind::Report {
        let report = CommitReport::from_bytes(&entry.message)?;
        report.verify(&key(report.reporter())?).ok()?;
        return Some((report.reporter(), Says::Report(*report.commit())));
    }
    let vote = SuccessorVote::from_bytes(&entry.message)?;
    vote.verify(&key(vote.voter())?).ok()?;
    Some((vote.voter(), Says::Vote(*vote.successor())))
}

/// What is kept was checked when it was heard.
fn says(message: &[u8]) -> Option<Says> {
    match CommitReport::from_bytes(message) {
        Some(report) => Some(Says::Report(*report.commit())),
        None => SuccessorVote::from_bytes(message).map(|vote| Says::Vote(*vote.successor())),
    }
}

fn heard_from_row(row: &Row<'_>) -> Result<Option<Heard>, ClientError> {
    let (user, message): (String, Vec<u8>) = (row.get(3)?, row.get(4)?);
    let (Ok(user), Some(says)) = (user.parse(), says(&message)) else {
        return Ok(None);
    };
    Ok(Some(Heard {
        at: sequence(row, 0)?,
        accepted: UnixMillis(row.get::<_, i64>(1)?.unsigned_abs()),
        by: DeviceId::from_bytes(row.get(2)?),
        user,
        says,
    }))
}

fn millis(time: UnixMillis) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

/// What is kept of a case besides its place and its author.
#[derive(Clone, PartialEq, prost::Message)]
struct Facts {
    #[prost(uint64, tag = "1")]
    epoch: u64,
    #[prost(bytes = "vec", tag = "2")]
    commit_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    author: Vec<u8>,
    #[prost(uint64, tag = "4")]
    accepted_millis: u64,
    #[prost(message, repeated, tag = "5")]
    voters: Vec<Voter>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Voter {
    #[prost(bytes = "vec", tag = "1")]
    device: Vec<u8>,
    #[prost(string, tag = "2")]
    user: String,
}

impl Facts {
    fn into_case(self, group: GroupId, sequence: Sequence) -> Option<Case> {
        let commit = ReportedCommit {
            group,
            epoch: Epoch(self.epoch),
            sequence,
            commit_hash: self.commit_hash.try_into().ok()?,
            author: DeviceId::try_from(&self.author[..]).ok()?,
        };
        let voters = self.voters.into_iter().map(|it| {
            let device = DeviceId::try_from(&it.device[..]).ok()?;
            Some((device, it.user.parse().ok()?))
        });
        let accepted = UnixMillis(self.accepted_millis);
        Some(Case::new(commit, accepted, voters.collect::<Option<_>>()?))
    }
}
