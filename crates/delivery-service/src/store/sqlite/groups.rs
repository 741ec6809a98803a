//! Groups: who may read what, and their public state.

use conclave_protocol::{DeviceId, Epoch, GroupId, Sequence, UserId, limits};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    super::{Delta, EntryKind, Going, NewGroup, Page, Range, Result, Snapshot, TreePart},
    columns::typed,
    log,
    writer::Transaction,
};
use crate::ordering::Head;

pub(super) fn create(db: &Transaction<'_>, group: &NewGroup<'_>) -> Result<bool> {
    let same: Option<bool> = db
        .prepare_cached(
            "SELECT creator = ?2 AND body_hash = ?3 FROM mls_group WHERE group_id = ?1",
        )?
        .query_row(
            params![
                group.group.as_bytes(),
                group.creator.as_bytes(),
                group.body_hash
            ],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(same) = same {
        return Ok(same);
    }
    let id = group.group.as_bytes();
    db.prepare_cached("INSERT INTO mls_group (group_id, creator, body_hash) VALUES (?1, ?2, ?3)")?
        .execute(params![id, group.creator.as_bytes(), group.body_hash])?;
    db.prepare_cached("INSERT INTO group_info VALUES (?1, ?2)")?
        .execute(params![id, group.group_info])?;
    db.prepare_cached("INSERT INTO snapshot VALUES (?1, 0, ?2)")?
        .execute(params![id, group.snapshot])?;
    join(db, group.group, group.creator, Sequence(1))?;
    Ok(true)
}

/// Lets a device read from an entry on. One that founded a group and comes back with the first
/// entry reads on in the range it had.
pub(super) fn join(
    db: &Transaction<'_>,
    group: GroupId,
    device: DeviceId,
    from: Sequence,
) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO membership VALUES (?1, ?2, ?3, NULL) ON CONFLICT DO UPDATE
         SET to_sequence = NULL",
    )?
    .execute(params![group.as_bytes(), device.as_bytes(), from.0])?;
    Ok(())
}

/// Lets a device read no further than to an entry.
pub(super) fn part(
    db: &Transaction<'_>,
    group: GroupId,
    device: DeviceId,
    to: Sequence,
) -> Result<()> {
    db.prepare_cached(
        "UPDATE membership SET to_sequence = ?3
         WHERE group_id = ?1 AND device_id = ?2 AND to_sequence IS NULL",
    )?
    .execute(params![group.as_bytes(), device.as_bytes(), to.0])?;
    db.prepare_cached("DELETE FROM departed WHERE group_id = ?1 AND device_id = ?2")?
        .execute(params![group.as_bytes(), device.as_bytes()])?;
    Ok(())
}

/// Notes that the leaf of a device that is no more waits to be removed.
pub(super) fn depart(db: &Transaction<'_>, group: GroupId, device: DeviceId) -> Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO departed VALUES (?1, ?2, NULL)")?
        .execute(params![group.as_bytes(), device.as_bytes()])?;
    Ok(())
}

pub(super) fn going(db: &Connection, group: GroupId) -> Result<Going> {
    let departed = db
        .prepare_cached("SELECT device_id FROM departed WHERE group_id = ?1 ORDER BY device_id")?
        .query_map([group.as_bytes()], |row| typed(row, 0))?
        .collect::<Result<_, _>>()?;
    Ok(Going {
        leaving: log::senders(db, group, EntryKind::Proposal)?,
        departed,
    })
}

pub(super) fn is_member(db: &Connection, group: GroupId, device: DeviceId) -> Result<bool> {
    let member = db
        .prepare_cached(
            "SELECT 1 FROM membership
             WHERE group_id = ?1 AND device_id = ?2 AND to_sequence IS NULL",
        )?
        .exists(params![group.as_bytes(), device.as_bytes()])?;
    Ok(member)
}

pub(super) fn head(db: &Connection, group: GroupId) -> Result<Option<Head>> {
    let head = db
        .prepare_cached("SELECT epoch, sequence, handshake FROM mls_group WHERE group_id = ?1")?
        .query_row([group.as_bytes()], |row| {
            Ok(Head {
                epoch: Epoch(row.get(0)?),
                sequence: Sequence(row.get(1)?),
                handshake: Sequence(row.get(2)?),
            })
        })
        .optional()?;
    Ok(head)
}

