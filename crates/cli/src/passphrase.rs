//! The passphrase of a home: where it comes from, and changing it.

use std::{
    env,
    fs::File,
    io::{self, IsTerminal as _, Read as _},
    path::Path,
};

use anyhow::{Context as _, bail};
use conclave_client::{Home, HomeState, Passphrase};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    args, keyring,
    output::{Output, warning},
};

/// Where a passphrase may stand for programs. Who can see a program's environment sees it.
const VARIABLE: &str = "CONCLAVE_PASSPHRASE";

/// How much is read of a file that has a passphrase in its first line, in bytes.
const LINE_BYTES_MAX: u64 = 4096;

/// Room for that much, and more.
const ROOM_BYTES: usize = 8192;

/// A home that is to be opened, with its passphrase where it takes one and somebody has it.
pub(crate) fn home(folder: &Path, file: Option<&Path>) -> anyhow::Result<Home> {
    let home = Home::at(folder);
    if let Some(passphrase) = given(file)? {
        return Ok(home.locked_by(passphrase));
    }
    if home.state()? != HomeState::Locked {
        return Ok(home);
    }
    if let Some(passphrase) = keyring::passphrase_of(&home)? {
        return Ok(home.locked_by(passphrase));
    }
    if can_ask() {
        return Ok(home.locked_by(ask("Passphrase: ")?.try_into()?));
    }
    Ok(home)
}

/// A home that is to be made, or whose making was cut off, with the passphrase that somebody chooses.
pub(crate) fn new_home(folder: &Path, file: Option<&Path>) -> anyhow::Result<Home> {
    let home = home(folder, file)?;
    if file.is_some() || env::var_os(VARIABLE).is_some() || !can_ask() {
        return Ok(home);
    }
    Ok(match home.state()? {
        HomeState::Empty => match choose("A passphrase for this device, or nothing for none: ")? {
            Some(passphrase) => home.locked_by(passphrase),
            None => home,
        },
        _ => home,
    })
}

/// Says so where a home that was just made has no passphrase.
pub(crate) fn remark(home: &Home, output: &Output) -> anyhow::Result<()> {
    if home.state()? == HomeState::Open {
        output.remark(
            "this home has no passphrase: whoever can read the folder can read your messages; \
             `conclave passphrase set` changes that, or `conclave passphrase keyring`",
        )?;
    }
    Ok(())
}

pub(crate) fn run(home: &Home, command: &args::Passphrase, output: &Output) -> anyhow::Result<()> {
    match command {
        args::Passphrase::Set {
            new_passphrase_file,
        } => {
            let new = match new_passphrase_file {
                Some(file) => Some(first_line(file)?.try_into()?),
                None if can_ask() => choose("New passphrase: ")?,
                None => bail!("nobody can be asked here; --new-passphrase-file FILE gives it"),
            };
            let Some(new) = new else {
                bail!(
                    "no passphrase was given; `conclave passphrase remove` leaves the home without"
                );
            };
            home.set_passphrase(Some(&new))?;
            keyring::forget(home)?;
            output.show("the passphrase is set", &json!({ "passphrase": true }))?;
        }
        args::Passphrase::Keyring => {
            keyring::keep(home)?;
            output.show(
                "this home has a passphrase that the system's keyring keeps; `conclave recovery show` \
                 has what brings you back, should both be lost",
                &json!({ "passphrase": true, "keyring": true }),
            )?;
        }
        args::Passphrase::Remove => {
            home.set_passphrase(None)?;
            keyring::forget(home)?;
            output.show(
                "this home has no passphrase any more: whoever can read the folder can read your \
                 messages",
                &json!({ "passphrase": false }),
            )?;
        }
    }
    Ok(())
}

/// What a file or the environment says.
fn given(file: Option<&Path>) -> anyhow::Result<Option<Passphrase>> {
    if let Some(file) = file {
        return Ok(Some(first_line(file)?.try_into()?));
    }
    match env::var(VARIABLE) {
        Ok(text) => Ok(Some(Zeroizing::new(text).try_into()?)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => bail!("{VARIABLE} is no UTF-8"),
    }
}

fn first_line(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let context = || format!("can't read the passphrase in {}", path.display());
    // Room for all, so that no copy stays behind where it would have to grow.
    let mut text = Zeroizing::new(String::with_capacity(ROOM_BYTES));
    let mut file = File::open(path).with_context(context)?.take(LINE_BYTES_MAX);
    file.read_to_string(&mut text).with_context(context)?;
    let end = text.find(['\n', '\r']).unwrap_or(text.len());
    text.truncate(end);
    Ok(text)
}

fn can_ask() -> bool {
    io::stdin().is_terminal()
}

fn ask(prompt: &str) -> anyhow::Result<Zeroizing<String>> {
    let typed = rpassword::prompt_password(prompt);
    Ok(Zeroizing::new(
        typed.context("can't ask for the passphrase")?,
    ))
}

/// Asks for a new passphrase until it is typed twice alike; `None` where there is to be none.
fn choose(prompt: &str) -> anyhow::Result<Option<Passphrase>> {
    loop {
        let typed = ask(prompt)?;
        if typed.is_empty() {
            return Ok(None);
        }
        if *ask("Once more: ")? == *typed {
            return Ok(Some(typed.try_into()?));
        }
        warning("these two are not the same");
    }
}
