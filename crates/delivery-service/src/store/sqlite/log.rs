//! The log: one order per group, decided and written in one transaction.

use conclave_protocol::{DeviceId, Epoch, Frank, GroupId, RequestId, Sequence, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    super::{Asked, Effect, Entry, EntryKind, EpochChange, NewEntry, Page, Result, StoreError},
    columns::typed,
    franks::{Batches, Recent},
    groups, invitations, mailbox,
    writer::Transaction,
};
use crate::ordering::{Applied, Facts, Receipt, Verdict, decide};

pub(super) fn facts(
    db: &Connection,
    group: GroupId,
    sender: DeviceId,
    request: RequestId,
    joins: Option<UnixMillis>,
) -> Result<Facts> {
    Ok(Facts {
        head: groups::head(db, group)?,
        is_entitled: match joins {
            Some(now) => invitations::may_join(db, group, sender, now)?,
            None => groups::is_member(db, group, sender)?,
        },
        earlier: earlier(db, sender, request)?,
    })
}

pub(super) fn earlier(
    db: &Connection,
    sender: DeviceId,
    request: RequestId,
) -> Result<Option<Applied>> {
    let applied = db
        .prepare_cached(
            "SELECT body_hash, sequence, accepted_millis FROM request
             WHERE device_id = ?1 AND request_id = ?2",
        )?
        .query_row(params![sender.as_bytes(), request.as_bytes()], |row| {
            Ok(Applied {
                body_hash: typed(row, 0)?,
                receipt: Receipt {
                    sequence: Sequence(row.get(1)?),
                    accepted: UnixMillis(row.get(2)?),
                },
            })
        })
        .optional()?;
    Ok(applied)
}

pub(super) fn append(db: &Transaction<'_>, entry: &NewEntry<'_>) -> Result<Verdict> {
    let joins = entry.submission.joins.then_some(entry.accepted);
    let facts = facts(db, entry.group, entry.sender, entry.request, joins)?;
    let verdict = decide(&facts, &entry.submission);
    if let Verdict::Accept(sequence) = verdict {
        insert(db, entry, sequence)?;
        let asked = Asked {
            device: entry.sender,
            request: entry.request,
            body_hash: entry.submission.body_hash,
            at: entry.accepted,
        };
        remember(db, &asked, sequence.0)?;
        move_head(db, entry, sequence)?;
        if let Some(delta) = entry.effect.delta() {
            groups::put_delta(db, entry.group, sequence, delta)?;
        }
        if let Effect::Commit { change, .. } = entry.effect {
            change_epoch(db, entry, change, sequence)?;
        }
    }
    Ok(verdict)
}

fn insert(db: &Transaction<'_>, entry: &NewEntry<'_>, sequence: Sequence) -> Result<()> {
    let stamp = entry.stamp.as_ref().zip(entry.stamp_at(sequence));
    let frank = stamp
        .map(|(by, stamp)| db.stamp(&stamp, by.key))
        .transpose()?;
    db.prepare_cached("INSERT INTO log VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            entry.group.as_bytes(),
            sequence.0,
            entry.submission.epoch.0,
            number_of(entry.effect.kind()),
            entry.sender.as_bytes(),
            entry.accepted.0,
            entry.message,
            frank,
        ])?;
    Ok(())
}

/// Notes what a request got: its place in a group's log, or its number in the audit log.
pub(super) fn remember(db: &Transaction<'_>, asked: &Asked, place: u64) -> Result<()> {
    db.prepare_cached("INSERT INTO request VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            asked.device.as_bytes(),
            asked.request.as_bytes(),
            asked.body_hash,
            place,
            asked.at.0,
        ])?;
    Ok(())
}

fn move_head(db: &Transaction<'_>, entry: &NewEntry<'_>, sequence: Sequence) -> Result<()> {
    let kind = entry.effect.kind();
    db.prepare_cached(
        "UPDATE mls_group SET sequence = ?2, kept_bytes = kept_bytes + ?5, epoch = epoch + ?3,
         handshake = CASE WHEN ?4 THEN ?2 ELSE handshake END WHERE group_id = ?1",
    )?
    .execute(params![
        entry.group.as_bytes(),
        sequence.0,
        i64::from(kind == EntryKind::Commit),
        entry.effect.delta().is_some(),
        entry.message.len(),
    ])?;
    Ok(())
}

