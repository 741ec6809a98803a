//! The binary `conclave-conformance`.

use std::{
    fmt::Display,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use conclave_conformance::{EngineName, check, files, generate, scripts};
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
    /// Files of scripts, or folders of them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Who plays, in this process: one implementation, or several that take turns.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "ours")]
    in_process: Vec<Engines>,
    /// In which suites.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    suites: Vec<u16>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
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
        Command::Scripts(scripts) => play_scripts(&scripts),
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

fn play_scripts(given: &Scripts) -> anyhow::Result<ExitCode> {
    let engines: Vec<_> = given
        .in_process
        .iter()
        .flat_map(|one| one.names())
        .collect();
    let report = scripts(&given.paths, &given.suites, &engines)?;
    print_report(&report, given.json, report.holds())
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
    Ok(if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print_fresh(kind: &str) -> anyhow::Result<ExitCode> {
    writeln!(io::stdout().lock(), "{}", generate(kind)?)?;
    Ok(ExitCode::SUCCESS)
}
