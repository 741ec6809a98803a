//! OpenMLS on its SQLite storage leads the life that the report has all implementations lead. It does what it is told
//! on its standard input, a step a line, so that it takes turns with the others, and answers each step with a line:
//! `done`, or before that, at the end, with a row of figures in JSON for each deed.

mod database;

use std::io::{self, Write as _};

use anyhow::{Context as _, bail};
use conclave_benches_life::{Device, Group, Life, Peer, openmls};
use peak_alloc::PeakAlloc;
use tempfile::TempDir;

use crate::database::Database;

/// As in the report, so that it costs all of them the same.
#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// OpenMLS, and a folder for the databases of its devices.
struct OnSqlite(TempDir);

impl Peer for OnSqlite {
    fn name(&self) -> &'static str {
        "OpenMLS, RustCrypto, SQLite"
    }

    fn device(&self, number: u32) -> anyhow::Result<Box<dyn Device>> {
        let file = self.0.path().join(format!("{number}.db"));
        openmls::device(number, Database::open(&file)?)
    }

    /// Whoever only hands out a KeyPackage needs no database: thousands of them would take minutes that nobody measures.
    fn stranger(&self, number: u32) -> anyhow::Result<Vec<u8>> {
        openmls::in_memory(number)?.key_package()
    }
}

fn main() -> anyhow::Result<()> {
    let mut life: Option<Box<dyn Life>> = None;
    for line in io::stdin().lines() {
        let line = line?;
        let (step, size) = line.split_once(' ').unwrap_or((&line, ""));
        match (step, &mut life) {
            ("begin", _) => {
                let peer = Box::new(OnSqlite(tempfile::tempdir()?));
                let group = Group::begin(peer, size.parse()?, || ALLOCATED.current_usage())?;
                life = Some(Box::new(group));
            }
            ("join", Some(life)) => life.join()?,
            ("change", Some(life)) => life.change()?,
            ("messages", Some(life)) => life.messages()?,
            ("rows", _) => print_rows(life.take().context("no life was begun")?)?,
            _ => bail!("no such step"),
        }
        say("done")?;
    }
    Ok(())
}

fn print_rows(life: Box<dyn Life>) -> anyhow::Result<()> {
    for row in life.rows()? {
        say(&serde_json::to_string(&row)?)?;
    }
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
