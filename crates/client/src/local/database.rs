//! The local database: a file that SQLCipher encrypts, page by page, and how it is opened.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
    thread,
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use zeroize::Zeroizing;

use super::{
    files::{self, Guard, create_private_dir, make_private},
    lock::{self, DatabaseKey, Lock},
    schema::migrate,
    takeover,
};
use crate::{ClientError, Home, Passphrase};

/// The name of the file.
pub(super) const FILE: &str = "client.db";

/// How long to wait for another process that uses the same home, such as a `read --follow`.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How often, and with which pauses, a database is opened again where SQLCipher was not there yet: a second in all.
const EARLY_TRIES_MAX: u32 = 100;
const EARLY_WAIT: Duration = Duration::from_millis(10);

/// Decrypted pages that a connection keeps, in KiB: a page costs far more to decrypt than to read from
/// the system's own cache.
const CACHE_KIB: i64 = 16 * 1024;

/// What a file that SQLite wrote without encryption begins with.
const PLAIN_HEADER: &[u8; 16] = b"SQLite format 3\0";

/// The local database of a device: a file in its home, or in memory.
pub struct Database(Connection);

impl Database {
    /// The database of a home that has one.
    ///
    /// # Errors
    /// [`ClientError::NotRegistered`] where there is none, [`ClientError::Locked`],
    /// [`ClientError::WrongPassphrase`], [`ClientError::NotLocked`] where a passphrase is given and
    /// the home has none, [`ClientError::LockDamaged`], [`ClientError::Database`] where the file is
    /// not ours or broken, [`ClientError::NewerHome`] where a later program wrote it.
    pub fn open(home: impl Into<Home>) -> Result<Self, ClientError> {
        open(&home.into(), false).map(Self)
    }

    /// The database of a home, which is made where there is none; with a passphrase where the home
    /// names one.
    ///
    /// # Errors
    /// Those of [`Self::open`], and [`ClientError::Io`].
    pub fn create(home: impl Into<Home>) -> Result<Self, ClientError> {
        open(&home.into(), true).map(Self)
    }

    /// A database that is gone when it is dropped.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn in_memory() -> Result<Self, ClientError> {
        Connection::open_in_memory()?.try_into()
    }

    /// A copy in memory of all that is committed: what a backup, or a copied folder, has.
    ///
    /// # Errors
    /// [`ClientError::Database`], also for the database of a home: an encrypted one is not copied to
    /// one that is not.
    pub fn copy(&self) -> Result<Self, ClientError> {
        let mut copy = Connection::open_in_memory()?;
        let backup = rusqlite::backup::Backup::new(&self.0, &mut copy)?;
        // All pages in one step: nobody else waits for this connection.
        backup.step(-1)?;
        drop(backup);
        Ok(Self(copy))
    }

    /// What was a session's connection.
    pub(super) fn of(connection: Connection) -> Self {
        Self(connection)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.0
    }

    pub(super) fn into_connection(self) -> Connection {
        self.0
    }
}

impl TryFrom<Connection> for Database {
    type Error = ClientError;

    /// A connection that the application opened in its own way.
    fn try_from(mut connection: Connection) -> Result<Self, ClientError> {
        migrate(&mut connection)?;
        Ok(Self(connection))
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database(redacted)")
    }
}

/// Whether a folder has no database yet, or one that nothing was ever written to.
pub(crate) fn is_new(folder: &Path) -> bool {
    fs::metadata(folder.join(FILE)).map_or(true, |data| data.len() == 0)
}

/// Deletes the database of a folder, and first of all its key.
pub(crate) fn delete(folder: &Path) -> io::Result<()> {
    for name in [lock::FILE, FILE, "client.db-wal", "client.db-shm"] {
        files::remove(&folder.join(name))?;
    }
    Ok(())
}

/// Seals the key of a home under another passphrase, or lays it bare.
pub(crate) fn relock(home: &Home, new: Option<&Passphrase>) -> Result<(), ClientError> {
    // Opening it brings an older home up to date, and says what is wrong with it.
    drop(open(home, false)?);
    let folder = home.folder();
    let _guard = Guard::hold(folder)?;
    let lock = Lock::read(folder)?.ok_or(ClientError::LockDamaged)?;
    Lock::new(&lock.open(home.passphrase())?, new)?.write(folder)
}

