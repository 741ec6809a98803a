//! Large groups, ours beside OpenMLS and mls-rs, in one run: a joiner validates the tree, a follower
//! takes in a Commit, a member opens one. Prints the tables of `docs/performance.md`.
//!
//! `cargo bench -p conclave-benches --bench groups [-- SIZE...]`
//!
//! This is no criterion benchmark: setting one up for another try costs a peer up to minutes, so each
//! Commit of a chain is measured once, the implementations taking turns. Processor time stands beside
//! the time that passed, since it says the same on a machine that has other work too.

#![allow(missing_docs)]

use std::{
    env,
    io::{self, Write as _},
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use conclave_benches::{Members, Scene};
use conclave_conformance::EngineName;
use conclave_mls_public::{
    PublicGroup,
    wire::{MlsMessage, decode},
};
use cpu_time::ProcessTime;

const SIZES: [u32; 4] = [100, 1_000, 10_000, 100_000];

/// Commits that are followed.
const COMMITS: u32 = 20;

/// OpenMLS validates a tree in a time that grows with its square: beyond this it does so once, which takes
/// minutes.
const QUADRATIC_MEMBERS_MAX: u32 = 10_000;

fn main() -> anyhow::Result<()> {
    // Cargo adds an option of its own.
    let given = env::args().skip(1).filter(|given| !given.starts_with("--"));
    let sizes: Vec<u32> = given.map(|size| size.parse()).collect::<Result<_, _>>()?;
    let sizes = if sizes.is_empty() {
        SIZES.to_vec()
    } else {
        sizes
    };
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "| members | what | who | least | median | most | median, processor |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for size in sizes {
        for row in followers(size)?.into_iter().chain(members(size)?) {
            writeln!(out, "| {size} | {row} |")?;
            out.flush()?;
        }
    }
    Ok(())
}

/// How often an implementation does a joiner's work.
fn tries(engine: EngineName, size: u32) -> usize {
    match engine {
        EngineName::Openmls if size > QUADRATIC_MEMBERS_MAX => 1,
        _ if size > 1_000 => 3,
        _ => 10,
    }
}

fn followers(size: u32) -> anyhow::Result<Vec<String>> {
    let scene = Scene::new(size, COMMITS)?;
    let engines = EngineName::ALL;
    let mut validated = vec![Times::new(); engines.len()];
    let mut on_two = Times::new();
    let mut begun = Vec::new();
    for turn in (0..tries(EngineName::Ours, size)).rev() {
        for (engine, times) in engines.iter().zip(&mut validated) {
            if turn < tries(*engine, size) {
                let observed = timed(times, || engine.observe(&scene.info, &scene.tree))?;
                begun.extend((turn == 0).then_some(observed));
            }
        }
        drop(timed(&mut on_two, || two_threads(&scene))?);
    }
    let mut followed = vec![Times::new(); engines.len()];
    for commit in &scene.commits {
        for (follower, times) in begun.iter_mut().zip(&mut followed) {
            timed(times, || follower.follow(commit))?;
        }
    }
    let mut rows = rows("validate the tree", &engines, &validated);
    rows.push(row("validate the tree", "ours, two threads", &on_two));
    rows.extend(self::rows("apply a Commit", &engines, &followed));
    Ok(rows)
}

fn members(size: u32) -> anyhow::Result<Vec<String>> {
    let engines = EngineName::ALL;
    let mut members = Members::new(size, &engines)?;
    let mut joined = vec![Times::new(); engines.len()];
    for (index, times) in joined.iter_mut().enumerate() {
        timed(times, || members.join(index))?;
    }
    let commits = members.commits(COMMITS as usize)?;
    let mut followed = vec![Times::new(); engines.len()];
    for commit in &commits {
        for (client, times) in members.others.iter_mut().zip(&mut followed) {
            timed(times, || client.receive(commit))?;
        }
    }
    let mut rows = rows("join by a Welcome", &engines, &joined);
    rows.extend(self::rows("open an update path", &engines, &followed));
    Ok(rows)
}

fn two_threads(scene: &Scene) -> anyhow::Result<PublicGroup> {
    let MlsMessage::GroupInfo(info) = decode(&scene.info)? else {
        anyhow::bail!("no GroupInfo")
    };
    let (nodes, two) = (decode(&scene.tree)?, NonZeroUsize::MIN.saturating_add(1));
    Ok(PublicGroup::from_group_info(&info, Some(nodes), two)?)
}

/// How long it took, and how much processor time, of all threads.
type Times = Vec<(Duration, Duration)>;

fn timed<T>(times: &mut Times, work: impl FnOnce() -> T) -> T {
    let (begun, processor) = (Instant::now(), ProcessTime::now());
    let outcome = work();
    times.push((begun.elapsed(), processor.elapsed()));
    outcome
}

fn rows(what: &str, engines: &[EngineName], times: &[Times]) -> Vec<String> {
    let all = engines.iter().zip(times);
    all.map(|(engine, times)| row(what, engine.name(), times))
        .collect()
}

fn row(what: &str, who: &str, times: &Times) -> String {
    let sorted = |which: fn(&(Duration, Duration)) -> Duration| {
        let mut times: Vec<_> = times.iter().map(which).collect();
        times.sort_unstable();
        times
    };
    let (passed, processor) = (sorted(|time| time.0), sorted(|time| time.1));
    let (median, last) = (times.len() / 2, times.len().saturating_sub(1));
    let at = |times: &[Duration], index: usize| times.get(index).copied().unwrap_or_default();
    let cells = [
        at(&passed, 0),
        at(&passed, median),
        at(&passed, last),
        at(&processor, median),
    ];
    let cells = cells.map(|time| format!("{time:.3?}")).join(" | ");
    format!("{what} | {who} | {cells}")
}
