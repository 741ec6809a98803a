//! What large groups cost: reports that are written into `docs/`.

mod memory;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use conclave_benches::report;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure groups of many sizes, ours beside OpenMLS and mls-rs, and write tables and plots
    Report {
        /// How many members the groups have
        #[arg(default_values_t = [2, 10, 100, 1_000, 10_000], value_parser = clap::value_parser!(u32).range(2..))]
        sizes: Vec<u32>,
        /// The folder that they are written into
        #[arg(long, default_value = "docs/groups", value_name = "DIR")]
        to: PathBuf,
    },
    /// Print how much memory one follower or one member of a large group takes
    Memory {
        /// How many members the groups have
        sizes: Vec<u32>,
    },
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Report { sizes, to } => report::write(&sizes, &to, || ALLOCATED.current_usage()),
        Command::Memory { sizes } => memory::print(&sizes, &ALLOCATED),
    }
}
