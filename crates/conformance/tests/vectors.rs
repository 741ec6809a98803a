//! Every official vector in the suites that Conclave has, one test a file. They lie beside the
//! repository, or where `CONCLAVE_VECTORS` says; without them the tests are shown as ignored, unless
//! `CI=true`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    env,
    path::{Path, PathBuf},
};

use conclave_conformance::{EngineName, check, files};
use libtest_mimic::{Arguments, Failed, Trial};

/// What must be there: each a folder of vector files.
const FOLDERS: [&str; 3] = ["mls", "passive", "partial"];

/// Partial MLS files of which nothing is checked yet.
const SKIPPED: [&str; 4] = [
    "annotated-commit.json",
    "annotated-welcome.json",
    "sender-authenticated-messages.json",
    "tree-operations.json",
];

fn main() {
    let root = env::var_os("CONCLAVE_VECTORS").map_or_else(beside_the_repository, PathBuf::from);
    let trials = FOLDERS
        .iter()
        .flat_map(|folder| trials(&root.join(folder)))
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn beside_the_repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors")
}

fn trials(folder: &Path) -> Vec<Trial> {
    let is_ci = env::var("CI").is_ok_and(|value| value == "true");
    match files(&[folder.to_owned()]) {
        Ok(files) => files.into_iter().map(trial).collect(),
        Err(error) => {
            let why = format!("{error:#}");
            let missing = Trial::test(folder.display().to_string(), || Err(Failed::from(why)));
            vec![missing.with_ignored_flag(!is_ci)]
        }
    }
}

fn trial(path: PathBuf) -> Trial {
    let parts: Vec<_> = path.iter().rev().take(2).collect();
    let name = parts.into_iter().rev().collect::<PathBuf>();
    Trial::test(name.display().to_string(), move || check_file(&path))
}

/// All entries hold; none is skipped but for its suite.
fn check_file(path: &Path) -> Result<(), Failed> {
    let report = check(&[path.to_owned()], &[EngineName::Ours])?;
    if !report.holds() {
        return Err(report.to_string().into());
    }
    let is_partial = path
        .parent()
        .is_some_and(|folder| folder.ends_with("partial"));
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let passed: usize = report.files[0].engines[0].passed;
    if passed == 0 && !(is_partial && SKIPPED.contains(&name)) {
        return Err("no entry was checked".into());
    }
    Ok(())
}
