//! What the server counts of its own work, for whoever runs it. Everything here is a number of something; what it is
//! of is told by the name of a method, a status, a reason or a kind, which this program knows beforehand: nothing
//! that anybody sends becomes part of a name, and no user, device, group or address.

mod endpoint;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use tonic::Code;

use crate::error::Refusal;

pub(crate) use endpoint::serve;

/// How long something takes, in seconds: from what a cache answers to what a person waits for.
const SECONDS: [f64; 12] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// How many writes share a commit.
const WRITES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// A label's name and value.
type Label = (&'static str, &'static str);

/// What became of requests.
#[derive(Clone)]
pub(crate) struct Requests {
    answered: Family<[Label; 2], Counter>,
    seconds: Family<[Label; 1], Histogram, fn() -> Histogram>,
    refused: Refusals,
    /// Whether whatever path is asked for becomes a name, as it must not.
    #[cfg(feature = "planted-bugs")]
    names_paths: bool,
}

/// A request that is being answered.
pub(crate) struct Counted {
    requests: Requests,
    method: &'static str,
    begun: Instant,
}

/// Why requests were refused.
#[derive(Clone, Default)]
pub(crate) struct Refusals(Family<[Label; 1], Counter>);

/// What is announced to readers, and to how many.
#[derive(Clone, Default)]
pub(crate) struct Readers {
    entries: Counter,
    streams: Gauge,
}

/// How the store commits.
#[derive(Clone)]
pub(crate) struct Commits {
    seconds: Histogram,
    writes: Histogram,
    failed: Counter,
}

/// All that is counted.
#[derive(Clone, Default)]
pub(crate) struct Metrics {
    pub(crate) requests: Requests,
    pub(crate) readers: Readers,
    pub(crate) commits: Commits,
    pub(crate) connections: Gauge,
}

impl Metrics {
    /// The numbers as they are shown, now and whenever they are asked for.
    pub(crate) fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("conclave");
        let requests = &self.requests;
        registry.register(
            "requests",
            "Requests by method and status; of streams, when they began",
            requests.answered.clone(),
        );
        registry.register_with_unit(
            "request",
            "Time until the answer began",
            Unit::Seconds,
            requests.seconds.clone(),
        );
        registry.register(
            "refusals",
            "Requests refused, by reason",
            requests.refused.0.clone(),
        );
        let readers = &self.readers;
        registry.register(
            "log_entries",
            "Messages, Commits and Proposals appended to groups' logs",
            readers.entries.clone(),
        );
        registry.register("streams", "Live streams now", readers.streams.clone());
        registry.register("connections", "Connections now", self.connections.clone());
        let commits = &self.commits;
        registry.register_with_unit(
            "store_commit",
            "Time to make writes durable",
            Unit::Seconds,
            commits.seconds.clone(),
        );
        registry.register(
            "store_commit_writes",
            "Writes that were made durable together",
            commits.writes.clone(),
        );
        registry.register(
            "store_commits_failed",
            "Commits that came to nothing",
            commits.failed.clone(),
        );
        registry
    }
}

/// What whoever asks is shown: text in the form of OpenMetrics 1.0.
fn render(registry: &Registry) -> String {
    let mut shown = String::new();
    // Writing to a string fails only where a metric says so, and none here does.
    if text::encode(&mut shown, registry).is_err() {
        tracing::error!("the metrics could not be written");
    }
    shown
}

impl Requests {
    /// Has whatever path is asked for become a name.
    #[cfg(feature = "planted-bugs")]
    pub(crate) fn name_paths(&mut self, names_paths: bool) {
        self.names_paths = names_paths;
    }

    /// A request for a path begins.
    pub(crate) fn begin(&self, path: &str) -> Counted {
        Counted {
            method: self.name(path),
            requests: self.clone(),
            begun: Instant::now(),
        }
    }

    #[cfg(feature = "planted-bugs")]
    fn name(&self, path: &str) -> &'static str {
        if self.names_paths {
            return path.to_owned().leak();
        }
        method(path)
    }

    #[cfg(not(feature = "planted-bugs"))]
    #[allow(clippy::unused_self)] // With planted bugs, it may have one.
    fn name(&self, path: &str) -> &'static str {
        method(path)
    }

    fn answered(&self, method: &'static str, code: Code, took: Duration) {
        let (method, code) = (("method", method), ("code", name_of(code)));
        self.answered.get_or_create(&[method, code]).inc();
        let seconds = self.seconds.get_or_create(&[method]);
        seconds.observe(took.as_secs_f64());
    }

    /// Where refusals are noted.
    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refused
    }
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            answered: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            refused: Refusals::default(),
            #[cfg(feature = "planted-bugs")]
            names_paths: false,
        }
    }
}

impl Counted {
    /// Notes what became of it. Of a request that is given up before, nothing did.
    pub(crate) fn answered(self, code: Code) {
        let took = self.begun.elapsed();
        self.requests.answered(self.method, code, took);
    }
}

impl Refusals {
    /// Notes why a request is refused.
    pub(crate) fn note(&self, refusal: &Refusal) {
        let reason = ("reason", refusal.reason());
        self.0.get_or_create(&[reason]).inc();
    }
}

impl Readers {
    /// A log has another entry.
    pub(crate) fn appended(&self) {
        self.entries.inc();
    }

    /// A stream began.
    pub(crate) fn came(&self) {
        self.streams.inc();
    }

    /// A stream ended.
    pub(crate) fn left(&self) {
        self.streams.dec();
    }
}

impl Commits {
    /// Notes a commit that began at that moment.
    pub(crate) fn ended(&self, begun: Instant, writes: usize, is_durable: bool) {
        if !is_durable {
            self.failed.inc();
            return;
        }
        self.seconds.observe(begun.elapsed().as_secs_f64());
        // There are some hundred at most.
        self.writes
            .observe(f64::from(u32::try_from(writes).unwrap_or(u32::MAX)));
    }
}

impl Default for Commits {
    fn default() -> Self {
        Self {
            seconds: Histogram::new(SECONDS),
            writes: Histogram::new(WRITES),
            failed: Counter::default(),
        }
    }
}

/// The methods of the service, in the order of its `.proto`.
const METHODS: [&str; 37] = [
    "Describe",
    "Register",
    "RequestChallenge",
    "Authenticate",
    "CheckInstance",
    "PublishDeviceList",
    "FetchDeviceLists",
    "FindGroups",
    "PublishKeyPackages",
    "TakeKeyPackages",
    "CreateGroup",
    "Submit",
    "ReportCommit",
    "VoteForSuccessor",
    "FetchGroupInfo",
    "CreateInvitation",
    "RedeemInvitation",
    "ApproveInvitation",
    "SubmitIntent",
    "SendSignal",
    "DeleteDevice",
    "DeleteUser",
    "DeleteGroup",
    "ReadLog",
    "FetchTree",
    "UploadBlob",
    "DownloadBlob",
    "ReadMailbox",
    "AcknowledgeMailbox",
    "SubmitReport",
    "FetchStanding",
    "Appeal",
    "ListReports",
    "ShowReport",
    "Moderate",
    "ReadAudit",
    "Stream",
];

/// The method that a path names, of those there are: whatever else somebody asks for is one and the same.
fn method(path: &str) -> &'static str {
    let named = path.rsplit('/').next().unwrap_or_default();
    let known = METHODS.into_iter().find(|it| *it == named);
    known.unwrap_or("other")
}

/// As gRPC's documentation writes it.
fn name_of(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
