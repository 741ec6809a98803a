//! The official interop scripts, played by clients in this process.
//!
//! A script is a list of actions of named actors. Each is played in several casts: in the first the
//! implementations are given to the actors in the order in which these appear, in the next they are
//! moved on by one, so that each plays each part. After every Commit all who should be in the epoch must
//! have the same authenticator.

mod action;
mod play;
mod report;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::{engine::EngineName, run};
use action::Action;
use play::Play;
pub use report::{Outcome, Performance, ScriptsReport};

/// Bytes of one file of scripts: the official ones have a few KiB.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

#[derive(Deserialize)]
struct File {
    scripts: BTreeMap<String, Vec<Action>>,
}

/// Plays every script of these files in these suites, with these implementations.
///
/// # Errors
/// If a file can't be read or is none of scripts, or there is nobody to play.
pub fn scripts(
    paths: &[PathBuf],
    suites: &[u16],
    engines: &[EngineName],
) -> anyhow::Result<ScriptsReport> {
    if engines.is_empty() {
        bail!("nobody is there to play");
    }
    let mut report = ScriptsReport::default();
    for path in run::scripts(paths)? {
        let file = read(&path).with_context(|| path.display().to_string())?;
        for (name, actions) in &file.scripts {
            for suite in suites {
                for first in 0..engines.len() {
                    let mut cast = engines.to_vec();
                    cast.rotate_left(first);
                    report.performances.push(Performance {
                        file: path.display().to_string(),
                        script: name.clone(),
                        suite: *suite,
                        outcome: Play::new(*suite, &cast).perform(actions),
                        cast,
                    });
                }
            }
        }
    }
    Ok(report)
}

fn read(path: &Path) -> anyhow::Result<File> {
    if path.metadata()?.len() > FILE_BYTES_MAX {
        bail!("the file is larger than {FILE_BYTES_MAX} bytes");
    }
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}
