//! The official interop scripts, played by MLSClients on the network or in this process.
//!
//! A script is a list of actions of named actors. It is played in every suite that all clients have, with
//! public and private handshakes, by every cast that is asked for. After every Commit all who should be in
//! the epoch must have the same authenticator.

mod action;
mod cast;
mod peer;
mod play;
mod record;
mod report;
mod stage;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use serde_json::json;
use tokio::{runtime, task::JoinSet};

use crate::{run, vectors::shapes};
use action::Action;
pub use cast::Assign;
use peer::Peer;
pub use peer::Player;
use record::Recorder;
pub use report::{Outcome, Performance, ScriptsReport};
use stage::{Actor, Entry, Stage, random_id};

/// Bytes of one file of scripts: the official ones have a few KiB.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Stack of a thread on which engines work: OpenMLS needs more than is usual when it is not optimised.
pub const ENGINE_STACK_BYTES: usize = 8 * 1024 * 1024;

/// What is played, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Who plays.
    pub players: Vec<Player>,
    /// In which suites, of those that all players have; all of these if it is none.
    pub suites: Option<Vec<u16>>,
    /// How Proposals and Commits travel.
    pub handshakes: Modes,
    /// Who plays whom.
    pub assign: Assign,
    /// Performances at once.
    pub jobs: usize,
    /// Where the transcript of each performance is written, if anywhere.
    pub transcripts: Option<PathBuf>,
    /// Whether the first failure is the last performance.
    pub fail_fast: bool,
}

/// How Proposals and Commits travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modes {
    /// As PublicMessage.
    Public,
    /// As PrivateMessage.
    Private,
    /// Once so and once so.
    Both,
}

#[derive(Deserialize)]
struct File {
    scripts: BTreeMap<String, Vec<Action>>,
}

/// One performance to be.
struct Programme {
    file: String,
    script: String,
    actions: Arc<Vec<Action>>,
    suite: u16,
    encrypt: bool,
    /// For each actor its peer's place.
    cast: BTreeMap<String, usize>,
}

/// One performance that is over.
struct Played {
    performance: Performance,
    transcript: Vec<Entry>,
    recorded: Vec<shapes::PassiveClient>,
}

impl Plan {
    /// These players in suite 1, with both kinds of handshakes and all casts.
    pub fn new(players: Vec<Player>) -> Self {
        Self {
            players,
            suites: Some(vec![1]),
            handshakes: Modes::Both,
            assign: Assign::All,
            jobs: 2,
            transcripts: None,
            fail_fast: false,
        }
    }
}

impl Modes {
    fn encrypt(self) -> &'static [bool] {
        match self {
            Self::Public => &[false],
            Self::Private => &[true],
            Self::Both => &[false, true],
        }
    }
}

impl FromStr for Modes {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "public" => Ok(Self::Public),
            "private" => Ok(Self::Private),
            "both" => Ok(Self::Both),
            _ => bail!("it is one of: public, private, both"),
        }
    }
}

/// Plays every script of these files as the plan says.
///
/// # Errors
/// If a file can't be read or is none of scripts, or a player can't be reached.
pub fn scripts(paths: &[PathBuf], plan: &Plan) -> anyhow::Result<ScriptsReport> {
    ensure!(!plan.players.is_empty(), "nobody is there to play");
    ensure!(plan.jobs > 0, "nothing is played by no job");
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(ENGINE_STACK_BYTES)
        .build()?;
    runtime.block_on(play(paths, plan))
}

