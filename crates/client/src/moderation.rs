//! Moderation: what moderators see and do, and what somebody hears whom it is about. All of it is asked of the
//! service at once, since somebody waits for the answer.

use std::{fmt, str::FromStr, time::Duration};

use conclave_protocol::{DeviceId, ReportId, RequestId, UnixMillis, UserId};
use conclave_rpc::v1::{self, moderate_request::Act};

use crate::{Client, ClientError, Event, Shown, entropy};

macro_rules! named {
    ($(#[$doc:meta])* $name:ident of $wire:ident { $($(#[$case_doc:meta])* $case:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$case_doc])* $case),+ }

        impl $name {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$case),+];

            /// Its name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$case => $text),+ }
            }

            #[allow(dead_code)] // Some are only told, and some only heard.
            pub(crate) fn to_wire(self) -> v1::$wire {
                match self { $(Self::$case => v1::$wire::$case),+ }
            }

            #[allow(dead_code)]
            fn of_wire(wire: v1::$wire) -> Option<Self> {
                match wire {
                    $(v1::$wire::$case => Some(Self::$case),)+
                    v1::$wire::Unspecified => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let found = Self::ALL.iter().find(|it| it.as_str() == text);
                found.copied().ok_or_else(|| {
                    let names: Vec<_> = Self::ALL.iter().map(|it| it.as_str()).collect();
                    format!("one of {}", names.join(", "))
                })
            }
        }
    };
}

named! {
    /// What a report says that messages are.
    ReportCategory of ReportCategory {
        /// What nobody asked for, to many.
        Spam = "spam",
        /// Meant to hurt or to silence somebody.
        Harassment = "harassment",
        /// Says that somebody will be harmed.
        Threat = "threat",
        /// Against people for what they are.
        Hate = "hate",
        /// Sexual abuse of children.
        SexualAbuseOfChildren = "sexual-abuse-of-children",
        /// Something else, which the comment says.
        Other = "other",
    }
}

named! {
    /// What was done.
    MeasureKind of MeasureKind {
        /// A word to the person, and nothing else.
        Warning = "warning",
        /// Few messages a minute.
        Slow = "slow",
        /// Nothing that reaches others.
        Suspension = "suspension",
    }
}

named! {
    /// What a moderator may do; each may also do what those before may.
    ModeratorRole of ModeratorRole {
        /// Sees reports and the audit log.
        Viewer = "viewer",
        /// Decides on reports and answers appeals.
        Moderator = "moderator",
        /// Appoints.
        Chief = "chief",
    }
}

named! {
    /// What came of an appeal.
    AppealState of AppealState {
        /// Nobody has answered yet.
        Waits = "waits",
        /// The decision was lifted.
        Upheld = "upheld",
        /// The decision stands.
        Rejected = "rejected",
    }
}

/// What moderators decided about this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    /// The decision's number, by which it is appealed.
    pub decision: u64,
    /// What was done.
    pub kind: MeasureKind,
    /// To which device; `None` for all of the user's.
    pub device: Option<DeviceId>,
    /// Why, in the moderator's words.
    pub reason: String,
    /// When.
    pub decided: UnixMillis,
    /// Until when; `None` for a warning.
    pub until: Option<UnixMillis>,
    /// What came of the user's appeal; `None` where there was none.
    pub appeal: Option<AppealState>,
    /// What was answered to it.
    pub answer: String,
    /// Whether it counts no more.
    pub is_lifted: bool,
}

/// A report as moderators list it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportSummary {
    /// Its name.
    pub id: ReportId,
    /// Its place among all.
    pub number: u64,
    /// When it came.
    pub received: UnixMillis,
    /// What it says that the messages are.
    pub category: ReportCategory,
    /// Whose messages they are.
    pub accused: Vec<UserId>,
    /// How many are reported.
    pub messages: u32,
    /// The entry of the audit log by which it was decided on.
    pub decision: Option<u64>,
}

/// An appeal that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingAppeal {
    /// The decision's number.
    pub decision: u64,
    /// Who appeals.
    pub user: UserId,
    /// What they say.
    pub text: String,
    /// Since when.
    pub asked: UnixMillis,
}

