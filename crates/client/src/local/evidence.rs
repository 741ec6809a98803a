//! What makes a message reportable: it is checked before the message counts, and kept beside the history for as
//! long as what it proves (`docs/franking.md`, "What a recipient checks").

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use conclave_protocol::{
    CertifiedKey, Commitment, Content, DeviceAddress, Epoch, Evidence, Frank, FrankError, GroupId,
    GroupRules, KeyId, Sequence, SignedRoot, Stamp, UnixMillis, Unreportable, VerifyingKey,
    limits::CONTENT_BYTES_MAX,
};
use conclave_rpc::v1;
use rusqlite::Row;

use super::{Tx, groups::number, line::Line};
use crate::{ClientError, Entry, EntryKind, Posted};

/// Roots that are remembered as checked: those of what is read at about the same time.
const ROOTS_KEPT: usize = 64;

/// Whether it stands somewhere that a message was stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    /// It was not stamped.
    None,
    /// It was, and nothing says so yet.
    NotYet,
    Done,
}

/// An application message, decrypted.
pub(super) struct Received<'a> {
    pub(super) entry: &'a v1::LogEntry,
    /// As MLS has authenticated it.
    pub(super) sender: &'a DeviceAddress,
    pub(super) epoch: Epoch,
    pub(super) content: &'a [u8],
    /// What its authenticated data has for franking.
    pub(super) item: Option<&'a [u8]>,
    /// The group's rules then.
    pub(super) rules: &'a GroupRules,
}

/// What was looked up and checked since the database was opened: keys, and the latest roots.
#[derive(Default)]
pub(super) struct Known {
    operator: Option<VerifyingKey>,
    keys: BTreeMap<KeyId, Arc<CertifiedKey>>,
    roots: VecDeque<SignedRoot>,
}

/// Evidence that is kept, and of what.
pub(super) struct Kept {
    pub(super) sequence: Sequence,
    /// Whether it is what the line of history says.
    pub(super) is_said: bool,
    pub(super) envelope_bytes: u32,
    /// With the envelope without its padding: most of a short message is that.
    pub(super) evidence: Vec<u8>,
}

