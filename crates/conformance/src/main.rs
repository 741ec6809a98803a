//! The binary `conclave-conformance`.

use std::{
    fmt::Display,
    fs,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use conclave_conformance::{
    Assign, ENGINE_STACK_BYTES, EngineName, Listening, Modes, Plan, Player, check, files, generate,
    scripts,
};
use serde::Serialize;

/// Holds MLS implementations against RFC 9420's official test material.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check test vectors, or make fresh ones.
    Vectors(Vectors),
    /// Play interop scripts.
    Scripts(Scripts),
    /// Play interop scripts, and write what was said as cases for clients that only listen.
    Record(Record),
    /// Answer as an MLSClient.
    Serve(Serve),
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
struct Vectors {
    #[command(subcommand)]
    generate: Option<Generate>,
    /// Vector files, or folders of them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Who is checked.
    #[arg(long, value_enum, default_value_t = Engines::Ours)]
    engine: Engines,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Scripts {
    #[command(flatten)]
    plan: PlanArguments,
    /// Print the report as JSON.
    #[arg(long, conflicts_with = "table")]
    json: bool,
    /// Have each engine play alone, each pair of them and all, and print a line for each.
    #[arg(long, conflicts_with_all = ["client", "in_process"])]
    table: bool,
}

#[derive(Args)]
struct Record {
    #[command(flatten)]
    plan: PlanArguments,
    /// Where the cases are written.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args)]
struct PlanArguments {
    /// Files of scripts, or folders of them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Who plays: an MLSClient at this address, host:port. May be given several times.
    #[arg(long)]
    client: Vec<String>,
    /// Who plays, in this process.
    #[arg(long, value_enum, value_delimiter = ',')]
    in_process: Vec<Engines>,
    /// In which suites; in all that all clients have, unless said.
    #[arg(long, value_delimiter = ',')]
    suites: Option<Vec<u16>>,
    /// How Proposals and Commits travel: public, private or both.
    #[arg(long, default_value = "both")]
    handshakes: Modes,
    /// Who plays whom: all, turns, random or random=SEED.
    #[arg(long, default_value = "all")]
    assign: Assign,
    /// Performances at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Write a transcript of each performance into this folder.
    #[arg(long)]
    transcript: Option<PathBuf>,
    /// Stop at the first failure.
    #[arg(long)]
    fail_fast: bool,
}

#[derive(Args)]
struct Serve {
    /// Who answers.
    #[arg(long, value_enum)]
    engine: Engine,
    /// At which address; port 0 takes any.
    #[arg(long, default_value = "127.0.0.1:50051")]
    listen: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Engine {
    Ours,
    Openmls,
    MlsRs,
}

impl From<Engine> for EngineName {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Ours => Self::Ours,
            Engine::Openmls => Self::Openmls,
            Engine::MlsRs => Self::MlsRs,
        }
    }
}

impl PlanArguments {
    /// The plan, and the files. Ours plays alone if nobody is named.
    fn plan(self) -> (Vec<PathBuf>, Plan) {
        let engines = self.in_process.iter().flat_map(|one| one.names());
        let mut players: Vec<_> = engines.map(Player::Engine).collect();
        players.extend(self.client.into_iter().map(Player::Address));
        if players.is_empty() {
            players.push(Player::Engine(EngineName::Ours));
        }
        let plan = Plan {
            suites: self.suites,
            handshakes: self.handshakes,
            assign: self.assign,
            jobs: self.jobs,
            transcripts: self.transcript,
            fail_fast: self.fail_fast,
            ..Plan::new(players)
        };
        (self.paths, plan)
    }
}

#[derive(Subcommand)]
enum Generate {
    /// Print fresh vectors of one kind, for every suite that is supported.
    Generate {
        /// The kind, named as its official file is.
        kind: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Engines {
    Ours,
    Openmls,
    MlsRs,
    All,
}

impl Engines {
    fn names(self) -> Vec<EngineName> {
        match self {
            Self::Ours => vec![EngineName::Ours],
            Self::Openmls => vec![EngineName::Openmls],
            Self::MlsRs => vec![EngineName::MlsRs],
            Self::All => EngineName::ALL.to_vec(),
        }
    }
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Vectors(Vectors {
            generate: Some(Generate::Generate { kind }),
            ..
        }) => print_fresh(&kind),
        Command::Vectors(vectors) => check_vectors(&vectors),
        Command::Scripts(scripts) => play_scripts(scripts),
        Command::Record(record) => record_cases(record),
        Command::Serve(given) => serve(&given),
    };
    outcome.unwrap_or_else(|error| {
        // Nothing is left to do if even the complaint can't be written.
        let _ = writeln!(io::stderr(), "conclave-conformance: {error:#}");
        ExitCode::from(2)
    })
}

fn check_vectors(vectors: &Vectors) -> anyhow::Result<ExitCode> {
    let report = check(&files(&vectors.paths)?, &vectors.engine.names())?;
    print_report(&report, vectors.json, report.holds())
}

fn play_scripts(given: Scripts) -> anyhow::Result<ExitCode> {
    let (paths, plan) = given.plan.plan();
    if given.table {
        return print_table(&paths, &plan);
    }
    let report = scripts(&paths, &plan)?;
    print_report(&report, given.json, report.holds())
}

fn print_table(paths: &[PathBuf], plan: &Plan) -> anyhow::Result<ExitCode> {
    use EngineName::{MlsRs, Openmls, Ours};
    let casts: [&[EngineName]; 7] = [
        &[Ours],
        &[MlsRs],
        &[Openmls],
        &[Ours, MlsRs],
        &[Ours, Openmls],
        &[MlsRs, Openmls],
        &[Ours, MlsRs, Openmls],
    ];
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "| who plays | always passed | performances: pass / fail / skip |"
    )?;
    writeln!(out, "|---|---|---|")?;
    let mut holds = true;
    for cast in casts {
        let plan = Plan {
            players: cast.iter().copied().map(Player::Engine).collect(),
            ..plan.clone()
        };
        let report = scripts(paths, &plan)?;
        let names: Vec<_> = cast.iter().map(|engine| engine.name()).collect();
        let (always, [pass, fail, skip]) = (report.passed_always().len(), report.counts());
        let names = names.join(", ");
        writeln!(out, "| {names} | {always} | {pass} / {fail} / {skip} |")?;
        holds &= report.holds();
    }
    Ok(exit_code(holds))
}

fn record_cases(given: Record) -> anyhow::Result<ExitCode> {
    let (paths, plan) = given.plan.plan();
    let report = scripts(&paths, &plan)?;
    fs::write(&given.out, report.passive_cases()?)?;
    print_report(&report, false, report.holds())
}

fn serve(given: &Serve) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(ENGINE_STACK_BYTES)
        .build()?;
    runtime.block_on(async {
        let listening = Listening::bind(given.engine.into(), &given.listen).await?;
        writeln!(io::stdout(), "listening on {}", listening.address()?)?;
        let stop = async {
            // Without the signal there is no stopping but by force.
            let _ = tokio::signal::ctrl_c().await;
        };
        listening.serve(stop).await
    })?;
    Ok(ExitCode::SUCCESS)
}

fn print_report(
    report: &(impl Serialize + Display),
    json: bool,
    holds: bool,
) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(exit_code(holds))
}

fn exit_code(holds: bool) -> ExitCode {
    match holds {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn print_fresh(kind: &str) -> anyhow::Result<ExitCode> {
    writeln!(io::stdout().lock(), "{}", generate(kind)?)?;
    Ok(ExitCode::SUCCESS)
}
