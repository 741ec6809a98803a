//! The files of a home: its owner's alone, and changed by one program at a time.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

/// The name of the file that programs lock while they open or change a home.
const GUARD: &str = "client.lock";

/// Held while a home is opened or its lock changes, so that two programs do not make two keys for it,
/// or take over the same older database.
pub(super) struct Guard {
    _file: File,
}

impl Guard {
    /// Waits for other programs that open the same home. The system lets go of it for a program that
    /// dies.
    pub(super) fn hold(folder: &Path) -> io::Result<Self> {
        let path = folder.join(GUARD);
        make_private(&path)?;
        let file = File::options().write(true).open(path)?;
        file.lock()?;
        Ok(Self { _file: file })
    }
}

/// Makes a folder that is its owner's alone, where there is none.
pub(super) fn create_private_dir(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Makes sure that a file is there and its owner's alone, from its first moment on. A file that is
/// there is not opened: closing it again would end the locks that SQLite holds on it elsewhere in
/// this program.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => restrict(path),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn restrict(path: &Path) -> io::Result<()> {
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(path, private)
}

#[cfg(not(unix))]
fn restrict(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Makes durable which names the files of a folder have.
#[cfg(unix)]
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Folders can't be synced here.
#[cfg(not(unix))]
pub(super) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Deletes a file, where it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
