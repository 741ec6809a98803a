//! `conclave-simulator`: worlds by the thousand, and one again.
#![expect(clippy::print_stdout, clippy::print_stderr)]

use std::{
    fs,
    ops::Range,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::Context as _;
use clap::{Args as ClapArgs, Parser, Subcommand};
use conclave_simulator::{Bug, Failure, Plan, Report, Scenario, Trace, run, shrink};

/// Plays worlds of clients and a delivery service in which everything goes wrong that can.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play many seeds and say which go wrong
    Run {
        /// The seeds, the last excluded
        #[arg(long, default_value = "0..50", value_parser = seeds)]
        seeds: Range<u64>,
        /// Worlds at a time
        #[arg(long, default_value_t = 2)]
        jobs: u64,
        #[command(flatten)]
        world: World,
    },
    /// Play one seed again; where it goes wrong, look for the shortest plan that does
    Replay {
        /// The seed
        seed: u64,
        /// Tell all that happens
        #[arg(long)]
        trace: bool,
        /// Leave a plan that goes wrong as it is
        #[arg(long)]
        whole: bool,
        #[command(flatten)]
        world: World,
    },
}

#[derive(Debug, ClapArgs)]
struct World {
    /// A scenario in TOML, for what is not as usual
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// A bug to plant in the service, to see that it is found
    #[arg(long)]
    bug: Option<Bug>,
}

impl World {
    fn scenario(&self) -> anyhow::Result<Scenario> {
        let Some(path) = &self.scenario else {
            return Ok(Scenario::default());
        };
        let text = fs::read_to_string(path);
        let text = text.with_context(|| format!("{} can't be read", path.display()))?;
        Ok(Scenario::from_toml(&text)?)
    }
}

fn main() -> anyhow::Result<ExitCode> {
    match Args::parse().command {
        Command::Run { seeds, jobs, world } => run_all(seeds, jobs, &world.scenario()?, world.bug),
        Command::Replay {
            seed,
            trace,
            whole,
            world,
        } => {
            let scenario = world.scenario()?;
            Ok(replay(seed, &scenario, world.bug, trace, whole))
        }
    }
}

fn run_all(
    seeds: Range<u64>,
    jobs: u64,
    scenario: &Scenario,
    bug: Option<Bug>,
) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let played: Mutex<Vec<Result<Report, Failure>>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let plan = Plan::draw(seed, scenario);
                    let outcome = run(&plan, scenario, bug, &mut Trace::default());
                    if let Err(failure) = &outcome {
                        eprintln!("{failure}");
                    }
                    let mut played = played.lock().unwrap_or_else(PoisonError::into_inner);
                    played.push(outcome);
                }
            });
        }
    });
    let played = played.into_inner().unwrap_or_else(PoisonError::into_inner);
    let good: Vec<&Report> = played.iter().flatten().collect();
    let sum = |of: fn(&Report) -> u64| good.iter().map(|report| of(report)).sum::<u64>();
    println!(
        "{} worlds in {:.1} s: {} go well, {} go wrong; {} requests, {} log entries, {} crashes of \
         clients, {} h of their time",
        played.len(),
        begun.elapsed().as_secs_f64(),
        good.len(),
        played.len() - good.len(),
        sum(|report| report.requests),
        sum(|report| report.entries),
        sum(|report| report.crashes),
        sum(|report| report.millis) / 3_600_000,
    );
    Ok(if good.len() == played.len() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn replay(
    seed: u64,
    scenario: &Scenario,
    bug: Option<Bug>,
    is_traced: bool,
    is_whole: bool,
) -> ExitCode {
    let mut plan = Plan::draw(seed, scenario);
    let mut played = run(&plan, scenario, bug, &mut Trace::default());
    if let Err(failure) = played.clone()
        && !is_whole
    {
        eprintln!("{failure}");
        let (least, failure) = shrink(&plan, scenario, bug, failure);
        plan = least;
        played = Err(failure);
        println!("the least of its steps that still go wrong:");
        plan.steps.iter().for_each(|step| println!("{step}"));
    }
    if is_traced {
        let mut trace = Trace::kept();
        // Played once more, and told.
        let _ = run(&plan, scenario, bug, &mut trace);
        trace.lines().iter().for_each(|line| println!("{line}"));
    }
    match played {
        Ok(report) => {
            println!("seed {seed} goes well: {report:?}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text.split_once("..").and_then(|(from, to)| {
        let (from, to) = (from.parse().ok()?, to.parse().ok()?);
        (from < to).then_some(from..to)
    });
    range.ok_or_else(|| "seeds are given as 0..1000".to_owned())
}
