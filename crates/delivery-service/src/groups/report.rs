//! Reports of Commits that members can't process.
//!
//! They stand in the log, in one order for all, so whoever counts them comes to the same end at the
//! same place. The service holds only what it can know: that such a Commit stands there, by that
//! device, and that the device that reports it is a member and signed.

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

/// What a member says of its group's log, and asks to be put into it.
pub(super) struct Word<'a> {
    pub(super) group: GroupId,
    pub(super) by: DeviceId,
    /// The same device's word with the same hash stands there once.
    pub(super) hash: [u8; 32],
    pub(super) bytes: &'a [u8],
    pub(super) effect: Effect<'a>,
}

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
        let word = Word {
            group,
            by: reporter,
            hash: hash(4, group, &[&commit.sequence.0.to_be_bytes()]),
            bytes: report,
            effect: Effect::Report,
        };
        self.put(&word, now, |reporters| {
            reporters.len() >= REPORTS_PER_EPOCH_MAX || reporters.contains(&reporter)
        })
    }

    /// Puts a word into the log, unless those who spoke in this epoch are enough. Two who speak at
    /// the same moment may both be let in, which is no harm.
    pub(super) fn put(
        &self,
        word: &Word<'_>,
        now: UnixMillis,
        are_enough: impl Fn(&[DeviceId]) -> bool,
    ) -> Result<Option<Sequence>, Refusal> {
        let mut id = [0; RequestId::BYTES];
        id.copy_from_slice(&word.hash[..RequestId::BYTES]);
        let request = Request {
            sender: word.by,
            group: word.group,
            request: RequestId::from_bytes(id),
            // What the follower would be asked about. It is not asked.
            body: Body::Application(word.bytes),
        };
        for _ in 0..HANDSHAKE_ATTEMPTS_MAX {
            let submission = Submission {
                body_hash: word.hash,
                // Of whichever epoch it is: it is not MLS's.
                epoch: self.access(word.group, word.by)?.head().epoch,
                basis: None,
                joins: false,
            };
            let (verdict, _) = self.ask(&request, &submission, now)?;
            if matches!(verdict, Verdict::Accept(_))
                && are_enough(&self.store.senders(word.group, word.effect.kind())?)
            {
                return Ok(None);
            }
            match self.append(&request, submission, word.bytes, word.effect, None, now)? {
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
        self.check_reported(reporter, report.commit())?;
        Ok(*report.commit())
    }

    /// That such a Commit stands in the log, where this member may read it.
    fn check_reported(&self, reader: DeviceId, commit: &ReportedCommit) -> Result<(), Refusal> {
        let access = self.access(commit.group, reader)?;
        if !access.is_member() || !access.covers(commit.sequence) {
            return Err(Refusal::NotMember);
        }
        self.check_stands(commit)
    }

    /// That such a Commit stands in the log.
    pub(super) fn check_stands(&self, commit: &ReportedCommit) -> Result<(), Refusal> {
        let group = commit.group;
        let page = Page {
            after: Sequence(commit.sequence.0.saturating_sub(1)),
            up_to: commit.sequence,
            entries: 1,
            bytes: 0,
        };
        let is_it = self.read_kept(group, page)?.iter().any(|entry| {
            let (epoch, at) = (entry.epoch, entry.sequence);
            let there = ReportedCommit::new(group, epoch, at, entry.sender, &entry.message);
            entry.kind == EntryKind::Commit && there == *commit
        });
        is_it
            .then_some(())
            .ok_or(Refusal::Invalid("commit: no such Commit stands there"))
    }
}