pub(super) fn access(
    db: &Connection,
    group: GroupId,
    device: DeviceId,
) -> Result<Option<(Head, Vec<Range>)>> {
    let Some(head) = head(db, group)? else {
        return Ok(None);
    };
    let ranges = db
        .prepare_cached(
            "SELECT from_sequence, to_sequence FROM membership
             WHERE group_id = ?1 AND device_id = ?2 ORDER BY from_sequence",
        )?
        .query_map(params![group.as_bytes(), device.as_bytes()], |row| {
            Ok(Range {
                from: Sequence(row.get(0)?),
                to: row.get::<_, Option<u64>>(1)?.map(Sequence),
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(Some((head, ranges)))
}

pub(super) fn memberships(db: &Connection, device: DeviceId) -> Result<Vec<GroupId>> {
    let groups = db
        .prepare_cached(
            "SELECT group_id FROM membership WHERE device_id = ?1 AND to_sequence IS NULL
             ORDER BY group_id",
        )?
        .query_map([device.as_bytes()], |row| {
            row.get(0).map(GroupId::from_bytes)
        })?
        .collect::<Result<_, _>>()?;
    Ok(groups)
}

pub(super) fn groups_of_user(db: &Connection, user: &UserId) -> Result<Vec<GroupId>> {
    let groups = db
        .prepare_cached(
            "SELECT group_id FROM membership JOIN device USING (device_id)
             WHERE user_id = ?1 AND to_sequence IS NULL
             UNION SELECT group_id FROM departed WHERE user_id = ?1 ORDER BY group_id",
        )?
        .query_map([user.as_str()], |row| row.get(0).map(GroupId::from_bytes))?
        .collect::<Result<_, _>>()?;
    Ok(groups)
}

pub(super) fn snapshot(db: &Connection, group: GroupId) -> Result<Option<Snapshot>> {
    let snapshot = db
        .prepare_cached("SELECT applied, state FROM snapshot WHERE group_id = ?1")?
        .query_row([group.as_bytes()], |row| {
            Ok(Snapshot {
                applied: Sequence(row.get(0)?),
                bytes: row.get(1)?,
            })
        })
        .optional()?;
    Ok(snapshot)
}

pub(super) fn put_snapshot(
    db: &Transaction<'_>,
    group: GroupId,
    snapshot: &Snapshot,
) -> Result<()> {
    // Two nodes may bring one each; the later state wins.
    let won = db
        .prepare_cached(
            "UPDATE snapshot SET applied = ?2, state = ?3 WHERE group_id = ?1 AND applied < ?2",
        )?
        .execute(params![
            group.as_bytes(),
            snapshot.applied.0,
            snapshot.bytes
        ])?;
    if won == 1 {
        db.prepare_cached("DELETE FROM delta WHERE group_id = ?1 AND sequence <= ?2")?
            .execute(params![group.as_bytes(), snapshot.applied.0])?;
    }
    Ok(())
}

pub(super) fn put_delta(
    db: &Transaction<'_>,
    group: GroupId,
    sequence: Sequence,
    delta: &[u8],
) -> Result<()> {
    db.prepare_cached("INSERT INTO delta VALUES (?1, ?2, ?3)")?
        .execute(params![group.as_bytes(), sequence.0, delta])?;
    Ok(())
}

pub(super) fn read_deltas(db: &Connection, group: GroupId, page: Page) -> Result<Vec<Delta>> {
    let mut statement = db.prepare_cached(
        "SELECT sequence, change FROM delta
         WHERE group_id = ?1 AND sequence > ?2 AND sequence <= ?3 ORDER BY sequence LIMIT ?4",
    )?;
    let mut rows = statement.query(params![
        group.as_bytes(),
        page.after.0,
        page.up_to.0,
        page.entries,
    ])?;
    let mut deltas = Vec::new();
    let mut total = 0;
    while let Some(row) = rows.next()? {
        let bytes: Vec<u8> = row.get(1)?;
        total += bytes.len();
        if total > page.bytes && !deltas.is_empty() {
            break;
        }
        let sequence = Sequence(row.get(0)?);
        deltas.push(Delta { sequence, bytes });
    }
    Ok(deltas)
}

pub(super) fn put_tree(
    db: &Transaction<'_>,
    group: GroupId,
    epoch: Epoch,
    sequence: Sequence,
    tree: &[u8],
) -> Result<()> {
    for (part, bytes) in tree.chunks(limits::CHUNK_BYTES).enumerate() {
        db.prepare_cached("INSERT INTO tree VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                group.as_bytes(),
                epoch.0,
                part,
                sequence.0,
                tree.len(),
                bytes
            ])?;
    }
    Ok(())
}

pub(super) fn tree_part(
    db: &Connection,
    group: GroupId,
    epoch: Epoch,
    part: u32,
) -> Result<Option<TreePart>> {
    let part = db
        .prepare_cached(
            "SELECT bytes, total_bytes, sequence FROM tree
             WHERE group_id = ?1 AND epoch = ?2 AND part = ?3",
        )?
        .query_row(params![group.as_bytes(), epoch.0, part], |row| {
            Ok(TreePart {
                bytes: row.get(0)?,
                total_bytes: row.get(1)?,
                sequence: Sequence(row.get(2)?),
            })
        })
        .optional()?;
    Ok(part)
}

pub(super) fn tree_epoch(
    db: &Connection,
    group: GroupId,
    tree_hash: &[u8],
) -> Result<Option<Epoch>> {
    let epoch = db
        .prepare_cached("SELECT epoch FROM welcome WHERE group_id = ?1 AND tree_hash = ?2")?
        .query_row(params![group.as_bytes(), tree_hash], |row| {
            row.get(0).map(Epoch)
        })
        .optional()?;
    Ok(epoch)
}