fn change_epoch(
    db: &Transaction<'_>,
    entry: &NewEntry<'_>,
    change: &EpochChange<'_>,
    sequence: Sequence,
) -> Result<()> {
    db.prepare_cached("UPDATE group_info SET message = ?2 WHERE group_id = ?1")?
        .execute(params![entry.group.as_bytes(), change.group_info])?;
    for device in &change.removed {
        groups::part(db, entry.group, *device, sequence)?;
    }
    if entry.submission.joins {
        groups::join(db, entry.group, entry.sender, sequence)?;
        invitations::spend(db, entry.group, entry.sender)?;
    }
    if let Some(welcome) = &change.welcome {
        for (joiner, _) in &welcome.joiners {
            groups::join(db, entry.group, *joiner, sequence)?;
        }
        let epoch = entry.submission.epoch.next();
        groups::put_tree(db, entry.group, epoch, sequence, &welcome.tree)?;
        mailbox::deliver(db, entry, sequence, welcome)?;
    }
    Ok(())
}

pub(super) fn read(
    db: &Connection,
    group: GroupId,
    page: Page,
    recent: &Recent,
) -> Result<Vec<Entry>> {
    let mut statement = db.prepare_cached(
        "SELECT sequence, epoch, kind, sender, accepted_millis, message, frank FROM log
         WHERE group_id = ?1 AND sequence > ?2 AND sequence <= ?3 ORDER BY sequence LIMIT ?4",
    )?;
    let mut rows = statement.query(params![
        group.as_bytes(),
        page.after.0,
        page.up_to.0,
        page.entries,
    ])?;
    let (mut entries, mut batches) = (Vec::new(), Batches::new(recent));
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let place: Option<Vec<u8>> = row.get(6)?;
        let frank = place.map(|place| batches.frank(db, &place)).transpose()?;
        let entry = entry(row, frank.flatten())?;
        bytes += entry.message.len();
        if bytes > page.bytes && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Reports and votes up to an entry, the latest first.
pub(super) const WORDS: &str =
    "SELECT sequence, epoch, kind, sender, accepted_millis, message FROM log
     WHERE group_id = ?1 AND sequence <= ?2 AND kind >= 4 ORDER BY sequence DESC LIMIT ?3";

pub(super) fn words(
    db: &Connection,
    group: GroupId,
    up_to: Sequence,
    limit: usize,
) -> Result<Vec<Entry>> {
    let mut statement = db.prepare_cached(WORDS)?;
    let mut rows = statement.query(params![group.as_bytes(), up_to.0, limit])?;
    let mut words = Vec::new();
    while let Some(row) = rows.next()? {
        words.push(entry(row, None)?);
    }
    words.reverse();
    Ok(words)
}

/// Who sent what is of a kind in the present epoch. Nobody asks so for application messages, of which there are many.
pub(super) const SENDERS: &str = "SELECT sender FROM log JOIN mls_group USING (group_id, epoch)
     WHERE group_id = ?1 AND kind = ?2 AND kind <> 3 ORDER BY log.sequence";

pub(super) fn senders(db: &Connection, group: GroupId, kind: EntryKind) -> Result<Vec<DeviceId>> {
    let senders = db
        .prepare_cached(SENDERS)?
        .query_map(params![group.as_bytes(), number_of(kind)], |row| {
            typed(row, 0)
        })?
        .collect::<Result<_, _>>()?;
    Ok(senders)
}

fn entry(row: &Row<'_>, frank: Option<Frank>) -> Result<Entry> {
    Ok(Entry {
        sequence: Sequence(row.get(0)?),
        epoch: Epoch(row.get(1)?),
        kind: kind_of(row.get(2)?)?,
        sender: typed(row, 3)?,
        accepted: UnixMillis(row.get(4)?),
        message: row.get(5)?,
        frank,
    })
}

fn number_of(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::Commit => 1,
        EntryKind::Proposal => 2,
        EntryKind::Application => 3,
        EntryKind::Report => 4,
        EntryKind::Vote => 5,
    }
}

fn kind_of(number: u8) -> Result<EntryKind> {
    match number {
        1 => Ok(EntryKind::Commit),
        2 => Ok(EntryKind::Proposal),
        3 => Ok(EntryKind::Application),
        4 => Ok(EntryKind::Report),
        5 => Ok(EntryKind::Vote),
        _ => Err(StoreError::Corrupt("kind of a log entry")),
    }
}
