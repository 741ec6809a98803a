//! A group all of whose nodes are filled, as one is that has lived for a while: what a joiner, a follower
//! and a member do in it. No implementation makes one of 10,000 in reasonable time; this one is forged.

use std::num::NonZeroUsize;

use conclave_conformance::EngineName;
use conclave_mls_public::{
    PublicGroup,
    wire::{MlsMessage, decode},
};

use crate::{
    Members, Scene,
    report::{Row, Time, timed},
};

/// Smaller groups tell nothing.
pub const MEMBERS_MIN: u32 = 100;

/// Commits that are followed.
const COMMITS: u32 = 20;

/// OpenMLS validates a tree in a time that grows with its square: beyond this it does so once, which takes
/// minutes.
const QUADRATIC_MEMBERS_MAX: u32 = 10_000;

/// All that is measured in a group of this size.
///
/// # Errors
/// Where an implementation refuses the group.
pub fn rows(size: u32) -> anyhow::Result<Vec<Row>> {
    let mut rows = followers(size)?;
    rows.extend(members(size)?);
    Ok(rows)
}

const VALIDATE: &str = "Full tree: validate it";
const APPLY: &str = "Full tree: apply a Commit";
const JOIN: &str = "Full tree: join by a Welcome";
const OPEN: &str = "Full tree: open an update path";

/// How often an implementation does a joiner's work.
fn tries(engine: EngineName, size: u32) -> usize {
    match engine {
        EngineName::Openmls if size > QUADRATIC_MEMBERS_MAX => 1,
        _ if size > 1_000 => 3,
        _ => 10,
    }
}

fn followers(size: u32) -> anyhow::Result<Vec<Row>> {
    let scene = Scene::new(size, COMMITS)?;
    let engines = EngineName::ALL;
    let mut validated = vec![Vec::new(); engines.len()];
    let mut on_two = Vec::new();
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
    let mut followed = vec![Vec::new(); engines.len()];
    for commit in &scene.commits {
        for (follower, times) in begun.iter_mut().zip(&mut followed) {
            timed(times, || follower.follow(commit))?;
        }
    }
    let mut rows = of_each(size, VALIDATE, &engines, &validated);
    rows.push(Row::new(size, VALIDATE, "ours, two threads", on_two));
    rows.extend(of_each(size, APPLY, &engines, &followed));
    Ok(rows)
}

fn members(size: u32) -> anyhow::Result<Vec<Row>> {
    let engines = EngineName::ALL;
    let mut members = Members::new(size, &engines)?;
    let mut joined = vec![Vec::new(); engines.len()];
    for (index, times) in joined.iter_mut().enumerate() {
        timed(times, || members.join(index))?;
    }
    let commits = members.commits(COMMITS as usize)?;
    let mut followed = vec![Vec::new(); engines.len()];
    for commit in &commits {
        for (client, times) in members.others.iter_mut().zip(&mut followed) {
            timed(times, || client.receive(commit))?;
        }
    }
    let mut rows = of_each(size, JOIN, &engines, &joined);
    rows.extend(of_each(size, OPEN, &engines, &followed));
    Ok(rows)
}

fn two_threads(scene: &Scene) -> anyhow::Result<PublicGroup> {
    let MlsMessage::GroupInfo(info) = decode(&scene.info)? else {
        anyhow::bail!("no GroupInfo")
    };
    let (nodes, two) = (decode(&scene.tree)?, NonZeroUsize::MIN.saturating_add(1));
    Ok(PublicGroup::from_group_info(&info, Some(nodes), two)?)
}

fn of_each(size: u32, what: &'static str, engines: &[EngineName], times: &[Vec<Time>]) -> Vec<Row> {
    let all = engines.iter().zip(times);
    all.map(|(engine, times)| Row::new(size, what, engine.name(), times.clone()))
        .collect()
}