impl Tx<'_> {
    /// Takes in what a device encrypted, with its proof; where it has none, as the group's rules have it.
    pub(super) fn take_in_received(
        &self,
        line: &mut Line<'_>,
        received: &Received<'_>,
    ) -> Result<(), ClientError> {
        line.evidence = self.prove(line.group.id, received)?.ok();
        let is_refused = received.rules.unreportable() == Unreportable::Refused;
        if line.evidence.is_none() && is_refused {
            self.refuse(line, received)?;
        } else {
            self.take_in_content(line, received.sender, received.content)?;
        }
        self.note_stamped(line)
    }

    /// Keeps of a message that nobody could report that it was sent.
    fn refuse(&self, line: &mut Line<'_>, received: &Received<'_>) -> Result<(), ClientError> {
        match Content::open(received.content) {
            Content::Receipt { .. } | Content::History { .. } => Ok(()),
            _ => {
                let author = received.sender.user.clone();
                line.add(self, author, EntryKind::Unreportable)
            }
        }
    }

    /// What proves a message of this device, which nobody decrypts again.
    pub(super) fn prove_own(
        &self,
        group: GroupId,
        entry: &v1::LogEntry,
        content: &[u8],
    ) -> Result<Option<Evidence>, ClientError> {
        let sender = self.own_certificate().address();
        let item = Commitment::to(group, sender, content).map(Commitment::to_item);
        let received = Received {
            entry,
            sender,
            epoch: Epoch(entry.epoch),
            content,
            item: item.as_ref().map(<[u8; Commitment::ITEM_BYTES]>::as_slice),
            rules: &self.rules(group)?,
        };
        let proved = self.prove(group, &received)?;
        Ok(proved.ok())
    }

    /// What proves a message, or why nobody could report it.
    fn prove(
        &self,
        group: GroupId,
        received: &Received<'_>,
    ) -> Result<Result<Evidence, FrankError>, ClientError> {
        let evidence = match evidence_of(group, received) {
            Ok(evidence) => evidence,
            Err(reason) => return Ok(Err(reason)),
        };
        let operator = self.known_operator()?;
        let is_trusted = operator.is_some_and(|key| received.rules.trusts_operator(&key));
        let key = self.known_key(evidence.frank.key())?;
        Ok(match key.filter(|_| is_trusted) {
            Some(key) => self.check_root(&evidence, &key).map(|()| evidence),
            None => Err(FrankError::Key),
        })
    }

    fn known_operator(&self) -> Result<Option<VerifyingKey>, ClientError> {
        if self.known.borrow().operator.is_none() {
            self.known.borrow_mut().operator = self.operator_key()?;
        }
        Ok(self.known.borrow().operator)
    }

    fn known_key(&self, id: KeyId) -> Result<Option<Arc<CertifiedKey>>, ClientError> {
        let known = self.known.borrow().keys.get(&id).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let key = self.stamping_key(id)?;
        let key = key.and_then(CertifiedKey::new).map(Arc::new);
        if let Some(key) = &key {
            self.known.borrow_mut().keys.insert(id, Arc::clone(key));
        }
        Ok(key)
    }

    /// Checks the signature above a stamp, once for all that are signed together.
    fn check_root(&self, evidence: &Evidence, by: &CertifiedKey) -> Result<(), FrankError> {
        let root = by.root(&evidence.frank, &evidence.stamp)?;
        if self.known.borrow().roots.contains(&root) {
            return Ok(());
        }
        by.verify(&root)?;
        self.remember(root);
        Ok(())
    }

    fn remember(&self, root: SignedRoot) {
        let roots = &mut self.known.borrow_mut().roots;
        roots.push_front(root);
        roots.truncate(ROOTS_KEPT);
    }

    /// Keeps what is known of a message, with what proves it, or that it was stamped.
    pub(super) fn keep_named(
        &self,
        line: &mut Line<'_>,
        posted: &Posted,
    ) -> Result<(), ClientError> {
        let kept = match line.evidence.take() {
            Some(evidence) => Some(Kept::new(evidence, true)),
            None => (line.stamp == Noted::NotYet).then(|| Kept::nothing(line.sequence)),
        };
        if kept.is_some() {
            line.stamp = Noted::Done;
        }
        let place = (line.group.id, line.sequence);
        self.name_message(place, posted.id, posted.expires, kept.as_ref())
    }

    /// Keeps what proves a line of history that is no message.
    pub(super) fn keep_said(&self, line: &mut Line<'_>, of: Sequence) -> Result<(), ClientError> {
        self.keep(line, of, true)
    }

    /// Keeps what proves what a line of history says now, and not what proved it before.
    pub(super) fn keep_instead(&self, line: &mut Line<'_>, of: &Entry) -> Result<(), ClientError> {
        self.empty_evidence("is_said AND line", of.group, of.sequence)?;
        self.keep(line, of.sequence, true)
    }

    /// Keeps what proves a message that is about another line of history, or makes none.
    pub(super) fn keep_beside(
        &self,
        line: &mut Line<'_>,
        about: Sequence,
    ) -> Result<(), ClientError> {
        self.keep(line, about, false)
    }

    fn keep(&self, line: &mut Line<'_>, of: Sequence, is_said: bool) -> Result<(), ClientError> {
        let Some(evidence) = line.evidence.take() else {
            return Ok(());
        };
        line.stamp = Noted::Done;
        self.put_evidence(line.group.id, of, &Kept::new(evidence, is_said))
    }

    /// Notes that a message was stamped of which nothing is kept: whoever shows what was said around it can't show
    /// that nothing was left out.
    pub(super) fn note_stamped(&self, line: &Line<'_>) -> Result<(), ClientError> {
        match line.stamp {
            Noted::NotYet => {
                let nothing = Kept::nothing(line.sequence);
                self.put_evidence(line.group.id, line.sequence, &nothing)
            }
            Noted::None | Noted::Done => Ok(()),
        }
    }

    /// Keeps nothing any more of what proves a line of history and the marks on it.
    pub(super) fn forget_evidence(
        &self,
        group: GroupId,
        line: Sequence,
    ) -> Result<(), ClientError> {
        self.empty_evidence("line", group, line)
    }

    fn empty_evidence(&self, which: &str, group: GroupId, at: Sequence) -> Result<(), ClientError> {
        for statement in [
            &format!(
                "UPDATE evidence SET is_said = 0, envelope_bytes = 0, evidence = x''
                 WHERE group_id = ? AND {which} = ?"
            ),
            "UPDATE messages SET envelope_bytes = 0, evidence = x''
             WHERE group_id = ? AND sequence = ? AND evidence IS NOT NULL",
        ] {
            let mut statement = self.sql.prepare_cached(statement)?;
            statement.execute((group.as_bytes(), number(at)))?;
        }
        Ok(())
    }

    fn put_evidence(&self, group: GroupId, of: Sequence, kept: &Kept) -> Result<(), ClientError> {
        self.sql
            .prepare_cached("INSERT OR IGNORE INTO evidence VALUES (?, ?, ?, ?, ?, ?)")?
            .execute((
                group.as_bytes(),
                number(kept.sequence),
                number(of),
                kept.is_said,
                kept.envelope_bytes,
                &kept.evidence,
            ))?;
        Ok(())
    }

    /// What proves a line of history, and what is about it.
    pub(super) fn evidence_of_line(
        &self,
        group: GroupId,
        line: Sequence,
    ) -> Result<Vec<Kept>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT sequence, is_said, envelope_bytes, evidence FROM evidence
             WHERE group_id = ?1 AND line = ?2 AND evidence <> x''
             UNION ALL
             SELECT sequence, 1, envelope_bytes, evidence FROM messages
             WHERE group_id = ?1 AND sequence = ?2 AND evidence <> x'' ORDER BY 1",
        )?;
        let rows = query.query_map((group.as_bytes(), number(line)), kept_from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What proves messages from one place in the log to another, in their order; `None` for those of which nothing
    /// is kept.
    pub(super) fn evidence_between(
        &self,
        group: GroupId,
        (first, last): (Sequence, Sequence),
    ) -> Result<Vec<(Sequence, Option<Kept>)>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT sequence, is_said, envelope_bytes, evidence FROM evidence
             WHERE group_id = ?1 AND sequence BETWEEN ?2 AND ?3
             UNION ALL
             SELECT sequence, 1, envelope_bytes, evidence FROM messages
             WHERE group_id = ?1 AND sequence BETWEEN ?2 AND ?3 AND evidence IS NOT NULL ORDER BY 1",
        )?;
        let rows = query.query_map(
            (group.as_bytes(), number(first), number(last)),
            kept_from_row,
        )?;
        let some = |kept: Kept| {
            (
                kept.sequence,
                Some(kept).filter(|it| !it.evidence.is_empty()),
            )
        };
        rows.map(|kept| Ok(some(kept?))).collect()
    }

    /// What proves a line of history as it stands; `None` where nothing does.
    pub(crate) fn proof_of(
        &self,
        group: GroupId,
        line: Sequence,
    ) -> Result<Option<Evidence>, ClientError> {
        let kept = self.evidence_of_line(group, line)?;
        let said = kept.into_iter().find(|kept| kept.is_said);
        Ok(said.and_then(|kept| kept.open()))
    }

    /// Keeps evidence that another device of this user hands over, where it proves something of this group: of what
    /// a line says, that its author said it.
    pub(super) fn put_past_evidence(
        &self,
        group: GroupId,
        (of, author): (Sequence, &str),
        kept: &Kept,
    ) -> Result<(), ClientError> {
        let Some(evidence) = kept.open() else {
            return Ok(());
        };
        let stamp = &evidence.stamp;
        let is_of_place = stamp.group == group && stamp.sequence == kept.sequence;
        let is_of_author = !kept.is_said || stamp.sender.user.as_str() == author;
        let committed = Commitment::to(group, &stamp.sender, &evidence.envelope);
        let key = self.known_key(evidence.frank.key())?;
        let is_stamped = key.is_some_and(|key| self.check_root(&evidence, &key).is_ok());
        let is_whole = committed == Some(stamp.commitment) && is_stamped;
        if is_of_place && is_of_author && is_whole {
            match kept.is_said && kept.sequence == of {
                true => self.put_beside_message(group, kept)?,
                false => self.put_evidence(group, of, kept)?,
            }
        }
        Ok(())
    }

    fn put_beside_message(&self, group: GroupId, kept: &Kept) -> Result<(), ClientError> {
        self.sql
            .prepare_cached(
                "UPDATE messages SET envelope_bytes = ?, evidence = ?
                 WHERE group_id = ? AND sequence = ?",
            )?
            .execute((
                kept.envelope_bytes,
                &kept.evidence,
                group.as_bytes(),
                number(kept.sequence),
            ))?;
        Ok(())
    }
}

