//! Attachments, in rows of a part each: what a backup of the one file holds, and what every node of
//! a larger store will reach.

use conclave_protocol::{DeviceId, GroupId, Sequence, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    super::{Blob, BlobBegun, BlobId, NewBlob, Result},
    columns::typed,
    groups,
    writer::Transaction,
};

pub(super) fn begin(db: &Transaction<'_>, new: &NewBlob) -> Result<BlobBegun> {
    if groups::head(db, new.group)?.is_none() {
        return Ok(BlobBegun::UnknownGroup);
    }
    if !groups::is_member(db, new.group, new.uploader)? {
        return Ok(BlobBegun::NotMember);
    }
    let user: Option<String> = db
        .prepare_cached("SELECT user_id FROM device WHERE device_id = ?1")?
        .query_row([new.uploader.as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(user) = user else {
        return Ok(BlobBegun::NotMember);
    };
    let stored: u64 = db
        .prepare_cached("SELECT coalesce(sum(total_bytes), 0) FROM blob WHERE user_id = ?1")?
        .query_row([&user], |row| row.get(0))?;
    if stored.saturating_add(new.total_bytes) > new.quota_bytes {
        return Ok(BlobBegun::OverQuota);
    }
    db.prepare_cached(
        "INSERT INTO blob (group_id, content_hash, user_id, total_bytes, expires_millis)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        new.group.as_bytes(),
        new.content_hash,
        user,
        new.total_bytes,
        new.expires.0,
    ])?;
    Ok(BlobBegun::Upload(BlobId(db.last_insert_rowid())))
}

pub(super) fn put_part(db: &Transaction<'_>, id: BlobId, part: u32, bytes: &[u8]) -> Result<bool> {
    // It may have expired, or gone with its group, while it was uploaded.
    let put = db
        .prepare_cached(
            "INSERT INTO blob_part SELECT blob_id, ?2, ?3 FROM blob
             WHERE blob_id = ?1 AND first_sequence IS NULL",
        )?
        .execute(params![id.0, part, bytes])?;
    Ok(put == 1)
}

pub(super) fn finish(
    db: &Transaction<'_>,
    id: BlobId,
    uploader: DeviceId,
    expires: UnixMillis,
) -> Result<bool> {
    let known: Option<(GroupId, [u8; 32])> = db
        .prepare_cached(
            "SELECT group_id, content_hash FROM blob
             WHERE blob_id = ?1 AND first_sequence IS NULL",
        )?
        .query_row([id.0], |row| Ok((typed(row, 0)?, typed(row, 1)?)))
        .optional()?;
    let Some((group, hash)) = known else {
        return Ok(false);
    };
    let Some(head) = groups::head(db, group)? else {
        return Ok(false);
    };
    if !groups::is_member(db, group, uploader)? {
        drop(db, id)?;
        return Ok(false);
    }
    let place = head.sequence.next().0;
    let again = db
        .prepare_cached(
            "UPDATE blob SET last_sequence = ?3, expires_millis = max(expires_millis, ?4)
             WHERE group_id = ?1 AND content_hash = ?2 AND first_sequence IS NOT NULL",
        )?
        .execute(params![group.as_bytes(), hash, place, expires.0])?;
    if again > 0 {
        drop(db, id)?;
    } else {
        db.prepare_cached(
            "UPDATE blob SET first_sequence = ?2, last_sequence = ?2, expires_millis = ?3
             WHERE blob_id = ?1",
        )?
        .execute(params![id.0, place, expires.0])?;
    }
    Ok(true)
}

pub(super) fn drop(db: &Transaction<'_>, id: BlobId) -> Result<()> {
    db.prepare_cached("DELETE FROM blob WHERE blob_id = ?1")?
        .execute([id.0])?;
    Ok(())
}

pub(super) fn find(
    db: &Connection,
    group: GroupId,
    content_hash: &[u8; 32],
    now: UnixMillis,
) -> Result<Option<Blob>> {
    let blob = db
        .prepare_cached(
            "SELECT blob_id, total_bytes, first_sequence, last_sequence FROM blob
             WHERE group_id = ?1 AND content_hash = ?2 AND first_sequence IS NOT NULL
             AND expires_millis > ?3",
        )?
        .query_row(params![group.as_bytes(), content_hash, now.0], |row| {
            Ok(Blob {
                id: BlobId(row.get(0)?),
                total_bytes: row.get(1)?,
                places: [Sequence(row.get(2)?), Sequence(row.get(3)?)],
            })
        })
        .optional()?;
    Ok(blob)
}

pub(super) fn part(db: &Connection, id: BlobId, part: u32) -> Result<Option<Vec<u8>>> {
    let bytes = db
        .prepare_cached("SELECT bytes FROM blob_part WHERE blob_id = ?1 AND part = ?2")?
        .query_row(params![id.0, part], |row| row.get(0))
        .optional()?;
    Ok(bytes)
}