fn open(home: &Home, create: bool) -> Result<Connection, ClientError> {
    let folder = home.folder();
    if create {
        create_private_dir(folder)?;
    } else if is_new(folder) {
        return Err(ClientError::NotRegistered);
    }
    let _guard = Guard::hold(folder)?;
    let key = key(home)?;
    let path = folder.join(FILE);
    // SQLite gives the files beside the database the permissions that it finds there.
    make_private(&path)?;
    let mut connection = match connect(&path, &key) {
        Err(ClientError::Database(error)) if is_no_database(&error) && is_plain(&path)? => {
            takeover::encrypt(folder, &key)?;
            connect(&path, &key)?
        }
        connected => connected?,
    };
    migrate(&mut connection)?;
    Ok(connection)
}

/// The key of a home's database. Where there is no database yet, or one of a version that did not
/// encrypt, it is made here and is durable before anything is encrypted with it.
fn key(home: &Home) -> Result<DatabaseKey, ClientError> {
    let folder = home.folder();
    let is_new = is_new(folder);
    match Lock::read(folder) {
        Ok(Some(lock)) if !is_new => lock.open(home.passphrase()),
        // Without its key, a database is lost: this has to be said, not covered up by a new key.
        Ok(None) if !is_new && !is_plain(&folder.join(FILE))? => Err(ClientError::LockDamaged),
        Err(error) if !is_new => Err(error),
        _ => {
            let key = DatabaseKey::random();
            Lock::new(&key, home.passphrase())?.write(folder)?;
            Ok(key)
        }
    }
}

fn connect(path: &Path, key: &DatabaseKey) -> Result<Connection, ClientError> {
    let connection = connect_encrypted(path, key)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(connection)
}

/// SQLite calls itself initialized just before it initializes SQLCipher. Who opens a database in that moment,
/// on another thread than the first of the program, comes too early, and tries again.
fn connect_encrypted(path: &Path, key: &DatabaseKey) -> Result<Connection, ClientError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut tries = 0;
    loop {
        let connection = Connection::open_with_flags(path, flags)?;
        match encrypt_with(&connection, key) {
            Ok(()) => return Ok(connection),
            Err(ClientError::Database(error)) if tries < EARLY_TRIES_MAX && is_early(&error) => {
                tries += 1;
                thread::sleep(EARLY_WAIT);
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_early(error: &rusqlite::Error) -> bool {
    // SQLITE_ERROR, which is no closer described.
    error.sqlite_error_code() == Some(ErrorCode::Unknown)
}

/// Has SQLCipher encrypt a connection's database with a key, in the form of its version 4.
pub(super) fn encrypt_with(connection: &Connection, key: &DatabaseKey) -> Result<(), ClientError> {
    // It would write to the error stream what is told as an error anyway.
    connection.pragma_update(None, "cipher_log_level", "NONE")?;
    let mut pragma = Zeroizing::new(String::with_capacity(128));
    pragma.push_str("PRAGMA key = \"x'");
    data_encoding::HEXLOWER.encode_append(key.as_bytes(), &mut pragma);
    pragma.push_str("'\"");
    connection
        .execute_batch(&pragma)
        .map_err(|error| without_sql(&error))?;
    connection.pragma_update(None, "cipher_compatibility", 4)?;
    Ok(())
}

/// An error without the statement that caused it, since that has the key.
fn without_sql(error: &rusqlite::Error) -> rusqlite::Error {
    match error.sqlite_error() {
        Some(cause) => rusqlite::Error::SqliteFailure(*cause, None),
        None => rusqlite::Error::InvalidQuery,
    }
}

fn is_no_database(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::NotADatabase)
}

/// Whether a file is a database that is not encrypted. Asked only of one that no connection of this
/// program has open: see [`make_private`].
fn is_plain(path: &Path) -> io::Result<bool> {
    let mut header = [0; PLAIN_HEADER.len()];
    match File::open(path)?.read_exact(&mut header) {
        Ok(()) => Ok(header == *PLAIN_HEADER),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
