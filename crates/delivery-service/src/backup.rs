//! A copy of all that a server keeps, in one file, taken while it runs.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use crate::{error::BackupError, folder::DATABASE_FILE, store};

/// Copies the data folder of a server, which may be running, into a new file. What was acknowledged
/// before the copy began is in it. To restore, put the file as `conclave.db` into an empty folder.
/// It holds the key that authenticates tokens, so only its owner may read it. Blocks.
///
/// # Errors
/// [`BackupError`]: what is wrong, and what to do, for the person who asked.
pub fn backup(data: &Path, to: &Path) -> Result<(), BackupError> {
    let database = data.join(DATABASE_FILE);
    if !database.is_file() {
        return Err(BackupError::NoDatabase(data.to_owned()));
    }
    let failed = |source| BackupError::Target {
        file: to.to_owned(),
        source,
    };
    if to.exists() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    // A copy that was cut short never has the name of a whole one.
    let partial = partial(to);
    create(&partial).map_err(failed)?;
    let copied = store::copy(&database, &partial)
        .map_err(|problem| BackupError::Copy(problem.to_string()))
        .and_then(|()| settle(&partial, to).map_err(failed));
    if copied.is_err() {
        // What is left of it is in nobody's way but the disk's.
        let _ = std::fs::remove_file(&partial);
    }
    copied
}

fn partial(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

fn create(partial: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(partial).map(drop)
}

/// Makes the copy durable before it gets its name, and its name before it is reported.
fn settle(partial: &Path, to: &Path) -> io::Result<()> {
    File::open(partial)?.sync_all()?;
    std::fs::rename(partial, to)?;
    let folder = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}
