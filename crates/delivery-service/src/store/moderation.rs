//! Reports of messages, and the log of what moderators do.

use conclave_protocol::{DeviceId, GroupId, ReportId, RequestId, Sequence, UnixMillis, UserId};
use conclave_safety::Chained;

use super::Notice;

/// A report to be kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewReport<'a> {
    /// Its name.
    pub(crate) id: ReportId,
    /// Who made it.
    pub(crate) reporter: &'a UserId,
    /// When it came.
    pub(crate) received: UnixMillis,
    /// The group of its messages.
    pub(crate) group: GroupId,
    /// The messages that are reported.
    pub(crate) reported: &'a [Sequence],
    /// What lists show of it, opaque here.
    pub(crate) summary: &'a [u8],
    /// All of it, opaque here.
    pub(crate) body: &'a [u8],
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filed {
    /// It is kept, now or before.
    Done,
    /// Another report has its name.
    IdTaken,
    /// The reporter has reported one of its messages before.
    Replayed(Sequence),
    /// Too many wait for a decision.
    Full,
}

/// A report as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReportRow {
    /// Its place among all.
    pub(crate) number: u64,
    /// Its name.
    pub(crate) id: ReportId,
    /// When it came.
    pub(crate) received: UnixMillis,
    /// What lists show of it.
    pub(crate) summary: Vec<u8>,
}

/// What a device asked for, so that its repetition gets the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// By whom.
    pub(crate) device: DeviceId,
    /// Under which name.
    pub(crate) request: RequestId,
    /// What its body hashes to.
    pub(crate) body_hash: [u8; 32],
    /// When.
    pub(crate) at: UnixMillis,
}

/// An entry of the audit log, and what is written with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewAudit<'a> {
    /// The entry.
    pub(crate) chained: &'a Chained,
    /// The request by which somebody wanted it.
    pub(crate) asked: Option<Asked>,
    /// The report that it is about.
    pub(crate) about: Option<ReportId>,
    /// Whether it is a decision on that.
    pub(crate) decides: bool,
    /// Who is told: a user's devices, or one of them.
    pub(crate) tells: Option<(&'a UserId, Option<DeviceId>, &'a Notice)>,
}
