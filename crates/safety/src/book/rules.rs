//! What may come next: who may do what, and whether it makes sense.

use conclave_protocol::{ReportId, UnixMillis, UserId, limits::MODERATION_TEXT_CHARS_MAX};
use thiserror::Error;

use super::{About, Book, Decision, Role};
use crate::{
    audit::{Act, Actor, Entry},
    measure::{Measure, MeasureKind},
};

/// Why somebody may not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refused {
    /// Whoever asks is no moderator, or not one who may do this.
    #[error("this is for moderators who may do it; ask who runs the server to be made one")]
    Role,
    /// Whoever asks has made the report, or it is about them.
    #[error(
        "nobody decides on a report of their own, or about themselves; leave it to another moderator"
    )]
    OwnCase,
    /// Whoever asks has made the decision that was appealed.
    #[error("nobody answers an appeal against their own decision; leave it to another moderator")]
    OwnDecision,
    /// The report was decided on.
    #[error("the report was dismissed, or decided on for this user")]
    AlreadyDecided,
    /// None of the reported messages is of whom the decision is about.
    #[error("no reported message is of this user and device")]
    NotAccused,
    /// There is no such decision, or not about whom asks.
    #[error("there is no such decision")]
    NoDecision,
    /// The decision was appealed before.
    #[error("a decision is appealed once")]
    AlreadyAppealed,
    /// No appeal waits for an answer.
    #[error("no appeal against this decision waits for an answer")]
    NoAppeal,
    /// The decision counts no more.
    #[error("the decision was lifted before")]
    AlreadyLifted,
    /// A text is missing or too long.
    #[error("a reason, appeal or answer has 1 to {MODERATION_TEXT_CHARS_MAX} characters")]
    Text,
    /// A duration is missing, too long, or given for a warning.
    #[error("a measure lasts for up to ten years, and a warning for no time")]
    Duration,
}

impl Book {
    /// Somebody gets a role, or loses it.
    ///
    /// # Errors
    /// [`Refused::Role`] for who is not a chief.
    pub fn appoint(
        &self,
        by: Actor,
        user: UserId,
        role: Option<Role>,
        now: UnixMillis,
    ) -> Result<Entry, Refused> {
        self.require(&by, Role::Chief)?;
        Ok(self.entry(by, Act::Appointed { user, role }, now))
    }

    /// A moderator looks at a report.
    ///
    /// # Errors
    /// [`Refused::Role`].
    pub fn show(&self, by: Actor, report: ReportId, now: UnixMillis) -> Result<Entry, Refused> {
        self.require(&by, Role::Viewer)?;
        Ok(self.entry(by, Act::Shown { report }, now))
    }

