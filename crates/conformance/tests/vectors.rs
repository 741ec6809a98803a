//! Every official vector in the suites that Conclave has, one test a file. They lie beside the
//! repository, or where `CONCLAVE_VECTORS` says; without them the tests are shown as ignored, unless
//! `CI=true`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    env,
    path::{Path, PathBuf},
};

use conclave_conformance::{Assign, EngineName, Plan, Player, check, files, scripts};
use libtest_mimic::{Arguments, Failed, Trial};

/// What must be there: each a folder of vector files.
const FOLDERS: [&str; 3] = ["mls", "passive", "partial"];

/// Who plays the official scripts in suite 1, and how many they pass whoever plays whom and however
/// handshakes travel. The others are skipped, since somebody can't do what they ask for.
const CASTS: [(&[EngineName], usize); 6] = [
    (&[EngineName::Ours], 39),
    (&[EngineName::MlsRs], 38),
    (&[EngineName::Openmls], 25),
    (&[EngineName::Ours, EngineName::MlsRs], 38),
    (&[EngineName::Ours, EngineName::Openmls], 25),
    (&[EngineName::MlsRs, EngineName::Openmls], 25),
];

/// As above, for the scripts beside this file: what the official ones don't ask for.
const OWN: (&[EngineName], usize) = (
    &[EngineName::Ours, EngineName::Openmls, EngineName::MlsRs],
    2,
);

/// Partial MLS files of which nothing is checked yet.
const SKIPPED: [&str; 4] = [
    "annotated-commit.json",
    "annotated-welcome.json",
    "sender-authenticated-messages.json",
    "tree-operations.json",
];

fn main() {
    let root = env::var_os("CONCLAVE_VECTORS").map_or_else(beside_the_repository, PathBuf::from);
    let mut trials: Vec<_> = FOLDERS
        .iter()
        .flat_map(|folder| trials(&root.join(folder)))
        .collect();
    trials.extend(CASTS.map(|cast| script_trial("scripts", root.join("scripts"), cast)));
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    trials.push(script_trial("own scripts", own, OWN));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// The interop scripts of a folder, with these clients, who take turns.
fn script_trial(
    name: &str,
    folder: PathBuf,
    (cast, expected): (&'static [EngineName], usize),
) -> Trial {
    let is_missing = !folder.is_dir();
    let is_ci = env::var("CI").is_ok_and(|value| value == "true");
    let play = move || {
        let players = cast.iter().copied().map(Player::Engine).collect();
        let plan = Plan {
            assign: Assign::Turns,
            ..Plan::new(players)
        };
        let report = scripts(&[folder], &plan)?;
        let passed = report.passed_always().len();
        match report.holds() && passed == expected {
            true => Ok(()),
            false => Err(format!("{passed} passed always\n{report}").into()),
        }
    };
    Trial::test(format!("{name}, {cast:?}"), play).with_ignored_flag(is_missing && !is_ci)
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
