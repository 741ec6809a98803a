//! Users, devices and their KeyPackages.

use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceId, UnixMillis, UserId, VerifyingKey, limits,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    super::{
        Device, Identity, Notice, Published, Registered, Result, StockedKeyPackage, Take, Taken,
    },
    columns::typed,
    lists, notices,
    writer::Transaction,
};
use crate::limits::TAKES_PER_REQUESTER_MAX;

pub(super) fn identity(db: &Transaction<'_>, fresh: &Identity) -> Result<Identity> {
    db.prepare_cached("INSERT OR IGNORE INTO identity VALUES (1, ?1, ?2)")?
        .execute(params![fresh.server_name, fresh.secret])?;
    let identity = db.query_row("SELECT server_name, secret FROM identity", [], |row| {
        Ok(Identity {
            server_name: row.get(0)?,
            secret: typed(row, 1)?,
        })
    })?;
    Ok(identity)
}

pub(super) fn register(
    db: &Transaction<'_>,
    certificate: &DeviceCertificate,
) -> Result<Registered> {
    let DeviceAddress { user, device: id } = certificate.address();
    let identity_key = certificate.identity_key().as_bytes();
    let is_theirs: Option<bool> = db
        .prepare_cached("SELECT identity_key = ?2 FROM user WHERE user_id = ?1")?
        .query_row(params![user.as_str(), identity_key], |row| row.get(0))
        .optional()?;
    if is_theirs == Some(false) {
        return Ok(Registered::NameTaken);
    }
    match device(db, *id)? {
        Some(known) if !known.is_of(certificate) => return Ok(Registered::DeviceTaken),
        None if devices_of(db, user)?.len() >= limits::DEVICES_PER_USER_MAX => {
            return Ok(Registered::TooMany);
        }
        _ => {}
    }
    if !lists::allow(db, certificate)? {
        return Ok(Registered::Unlisted);
    }
    db.prepare_cached("INSERT OR IGNORE INTO user VALUES (?1, ?2)")?
        .execute(params![user.as_str(), identity_key])?;
    db.prepare_cached(
        "INSERT INTO device (device_id, user_id, signature_key, certificate)
         VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (device_id) DO UPDATE SET certificate = excluded.certificate",
    )?
    .execute(params![
        id.as_bytes(),
        user.as_str(),
        certificate.claims().signature_key.as_bytes(),
        certificate.to_bytes(),
    ])?;
    Ok(Registered::Done)
}

pub(super) fn register_with_code(
    db: &Transaction<'_>,
    certificate: &DeviceCertificate,
    code_hash: &[u8; 32],
    now: UnixMillis,
) -> Result<Registered> {
    let known = identity_key(db, &certificate.address().user)?;
    let needs_code = known.as_ref() != Some(certificate.identity_key());
    let is_valid = db
        .prepare_cached(
            "SELECT 1 FROM registration_code WHERE code_hash = ?1 AND expires_millis >= ?2",
        )?
        .exists(params![code_hash, now.0])?;
    if needs_code && !is_valid {
        return Ok(Registered::CodeRefused);
    }
    let registered = register(db, certificate)?;
    if registered == Registered::Done && needs_code {
        db.prepare_cached("DELETE FROM registration_code WHERE code_hash = ?1")?
            .execute([code_hash])?;
    }
    Ok(registered)
}

pub(super) fn put_registration_code(
    db: &Transaction<'_>,
    code_hash: &[u8; 32],
    expires: UnixMillis,
    now: UnixMillis,
) -> Result<()> {
    db.prepare_cached("DELETE FROM registration_code WHERE expires_millis < ?1")?
        .execute([now.0])?;
    db.prepare_cached("INSERT OR REPLACE INTO registration_code VALUES (?1, ?2)")?
        .execute(params![code_hash, expires.0])?;
    Ok(())
}