impl Noted {
    /// What is to be noted of an entry of the log.
    pub(super) fn of(entry: &v1::LogEntry) -> Self {
        if entry.frank.is_empty() {
            Self::None
        } else {
            Self::NotYet
        }
    }
}

impl Kept {
    pub(super) fn new(mut evidence: Evidence, is_said: bool) -> Self {
        let envelope = &mut evidence.envelope;
        let whole = envelope.len();
        let zeros = envelope.iter().rev().take_while(|byte| **byte == 0).count();
        envelope.truncate(whole - zeros);
        Self {
            sequence: evidence.stamp.sequence,
            is_said,
            envelope_bytes: u32::try_from(whole).unwrap_or(u32::MAX),
            evidence: evidence.to_bytes(),
        }
    }

    /// That a message was stamped.
    fn nothing(sequence: Sequence) -> Self {
        Self {
            sequence,
            is_said: false,
            envelope_bytes: 0,
            evidence: Vec::new(),
        }
    }

    /// The evidence with the whole envelope.
    pub(super) fn open(&self) -> Option<Evidence> {
        let mut evidence = Evidence::from_bytes(&self.evidence).ok()?;
        let whole = usize::try_from(self.envelope_bytes).ok()?;
        (whole <= CONTENT_BYTES_MAX).then_some(())?;
        evidence.envelope.resize(whole, 0);
        Some(evidence)
    }
}

