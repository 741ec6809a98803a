//! A copy of the file while others write to it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::limits::DATABASE_BUSY_TIMEOUT;

/// Writes one state of the database into another file, which is empty. Others go on meanwhile.
pub(crate) fn copy(database: &Path, to: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.busy_timeout(DATABASE_BUSY_TIMEOUT)?;
    let to = to
        .to_str()
        .ok_or_else(|| rusqlite::Error::InvalidPath(to.to_owned()))?;
    connection.execute("VACUUM INTO ?1", [to])?;
    // Otherwise the last commits could stand in a log of their own, next to the copy.
    Connection::open(to)?.pragma_update(None, "journal_mode", "DELETE")
}
