//! Invitations, and who may join a group by an external Commit.

use conclave_protocol::{DeviceId, GroupId, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    super::{Entrance, Invitation, NewInvitation, Result},
    columns::{optional, typed},
    groups,
    writer::Transaction,
};
use crate::limits::INVITATIONS_PER_GROUP_MAX;

pub(super) fn create(
    db: &Transaction<'_>,
    new: &NewInvitation<'_>,
    now: UnixMillis,
) -> Result<bool> {
    db.prepare_cached("DELETE FROM invitation WHERE group_id = ?1 AND expires_millis < ?2")?
        .execute(params![new.group.as_bytes(), now.0])?;
    let count: usize = db
        .prepare_cached("SELECT count(*) FROM invitation WHERE group_id = ?1")?
        .query_row([new.group.as_bytes()], |row| row.get(0))?;
    if count >= INVITATIONS_PER_GROUP_MAX {
        return Ok(false);
    }
    db.prepare_cached(
        "INSERT OR IGNORE INTO invitation (group_id, token_hash, inviter, expires_millis)
         VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![
        new.group.as_bytes(),
        new.token_hash,
        new.inviter.as_bytes(),
        new.expires.0,
    ])?;
    Ok(true)
}

/// The first device that asks gets it.
pub(super) fn redeem(
    db: &Transaction<'_>,
    group: GroupId,
    token_hash: &[u8; 32],
    asker: DeviceId,
    now: UnixMillis,
) -> Result<Option<Invitation>> {
    db.prepare_cached(
        "UPDATE invitation SET asker = ?3
         WHERE group_id = ?1 AND token_hash = ?2 AND asker IS NULL AND expires_millis >= ?4",
    )?
    .execute(params![
        group.as_bytes(),
        token_hash,
        asker.as_bytes(),
        now.0
    ])?;
    let invitation = db
        .prepare_cached(
            "SELECT inviter, asker, approval IS NOT NULL FROM invitation
             WHERE group_id = ?1 AND token_hash = ?2 AND expires_millis >= ?3",
        )?
        .query_row(params![group.as_bytes(), token_hash, now.0], |row| {
            Ok(Invitation {
                inviter: typed(row, 0)?,
                asker: optional(row, 1)?,
                approved: row.get(2)?,
            })
        })
        .optional()?;
    Ok(invitation)
}

pub(super) fn approve(
    db: &Transaction<'_>,
    group: GroupId,
    token_hash: &[u8; 32],
    asker: DeviceId,
    approval: &[u8],
    now: UnixMillis,
) -> Result<bool> {
    let approved = db
        .prepare_cached(
            "UPDATE invitation SET approval = ?5
             WHERE group_id = ?1 AND token_hash = ?2 AND asker = ?3 AND expires_millis >= ?4",
        )?
        .execute(params![
            group.as_bytes(),
            token_hash,
            asker.as_bytes(),
            now.0,
            approval,
        ])?;
    Ok(approved == 1)
}

/// A device has come in: its invitation was good for once.
pub(super) fn spend(db: &Transaction<'_>, group: GroupId, asker: DeviceId) -> Result<()> {
    db.prepare_cached("DELETE FROM invitation WHERE group_id = ?1 AND asker = ?2")?
        .execute(params![group.as_bytes(), asker.as_bytes()])?;
    Ok(())
}

/// Whether a device may join by an external Commit.
pub(super) fn may_join(
    db: &Connection,
    group: GroupId,
    device: DeviceId,
    now: UnixMillis,
) -> Result<bool> {
    let is_of_member = db
        .prepare_cached(
            "WITH joining AS (SELECT user_id FROM device WHERE device_id = ?2)
             SELECT 1 FROM device JOIN membership USING (device_id)
             WHERE group_id = ?1 AND to_sequence IS NULL AND user_id = (SELECT * FROM joining)
             UNION ALL SELECT 1 FROM departed
             WHERE group_id = ?1 AND user_id = (SELECT * FROM joining)",
        )?
        .exists(params![group.as_bytes(), device.as_bytes()])?;
    Ok(is_of_member || approval(db, group, device, now)?.is_some())
}

fn approval(
    db: &Connection,
    group: GroupId,
    device: DeviceId,
    now: UnixMillis,
) -> Result<Option<Vec<u8>>> {
    let approval = db
        .prepare_cached(
            "SELECT approval FROM invitation JOIN device ON device_id = asker
             WHERE group_id = ?1 AND asker = ?2 AND approval IS NOT NULL
             AND expires_millis >= ?3",
        )?
        .query_row(params![group.as_bytes(), device.as_bytes(), now.0], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(approval)
}

/// The Proposals of an epoch.
pub(super) const PROPOSALS: &str = "SELECT message FROM log
     WHERE group_id = ?1 AND epoch = ?2 AND kind = 2 AND kind <> 3 ORDER BY sequence";

pub(super) fn entrance(
    db: &Connection,
    group: GroupId,
    device: DeviceId,
    now: UnixMillis,
) -> Result<Option<Entrance>> {
    let Some(head) = groups::head(db, group)? else {
        return Ok(None);
    };
    let group_info = db
        .prepare_cached("SELECT message FROM group_info WHERE group_id = ?1")?
        .query_row([group.as_bytes()], |row| row.get(0))?;
    let proposals = db
        .prepare_cached(PROPOSALS)?
        .query_map(params![group.as_bytes(), head.epoch.0], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(Some(Entrance {
        head,
        may_join: may_join(db, group, device, now)?,
        group_info,
        proposals,
        approval: approval(db, group, device, now)?,
    }))
}
