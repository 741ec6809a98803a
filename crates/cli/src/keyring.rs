//! The system's keyring (the Secret Service on Linux, the Keychain on macOS, the Credential Manager on
//! Windows) as the keeper of a home's passphrase.
//!
//! A home whose passphrase is kept there has a small file beside its database that says under which
//! name: of two names, a line each, while one passphrase takes the other's place. The passphrase is a random
//! one, which nobody ever sees.

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
    let mut names = names_of(home)?;
    let last = names.pop();
    // Of two, the home takes one: a program died before it could say which.
    for name in names {
        if let Ok(passphrase) = kept_as(&name)
            && home.clone().locked_by(passphrase.clone()).opens()?
        {
            return Ok(Some(passphrase));
        }
    }
    last.map(|name| kept_as(&name)).transpose()
}

/// Gives the home a new passphrase, which the keyring keeps.
///
/// Before the home takes it, the keyring has it and the file its name, beside that of the passphrase before. So a
/// program that dies on the way leaves a home that opens; where the passphrase before is nobody's but a
/// person's, it has to be given then.
pub(crate) fn keep(home: &Home) -> anyhow::Result<()> {
    let before = names_of(home)?;
    let passphrase = Passphrase::random();
    let name = new_name(home);
    entry(&name)?
        .set_password(passphrase.reveal())
        .context("the system's keyring does not take it")?;
    let both: Vec<&str> = before.iter().chain([&name]).map(String::as_str).collect();
    let kept = write_names(home, &both).and_then(|()| Ok(home.set_passphrase(Some(&passphrase))?));
    if let Err(error) = kept {
        forget_entry(&name);
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        write_names(home, &before)?;
        return Err(error);
    }
    write_names(home, &[&name])?;
    before.iter().for_each(|name| forget_entry(name));
    Ok(())
}

/// Forgets what the keyring has for a home, once the home opens by something else.
pub(crate) fn forget(home: &Home) -> anyhow::Result<()> {
    let names = names_of(home)?;
    write_names(home, &[])?;
    names.iter().for_each(|name| forget_entry(name));
    Ok(())
}

fn kept_as(name: &str) -> anyhow::Result<Passphrase> {
    let text = entry(name)?.get_password().map_err(|error| {
        anyhow!(error).context(format!(
            "this home's passphrase is in the system's keyring, as {name:?} of {SERVICE:?}, and \
             can't be had from there; {OTHERWISE}"
        ))
    })?;
    Ok(Zeroizing::new(text).try_into()?)
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

fn names_of(home: &Home) -> anyhow::Result<Vec<String>> {
    match fs::read_to_string(path(home)) {
        Ok(names) => Ok(names.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(cant(error, &path(home))),
    }
}

/// Writes the names durably, in one step, and for nobody else's eyes; no file where there are none.
fn write_names(home: &Home, names: &[&str]) -> anyhow::Result<()> {
    let path = path(home);
    let write = || {
        if names.is_empty() {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let mut file = NamedTempFile::new_in(home.folder())?;
        writeln!(file, "{}", names.join("\n"))?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        Ok(())
    };
    write().map_err(|error| cant(error, &path))
}

fn cant(error: io::Error, path: &Path) -> anyhow::Error {
    anyhow!(error).context(format!("can't use {}", path.display()))
}