pub(super) fn device(db: &Connection, device: DeviceId) -> Result<Option<Device>> {
    let found = db
        .prepare_cached(
            "SELECT user_id, signature_key, identity_key
             FROM device JOIN user USING (user_id) WHERE device_id = ?1",
        )?
        .query_row([device.as_bytes()], |row| {
            Ok(Device {
                address: DeviceAddress {
                    user: typed(row, 0)?,
                    device,
                },
                signature_key: typed(row, 1)?,
                identity_key: typed(row, 2)?,
            })
        })
        .optional()?;
    Ok(found)
}

/// A user's registered devices, in the order of their ids.
pub(super) fn devices_of(db: &Connection, user: &UserId) -> Result<Vec<DeviceId>> {
    let devices = db
        .prepare_cached("SELECT device_id FROM device WHERE user_id = ?1 ORDER BY device_id")?
        .query_map([user.as_str()], |row| typed(row, 0))?
        .collect::<Result<_, _>>()?;
    Ok(devices)
}

pub(super) fn publish(
    db: &Transaction<'_>,
    device: DeviceId,
    packages: &[StockedKeyPackage],
    last_resort: Option<&StockedKeyPackage>,
    now: UnixMillis,
) -> Result<Published> {
    if self::device(db, device)?.is_none() {
        return Ok(Published::NoSuchDevice);
    }
    db.prepare_cached("DELETE FROM key_package WHERE device_id = ?1 AND expires_seconds < ?2")?
        .execute(params![device.as_bytes(), now.as_seconds()])?;
    let fresh = unpublished(db, device, packages)?;
    let stock: usize = db
        .prepare_cached(
            "SELECT count(*) FROM key_package WHERE device_id = ?1 AND message IS NOT NULL",
        )?
        .query_row([device.as_bytes()], |row| row.get(0))?;
    let stock = stock + fresh.len();
    if stock > limits::KEY_PACKAGES_MAX {
        return Ok(Published::Full);
    }
    for package in fresh {
        db.prepare_cached(
            "INSERT INTO key_package (device_id, reference, expires_seconds, message)
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            device.as_bytes(),
            package.reference,
            package.expires_seconds,
            package.message,
        ])?;
    }
    if let Some(package) = last_resort {
        db.prepare_cached("INSERT OR REPLACE INTO last_resort_key_package VALUES (?1, ?2, ?3)")?
            .execute(params![
                device.as_bytes(),
                package.expires_seconds,
                package.message,
            ])?;
    }
    Ok(Published::Stock(stock))
}

/// Those that were never published, each once, in the order given.
fn unpublished<'a>(
    db: &Transaction<'_>,
    device: DeviceId,
    packages: &'a [StockedKeyPackage],
) -> Result<Vec<&'a StockedKeyPackage>> {
    let mut known =
        db.prepare_cached("SELECT 1 FROM key_package WHERE device_id = ?1 AND reference = ?2")?;
    let mut fresh: Vec<&StockedKeyPackage> = Vec::new();
    for package in packages {
        let repeated = fresh.iter().any(|p| p.reference == package.reference);
        if !repeated && !known.exists(params![device.as_bytes(), package.reference])? {
            fresh.push(package);
        }
    }
    Ok(fresh)
}

pub(super) fn identity_key(db: &Connection, user: &UserId) -> Result<Option<VerifyingKey>> {
    let key = db
        .prepare_cached("SELECT identity_key FROM user WHERE user_id = ?1")?
        .query_row([user.as_str()], |row| typed(row, 0))
        .optional()?;
    Ok(key)
}

pub(super) fn take(db: &Transaction<'_>, take: &Take<'_>) -> Result<Taken> {
    if identity_key(db, take.user)?.is_none() {
        return Ok(Taken::UnknownUser);
    }
    let devices = devices_of(db, take.user)?;
    let mut packages = Vec::new();
    let mut fresh = Vec::new();
    for device in devices {
        match handed_out(db, take, device)? {
            Some(again) => packages.push(again),
            None => fresh.push(device),
        }
    }
    // Before anything is handed out, since a refusal is to change nothing.
    for device in &fresh {
        let (count, first) = taken_lately(db, take, *device)?;
        if count >= TAKES_PER_REQUESTER_MAX {
            return Ok(Taken::TooMany(take.again_after(first)));
        }
    }
    let mut low = Vec::new();
    for device in fresh {
        let Some((message, is_last_resort)) = hand_out(db, take, device)? else {
            continue;
        };
        packages.push(message);
        if let Some(notice) = shortage(db, device, take, is_last_resort)? {
            notices::put(db, device, &notice)?;
            low.push(device);
        }
    }
    Ok(Taken::Packages { packages, low })
}

