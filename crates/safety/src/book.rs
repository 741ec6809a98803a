//! What follows from the audit log: who is a moderator, what was decided, what may come next.

mod rules;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use conclave_protocol::{DeviceAddress, ReportId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};

pub use rules::Refused;

use crate::{
    audit::{Act, Actor, Chain, ChainError, Chained, Entry},
    measure::{Active, Measure, Standing},
};

/// What a moderator may do. Each may also do what those before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees reports and the audit log.
    Viewer,
    /// Decides on reports and answers appeals.
    Moderator,
    /// Appoints.
    Chief,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Moderator => "moderator",
            Self::Chief => "chief",
        })
    }
}

/// What bears on a decision of the report that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The report.
    pub report: ReportId,
    /// Who made it.
    pub reporter: UserId,
    /// Whose messages it is about.
    pub accused: Vec<DeviceAddress>,
}

/// What was decided about somebody, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Its number in the audit log.
    pub number: u64,
    /// The report.
    pub report: ReportId,
    /// Who decided.
    pub by: Actor,
    /// When.
    pub at: UnixMillis,
    /// What.
    pub measure: Measure,
    /// Why, in words for the person.
    pub reason: String,
    /// What the person said to it.
    pub appeal: Option<Appeal>,
    /// Whether it counts no more.
    pub is_lifted: bool,
}

/// That somebody asked for a decision to be looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appeal {
    /// What they say.
    pub text: String,
    /// When.
    pub at: UnixMillis,
    /// What was answered, and whether the decision was lifted thereby.
    pub answer: Option<(bool, String)>,
}

/// What the audit log comes to. The same entries always make the same book.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    chain: Chain,
    roles: BTreeMap<UserId, Role>,
    decisions: BTreeMap<u64, Decision>,
    of_user: HashMap<UserId, Vec<u64>>,
    /// By report: the dismissal or first decision.
    closed: HashMap<ReportId, u64>,
    /// When the last of all measures ends.
    last_until: UnixMillis,
}

impl Book {
    /// Where the log ends.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// What a user may do as a moderator.
    #[must_use]
    pub fn role(&self, user: &UserId) -> Option<Role> {
        self.roles.get(user).copied()
    }

    /// The moderators.
    pub fn moderators(&self) -> impl Iterator<Item = (&UserId, Role)> {
        self.roles.iter().map(|(user, role)| (user, *role))
    }

    /// A decision by its number.
    #[must_use]
    pub fn decision(&self, number: u64) -> Option<&Decision> {
        self.decisions.get(&number)
    }

    /// What was decided about a user, in order.
    pub fn decisions_about(&self, user: &UserId) -> impl Iterator<Item = &Decision> {
        let numbers = self.of_user.get(user).into_iter().flatten();
        numbers.filter_map(|number| self.decisions.get(number))
    }

    /// The entry by which a report was first decided on.
    #[must_use]
    pub fn closed(&self, report: ReportId) -> Option<u64> {
        self.closed.get(&report).copied()
    }

    /// The report that something is about, by itself or by what was decided on it.
    #[must_use]
    pub fn about(&self, act: &Act) -> Option<ReportId> {
        match act {
            Act::Shown { report } | Act::Dismissed { report, .. } | Act::Decided { report, .. } => {
                Some(*report)
            }
            Act::Appealed { decision, .. }
            | Act::Answered { decision, .. }
            | Act::Lifted { decision, .. } => self.decision(*decision).map(|it| it.report),
            Act::Appointed { .. } => None,
        }
    }

    /// Decisions whose appeal waits for an answer, in order.
    pub fn appeals(&self) -> impl Iterator<Item = (&Decision, &Appeal)> {
        let appealed = self.decisions.values();
        appealed.filter_map(|decision| {
            let appeal = decision.appeal.as_ref()?;
            appeal.answer.is_none().then_some((decision, appeal))
        })
    }

    /// Whether anything was decided that may count at that moment, about whomever.
    #[must_use]
    pub fn has_measures(&self, now: UnixMillis) -> bool {
        now < self.last_until
    }

    /// What a device may do now. A pure function of the decisions, whatever else the log has.
    #[must_use]
    pub fn standing(&self, who: &DeviceAddress, now: UnixMillis) -> Standing {
        let mut standing = Standing::default();
        for decision in self.decisions_about(&who.user) {
            let measure = &decision.measure;
            if !decision.is_lifted && now < measure.until_millis && measure.target.covers(who) {
                let active = Active {
                    decision: decision.number,
                    until: measure.until_millis,
                    reason: decision.reason.clone(),
                };
                standing.add(measure.kind, active);
            }
        }
        standing
    }

    /// Takes in the next entry of the log.
    ///
    /// # Errors
    /// [`ChainError`]; the book stays as it was.
    pub fn take(&mut self, chained: &Chained) -> Result<(), ChainError> {
        let entry = self.chain.follow(chained)?;
        self.note(entry);
        Ok(())
    }

    /// What an entry means. Whether it was allowed was asked before it was written.
    fn note(&mut self, entry: Entry) {
        let Entry {
            number,
            at_millis,
            by,
            act,
        } = entry;
        match act {
            Act::Shown { .. } => {}
            Act::Appointed { user, role } => match role {
                Some(role) => drop(self.roles.insert(user, role)),
                None => drop(self.roles.remove(&user)),
            },
            Act::Dismissed { report, .. } => {
                self.closed.entry(report).or_insert(number);
            }
            Act::Decided {
                report,
                measure,
                reason,
            } => {
                self.closed.entry(report).or_insert(number);
                self.last_until = self.last_until.max(measure.until_millis);
                let of_user = self.of_user.entry(measure.target.user.clone());
                of_user.or_default().push(number);
                let decision = Decision {
                    number,
                    report,
                    by,
                    at: at_millis,
                    measure,
                    reason,
                    appeal: None,
                    is_lifted: false,
                };
                self.decisions.insert(number, decision);
            }
            Act::Appealed { decision, text } => self.change(decision, |it| {
                it.appeal = Some(Appeal {
                    text,
                    at: at_millis,
                    answer: None,
                });
            }),
            Act::Answered {
                decision,
                is_upheld,
                answer,
            } => self.change(decision, |it| {
                it.is_lifted |= is_upheld;
                if let Some(appeal) = &mut it.appeal {
                    appeal.answer = Some((is_upheld, answer));
                }
            }),
            Act::Lifted { decision, .. } => self.change(decision, |it| it.is_lifted = true),
        }
    }

    fn change(&mut self, number: u64, change: impl FnOnce(&mut Decision)) {
        if let Some(decision) = self.decisions.get_mut(&number) {
            change(decision);
        }
    }
}
