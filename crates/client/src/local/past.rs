//! What was said before a device came into its groups: another device of the same user hands it over,
//! sealed to the new one; see `docs/protocol.md`, "History for a new device".

use conclave_engine::{SealingKey, seal};
use conclave_protocol::{
    Attachment, Content, DeviceAddress, DeviceId, GroupId, Message, Sequence, UnixMillis, UserId,
};
use prost::Message as _;
use rusqlite::OptionalExtension as _;
use zeroize::Zeroizing;

use super::{Tx, evidence::Kept, groups::id_column, history, messages::millis};
use crate::{ClientError, Standing, intent::Intent, linking::Request};

/// Lines of one group's history that are handed over, the latest ones: what a person scrolls back to.
const LINES_MAX: i64 = 20_000;

/// Bytes of them: what is made and taken in at once, in memory.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// What the key of a history is sealed for.
const PURPOSE: &str = "Conclave history";

/// A device that gets the history of a group.
#[derive(Debug, Clone)]
pub(crate) struct Heir {
    pub(crate) group: GroupId,
    pub(crate) device: DeviceId,
    sealing_key: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Past {
    #[prost(message, repeated, tag = "1")]
    lines: Vec<Line>,
    #[prost(message, repeated, tag = "2")]
    receipts: Vec<Receipt>,
    /// The keys that stamped it.
    #[prost(bytes = "vec", repeated, tag = "3")]
    stamping_certificates: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(uint64, tag = "2")]
    accepted_millis: u64,
    #[prost(string, tag = "3")]
    author: String,
    #[prost(string, tag = "4")]
    kind: String,
    #[prost(bytes = "vec", tag = "5")]
    body: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "6")]
    id: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "7")]
    edited_millis: Option<u64>,
    #[prost(bool, tag = "8")]
    deleted: bool,
    #[prost(uint64, optional, tag = "9")]
    expires_millis: Option<u64>,
    #[prost(message, repeated, tag = "10")]
    reactions: Vec<Mark>,
    #[prost(message, repeated, tag = "11")]
    evidence: Vec<Proof>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Proof {
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(bool, tag = "2")]
    is_said: bool,
    #[prost(uint32, tag = "3")]
    envelope_bytes: u32,
    #[prost(bytes = "vec", tag = "4")]
    evidence: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Mark {
    #[prost(string, tag = "1")]
    user: String,
    #[prost(string, tag = "2")]
    reaction: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Receipt {
    #[prost(string, tag = "1")]
    user: String,
    #[prost(uint64, tag = "2")]
    delivered: u64,
    #[prost(uint64, tag = "3")]
    read: u64,
}

impl Tx<'_> {
    /// Has a device that is being linked get the history of all groups that this one is in.
    pub(crate) fn name_heir(&self, request: &Request) -> Result<(), ClientError> {
        for group in self.groups()? {
            if group.standing == Standing::Member {
                self.sql.execute(
                    "INSERT OR REPLACE INTO heirs VALUES (?, ?, ?)",
                    (
                        group.id.as_bytes(),
                        request.device.as_bytes(),
                        request.sealing_key,
                    ),
                )?;
            }
        }
        Ok(())
    }

    /// The devices that have come into groups whose history they get.
    pub(crate) fn heirs(&self) -> Result<Vec<Heir>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT group_id, device, sealing_key FROM heirs")?;
        let heirs = query.query_map([], |row| {
            Ok(Heir {
                group: id_column(row, 0)?,
                device: DeviceId::from_bytes(row.get(1)?),
                sealing_key: row.get(2)?,
            })
        })?;
        let heirs: Vec<Heir> = heirs.collect::<Result<_, _>>()?;
        let mut due = Vec::new();
        for heir in heirs {
            let devices = self.devices_in(heir.group)?;
            if self.require_member(heir.group).is_ok()
                && devices.get(&heir.device) == Some(self.own_user())
            {
                due.push(heir);
            }
        }
        Ok(due)
    }

    /// A group's history for another device, without what has expired; the latest of it.
    pub(crate) fn pack_past(
        &self,
        group: GroupId,
        now: UnixMillis,
    ) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT h.sequence, h.accepted_millis, h.author, h.kind, h.body,
                    m.id, m.edited_millis, coalesce(m.deleted, 0), m.expires_millis
             FROM history h
             LEFT JOIN messages m ON m.group_id = h.group_id AND m.sequence = h.sequence
             WHERE h.group_id = ?1 AND coalesce(m.expires_millis > ?2, 1)
             ORDER BY h.sequence DESC LIMIT ?3",
        )?;
        let number = |it: i64| it.unsigned_abs();
        let rows = query.query_map((group.as_bytes(), millis(now), LINES_MAX), |row| {
            Ok(Line {
                sequence: number(row.get(0)?),
                accepted_millis: number(row.get(1)?),
                author: row.get(2)?,
                kind: row.get(3)?,
                body: row.get(4)?,
                id: row.get(5)?,
                edited_millis: row.get::<_, Option<i64>>(6)?.map(number),
                deleted: row.get(7)?,
                expires_millis: row.get::<_, Option<i64>>(8)?.map(number),
                reactions: Vec::new(),
                evidence: Vec::new(),
            })
        })?;
        let (mut past, mut bytes) = (Past::default(), 0);
        for line in rows {
            let mut line = line?;
            line.reactions = self.marks(group, line.sequence)?;
            line.evidence = self.proofs(group, line.sequence)?;
            bytes += line.encoded_len();
            if bytes > BYTES_MAX {
                break;
            }
            past.lines.push(line);
        }
        let certificates = self.stamping_certificates()?;
        past.stamping_certificates = certificates.iter().map(|it| it.to_bytes()).collect();
        for known in self.receipts(group)? {
            past.receipts.push(Receipt {
                user: known.user.to_string(),
                delivered: known.delivered.0,
                read: known.read.0,
            });
        }
        Ok(Zeroizing::new(past.encode_to_vec()))
    }

    /// Tells a device where its history of a group is stored, and how to read it.
    pub(crate) fn offer_past(&self, heir: &Heir, parcel: Attachment) -> Result<(), ClientError> {
        let parcel = Message::default().attach(parcel).to_bytes();
        let random = Zeroizing::new(self.random());
        let context = context(heir.group, heir.device);
        let sealed = seal(&heir.sealing_key, PURPOSE, &context, &parcel, &random)?;
        let content = Content::History {
            device: heir.device,
            sealed,
        };
        let content = self.seal(&content)?;
        self.enqueue(heir.group, &Intent::Send(content))?;
        self.forget_heir(heir)
    }

    /// Takes note of a history that another device of this user has stored for this one.
    pub(super) fn take_in_offer(
        &self,
        group: GroupId,
        from: &DeviceAddress,
        device: DeviceId,
        sealed: &[u8],
    ) -> Result<(), ClientError> {
        let own = self.own_certificate().address();
        if device != own.device || from.user != own.user {
            return Ok(());
        }
        let mut query = self
            .sql
            .prepare_cached("SELECT sealing_seed FROM past_key")?;
        let seed = query.query_row([], |row| row.get::<_, [u8; 32]>(0));
        let Some(seed) = seed.optional()?.map(Zeroizing::new) else {
            return Ok(());
        };
        let key = SealingKey::from_seed(&seed)?;
        let Ok(parcel) = key.open(PURPOSE, &context(group, device), sealed) else {
            return Ok(());
        };
        self.sql.execute(
            "INSERT OR REPLACE INTO parcels VALUES (?, ?)",
            (group.as_bytes(), parcel.as_slice()),
        )?;
        Ok(())
    }

    /// The histories that are stored for this device and that it has not taken in.
    pub(crate) fn parcels(&self) -> Result<Vec<(GroupId, Attachment)>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT group_id, attachment FROM parcels")?;
        let rows = query.query_map([], |row| {
            Ok((id_column(row, 0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        let mut parcels = Vec::new();
        for row in rows {
            let (group, bytes) = row?;
            let message = Message::from_bytes(&bytes).unwrap_or_default();
            let parcel = message.attachments().first().cloned();
            parcels.extend(parcel.map(|parcel| (group, parcel)));
        }
        Ok(parcels)
    }

    /// Puts a history behind what this device has read itself, and says how many lines it brought.
    /// What is no line of a history is passed over.
    pub(crate) fn unpack_past(&self, group: GroupId, bytes: &[u8]) -> Result<usize, ClientError> {
        self.forget_parcel(group)?;
        let past = Past::decode(bytes).unwrap_or_default();
        let mut brought = 0;
        for certificate in &past.stamping_certificates {
            self.keep_certificate(certificate)?;
        }
        for line in &past.lines {
            let is_named =
                line.kind != "message" || line.id.as_ref().is_some_and(|it| it.len() == 32);
            if line.author.parse::<UserId>().is_ok()
                && is_named
                && history::holds(&line.kind, &line.body)
            {
                brought += usize::from(self.put_line(group, line)?);
            }
        }
        for known in &past.receipts {
            if let Ok(user) = known.user.parse() {
                let (delivered, read) = (Sequence(known.delivered), Sequence(known.read));
                self.raise_receipt(group, &user, delivered, read)?;
            }
        }
        Ok(brought)
    }

    /// A history is not to be had any longer, or was taken in.
    pub(crate) fn forget_parcel(&self, group: GroupId) -> Result<(), ClientError> {
        self.sql
            .execute("DELETE FROM parcels WHERE group_id = ?", [group.as_bytes()])?;
        Ok(())
    }

    /// Says whether it was not there yet.
    fn put_line(&self, group: GroupId, line: &Line) -> Result<bool, ClientError> {
        let number = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
        let (id, at) = (group.as_bytes(), number(line.sequence));
        let is_new = self
            .sql
            .prepare_cached("INSERT OR IGNORE INTO history VALUES (?, ?, ?, ?, ?, ?)")?
            .execute((
                id,
                at,
                number(line.accepted_millis),
                &line.author,
                &line.kind,
                &line.body,
            ))?
            > 0;
        if let (true, Some(message)) = (is_new, &line.id) {
            self.sql
                .prepare_cached(
                    "INSERT OR IGNORE INTO messages
                     (group_id, sequence, id, edited_millis, deleted, expires_millis)
                     VALUES (?, ?, ?, ?, ?, ?)",
                )?
                .execute((
                    id,
                    at,
                    message,
                    line.edited_millis.map(number),
                    line.deleted,
                    line.expires_millis.map(number),
                ))?;
            self.put_proofs(group, line)?;
            for Mark { user, reaction } in &line.reactions {
                if user.parse::<UserId>().is_ok() {
                    self.sql
                        .prepare_cached("INSERT OR IGNORE INTO reactions VALUES (?, ?, ?, ?)")?
                        .execute((id, at, user, reaction))?;
                }
            }
        }
        Ok(is_new)
    }

    fn put_proofs(&self, group: GroupId, line: &Line) -> Result<(), ClientError> {
        for proof in &line.evidence {
            let kept = Kept {
                sequence: Sequence(proof.sequence),
                is_said: proof.is_said,
                envelope_bytes: proof.envelope_bytes,
                evidence: proof.evidence.clone(),
            };
            self.put_past_evidence(group, (Sequence(line.sequence), &line.author), &kept)?;
        }
        Ok(())
    }

    fn proofs(&self, group: GroupId, sequence: u64) -> Result<Vec<Proof>, ClientError> {
        let kept = self.evidence_of_line(group, Sequence(sequence))?;
        let proofs = kept.into_iter().map(|kept| Proof {
            sequence: kept.sequence.0,
            is_said: kept.is_said,
            envelope_bytes: kept.envelope_bytes,
            evidence: kept.evidence,
        });
        Ok(proofs.collect())
    }

    fn marks(&self, group: GroupId, sequence: u64) -> Result<Vec<Mark>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT user, reaction FROM reactions WHERE group_id = ? AND sequence = ?",
        )?;
        let at = i64::try_from(sequence).unwrap_or(i64::MAX);
        let rows = query.query_map((group.as_bytes(), at), |row| {
            Ok(Mark {
                user: row.get(0)?,
                reaction: row.get(1)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn forget_heir(&self, heir: &Heir) -> Result<(), ClientError> {
        self.sql.execute(
            "DELETE FROM heirs WHERE group_id = ? AND device = ?",
            (heir.group.as_bytes(), heir.device.as_bytes()),
        )?;
        Ok(())
    }
}

fn context(group: GroupId, device: DeviceId) -> Vec<u8> {
    [group.as_bytes().as_slice(), device.as_bytes()].concat()
}

#[cfg(test)]
mod tests;
