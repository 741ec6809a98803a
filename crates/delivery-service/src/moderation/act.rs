//! What moderators do, and what the people hear of it whom it is about.

use std::time::Duration;

use conclave_protocol::{DeviceId, ReportId, UnixMillis, UserId};
use conclave_rpc::v1;
use conclave_safety::{Act, Book, Decision, Entry, Measure, MeasureKind, Role, Target};
use prost::Message as _;

use super::{Moderation, ledger::done_before};
use crate::{error::Refusal, store::Asked};

/// What a moderator wants done.
pub(crate) enum Deed {
    /// Nothing about a report.
    Dismiss(ReportId),
    /// Something about a report, to whom, for how long.
    Decide(ReportId, MeasureKind, Target, Duration),
    /// An answer to an appeal: whether the decision is lifted.
    Answer(u64, bool),
    /// A decision is lifted.
    Lift(u64),
    /// Somebody gets a role, or loses it.
    Appoint(UserId, Option<Role>),
}

impl Moderation {
    /// Does what a moderator wants done, where that may be. Gives the entry's number; of what was asked for before, that
    /// which it got then.
    pub(crate) fn moderate(&self, asked: Asked, deed: Deed, text: &str) -> Result<u64, Refusal> {
        // Also where whoever asks may do nothing any more: that may be what was asked for.
        if let Some(number) = done_before(&*self.store, &asked)? {
            return Ok(number);
        }
        // Whoever may not act learns nothing of which reports there are.
        let by = self.require(asked.device, Role::Viewer)?;
        let (now, by, text) = (asked.at, || by.clone(), || text.to_owned());
        let asked = Some(asked);
        match deed {
            Deed::Dismiss(report) => {
                let about = self.about(report)?;
                self.write(asked, |book| book.dismiss(by(), &about, text(), now))
            }
            Deed::Decide(report, kind, target, duration) => {
                let about = self.about(report)?;
                let measure = Measure {
                    kind,
                    target,
                    until_millis: now.after(duration),
                };
                self.write(asked, |book| {
                    book.decide(by(), &about, (measure.clone(), text()), now)
                })
            }
            Deed::Answer(decision, is_upheld) => self.write(asked, |book| {
                book.answer(by(), decision, (is_upheld, text()), now)
            }),
            Deed::Lift(decision) => {
                self.write(asked, |book| book.lift(by(), decision, text(), now))
            }
            Deed::Appoint(user, role) => {
                self.write(asked, |book| book.appoint(by(), user.clone(), role, now))
            }
        }
    }

    /// Asks for a decision about a device's user to be looked at again. The same words again change nothing.
    pub(crate) fn appeal(
        &self,
        device: DeviceId,
        decision: u64,
        text: &str,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let user = self.address_of(device)?.user;
        let has_appealed = |book: &Book| {
            let known = book.decisions_about(&user).find(|it| it.number == decision);
            known
                .and_then(|it| it.appeal.as_ref())
                .is_some_and(|it| it.text == text)
        };
        if has_appealed(&*self.caught_up()?) {
            return Ok(());
        }
        let appealed = self.write(None, |book| {
            book.appeal(user.clone(), decision, text.to_owned(), now)
        });
        appealed.map(drop)
    }
}

/// A decision as it is once an entry is written; `None` where the entry is about none that somebody is told of.
pub(super) fn decision_after(book: &Book, entry: &Entry) -> Option<Decision> {
    if let Act::Decided {
        report,
        measure,
        reason,
    } = &entry.act
    {
        return Some(Decision {
            number: entry.number,
            report: *report,
            by: entry.by.clone(),
            at: entry.at_millis,
            measure: measure.clone(),
            reason: reason.clone(),
            appeal: None,
            is_lifted: false,
        });
    }
    let (Act::Answered { decision, .. } | Act::Lifted { decision, .. }) = &entry.act else {
        return None;
    };
    let mut decision = book.decision(*decision)?.clone();
    match &entry.act {
        Act::Answered {
            is_upheld, answer, ..
        } => {
            decision.is_lifted |= is_upheld;
            if let Some(appeal) = &mut decision.appeal {
                appeal.answer = Some((*is_upheld, answer.clone()));
            }
        }
        _ => decision.is_lifted = true,
    }
    Some(decision)
}

/// A decision as the person reads it.
pub(crate) fn measure(decision: &Decision) -> v1::Measure {
    let kind = match decision.measure.kind {
        MeasureKind::Warning => v1::MeasureKind::Warning,
        MeasureKind::Slow => v1::MeasureKind::Slow,
        MeasureKind::Suspension => v1::MeasureKind::Suspension,
        _ => v1::MeasureKind::Unspecified,
    };
    let answer = decision.appeal.as_ref().map(|it| it.answer.as_ref());
    let appeal = match answer {
        None => v1::AppealState::Unspecified,
        Some(None) => v1::AppealState::Waits,
        Some(Some((true, _))) => v1::AppealState::Upheld,
        Some(Some((false, _))) => v1::AppealState::Rejected,
    };
    let device = decision.measure.target.device;
    let device = device.map(|it| it.as_bytes().to_vec());
    let has_duration = decision.measure.kind != MeasureKind::Warning;
    v1::Measure {
        decision: decision.number,
        kind: kind.into(),
        device_id: device.unwrap_or_default().into(),
        reason: decision.reason.clone(),
        decided_millis: decision.at.0,
        until_millis: if has_duration {
            decision.measure.until_millis.0
        } else {
            0
        },
        appeal: appeal.into(),
        answer: answer.flatten().map(|it| it.1.clone()).unwrap_or_default(),
        is_lifted: decision.is_lifted,
    }
}

/// The same as bytes that wait in a mailbox.
pub(super) fn encoded(decision: &Decision) -> Vec<u8> {
    measure(decision).encode_to_vec()
}