/// A page of what waits for moderators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reports {
    /// In the order in which they came.
    pub reports: Vec<ReportSummary>,
    /// Whether there are others after these.
    pub more: bool,
    /// Appeals that wait.
    pub appeals: Vec<WaitingAppeal>,
}

/// An entry of the audit log, as it is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// JSON.
    pub entry: Vec<u8>,
    /// The hash up to it.
    pub hash: Vec<u8>,
}

/// What a moderator does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModeratorAct {
    /// Nothing about a report; why, for other moderators.
    Dismiss(ReportId, String),
    /// Something about a report.
    Decide {
        /// Which.
        report: ReportId,
        /// What.
        kind: MeasureKind,
        /// To one whose message was reported.
        user: UserId,
        /// To one device of that user, whose message was reported; `None` for all.
        device: Option<DeviceId>,
        /// For how long; nothing for a warning.
        duration: Duration,
        /// Why, in words for the person.
        reason: String,
    },
    /// An answer to the appeal against a decision.
    Answer {
        /// The decision's number.
        decision: u64,
        /// Whether it is lifted.
        uphold: bool,
        /// What is said to the person.
        answer: String,
    },
    /// A decision counts no more; why.
    Lift(u64, String),
    /// Somebody is a moderator, or no more.
    Appoint(UserId, Option<ModeratorRole>),
}

impl Client {
    /// Hands a report to those who moderate the server, as it is: the service verifies all of it before anybody
    /// sees it. `messages` are in the order of the log. The same
    /// report again changes nothing.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where it does not verify, or was reported before.
    pub async fn submit_report(
        &self,
        report: ReportId,
        (category, comment): (ReportCategory, &str),
        messages: &[Shown],
    ) -> Result<(), ClientError> {
        let messages = messages.iter().map(|shown| v1::ReportedMessage {
            evidence: shown.evidence.to_bytes().into(),
            is_context: shown.is_context,
        });
        let request = v1::SubmitReportRequest {
            report_id: report.as_bytes().to_vec().into(),
            messages: messages.collect(),
            category: category.to_wire().into(),
            comment: comment.to_owned(),
        };
        self.inner.remote.submit_report(request).await
    }

    /// What moderators of the server decided about this user, the latest last.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] and what else can be wrong with the service.
    pub async fn measures(&self) -> Result<Vec<Measure>, ClientError> {
        let answer = self.inner.remote.fetch_standing().await?;
        answer.measures.into_iter().map(Measure::read).collect()
    }

    /// Asks for a decision about this user to be looked at again, by another moderator; once.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn appeal(&self, decision: u64, text: &str) -> Result<(), ClientError> {
        let text = text.to_owned();
        let request = v1::AppealRequest { decision, text };
        self.inner.remote.appeal(request).await
    }

    /// Reports after a number, for moderators; those that were decided on only where they are wanted.
    ///
    /// # Errors
    /// [`ClientError::Refused`] for who is no moderator.
    pub async fn reports(&self, after: u64, with_decided: bool) -> Result<Reports, ClientError> {
        let request = v1::ListReportsRequest {
            after,
            with_decided,
        };
        let page = self.inner.remote.list_reports(request).await?;
        let reports = page.reports.into_iter().map(ReportSummary::read);
        let appeals = page.appeals.into_iter().map(WaitingAppeal::read);
        Ok(Reports {
            reports: reports.collect::<Result<_, _>>()?,
            more: page.more,
            appeals: appeals.collect::<Result<_, _>>()?,
        })
    }

    /// A report with all its proofs, as a case file in JSON, for moderators. That this user has seen it stands in
    /// the audit log.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn case_file(&self, report: ReportId) -> Result<Vec<u8>, ClientError> {
        let request = v1::ShowReportRequest {
            report_id: report.as_bytes().to_vec().into(),
        };
        let shown = self.inner.remote.show_report(request).await?;
        Ok(shown.case_file.into())
    }

    /// Does what a moderator does; gives the number of the entry in the audit log.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn moderate(&self, act: ModeratorAct) -> Result<u64, ClientError> {
        let act = Some(act.into_wire());
        // Drawn once: it is the same where the answer was lost and the request is sent again.
        let request_id = RequestId::from_bytes(entropy::random());
        let request = v1::ModerateRequest {
            act,
            request_id: request_id.as_bytes().to_vec().into(),
        };
        Ok(self.inner.remote.moderate(request).await?.entry)
    }

    /// A page of the audit log, for moderators, and whether there is more.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn audit(&self, after_entry: u64) -> Result<(Vec<AuditEntry>, bool), ClientError> {
        let request = v1::ReadAuditRequest { after_entry };
        let page = self.inner.remote.read_audit(request).await?;
        let entries = page.entries.into_iter().map(|it| AuditEntry {
            entry: it.entry.into(),
            hash: it.hash.into(),
        });
        Ok((entries.collect(), page.more))
    }
}

