//! What waits for one device.

use conclave_protocol::{DeviceId, Epoch, Sequence, UnixMillis};
use rusqlite::{Connection, Transaction, params};

use super::{
    super::{MailboxItem, NewEntry, NewWelcome, Result},
    columns::typed,
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
    db.prepare_cached("INSERT INTO welcome VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            entry.group.as_bytes(),
            epoch.0,
            sequence.0,
            entry.accepted.0,
            welcome.added_by,
            welcome.shared,
        ])?;
    let mut count = db.prepare_cached(
        "UPDATE device SET mailbox_cursor = mailbox_cursor + 1 WHERE device_id = ?1
         RETURNING mailbox_cursor",
    )?;
    let mut put = db.prepare_cached("INSERT INTO mailbox VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (joiner, secrets) in &welcome.joiners {
        let cursor: i64 = count.query_row([joiner.as_bytes()], |row| row.get(0))?;
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

pub(super) fn read(
    db: &Connection,
    device: DeviceId,
    after: u64,
    limit: usize,
) -> Result<Vec<MailboxItem>> {
    let items = db
        .prepare_cached(
            "SELECT cursor, group_id, epoch, shared, secrets, added_by, sequence, accepted_millis
             FROM mailbox JOIN welcome USING (group_id, epoch)
             WHERE device_id = ?1 AND cursor > ?2 ORDER BY cursor LIMIT ?3",
        )?
        .query_map(params![device.as_bytes(), after, limit], |row| {
            Ok(MailboxItem {
                cursor: row.get(0)?,
                group: typed(row, 1)?,
                epoch: Epoch(row.get(2)?),
                shared: row.get(3)?,
                secrets: row.get(4)?,
                added_by: row.get(5)?,
                receipt: Receipt {
                    sequence: Sequence(row.get(6)?),
                    accepted: UnixMillis(row.get(7)?),
                },
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(items)
}

pub(super) fn acknowledge(db: &Transaction<'_>, device: DeviceId, up_to: u64) -> Result<()> {
    db.prepare_cached("DELETE FROM mailbox WHERE device_id = ?1 AND cursor <= ?2")?
        .execute(params![device.as_bytes(), up_to])?;
    Ok(())
}
