//! A device's database: as safe as that of Conclave's clients, with a write-ahead log that reaches the disk with each
//! transaction, and each step in one transaction.

use std::{
    fs, io,
    path::{Path, PathBuf},
    rc::Rc,
};

use anyhow::Context as _;
use conclave_benches_life::openmls::Storage;
use openmls_sqlite_storage::{Codec, Connection, SqliteStorageProvider};
use serde::{Serialize, de::DeserializeOwned};

/// The log is written back into the database when it is as long as this, as SQLite does on its own after a thousand
/// pages: but emptied too, so that its length tells how much was written.
const LOG_BYTES_MAX: u64 = 4096 * 1000;

pub(crate) struct Database {
    provider: SqliteStorageProvider<Json, Rc<Connection>>,
    connection: Rc<Connection>,
    log: PathBuf,
    /// What had been written into the log in all when it was asked last.
    told_bytes: u64,
    /// What was written into it before it was emptied last.
    emptied_bytes: u64,
}

/// What the storage's documentation and OpenMLS's memory storage encode with.
#[derive(Default)]
pub(crate) struct Json;

impl Database {
    /// A new one.
    pub(crate) fn open(file: &Path) -> anyhow::Result<Self> {
        let mut connection = Connection::open(file)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        SqliteStorageProvider::<Json, _>::new(&mut connection).run_migrations()?;
        let connection = Rc::new(connection);
        let mut log = file.as_os_str().to_owned();
        log.push("-wal");
        let mut database = Self {
            provider: SqliteStorageProvider::new(Rc::clone(&connection)),
            connection,
            log: log.into(),
            told_bytes: 0,
            emptied_bytes: 0,
        };
        database.written();
        Ok(database)
    }

    fn log_bytes(&self) -> io::Result<u64> {
        Ok(fs::metadata(&self.log)?.len())
    }
}

impl Storage for Database {
    type Error = rusqlite::Error;
    type Provider = SqliteStorageProvider<Json, Rc<Connection>>;

    fn provider(&self) -> &Self::Provider {
        &self.provider
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        Ok(self.connection.execute_batch("BEGIN IMMEDIATE")?)
    }

    fn end(&mut self) -> anyhow::Result<()> {
        self.connection.execute_batch("COMMIT")?;
        let log_bytes = self.log_bytes()?;
        if log_bytes > LOG_BYTES_MAX {
            let emptied = self
                .connection
                .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
            emptied.context("the log can't be written back")?;
            self.emptied_bytes += log_bytes;
        }
        Ok(())
    }

    /// Whole pages, which is how a database writes; not a second time for what is written back from the log.
    fn written(&mut self) -> u64 {
        let now = self.emptied_bytes + self.log_bytes().unwrap_or_default();
        now - std::mem::replace(&mut self.told_bytes, now)
    }

    fn counts_writes(&self) -> bool {
        true
    }
}

impl Codec for Json {
    type Error = serde_json::Error;

    fn to_vec<T: Serialize>(value: &T) -> Result<Vec<u8>, Self::Error> {
        serde_json::to_vec(value)
    }

    fn from_slice<T: DeserializeOwned>(slice: &[u8]) -> Result<T, Self::Error> {
        serde_json::from_slice(slice)
    }
}
