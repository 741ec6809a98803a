//! The report: what every implementation does in groups of many sizes, measured in one run.

mod life;
mod plot;
mod table;

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use cpu_time::ProcessTime;

use crate::full_tree;
pub use table::cells;

/// Of what the bytes are that are allocated at present.
pub type Allocated = fn() -> usize;

/// What was measured of one implementation doing one thing in groups of one size.
#[derive(Debug, Clone)]
pub struct Row {
    /// How many members the group has.
    pub members: u32,
    /// What was done.
    pub what: &'static str,
    /// Who did it.
    pub who: String,
    /// How long it took each time.
    pub times: Vec<Time>,
    /// Bytes that go to others, or come from them, where there are any: of one time.
    pub wire_bytes: Option<u64>,
    /// Bytes that were handed to the storage each time.
    pub written_bytes: Vec<u64>,
    /// Bytes of memory that it takes from then on.
    pub memory_bytes: Option<u64>,
}

/// How long something took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Time {
    /// By the clock on the wall.
    pub passed: Duration,
    /// Of all processors.
    pub processor: Duration,
}

impl Row {
    /// A row without any bytes.
    #[must_use]
    pub fn new(members: u32, what: &'static str, who: &str, times: Vec<Time>) -> Self {
        Self {
            members,
            what,
            who: who.to_owned(),
            times,
            wire_bytes: None,
            written_bytes: Vec::new(),
            memory_bytes: None,
        }
    }

    /// What is written each time, on average: what is put off is written some time.
    #[must_use]
    pub fn written_each(&self) -> Option<u64> {
        let count = self.written_bytes.len() as u64;
        self.written_bytes.iter().sum::<u64>().checked_div(count)
    }

    /// The times of one kind in their order.
    #[must_use]
    pub fn sorted(&self, which: fn(&Time) -> Duration) -> Vec<Duration> {
        let mut times: Vec<Duration> = self.times.iter().map(which).collect();
        times.sort_unstable();
        times
    }

    /// The median of the processor's times.
    #[must_use]
    pub fn median(&self) -> Duration {
        let sorted = self.sorted(|time| time.processor);
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }
}

/// Does something and notes how long it took.
pub fn timed<T>(times: &mut Vec<Time>, work: impl FnOnce() -> T) -> T {
    let (begun, processor) = (Instant::now(), ProcessTime::now());
    let outcome = work();
    times.push(Time {
        passed: begun.elapsed(),
        processor: processor.elapsed(),
    });
    outcome
}

/// Measures everything for groups of these sizes and writes `report.md` and the plots into a folder.
///
/// # Errors
/// Where an implementation refuses what another one of its own made, or nothing can be written.
pub fn write(sizes: &[u32], folder: &Path, allocated: Allocated) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for size in sizes {
        say(&format!("groups of {size}"))?;
        rows.extend(life::rows(*size, allocated)?);
        if *size >= full_tree::MEMBERS_MIN {
            rows.extend(full_tree::rows(*size)?);
        }
    }
    let context = || format!("can't write into {}", folder.display());
    fs::create_dir_all(folder).with_context(context)?;
    let mut text = table::heading(sizes)?;
    for rows in by_deed(&rows) {
        let name = format!("{}.svg", file_name(rows[0].what));
        let has_plot = plot::write(&rows, &folder.join(&name))?;
        text += &table::section(&rows, has_plot.then_some(name.as_str()))?;
    }
    fs::write(folder.join("report.md"), text).with_context(context)?;
    say(&format!("written into {}", folder.display()))
}

/// Rows of one deed each, in the order in which they came.
fn by_deed(rows: &[Row]) -> Vec<Vec<&Row>> {
    let mut deeds: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        match deeds.iter_mut().find(|deed| deed[0].what == row.what) {
            Some(deed) => deed.push(row),
            None => deeds.push(vec![row]),
        }
    }
    deeds
}

fn file_name(what: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    what.to_ascii_lowercase().chars().map(plain).collect()
}

fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stderr(), "{line}")?)
}