    /// Nothing is done about a report.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn dismiss(
        &self,
        by: Actor,
        about: &About,
        reason: String,
        now: UnixMillis,
    ) -> Result<Entry, Refused> {
        self.require_uninvolved(&by, about)?;
        check_text(&reason)?;
        if self.closed(about.report).is_some() {
            return Err(Refused::AlreadyDecided);
        }
        let report = about.report;
        Ok(self.entry(by, Act::Dismissed { report, reason }, now))
    }

    /// Something is done about a report. There is one decision for each user that it is about.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn decide(
        &self,
        by: Actor,
        about: &About,
        (measure, reason): (Measure, String),
        now: UnixMillis,
    ) -> Result<Entry, Refused> {
        self.require_uninvolved(&by, about)?;
        check_text(&reason)?;
        check_duration(&measure, now)?;
        if !about.accused.iter().any(|it| measure.target.covers(it)) {
            return Err(Refused::NotAccused);
        }
        if !self.may_decide(about.report, &measure.target.user) {
            return Err(Refused::AlreadyDecided);
        }
        let report = about.report;
        let act = Act::Decided {
            report,
            measure,
            reason,
        };
        Ok(self.entry(by, act, now))
    }

    fn may_decide(&self, report: ReportId, user: &UserId) -> bool {
        let was_dismissed = self
            .closed(report)
            .is_some_and(|number| self.decision(number).is_none());
        !was_dismissed && self.decisions_about(user).all(|it| it.report != report)
    }

    /// Somebody asks for a decision about them to be looked at again.
    ///
    /// # Errors
    /// [`Refused::NoDecision`] also for the decisions about others.
    pub fn appeal(
        &self,
        by: UserId,
        decision: u64,
        text: String,
        now: UnixMillis,
    ) -> Result<Entry, Refused> {
        check_text(&text)?;
        let known = self.known(decision)?;
        if known.measure.target.user != by {
            return Err(Refused::NoDecision);
        }
        if known.appeal.is_some() {
            return Err(Refused::AlreadyAppealed);
        }
        Ok(self.entry(Actor::User(by), Act::Appealed { decision, text }, now))
    }

    /// An appeal is answered, by somebody else than who decided.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn answer(
        &self,
        by: Actor,
        decision: u64,
        (is_upheld, answer): (bool, String),
        now: UnixMillis,
    ) -> Result<Entry, Refused> {
        self.require(&by, Role::Moderator)?;
        check_text(&answer)?;
        let known = self.known(decision)?;
        let waits = known.appeal.as_ref().is_some_and(|it| it.answer.is_none());
        if !waits {
            return Err(Refused::NoAppeal);
        }
        if known.by == by && by != Actor::Operator {
            return Err(Refused::OwnDecision);
        }
        require_other(&by, &known.measure.target.user)?;
        let act = Act::Answered {
            decision,
            is_upheld,
            answer,
        };
        Ok(self.entry(by, act, now))
    }

    /// A decision counts no more, without anybody having asked.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn lift(
        &self,
        by: Actor,
        decision: u64,
        reason: String,
        now: UnixMillis,
    ) -> Result<Entry, Refused> {
        self.require(&by, Role::Moderator)?;
        check_text(&reason)?;
        let known = self.known(decision)?;
        require_other(&by, &known.measure.target.user)?;
        if known.is_lifted {
            return Err(Refused::AlreadyLifted);
        }
        Ok(self.entry(by, Act::Lifted { decision, reason }, now))
    }

    /// Holds that somebody has at least a role; whoever runs the server has every one.
    ///
    /// # Errors
    /// [`Refused::Role`].
    pub fn require(&self, who: &Actor, role: Role) -> Result<(), Refused> {
        match who {
            Actor::Operator => Ok(()),
            Actor::User(user) if self.role(user) >= Some(role) => Ok(()),
            Actor::User(_) => Err(Refused::Role),
        }
    }

    fn require_uninvolved(&self, by: &Actor, about: &About) -> Result<(), Refused> {
        self.require(by, Role::Moderator)?;
        require_other(by, &about.reporter)?;
        let mut accused = about.accused.iter();
        accused.try_for_each(|accused| require_other(by, &accused.user))
    }

    fn known(&self, decision: u64) -> Result<&Decision, Refused> {
        self.decision(decision).ok_or(Refused::NoDecision)
    }

    fn entry(&self, by: Actor, act: Act, now: UnixMillis) -> Entry {
        Entry {
            number: self.chain.entries() + 1,
            at_millis: now,
            by,
            act,
        }
    }
}

fn require_other(by: &Actor, user: &UserId) -> Result<(), Refused> {
    match by {
        Actor::User(moderator) if moderator == user => Err(Refused::OwnCase),
        _ => Ok(()),
    }
}

fn check_text(text: &str) -> Result<(), Refused> {
    let is_text = !text.trim().is_empty() && text.chars().count() <= MODERATION_TEXT_CHARS_MAX;
    is_text.then_some(()).ok_or(Refused::Text)
}

fn check_duration(measure: &Measure, now: UnixMillis) -> Result<(), Refused> {
    let is_some =
        measure.until_millis > now && measure.until_millis <= now.after(Measure::DURATION_MAX);
    let is_right = match measure.kind {
        MeasureKind::Warning => measure.until_millis == now,
        MeasureKind::Slow | MeasureKind::Suspension => is_some,
    };
    is_right.then_some(()).ok_or(Refused::Duration)
}
