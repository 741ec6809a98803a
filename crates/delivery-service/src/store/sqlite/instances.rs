//! What was seen last of each device's state.

use conclave_protocol::DeviceId;
use rusqlite::{OptionalExtension as _, params};

use super::{
    super::{Instance, Result, Shown},
    accounts,
    columns::typed,
    writer::Transaction,
};

pub(super) fn check(db: &Transaction<'_>, device: DeviceId, shown: &Shown) -> Result<Option<bool>> {
    if accounts::device(db, device)?.is_none() {
        return Ok(None);
    }
    let seen = db
        .prepare_cached("SELECT nonce, sent FROM instance WHERE device_id = ?1")?
        .query_row([device.as_bytes()], |row| {
            Ok(Instance {
                nonce: typed(row, 0)?,
                sent: row.get(1)?,
            })
        })
        .optional()?;
    let Some(now) = shown.after(seen) else {
        return Ok(Some(false));
    };
    db.prepare_cached("INSERT OR REPLACE INTO instance VALUES (?1, ?2, ?3)")?
        .execute(params![device.as_bytes(), now.nonce.as_bytes(), now.sent])?;
    Ok(Some(true))
}