impl Measure {
    fn read(wire: v1::Measure) -> Result<Self, ClientError> {
        let device = match wire.device_id.is_empty() {
            true => None,
            false => Some(conclave_rpc::device_id(&wire.device_id).map_err(broken)?),
        };
        Ok(Self {
            kind: MeasureKind::of_wire(wire.kind()).ok_or_else(|| broken("a measure"))?,
            appeal: AppealState::of_wire(wire.appeal()),
            decision: wire.decision,
            device,
            reason: wire.reason,
            decided: UnixMillis(wire.decided_millis),
            until: (wire.until_millis != 0).then_some(UnixMillis(wire.until_millis)),
            answer: wire.answer,
            is_lifted: wire.is_lifted,
        })
    }
}

impl Event {
    /// What a notice tells; what this version can't read, [`Client::measures`] says when it is asked.
    pub(crate) fn moderated(measure: &v1::Measure) -> Option<Self> {
        Measure::read(measure.clone()).ok().map(Self::Moderated)
    }
}

impl ReportSummary {
    fn read(wire: v1::ReportSummary) -> Result<Self, ClientError> {
        let category = ReportCategory::of_wire(wire.category());
        let accused = wire.accused.into_iter();
        let accused = accused.map(|user| user.parse().map_err(broken));
        Ok(Self {
            id: conclave_rpc::report_id(&wire.report_id).map_err(broken)?,
            number: wire.number,
            received: UnixMillis(wire.received_millis),
            category: category.unwrap_or(ReportCategory::Other),
            accused: accused.collect::<Result<_, _>>()?,
            messages: wire.messages,
            decision: (wire.decision != 0).then_some(wire.decision),
        })
    }
}

impl WaitingAppeal {
    fn read(wire: v1::WaitingAppeal) -> Result<Self, ClientError> {
        Ok(Self {
            decision: wire.decision,
            user: wire.user.parse().map_err(broken)?,
            text: wire.text,
            asked: UnixMillis(wire.asked_millis),
        })
    }
}

impl ModeratorAct {
    fn into_wire(self) -> Act {
        let id = |report: ReportId| report.as_bytes().to_vec().into();
        match self {
            Self::Dismiss(report, reason) => Act::Decide(v1::DecideReport {
                report_id: id(report),
                measure: None,
                reason,
            }),
            Self::Decide {
                report,
                kind,
                user,
                device,
                duration,
                reason,
            } => {
                let device_id = device.map(|it| it.as_bytes().to_vec()).unwrap_or_default();
                let measure = v1::DecidedMeasure {
                    kind: kind.to_wire().into(),
                    user: user.as_str().to_owned(),
                    device_id: device_id.into(),
                    duration_seconds: duration.as_secs(),
                };
                Act::Decide(v1::DecideReport {
                    report_id: id(report),
                    measure: Some(measure),
                    reason,
                })
            }
            Self::Answer {
                decision,
                uphold,
                answer,
            } => Act::Answer(v1::AnswerAppeal {
                decision,
                uphold,
                answer,
            }),
            Self::Lift(decision, reason) => Act::Lift(v1::LiftMeasure { decision, reason }),
            Self::Appoint(user, role) => {
                let role = role.map_or(v1::ModeratorRole::Unspecified, ModeratorRole::to_wire);
                Act::Appoint(v1::AppointModerator {
                    user: user.as_str().to_owned(),
                    role: role.into(),
                })
            }
        }
    }
}

// What is wrong is handed over, and needed no more.
#[allow(clippy::needless_pass_by_value)]
fn broken(what: impl ToString) -> ClientError {
    ClientError::Protocol(what.to_string())
}
