//! Deleting for good. Pages are overwritten (`secure_delete`); what the write-ahead log still holds
//! goes with its next checkpoint.

use conclave_protocol::{DeviceId, GroupId, UserId};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    super::{Departure, GroupDeletion, Result},
    accounts,
    columns::typed,
    groups, moderation,
    writer::Transaction,
};

/// What is kept for a device. Its entries in logs belong to the groups.
const OF_DEVICE: &[&str] = &[
    "DELETE FROM mailbox WHERE device_id = ?1",
    "DELETE FROM notice WHERE device_id = ?1 OR sender = ?1",
    "DELETE FROM instance WHERE device_id = ?1",
    "DELETE FROM key_package WHERE device_id = ?1",
    "DELETE FROM last_resort_key_package WHERE device_id = ?1",
    "DELETE FROM handout WHERE taker = ?1",
    "DELETE FROM handout WHERE device_id = ?1",
    "DELETE FROM request WHERE device_id = ?1",
    "DELETE FROM membership WHERE device_id = ?1",
    "DELETE FROM invitation WHERE inviter = ?1 OR asker = ?1",
    "DELETE FROM device WHERE device_id = ?1",
];

/// What is kept of a group, in the order that references allow.
const OF_GROUP: &[&str] = &[
    "DELETE FROM mailbox WHERE group_id = ?1",
    "DELETE FROM notice WHERE group_id = ?1",
    "DELETE FROM invitation WHERE group_id = ?1",
    "DELETE FROM welcome WHERE group_id = ?1",
    "DELETE FROM tree WHERE group_id = ?1",
    "DELETE FROM blob WHERE group_id = ?1",
    "DELETE FROM membership WHERE group_id = ?1",
    "DELETE FROM departed WHERE group_id = ?1",
    "DELETE FROM former_stay WHERE group_id = ?1",
    "DELETE FROM log WHERE group_id = ?1",
    "DELETE FROM delta WHERE group_id = ?1",
    "DELETE FROM snapshot WHERE group_id = ?1",
    "DELETE FROM group_info WHERE group_id = ?1",
    "DELETE FROM mls_group WHERE group_id = ?1",
];

pub(super) fn device(db: &Transaction<'_>, device: DeviceId) -> Result<Departure> {
    let mut departure = Departure::default();
    depart(db, device, &mut departure)?;
    Ok(departure)
}

/// Deletes a device, and notes that and where its leaves wait.
pub(super) fn depart(
    db: &Transaction<'_>,
    device: DeviceId,
    departure: &mut Departure,
) -> Result<()> {
    let groups: Vec<GroupId> = db
        .prepare_cached(
            "INSERT OR REPLACE INTO departed SELECT group_id, device_id, user_id
             FROM membership LEFT JOIN device USING (device_id)
             WHERE device_id = ?1 AND to_sequence IS NULL RETURNING group_id",
        )?
        .query_map([device.as_bytes()], |row| typed(row, 0))?
        .collect::<Result<_, _>>()?;
    departure.groups.extend(groups);
    departure.devices.push(device);
    moderation::keep_stays(db, device)?;
    delete(db, OF_DEVICE, device.as_bytes())
}

pub(super) fn user(db: &Transaction<'_>, user: &UserId) -> Result<Departure> {
    let mut departure = Departure::default();
    for device in accounts::devices_of(db, user)? {
        depart(db, device, &mut departure)?;
    }
    // Somebody else may get the name, and with it no way into these groups.
    db.prepare_cached("UPDATE departed SET user_id = NULL WHERE user_id = ?1")?
        .execute([user.as_str()])?;
    db.prepare_cached("DELETE FROM former_stay WHERE user_id = ?1")?
        .execute([user.as_str()])?;
    db.prepare_cached("DELETE FROM device_list WHERE user_id = ?1")?
        .execute([user.as_str()])?;
    db.prepare_cached("DELETE FROM blob WHERE user_id = ?1")?
        .execute([user.as_str()])?;
    db.prepare_cached("DELETE FROM user WHERE user_id = ?1")?
        .execute([user.as_str()])?;
    Ok(departure)
}

pub(super) fn group(
    db: &Transaction<'_>,
    group: GroupId,
    caller: DeviceId,
) -> Result<GroupDeletion> {
    if groups::head(db, group)?.is_none() {
        return Ok(GroupDeletion::Unknown);
    }
    if !groups::is_member(db, group, caller)? {
        return Ok(GroupDeletion::NotMember);
    }
    if has_members_besides(db, group, caller)? {
        return Ok(GroupDeletion::NotAlone);
    }
    delete(db, OF_GROUP, group.as_bytes())?;
    Ok(GroupDeletion::Done)
}

fn has_members_besides(db: &Connection, group: GroupId, device: DeviceId) -> Result<bool> {
    let other = db
        .prepare_cached(
            "SELECT 1 FROM membership LEFT JOIN device USING (device_id)
             WHERE group_id = ?1 AND to_sequence IS NULL
             AND user_id IS NOT (SELECT user_id FROM device WHERE device_id = ?2) LIMIT 1",
        )?
        .query_row(params![group.as_bytes(), device.as_bytes()], |_| Ok(()))
        .optional()?;
    Ok(other.is_some())
}

fn delete(db: &Transaction<'_>, statements: &[&str], id: &[u8; 16]) -> Result<()> {
    for statement in statements {
        db.prepare_cached(statement)?.execute([id])?;
    }
    Ok(())
}
