//! Opening the database, and the connections that read it.

use std::{
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, PoisonError},
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use thiserror::Error;

use super::super::Result;
use crate::limits::{DATABASE_BUSY_TIMEOUT, READER_CACHE_KIB, READERS_MAX, STATEMENTS_MAX};

/// Each entry brings the schema from the version of its place to the next.
const MIGRATIONS: &[&str] = &[
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
    include_str!("schema_6.sql"),
    include_str!("schema_7.sql"),
    include_str!("schema_8.sql"),
    include_str!("schema_9.sql"),
    include_str!("schema_10.sql"),
    include_str!("schema_11.sql"),
    include_str!("schema_12.sql"),
];

/// Why a database is not opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum OpenError {
    /// SQLite can't use the file.
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    /// A later program wrote it.
    #[error("schema version {found}, newer than {known}")]
    Newer {
        /// What the file says.
        found: usize,
        /// What this program knows.
        known: usize,
    },
}

/// Opens the one connection that writes.
pub(super) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(DATABASE_BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Acknowledged means durable: the log is synced at every commit.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // What was deleted is not to be found in the file.
    connection.pragma_update(None, "secure_delete", true)?;
    check(&connection)?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// A damaged header shows when the file is opened, a damaged schema only when it is read.
fn check(connection: &Connection) -> Result<(), OpenError> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(())
}

fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: usize = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = MIGRATIONS.len();
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    for migration in &MIGRATIONS[found..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

/// A bounded number of connections that only read.
pub(super) struct Readers {
    path: PathBuf,
    state: Mutex<Idle>,
    freed: Condvar,
}

#[derive(Default)]
struct Idle {
    connections: Vec<Connection>,
    lent: usize,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            state: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    /// Lends a connection, once one is free.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut lent = Lent {
            readers: self,
            connection: self.borrow(),
        };
        let connection = match lent.connection.take() {
            Some(connection) => connection,
            None => self.open()?,
        };
        work(lent.connection.insert(connection))
    }

    /// Waits for a turn; `None` where its holder is to open one more connection.
    fn borrow(&self) -> Option<Connection> {
        let idle = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut idle = self
            .freed
            .wait_while(idle, |idle| idle.lent >= READERS_MAX)
            .unwrap_or_else(PoisonError::into_inner);
        idle.lent += 1;
        idle.connections.pop()
    }

    fn open(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(DATABASE_BUSY_TIMEOUT)?;
        // Below zero it is in KiB, above in pages.
        connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        Ok(connection)
    }
}

/// Gives a connection back, also when the work panics.
struct Lent<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let state = self.readers.state.lock();
        let mut idle = state.unwrap_or_else(PoisonError::into_inner);
        idle.lent -= 1;
        idle.connections.extend(self.connection.take());
        self.readers.freed.notify_one();
    }
}
