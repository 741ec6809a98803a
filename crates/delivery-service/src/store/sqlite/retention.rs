//! What has had its time goes, a bounded piece in each transaction.

use conclave_protocol::{DeviceId, Epoch, GroupId, Sequence, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    super::{Expiry, Result},
    columns::typed,
    franks,
    writer::Transaction,
};
use crate::limits::EXPIRED_PER_TRANSACTION_MAX;

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1_000;

pub(super) fn groups_after(
    db: &Connection,
    after: Option<GroupId>,
    limit: usize,
) -> Result<Vec<GroupId>> {
    let after = after.map_or(Vec::new(), |group| group.as_bytes().to_vec());
    let groups = db
        .prepare_cached(
            "SELECT group_id FROM mls_group WHERE group_id > ?1 ORDER BY group_id LIMIT ?2",
        )?
        .query_map(params![after, limit], |row| typed(row, 0))?
        .collect::<Result<_, _>>()?;
    Ok(groups)
}

pub(super) fn devices_after(
    db: &Connection,
    after: Option<DeviceId>,
    limit: usize,
) -> Result<Vec<DeviceId>> {
    let after = after.map_or(Vec::new(), |device| device.as_bytes().to_vec());
    let devices = db
        .prepare_cached(
            "SELECT device_id FROM device WHERE device_id > ?1 ORDER BY device_id LIMIT ?2",
        )?
        .query_map(params![after, limit], |row| typed(row, 0))?
        .collect::<Result<_, _>>()?;
    Ok(devices)
}

/// Whether there may be more to drop.
pub(super) fn expire_group(db: &Transaction<'_>, group: GroupId, expiry: &Expiry) -> Result<bool> {
    let dropped = expire_log(db, group, expiry)?;
    // Whoever reads the log of another group meanwhile may still want those of a day before.
    franks::expire(
        db,
        UnixMillis(expiry.log_before.0.saturating_sub(DAY_MILLIS)),
    )?;
    expire_welcomes(db, group, expiry)?;
    // One at a time: each may have many parts.
    let blobs = db
        .prepare_cached(
            "DELETE FROM blob WHERE blob_id =
             (SELECT blob_id FROM blob WHERE group_id = ?1 AND expires_millis <= ?2 LIMIT 1)",
        )?
        .execute(params![group.as_bytes(), expiry.now.0])?;
    Ok(dropped == EXPIRED_PER_TRANSACTION_MAX || blobs > 0)
}

fn expire_log(db: &Transaction<'_>, group: GroupId, expiry: &Expiry) -> Result<usize> {
    let state: Option<(u64, u64)> = db
        .prepare_cached("SELECT epoch, kept_bytes FROM mls_group WHERE group_id = ?1")?
        .query_row([group.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((epoch, mut kept)) = state else {
        return Ok(0);
    };
    let (mut last, mut dropped) = (None, 0);
    let mut oldest = db.prepare_cached(
        "SELECT sequence, accepted_millis, length(message), epoch, kind FROM log
         WHERE group_id = ?1 ORDER BY sequence LIMIT ?2",
    )?;
    let mut rows = oldest.query(params![group.as_bytes(), EXPIRED_PER_TRANSACTION_MAX])?;
    while let Some(row) = rows.next()? {
        let (accepted, bytes): (u64, u64) = (row.get(1)?, row.get(2)?);
        // A Proposal that waits is wanted by who commits it.
        let waits = Epoch(row.get(3)?) == Epoch(epoch) && row.get::<_, u8>(4)? == 2;
        if waits || (accepted >= expiry.log_before.0 && kept <= expiry.log_bytes_max) {
            break;
        }
        last = Some(Sequence(row.get(0)?));
        dropped += 1;
        kept = kept.saturating_sub(bytes);
    }
    if let Some(last) = last {
        db.prepare_cached("DELETE FROM log WHERE group_id = ?1 AND sequence <= ?2")?
            .execute(params![group.as_bytes(), last.0])?;
        db.prepare_cached("UPDATE mls_group SET kept_bytes = ?2 WHERE group_id = ?1")?
            .execute(params![group.as_bytes(), kept])?;
    }
    Ok(dropped)
}

/// A Welcome goes with the log that its joiner would have to read, or once every joiner has it;
/// and its tree with it.
fn expire_welcomes(db: &Transaction<'_>, group: GroupId, expiry: &Expiry) -> Result<()> {
    db.prepare_cached(
        "DELETE FROM mailbox WHERE group_id = ?1 AND epoch IN
         (SELECT epoch FROM welcome WHERE group_id = ?1 AND accepted_millis < ?2)",
    )?
    .execute(params![group.as_bytes(), expiry.log_before.0])?;
    db.prepare_cached(
        "DELETE FROM welcome WHERE group_id = ?1 AND NOT EXISTS
         (SELECT 1 FROM mailbox WHERE group_id = ?1 AND mailbox.epoch = welcome.epoch)",
    )?
    .execute([group.as_bytes()])?;
    db.prepare_cached(
        "DELETE FROM tree WHERE group_id = ?1 AND NOT EXISTS
         (SELECT 1 FROM welcome WHERE group_id = ?1 AND welcome.epoch = tree.epoch)",
    )?
    .execute([group.as_bytes()])?;
    Ok(())
}

pub(super) fn expire_device(db: &Transaction<'_>, device: DeviceId, expiry: &Expiry) -> Result<()> {
    let id = device.as_bytes();
    for statement in [
        "DELETE FROM key_package WHERE device_id = ?1 AND expires_seconds < ?2",
        "DELETE FROM last_resort_key_package WHERE device_id = ?1 AND expires_seconds < ?2",
    ] {
        db.prepare_cached(statement)?
            .execute(params![id, expiry.now.as_seconds()])?;
    }
    for statement in [
        "DELETE FROM request WHERE device_id = ?1 AND accepted_millis < ?2",
        "DELETE FROM handout WHERE taker = ?1 AND taken_millis < ?2",
    ] {
        db.prepare_cached(statement)?
            .execute(params![id, expiry.requests_before.0])?;
    }
    Ok(())
}
