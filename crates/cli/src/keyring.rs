//! The system's keyring (the Secret Service on Linux, the Keychain on macOS, the Credential Manager on
//! Windows) as the keeper of a home's passphrase.
//!
//! A home whose passphrase is kept there has a small file beside its database that says under which
//! name. The passphrase is a random one, which nobody ever sees.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use conclave_client::{Home, Passphrase};
use keyring::Entry;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

/// What the keyring shows as the program that the passphrase is for.
const SERVICE: &str = "conclave";

/// The file in a home that says under which name the keyring has its passphrase.
const FILE: &str = "client.keyring";

/// What is given back when a home can't be opened so.
const OTHERWISE: &str = "--passphrase-file FILE gives another passphrase";

/// The passphrase that the keyring has for a home; `None` where none of its is kept there.
pub(crate) fn passphrase_of(home: &Home) -> anyhow::Result<Option<Passphrase>> {
    let Some(name) = name_of(home)? else {
        return Ok(None);
    };
    let text = entry(&name)?.get_password().map_err(|error| {
        anyhow!(error).context(format!(
            "this home's passphrase is in the system's keyring, as {name:?} of {SERVICE:?}, and \
             can't be had from there; {OTHERWISE}"
        ))
    })?;
    Ok(Some(Zeroizing::new(text).try_into()?))
}

/// Gives the home a new passphrase, which the keyring keeps.
///
/// The keyring has it, and the file its name, before the home takes it. A program that dies between the two
/// leaves a home that opens by the passphrase that it had, which has to be given then.
pub(crate) fn keep(home: &Home) -> anyhow::Result<()> {
    let before = name_of(home)?;
    let passphrase = Passphrase::random();
    let name = new_name(home);
    entry(&name)?
        .set_password(passphrase.reveal())
        .context("the system's keyring does not take it")?;
    let kept = write_name(home, &name).and_then(|()| Ok(home.set_passphrase(Some(&passphrase))?));
    if let Err(error) = kept {
        forget_entry(&name);
        match before {
            Some(before) => write_name(home, &before)?,
            None => remove_file(home)?,
        }
        return Err(error);
    }
    before.as_deref().map(forget_entry);
    Ok(())
}

/// Forgets what the keyring has for a home, once the home opens by something else.
pub(crate) fn forget(home: &Home) -> anyhow::Result<()> {
    if let Some(name) = name_of(home)? {
        remove_file(home)?;
        forget_entry(&name);
    }
    Ok(())
}

fn entry(name: &str) -> anyhow::Result<Entry> {
    if let Err(error) = Entry::store_status() {
        return Err(anyhow!(
            "the system's keyring can't be reached ({error}); {OTHERWISE}"
        ));
    }
    Entry::new(SERVICE, name).context("the system's keyring takes no such name")
}

/// An entry that stays behind opens nothing any more, so a keyring that refuses is no reason to stop.
fn forget_entry(name: &str) {
    if let Ok(entry) = entry(name) {
        let _ = entry.delete_credential();
    }
}

/// A name that tells people which home it is, and is no other's.
fn new_name(home: &Home) -> String {
    let folder = home.folder().file_name().unwrap_or_default();
    let own: String = Passphrase::random().reveal().chars().take(8).collect();
    format!("{} {own}", folder.to_string_lossy())
}

fn path(home: &Home) -> PathBuf {
    home.folder().join(FILE)
}

fn name_of(home: &Home) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path(home)) {
        Ok(name) => Ok(Some(name.trim_end().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cant(error, &path(home))),
    }
}

/// Writes the name durably, in one step, and for nobody else's eyes.
fn write_name(home: &Home, name: &str) -> anyhow::Result<()> {
    let path = path(home);
    let write = || {
        let mut file = NamedTempFile::new_in(home.folder())?;
        writeln!(file, "{name}")?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        io::Result::Ok(())
    };
    write().map_err(|error| cant(error, &path))
}

fn remove_file(home: &Home) -> anyhow::Result<()> {
    let path = path(home);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cant(error, &path)),
        _ => Ok(()),
    }
}

fn cant(error: io::Error, path: &Path) -> anyhow::Error {
    anyhow!(error).context(format!("can't use {}", path.display()))
}