async fn play(paths: &[PathBuf], plan: &Plan) -> anyhow::Result<ScriptsReport> {
    let mut peers = Vec::new();
    for player in &plan.players {
        peers.push(Peer::reach(player).await?);
    }
    if let Some(folder) = &plan.transcripts {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let programmes = programmes(paths, plan, &peers)?;
    let mut report = ScriptsReport::default();
    let mut coming = programmes.into_iter().enumerate();
    let mut playing = JoinSet::new();
    let mut is_over = false;
    loop {
        while playing.len() < plan.jobs && !is_over {
            let Some((number, programme)) = coming.next() else {
                break;
            };
            let stage = stage(&programme, &peers)?;
            playing.spawn(async move { (number, perform(programme, stage).await) });
        }
        let Some(done) = playing.join_next().await else {
            break;
        };
        let (number, played) = done?;
        if let Some(folder) = &plan.transcripts {
            write(folder, number, &played)?;
        }
        let has_failed = matches!(played.performance.outcome, Outcome::Fail(_));
        is_over |= plan.fail_fast && has_failed;
        report.add(number, played.performance, played.recorded);
    }
    report.sort();
    Ok(report)
}

fn programmes(paths: &[PathBuf], plan: &Plan, peers: &[Peer]) -> anyhow::Result<Vec<Programme>> {
    let suites = suites(plan, peers)?;
    let mut programmes = Vec::new();
    for path in run::scripts(paths)? {
        let file = read(&path).with_context(|| path.display().to_string())?;
        for (script, actions) in file.scripts {
            let (actors, actions) = (actors(&actions), Arc::new(actions));
            for suite in &suites {
                for encrypt in plan.handshakes.encrypt() {
                    let number = programmes.len() as u64;
                    for cast in plan.assign.casts(actors.len(), peers.len(), number)? {
                        programmes.push(Programme {
                            file: path.display().to_string(),
                            script: script.clone(),
                            actions: Arc::clone(&actions),
                            suite: *suite,
                            encrypt: *encrypt,
                            cast: actors.iter().cloned().zip(cast).collect(),
                        });
                    }
                }
            }
        }
    }
    Ok(programmes)
}

/// Those that all have, of those that are asked for.
fn suites(plan: &Plan, peers: &[Peer]) -> anyhow::Result<Vec<u16>> {
    let mut common = common_suites(peers);
    if let Some(asked) = &plan.suites {
        common.retain(|suite| asked.contains(suite));
    }
    ensure!(
        !common.is_empty(),
        "the clients have no such suite in common"
    );
    Ok(common)
}

fn common_suites(peers: &[Peer]) -> Vec<u16> {
    let mut common = peers
        .first()
        .map_or_else(Vec::new, |peer| peer.suites.clone());
    common.retain(|suite| peers.iter().all(|peer| peer.suites.contains(suite)));
    common
}

fn actors(actions: &[Action]) -> Vec<String> {
    let mut actors = Vec::<String>::new();
    for name in actions.iter().flat_map(Action::actors) {
        if !actors.iter().any(|known| known == name) {
            actors.push(name.to_owned());
        }
    }
    actors
}

fn stage(programme: &Programme, peers: &[Peer]) -> anyhow::Result<Stage> {
    let actor = |(name, peer): (&String, &usize)| (name.clone(), Actor::new(peers[*peer].clone()));
    let mut other_suites = common_suites(peers);
    other_suites.retain(|suite| *suite != programme.suite);
    Ok(Stage {
        suite: programme.suite,
        other_suites,
        encrypt: programme.encrypt,
        actors: programme.cast.iter().map(actor).collect(),
        group_id: random_id()?,
        results: Vec::new(),
        transcript: Vec::new(),
        recorder: Recorder::default(),
        signers: 0,
    })
}

async fn perform(programme: Programme, mut stage: Stage) -> Played {
    let outcome = stage.perform(&programme.actions).await;
    let name = |(actor, _): (&String, &usize)| {
        let peer = stage.actors.get(actor);
        (
            actor.clone(),
            peer.map_or_else(String::new, |actor| actor.peer.name.clone()),
        )
    };
    Played {
        performance: Performance {
            cast: programme.cast.iter().map(name).collect(),
            file: programme.file,
            script: programme.script,
            suite: programme.suite,
            private_handshakes: programme.encrypt,
            outcome,
        },
        transcript: stage.transcript,
        recorded: stage.recorder.finish(),
    }
}

fn write(folder: &Path, number: usize, played: &Played) -> anyhow::Result<()> {
    let performance = &played.performance;
    let (script, suite) = (&performance.script, performance.suite);
    let path = folder.join(format!("{number:05}-{script}-{suite}.json"));
    let text = serde_json::to_string_pretty(&json!({
        "performance": performance,
        "transcript": played.transcript,
    }))?;
    fs::write(&path, text).with_context(|| path.display().to_string())
}

fn read(path: &Path) -> anyhow::Result<File> {
    if path.metadata()?.len() > FILE_BYTES_MAX {
        bail!("the file is larger than {FILE_BYTES_MAX} bytes");
    }
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}
