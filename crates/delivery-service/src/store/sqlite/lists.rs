//! Device lists.

use conclave_protocol::{DeviceCertificate, DeviceId, DeviceList, UserId};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    super::{Departure, Listed, Result, StoreError},
    accounts, deletion,
    writer::Transaction,
};

pub(super) fn put(db: &Transaction<'_>, list: &DeviceList) -> Result<Listed> {
    let user = list.user();
    if accounts::identity_key(db, user)?.as_ref() != Some(list.identity_key()) {
        return Ok(Listed::UnknownUser);
    }
    let bytes = list.to_bytes();
    let newest: Option<(u64, Vec<u8>)> = db
        .prepare_cached("SELECT version, list FROM device_list WHERE user_id = ?1")?
        .query_row([user.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match newest {
        Some((_, known)) if known == bytes => return Ok(Listed::Done(Departure::default())),
        Some((version, _)) if version >= list.version() => return Ok(Listed::Stale(version)),
        _ => {}
    }
    db.prepare_cached("INSERT OR REPLACE INTO device_list VALUES (?1, ?2, ?3)")?
        .execute(params![user.as_str(), list.version(), bytes])?;
    let mut departure = Departure::default();
    for device in unnamed(db, list)? {
        deletion::depart(db, device, &mut departure)?;
    }
    Ok(Listed::Done(departure))
}

pub(super) fn newest(db: &Connection, user: &UserId) -> Result<Option<Vec<u8>>> {
    let list = db
        .prepare_cached("SELECT list FROM device_list WHERE user_id = ?1")?
        .query_row([user.as_str()], |row| row.get(0))
        .optional()?;
    Ok(list)
}

/// Whether a user's list, where there is one, allows for a device.
pub(super) fn allow(db: &Connection, certificate: &DeviceCertificate) -> Result<bool> {
    let Some(list) = newest(db, &certificate.address().user)? else {
        return Ok(true);
    };
    let list = DeviceList::from_verified_bytes(&list);
    let list = list.map_err(|_| StoreError::Corrupt("a device list"))?;
    Ok(list.names(certificate))
}

/// The registered devices that a list does not name.
fn unnamed(db: &Connection, list: &DeviceList) -> Result<Vec<DeviceId>> {
    let mut unnamed = Vec::new();
    for device in accounts::devices_of(db, list.user())? {
        let registered = accounts::device(db, device)?;
        let key = registered.map(|device| device.signature_key);
        let is_named = |(id, listed): (DeviceId, &_)| id == device && Some(listed) == key.as_ref();
        if !list.devices().any(is_named) {
            unnamed.push(device);
        }
    }
    Ok(unnamed)
}
