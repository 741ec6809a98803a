//! What a run was like.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// What a run was like.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The server's address.
    pub server: String,
    /// Users who were registered.
    pub users: usize,
    /// Groups that they made.
    pub groups: usize,
    /// Users in each group at the beginning.
    pub size: usize,
    /// Messages a second that were due after the ramp.
    pub messages_per_second: f64,
    /// Joins and leaves a minute that were due after the ramp.
    pub churn_per_minute: f64,
    /// What the schedule followed from.
    pub seed: u64,
    /// Seconds that it took to register everybody.
    pub registering_seconds: f64,
    /// Seconds that it took to make the groups, until everybody was in.
    pub grouping_seconds: f64,
    /// Seconds from the beginning of the schedule to the last thing that happened.
    pub seconds: f64,
    /// Whether it was ended early.
    pub was_interrupted: bool,
    /// Messages that were due.
    pub due: u64,
    /// Messages that the server accepted.
    pub sent: u64,
    /// Times that a member decrypted one.
    pub decrypted: u64,
    /// Times that a member should have decrypted one and had not by the end.
    pub missing: u64,
    /// Messages that the server had not answered for by the end.
    pub unanswered: u64,
    /// Users who came into a group.
    pub joined: u64,
    /// Users who left one.
    pub left: u64,
    /// Users who were about to, at the end.
    pub on_their_way: u64,
    /// Commits in all groups, since they were made.
    pub commits: u64,
    /// How long things took.
    pub times: Times,
    /// What went wrong, and how often.
    pub errors: BTreeMap<String, u64>,
    /// By how much each of the server's metrics that moved went up or down in the run; `None` where it was not
    /// asked for them, or did not say.
    pub server_metrics: Option<BTreeMap<String, f64>>,
}

/// How long things took, each from when it was due.
#[derive(Debug, Clone, Copy, Serialize)]
#[non_exhaustive]
pub struct Times {
    /// Until a member had decrypted a message: one for each member.
    pub decrypted: Latency,
    /// Until the server had accepted a message, and its sender read that in the log.
    pub accepted: Latency,
    /// Until somebody was in a group.
    pub joined: Latency,
    /// Until somebody was out of a group.
    pub left: Latency,
    /// Until a message began to be sent. Where this is long, the machine of the load generator is too small.
    pub begun_late: Latency,
}

/// Percentiles, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// The median.
    pub p50_ms: f64,
    /// What nine of ten kept below.
    pub p90_ms: f64,
    /// What 99 of 100 kept below.
    pub p99_ms: f64,
    /// What 999 of 1,000 kept below.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Report {
    /// Whether all went well: nothing failed, and all that was sent was decrypted by all who should.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let lost = self.missing + self.unanswered + self.on_their_way;
        lost == 0 && self.errors.is_empty()
    }

    fn rate(&self, count: u64) -> f64 {
        count as f64 / self.seconds.max(0.001)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let early = if self.was_interrupted {
            ", ended early"
        } else {
            ""
        };
        writeln!(
            f,
            "{} users in {} groups of {}, {} messages a second and {} joins and leaves a minute (seed {})",
            self.users,
            self.groups,
            self.size,
            self.messages_per_second,
            self.churn_per_minute,
            self.seed,
        )?;
        writeln!(
            f,
            "registered in {:.1} s, groups made in {:.1} s, ran {:.1} s{early}\n",
            self.registering_seconds, self.grouping_seconds, self.seconds,
        )?;
        write!(f, "{}", self.times)?;
        writeln!(
            f,
            "\nmessages   {} due, {} sent ({:.1}/s), {} decrypted ({:.1}/s), {} missing, {} unanswered",
            self.due,
            self.sent,
            self.rate(self.sent),
            self.decrypted,
            self.rate(self.decrypted),
            self.missing,
            self.unanswered,
        )?;
        writeln!(
            f,
            "changes    {} joined, {} left, {} on their way; {} Commits",
            self.joined, self.left, self.on_their_way, self.commits,
        )?;
        self.write_errors(f)?;
        self.write_metrics(f)
    }
}

impl Report {
    fn write_errors(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.errors.is_empty() {
            return write!(f, "errors     none");
        }
        write!(f, "errors")?;
        for (kind, count) in &self.errors {
            write!(f, "\n  {count:>8}  {kind}")?;
        }
        Ok(())
    }

    fn write_metrics(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(metrics) = &self.server_metrics else {
            return Ok(());
        };
        write!(f, "\nthe server's metrics, by how much they changed")?;
        for (name, difference) in metrics {
            write!(f, "\n  {difference:>+14.3}  {name}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<11}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "ms", "p50", "p90", "p99", "p99.9", "max", "count"
        )?;
        let rows = [
            ("decrypted", self.decrypted),
            ("accepted", self.accepted),
            ("joined", self.joined),
            ("left", self.left),
            ("begun late", self.begun_late),
        ];
        for (name, it) in rows.into_iter().filter(|(_, it)| it.count > 0) {
            writeln!(
                f,
                "{name:<11}{:>10.1}{:>10.1}{:>10.1}{:>10.1}{:>10.1}{:>10}",
                it.p50_ms, it.p90_ms, it.p99_ms, it.p999_ms, it.max_ms, it.count
            )?;
        }
        Ok(())
    }
}
