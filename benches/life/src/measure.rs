//! What is measured, and how.

use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use serde::{Deserialize, Serialize};

/// What was measured of one implementation doing one thing in groups of one size.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// How many members the group has.
    pub members: u32,
    /// What was done.
    pub what: String,
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
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Time {
    /// By the clock on the wall.
    pub passed: Duration,
    /// Of all processors.
    pub processor: Duration,
}

impl Row {
    /// A row without any bytes.
    #[must_use]
    pub fn new(members: u32, what: &str, who: &str, times: Vec<Time>) -> Self {
        Self {
            members,
            what: what.to_owned(),
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
