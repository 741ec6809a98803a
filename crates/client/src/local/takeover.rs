//! Taking over the database of a version that did not encrypt.
//!
//! It is written anew beside the old one, encrypted, and takes its name when all of it is on the
//! disk. So a program that dies meanwhile leaves the old one as it was, and the next begins again.

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
};

use rusqlite::{Connection, ErrorCode, Row};

use super::{
    database::{self, encrypt_with},
    files::{make_private, remove, sync_folder},
    lock::DatabaseKey,
};
use crate::ClientError;

/// What the database is called while it is written.
const NEW_FILE: &str = "client.db.new";

/// What SQLite writes beside it.
const NEW_JOURNAL: &str = "client.db.new-journal";

/// Encrypts the plain database of a folder, whose [`Guard`](super::files::Guard) is held. The key is
/// durable already.
pub(super) fn encrypt(folder: &Path, key: &DatabaseKey) -> Result<(), ClientError> {
    let (old, new) = (folder.join(database::FILE), folder.join(NEW_FILE));
    remove(&new)?;
    remove(&folder.join(NEW_JOURNAL))?;
    make_private(&new)?;
    copy(&old, &new, key)?;
    fs::File::open(&new)?.sync_all()?;
    fs::rename(new, old)?;
    Ok(sync_folder(folder)?)
}

fn copy(old: &Path, new: &Path, key: &DatabaseKey) -> Result<(), ClientError> {
    let connection = Connection::open(new)?;
    encrypt_with(&connection, key)?;
    // Nobody sees the new file before it is synced as a whole.
    connection.pragma_update(None, "synchronous", "OFF")?;
    let old = old.to_str();
    let old = old.ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "its path is no UTF-8"))?;
    connection.execute("ATTACH DATABASE ?1 AS plain KEY ''", [old])?;
    fold_log(&connection)?;
    connection.execute_batch("BEGIN; SELECT sqlcipher_export('main', 'plain'); COMMIT")?;
    let version: u32 =
        connection.pragma_query_value(Some("plain"), "user_version", |row| row.get(0))?;
    connection.pragma_update(None, "user_version", version)?;
    let verdict: String =
        connection.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
    if verdict != "ok" {
        let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(rusqlite::Error::SqliteFailure(corrupt, None).into());
    }
    Ok(connection.close().map_err(|(_, error)| error)?)
}

/// Has what stands in the write-ahead log of the plain database go into its file, and the log go
/// away: the encrypted database must not find it. Fails while another program has the home open.
fn fold_log(connection: &Connection) -> Result<(), ClientError> {
    connection.pragma_update(Some("plain"), "locking_mode", "EXCLUSIVE")?;
    let mode = |row: &Row<'_>| row.get::<_, String>(0);
    let mode = connection.pragma_update_and_check(Some("plain"), "journal_mode", "DELETE", mode);
    match mode {
        Ok(mode) if mode == "delete" => Ok(()),
        Ok(_) => Err(ClientError::HomeInUse),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
            Err(ClientError::HomeInUse)
        }
        Err(error) => Err(error.into()),
    }
}