/// How often the requester's user took a package of this device within the window, and when first.
fn taken_lately(db: &Connection, take: &Take<'_>, device: DeviceId) -> Result<(usize, UnixMillis)> {
    let lately = db
        .prepare_cached(
            "SELECT count(*), coalesce(min(taken_millis), 0)
             FROM handout JOIN device AS taking ON taking.device_id = taker
             WHERE handout.device_id = ?1 AND taken_millis > ?2
             AND user_id = (SELECT user_id FROM device WHERE device_id = ?3)",
        )?
        .query_row(
            params![
                device.as_bytes(),
                take.window_start().0,
                take.taker.as_bytes()
            ],
            |row| Ok((row.get(0)?, UnixMillis(row.get(1)?))),
        )?;
    Ok(lately)
}

/// What a device is to be told after one of its packages was taken.
fn shortage(
    db: &Connection,
    device: DeviceId,
    take: &Take<'_>,
    last_resort_used: bool,
) -> Result<Option<Notice>> {
    let stock: u32 = db
        .prepare_cached(
            "SELECT count(*) FROM key_package
             WHERE device_id = ?1 AND message IS NOT NULL AND expires_seconds >= ?2",
        )?
        .query_row(
            params![device.as_bytes(), take.usable_until_seconds],
            |row| row.get(0),
        )?;
    let is_low = (stock as usize) < limits::KEY_PACKAGE_STOCK_LOW;
    Ok(is_low.then_some(Notice::KeyPackagesLow {
        stock,
        last_resort_used,
    }))
}

fn handed_out(db: &Transaction<'_>, take: &Take<'_>, device: DeviceId) -> Result<Option<Vec<u8>>> {
    let message = db
        .prepare_cached(
            "SELECT message FROM handout
             WHERE taker = ?1 AND request_id = ?2 AND device_id = ?3",
        )?
        .query_row(
            params![
                take.taker.as_bytes(),
                take.request.as_bytes(),
                device.as_bytes()
            ],
            |row| row.get(0),
        )
        .optional()?;
    Ok(message)
}

/// The oldest in stock, or else the last-resort one, where either lives long enough; and whether it
/// was that.
fn hand_out(
    db: &Transaction<'_>,
    take: &Take<'_>,
    device: DeviceId,
) -> Result<Option<(Vec<u8>, bool)>> {
    let usable_until = take.usable_until_seconds;
    let stocked: Option<(i64, Vec<u8>)> = db
        .prepare_cached(
            "SELECT id, message FROM key_package
             WHERE device_id = ?1 AND message IS NOT NULL AND expires_seconds >= ?2
             ORDER BY id LIMIT 1",
        )?
        .query_row(params![device.as_bytes(), usable_until], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let is_last_resort = stocked.is_none();
    let message: Option<Vec<u8>> = match stocked {
        Some((id, message)) => {
            db.prepare_cached("UPDATE key_package SET message = NULL WHERE id = ?1")?
                .execute([id])?;
            Some(message)
        }
        None => db
            .prepare_cached(
                "SELECT message FROM last_resort_key_package
                 WHERE device_id = ?1 AND expires_seconds >= ?2",
            )?
            .query_row(params![device.as_bytes(), usable_until], |row| row.get(0))
            .optional()?,
    };
    if let Some(message) = &message {
        db.prepare_cached("INSERT INTO handout VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                take.taker.as_bytes(),
                take.request.as_bytes(),
                device.as_bytes(),
                message,
                take.now.0,
            ])?;
    }
    Ok(message.map(|message| (message, is_last_resort)))
}
