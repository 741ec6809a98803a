//! The data folder: one process at a time, one database in it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
};

use crate::{
    error::ServeError,
    store::{Identity, OpenError, SqliteStore, Store as _, StoreError},
};

const LOCK_FILE: &str = "lock";
pub(crate) const DATABASE_FILE: &str = "conclave.db";

/// The data folder, open. Nobody else has it open while this lives.
pub(crate) struct Folder {
    /// Held as long as the folder is in use.
    pub(crate) lock: File,
    pub(crate) store: SqliteStore,
    pub(crate) identity: Identity,
}

impl Folder {
    /// Opens the folder of a server, made where it does not exist; `fresh` is who it then is.
    pub(crate) fn open(path: &Path, fresh: &Identity) -> Result<Self, ServeError> {
        let lock = lock(path)?;
        let database = path.join(DATABASE_FILE);
        let store = open_store(&database)?;
        let identity = store
            .identity(fresh)
            .map_err(|error: StoreError| unreadable(&database, &error))?;
        if identity.server_name != fresh.server_name {
            return Err(ServeError::OtherServerName {
                stored: identity.server_name,
                given: fresh.server_name.clone(),
            });
        }
        Ok(Self {
            lock,
            store,
            identity,
        })
    }
}

/// Does something to the store of a server that may be running.
pub(crate) fn with_store<T>(
    path: &Path,
    work: impl FnOnce(&SqliteStore) -> Result<T, StoreError>,
) -> Result<T, ServeError> {
    let database = path.join(DATABASE_FILE);
    // Opening would make one.
    database.metadata().map_err(|source| ServeError::Folder {
        folder: path.to_owned(),
        source,
    })?;
    work(&open_store(&database)?).map_err(|error| unreadable(&database, &error))
}

/// Does something to the store of a server that is not running, and does not start meanwhile.
pub(crate) fn alone_with_store<T>(
    path: &Path,
    work: impl FnOnce(&SqliteStore) -> Result<T, StoreError>,
) -> Result<T, ServeError> {
    let _lock = lock(path)?;
    with_store(path, work)
}

fn open_store(database: &Path) -> Result<SqliteStore, ServeError> {
    SqliteStore::open(database).map_err(|error| match error {
        OpenError::Newer { found, known } => ServeError::NewerDatabase {
            path: database.to_owned(),
            found,
            known,
        },
        OpenError::Database(error) => unreadable(database, &error),
    })
}

/// The lock ends with the process, however that ends.
fn lock(folder: &Path) -> Result<File, ServeError> {
    let failed = |source| ServeError::Folder {
        folder: folder.to_owned(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK_FILE))
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(ServeError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn unreadable(path: &Path, problem: &dyn std::fmt::Display) -> ServeError {
    ServeError::Database {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}
