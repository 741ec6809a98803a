//! Reports of Commits that members can't process.
//!
//! They stand in the log, in one order for all, so whoever counts them comes to the same end at the
//! same place. The service holds only what it can know: that such a Commit stands there, and that
//! the device that reports it is a member and signed.

use conclave_protocol::{
    CommitReport, DeviceId, GroupId, ReportedCommit, RequestId, Sequence, UnixMillis,
};

use super::{Body, Groups, Request, body::hash, receipt};
use crate::{
    error::Refusal,
    limits::{HANDSHAKE_ATTEMPTS_MAX, REPORTS_PER_EPOCH_MAX},
    ordering::{Submission, Verdict},
    store::{Effect, EntryKind, Page},
};

impl Groups {
    /// Puts a member's report into the log and says where it stands; `None` where there are enough
    /// in this epoch. The same device's report of the same Commit stands there once.
    pub(crate) fn report(
        &self,
        group: GroupId,
        reporter: DeviceId,
        report: &[u8],
        now: UnixMillis,
    ) -> Result<Option<Sequence>, Refusal> {
        let commit = self.check_report(group, reporter, report)?;
        let about = commit.sequence.0.to_be_bytes();
        let body_hash = hash(4, group, &[&about]);
        let mut id = [0; RequestId::BYTES];
        id.copy_from_slice(&body_hash[..RequestId::BYTES]);
        let request = Request {
            sender: reporter,
            group,
            request: RequestId::from_bytes(id),
            // What the follower would be asked about. It is not asked.
            body: Body::Application(report),
        };
        for _ in 0..HANDSHAKE_ATTEMPTS_MAX {
            let submission = Submission {
                body_hash,
                // Of whichever epoch it is: a report is not MLS's.
                epoch: self.access(group, reporter)?.head().epoch,
                basis: None,
                joins: false,
            };
            let (verdict, _) = self.ask(&request, &submission, now)?;
            if matches!(verdict, Verdict::Accept(_)) && self.has_enough(group, reporter)? {
                return Ok(None);
            }
            match self.append(&request, submission, report, Effect::Report, now)? {
                // The group moved on meanwhile.
                Verdict::WrongEpoch(_) => {}
                verdict => return receipt(verdict, now).map(|receipt| Some(receipt.sequence)),
            }
        }
        Err(Refusal::Busy("the group is busy; try again"))
    }

    fn check_report(
        &self,
        group: GroupId,
        reporter: DeviceId,
        report: &[u8],
    ) -> Result<ReportedCommit, Refusal> {
        let report = CommitReport::from_bytes(report)
            .filter(|report| report.commit().group == group && report.reporter() == reporter)
            .ok_or(Refusal::Invalid(
                "report: not one by the caller, of this group",
            ))?;
        let device = self.store.device(reporter)?.ok_or(Refusal::NotMember)?;
        report
            .verify(&device.signature_key)
            .map_err(|_| Refusal::Invalid("report: not signed by the caller's key"))?;
        let commit = *report.commit();
        let access = self.access(group, reporter)?;
        if !access.is_member() || !access.covers(commit.sequence) {
            return Err(Refusal::NotMember);
        }
        let page = Page {
            after: Sequence(commit.sequence.0.saturating_sub(1)),
            up_to: commit.sequence,
            entries: 1,
            bytes: 0,
        };
        let is_it = self.read_kept(group, page)?.iter().any(|entry| {
            let there = ReportedCommit::new(group, entry.epoch, entry.sequence, &entry.message);
            entry.kind == EntryKind::Commit && there == commit
        });
        is_it
            .then_some(commit)
            .ok_or(Refusal::Invalid("report: no such Commit stands there"))
    }

    /// Whether this device, or enough others, have reported in this epoch. Two who report at the
    /// same moment may both be let in, which is no harm.
    fn has_enough(&self, group: GroupId, reporter: DeviceId) -> Result<bool, Refusal> {
        let reporters = self.store.reporters(group)?;
        Ok(reporters.len() >= REPORTS_PER_EPOCH_MAX || reporters.contains(&reporter))
    }
}
