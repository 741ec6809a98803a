//! What waits for one device.

use conclave_protocol::{DeviceId, Epoch, Sequence, UnixMillis};
use rusqlite::{Connection, params};

use super::{
    super::{Mail, MailboxItem, NewEntry, NewWelcome, Result, WaitingWelcome},
    columns::typed,
    groups, notices,
    writer::Transaction,
};
use crate::ordering::Receipt;

/// Puts a Welcome into its joiners' mailboxes; what they share is stored once.
pub(super) fn deliver(
    db: &Transaction<'_>,
    entry: &NewEntry<'_>,
    sequence: Sequence,
    welcome: &NewWelcome,
) -> Result<()> {
    let epoch = entry.submission.epoch.next();
    db.prepare_cached(
        "INSERT INTO welcome (group_id, epoch, sequence, accepted_millis, added_by, shared, tree_hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        entry.group.as_bytes(),
        epoch.0,
        sequence.0,
        entry.accepted.0,
        welcome.added_by,
        welcome.shared,
            welcome.tree_hash,
    ])?;
    let mut put = db.prepare_cached("INSERT INTO mailbox VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (joiner, secrets) in &welcome.joiners {
        // A device may have been deleted since the Commit was checked.
        let Some(cursor) = notices::next_cursor(db, *joiner)? else {
            groups::depart(db, entry.group, *joiner)?;
            continue;
        };
        put.execute(params![
            joiner.as_bytes(),
            cursor,
            entry.group.as_bytes(),
            epoch.0,
            secrets,
        ])?;
    }
    Ok(())
}

/// Welcomes and notices stand in tables of their own, under the same cursors.
pub(super) fn read(
    db: &Connection,
    device: DeviceId,
    after: u64,
    limit: usize,
) -> Result<Vec<MailboxItem>> {
    let mut items = read_welcomes(db, device, after, limit)?;
    items.extend(notices::read(db, device, after, limit)?);
    items.sort_by_key(|item| item.cursor);
    items.truncate(limit);
    Ok(items)
}

fn read_welcomes(
    db: &Connection,
    device: DeviceId,
    after: u64,
    limit: usize,
) -> Result<Vec<MailboxItem>> {
    let items = db
        .prepare_cached(
            "SELECT cursor, group_id, epoch, shared, secrets, added_by, sequence, accepted_millis, tree_hash
             FROM mailbox JOIN welcome USING (group_id, epoch)
             WHERE device_id = ?1 AND cursor > ?2 ORDER BY cursor LIMIT ?3",
        )?
        .query_map(params![device.as_bytes(), after, limit], |row| {
            let welcome = WaitingWelcome {
                group: typed(row, 1)?,
                epoch: Epoch(row.get(2)?),
                shared: row.get(3)?,
                secrets: row.get(4)?,
                added_by: row.get(5)?,
                tree_hash: row.get(8)?,
                receipt: Receipt {
                    sequence: Sequence(row.get(6)?),
                    accepted: UnixMillis(row.get(7)?),
                },
            };
            Ok(MailboxItem {
                cursor: row.get(0)?,
                mail: Mail::Welcome(welcome),
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(items)
}

pub(super) fn acknowledge(db: &Transaction<'_>, device: DeviceId, up_to: u64) -> Result<()> {
    for statement in [
        "DELETE FROM mailbox WHERE device_id = ?1 AND cursor <= ?2",
        "DELETE FROM notice WHERE device_id = ?1 AND cursor <= ?2",
    ] {
        db.prepare_cached(statement)?
            .execute(params![device.as_bytes(), up_to])?;
    }
    Ok(())
}
