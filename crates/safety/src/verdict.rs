//! Whether a report is what it says it is, before a person sees it.

use std::collections::BTreeSet;

use conclave_protocol::{
    EvidenceError, GroupId, Sequence, StampingKeyCertificate, UserId, VerifyingKey,
};
use thiserror::Error;

use crate::report::Report;

/// Whose word counts.
#[derive(Debug, Clone, Copy)]
pub struct Authority<'a> {
    /// The operator's long-lived key.
    pub operator: &'a VerifyingKey,
    /// What the operator is said to have certified; what it has not is passed over.
    pub certificates: &'a [StampingKeyCertificate],
}

/// Why a report is shown to nobody. A message is named by its place in the report, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Verdict {
    /// The service did not state what it is said to have stated of a message.
    #[error("forged: {reason}")]
    Forged {
        /// Which message.
        item: usize,
        /// What is wrong with it.
        reason: EvidenceError,
    },
    /// The service stated it, of a message that its sender did not send in this form.
    #[error("altered: this is not what the sender committed to")]
    Altered {
        /// Which message.
        item: usize,
    },
    /// The reporter has reported it before, or it is there twice.
    #[error("replayed: this message was reported by the same person before")]
    Replayed {
        /// Which message.
        item: usize,
    },
    /// The messages do not stand together as the report says.
    #[error("out of context: {reason}")]
    OutOfContext {
        /// Which message.
        item: usize,
        /// Why.
        reason: OutOfContext,
    },
}

/// Why messages do not stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OutOfContext {
    /// They are of several groups.
    #[error("a message is of another group")]
    OtherGroup,
    /// They are not in the order of the log.
    #[error("the messages are not in their order")]
    Order,
    /// A window leaves something out.
    #[error("something was said between two messages, and is left out")]
    Gap,
    /// The reporter was no member at that time.
    #[error("the reporter could not read this message")]
    Unreadable,
}

impl Verdict {
    /// The message at which it was found.
    #[must_use]
    pub fn item(&self) -> usize {
        match self {
            Self::Forged { item, .. }
            | Self::Altered { item }
            | Self::Replayed { item }
            | Self::OutOfContext { item, .. } => *item,
        }
    }
}

/// A report of which each message is proved, and all are of one group, in their order.
#[derive(Debug, Clone, Copy)]
pub struct Proven<'a> {
    report: &'a Report,
    group: GroupId,
}

/// A report that a person may see.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a> {
    report: &'a Report,
    /// Whether the service's log was there to say that no window leaves something out.
    pub is_gapless: bool,
}

/// What the service alone knows.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The stretches of the group's log, first and last entry, that the reporter's user may read or might.
    pub readable: Vec<(Sequence, Sequence)>,
    /// The first entry that the log still has.
    pub first_kept: Sequence,
    /// Entries between those of the report that are no messages that could be reported.
    pub others: BTreeSet<Sequence>,
    /// Messages of the group that the reporter's user has reported before.
    pub reported: BTreeSet<Sequence>,
}

impl Report {
    /// Checks what needs no knowledge but whose word counts.
    ///
    /// # Errors
    /// [`Verdict`], for the first message of which it holds.
    pub fn prove(&self, by: Authority<'_>) -> Result<Proven<'_>, Verdict> {
        for (item, message) in self.items().iter().enumerate() {
            match message.evidence.verify(by.operator, by.certificates) {
                Ok(_) => {}
                Err(EvidenceError::Commitment) => return Err(Verdict::Altered { item }),
                Err(reason) => return Err(Verdict::Forged { item, reason }),
            }
        }
        let stamps = || self.items().iter().map(|it| &it.evidence.stamp);
        for (item, (one, next)) in (1..).zip(stamps().zip(stamps().skip(1))) {
            let out = |reason| Err(Verdict::OutOfContext { item, reason });
            if one.group != next.group {
                return out(OutOfContext::OtherGroup);
            } else if one.sequence == next.sequence {
                return Err(Verdict::Replayed { item });
            } else if one.sequence > next.sequence {
                return out(OutOfContext::Order);
            }
        }
        // A report has a message.
        let group = stamps().next().map(|stamp| stamp.group);
        let group = group.ok_or(Verdict::Forged {
            item: 0,
            reason: EvidenceError::Malformed,
        })?;
        Ok(Proven {
            report: self,
            group,
        })
    }
}

impl<'a> Proven<'a> {
    /// The group of all its messages.
    #[must_use]
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// Whose reading has to be known.
    #[must_use]
    pub fn reporter(&self) -> &'a UserId {
        &self.report.reporter().user
    }

    /// The stretches between two of its messages, both excluded, in which a window may leave nothing out. Between
    /// two reported messages there may be others.
    pub fn gaps(&self) -> impl Iterator<Item = (Sequence, Sequence)> {
        self.windows()
            .map(|(_, one, next)| (one, next))
            .filter(|(one, next)| one.next() < *next)
    }

    fn windows(&self) -> impl Iterator<Item = (usize, Sequence, Sequence)> {
        let items = self.report.items();
        let pairs = (1..).zip(items.iter().zip(items.iter().skip(1)));
        pairs
            .filter(|(_, (one, next))| one.is_context || next.is_context)
            .map(|(item, (one, next))| {
                let (one, next) = (&one.evidence.stamp, &next.evidence.stamp);
                (item, one.sequence, next.sequence)
            })
    }

    /// Checks what the service alone can.
    ///
    /// # Errors
    /// [`Verdict::OutOfContext`], [`Verdict::Replayed`].
    pub fn in_context(self, facts: &Facts) -> Result<Checked<'a>, Verdict> {
        for (item, message) in self.report.items().iter().enumerate() {
            let sequence = message.evidence.stamp.sequence;
            let is_readable = |(from, to): &(Sequence, Sequence)| (*from..=*to).contains(&sequence);
            if !facts.readable.iter().any(is_readable) {
                let reason = OutOfContext::Unreadable;
                return Err(Verdict::OutOfContext { item, reason });
            }
            if !message.is_context && facts.reported.contains(&sequence) {
                return Err(Verdict::Replayed { item });
            }
        }
        let mut is_gapless = true;
        for (item, one, next) in self.windows() {
            is_gapless &= one.next() == next || one.next() >= facts.first_kept;
            // What is no longer in the log, nobody can look up.
            let from = one.next().max(facts.first_kept);
            let mut between = (from.0..next.0).map(Sequence);
            if between.any(|it| !facts.others.contains(&it)) {
                let reason = OutOfContext::Gap;
                return Err(Verdict::OutOfContext { item, reason });
            }
        }
        Ok(Checked {
            report: self.report,
            is_gapless,
        })
    }
}

impl<'a> Checked<'a> {
    /// The report.
    #[must_use]
    pub fn report(&self) -> &'a Report {
        self.report
    }
}
