//! ts-mls, a fourth implementation, in the official scripts: alone and with ours. Its server stands in the
//! folder `ts-mls` beside this file and needs Node.js and what `npm ci` installs there. Where these or the
//! scripts are missing, the tests are shown as ignored, with the reason; with `CI=true` the packages are
//! installed first, if the registry can be reached.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attack;

use std::{
    collections::BTreeSet,
    env,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use conclave_conformance::{
    Assign, EngineName, Outcome, Performance, Plan, Player, ScriptsReport, scripts,
};
use libtest_mimic::{Arguments, Failed, Trial};

/// The oldest Node.js that ts-mls runs on.
const NODE_MIN: u32 = 20;

/// Scripts that always pass when ts-mls plays alone.
const PASSES_ALONE: usize = 23;

/// Scripts that then fail by ts-mls 1.6.4's own mistakes, as `docs/conformance.md` tells.
const FAILS_ALONE: [&str; 2] = [
    "commit/all_together_alice_proposes",
    "commit/group_context_extensions",
];

/// As above, when it takes turns with ours.
const PASSES_WITH_OURS: usize = 11;
const FAILS_WITH_OURS: [&str; 18] = [
    "commit/all_together_alice_proposes",
    "commit/all_together_bob_proposes",
    "commit/group_context_extensions",
    "extensions/given",
    "extensions/taken_back",
    "external_join/normal",
    "external_join/removing_prior",
    "external_join/with_external_tree",
    "external_join/with_more_members",
    "external_join/with_psk",
    "external_proposals/external_add",
    "external_proposals/external_psk",
    "external_proposals/external_reinit",
    "external_proposals/external_remove",
    "external_proposals/group_context_extensions",
    "external_proposals/multiple_external",
    "external_proposals/resumption_psk",
    "reinit/change_ciphersuite",
];

fn main() {
    let arguments = Arguments::from_args();
    let missing = missing();
    let trials = [
        Trial::test("scripts, ts-mls", || play(&[], &FAILS_ALONE, PASSES_ALONE)),
        Trial::test("scripts, ts-mls with ours", || {
            play(&[EngineName::Ours], &FAILS_WITH_OURS, PASSES_WITH_OURS)
        }),
        Trial::test("hostile requests, ts-mls", be_hostile),
    ];
    let trials = trials.map(|trial| match &missing {
        Some(why) => trial.with_kind(why).with_ignored_flag(true),
        None => trial,
    });
    libtest_mimic::run(&arguments, trials.into()).exit();
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ts-mls")
}

fn official_scripts() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    env::var_os("CONCLAVE_VECTORS")
        .map_or_else(beside, PathBuf::from)
        .join("scripts")
}

/// What the official scripts leave out, or ask for only together with something else.
fn own_scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

/// Why ts-mls can't play here, if it can't.
fn missing() -> Option<String> {
    let scripts = official_scripts();
    if !scripts.is_dir() {
        return Some(format!("there are no scripts at {}", scripts.display()));
    }
    match node_version() {
        None => return Some("there is no Node.js".to_owned()),
        Some(version) if version < NODE_MIN => {
            return Some(format!("Node.js {version} is older than {NODE_MIN}"));
        }
        Some(_) => {}
    }
    let is_ci = env::var("CI").is_ok_and(|value| value == "true");
    let is_installed = folder().join("node_modules/ts-mls").is_dir();
    if is_installed || (is_ci && install()) {
        return None;
    }
    let folder = folder();
    Some(format!(
        "`npm ci --ignore-scripts` has to run in {}",
        folder.display()
    ))
}

/// The first number of what `node --version` says: `v20.1.2`.
fn node_version() -> Option<u32> {
    let said = Command::new("node").arg("--version").output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    said.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Gives up soon where the registry can't be reached.
fn install() -> bool {
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .args(["--fetch-retries=0", "--fetch-timeout=20000"])
        .current_dir(folder())
        .status();
    npm.is_ok_and(|status| status.success())
}

/// The server, which ends with the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new("node")
            .arg("src/main.js")
            .current_dir(folder())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let said = child.stdout.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap()
            .to_owned();
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended by itself if this fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// ts-mls takes turns with these: so many scripts pass always, and only these fail.
fn play(others: &[EngineName], fails: &[&str], passes: usize) -> Result<(), Failed> {
    let server = Server::start();
    let engines = others.iter().copied().map(Player::Engine);
    let players = [Player::Address(server.address.clone())].into_iter();
    let plan = Plan {
        assign: Assign::Turns,
        ..Plan::new(players.chain(engines).collect())
    };
    let report = scripts(&[official_scripts(), own_scripts()], &plan)?;
    let (passed, failed) = (report.passed_always().len(), failed(&report));
    let expected = fails.iter().map(|&name| name.to_owned()).collect();
    match failed == expected && passed == passes {
        true => Ok(()),
        false => Err(format!("{passed} passed always, {failed:?} failed\n{report}").into()),
    }
}

/// Scripts that failed at least once, as `file/script`.
fn failed(report: &ScriptsReport) -> BTreeSet<String> {
    let all = report.performances.iter();
    let failed = all.filter(|one| matches!(one.outcome, Outcome::Fail(_)));
    let name = |one: &Performance| {
        let file = Path::new(&one.file).file_stem().unwrap_or_default();
        format!("{}/{}", file.to_string_lossy(), one.script)
    };
    failed.map(name).collect()
}

fn be_hostile() -> Result<(), Failed> {
    let server = Server::start();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(attack::attack(&server.address));
    Ok(())
}
