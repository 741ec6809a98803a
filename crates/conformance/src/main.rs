//! The binary `conclave-conformance`.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use conclave_conformance::{EngineName, check, files, generate};

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
    let Command::Vectors(vectors) = Arguments::parse().command;
    let outcome = match &vectors.generate {
        Some(Generate::Generate { kind }) => print_fresh(kind),
        None => print_report(&vectors),
    };
    outcome.unwrap_or_else(|error| {
        // Nothing is left to do if even the complaint can't be written.
        let _ = writeln!(io::stderr(), "conclave-conformance: {error:#}");
        ExitCode::from(2)
    })
}

fn print_report(vectors: &Vectors) -> anyhow::Result<ExitCode> {
    let report = check(&files(&vectors.paths)?, &vectors.engine.names())?;
    let mut out = io::stdout().lock();
    if vectors.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(if report.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print_fresh(kind: &str) -> anyhow::Result<ExitCode> {
    writeln!(io::stdout().lock(), "{}", generate(kind)?)?;
    Ok(ExitCode::SUCCESS)
}