fn kept_from_row(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        sequence: Sequence(row.get::<_, i64>(0)?.unsigned_abs()),
        is_said: row.get(1)?,
        envelope_bytes: row.get(2)?,
        evidence: row.get(3)?,
    })
}

/// Makes the stamp of a message anew, of what MLS and the log say of it.
fn evidence_of(group: GroupId, received: &Received<'_>) -> Result<Evidence, FrankError> {
    let entry = received.entry;
    let item = received.item.and_then(Commitment::from_item);
    let commitment = item.ok_or(FrankError::NoCommitment)?;
    if Commitment::to(group, received.sender, received.content) != Some(commitment) {
        return Err(FrankError::Commitment);
    }
    let frank = Frank::from_bytes(&entry.frank).ok_or(FrankError::None)?;
    let stamp = Stamp {
        group,
        epoch: received.epoch,
        sequence: Sequence(entry.sequence),
        accepted: UnixMillis(entry.accepted_millis),
        sender: received.sender.clone(),
        commitment,
        message_hash: Stamp::hash_of(&entry.message),
    };
    Ok(Evidence {
        stamp,
        envelope: received.content.to_vec(),
        frank,
    })
}

#[cfg(test)]
mod tests {
    use conclave_protocol::{DeviceId, FrankBatch, StampingKey};

    use super::*;

    /// Each thing of which a stamp is made anew, and the reason where it is not what was committed to.
    #[test]
    fn a_commitment_has_to_be_to_what_was_decrypted() {
        let group = GroupId::from_bytes([1; 16]);
        let sender = DeviceAddress {
            user: "bob@here".parse().unwrap(),
            device: DeviceId::from_bytes([2; 16]),
        };
        let content = [5; 256];
        let item = Commitment::to(group, &sender, &content).unwrap().to_item();
        let key = StampingKey::from_seed(&[3; 32]);
        let batch = FrankBatch::seal(vec![[4; 32]], &key).unwrap();
        let frank = batch.frank(0, [0; 32]).unwrap();
        let entry = v1::LogEntry {
            frank: frank.to_bytes().into(),
            ..v1::LogEntry::default()
        };
        let unstamped = v1::LogEntry::default();
        let another = DeviceAddress {
            user: "carol@here".parse().unwrap(),
            ..sender.clone()
        };
        let reason = |entry, sender, content: &[u8], item: Option<&[u8]>| {
            let received = Received {
                entry,
                sender,
                epoch: Epoch(0),
                content,
                item,
                rules: &GroupRules::default(),
            };
            evidence_of(group, &received).err()
        };
        let differs = Some(FrankError::Commitment);
        assert_eq!(reason(&entry, &sender, &content, Some(&item)), None);
        assert_eq!(reason(&entry, &sender, &[6; 256], Some(&item)), differs);
        assert_eq!(reason(&entry, &sender, &content[1..], Some(&item)), differs);
        assert_eq!(reason(&entry, &sender, &[], Some(&item)), differs);
        assert_eq!(reason(&entry, &another, &content, Some(&item)), differs);
        let none = Some(FrankError::NoCommitment);
        assert_eq!(reason(&entry, &sender, &content, None), none);
        assert_eq!(reason(&entry, &sender, &content, Some(&item[1..])), none);
        let none = Some(FrankError::None);
        assert_eq!(reason(&unstamped, &sender, &content, Some(&item)), none);
    }
}
