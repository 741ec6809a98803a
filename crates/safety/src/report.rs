//! What a recipient shows of what was said.

use conclave_protocol::{
    DeviceAddress, Evidence, ReportId, UnixMillis,
    limits::{MODERATION_TEXT_CHARS_MAX, REPORT_BYTES_MAX, REPORTED_MESSAGES_MAX},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::encoding::{WireAddress, WireEvidence, millis, text};

/// Why something is no report, whatever it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It reports no message, or too many.
    #[error(
        "a report has 1 to {REPORTED_MESSAGES_MAX} messages, of which at least one is reported"
    )]
    Messages,
    /// Its evidence has too many bytes.
    #[error("a report has at most {REPORT_BYTES_MAX} bytes of evidence")]
    TooLarge,
    /// The comment is too long.
    #[error("a comment has at most {MODERATION_TEXT_CHARS_MAX} characters")]
    Comment,
}

/// What a report says that the messages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Category {
    /// What nobody asked for, to many.
    Spam,
    /// Meant to hurt or to silence somebody.
    Harassment,
    /// Says that somebody will be harmed.
    Threat,
    /// Against people for what they are.
    Hate,
    /// Sexual abuse of children.
    SexualAbuseOfChildren,
    /// Something else, which the comment says.
    Other,
}

/// One message of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The message, with its proof.
    pub evidence: Evidence,
    /// Whether it is there for the sake of those that are reported.
    pub is_context: bool,
}

/// Messages that somebody who received them shows to those who moderate a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Report {
    id: ReportId,
    reporter: DeviceAddress,
    received: UnixMillis,
    category: Category,
    comment: String,
    items: Vec<Item>,
}

impl Report {
    /// A report by a device of whom reports, as the service received it. The items are in the order of the log.
    ///
    /// # Errors
    /// [`ReportError`], of the bounds alone.
    pub fn new(
        id: ReportId,
        (reporter, received): (DeviceAddress, UnixMillis),
        (category, comment): (Category, String),
        items: Vec<Item>,
    ) -> Result<Self, ReportError> {
        let has_reported = items.iter().any(|item| !item.is_context);
        if !has_reported || items.len() > REPORTED_MESSAGES_MAX {
            return Err(ReportError::Messages);
        }
        let bytes = items.iter().map(|item| item.evidence.to_bytes().len());
        if bytes.sum::<usize>() > REPORT_BYTES_MAX {
            return Err(ReportError::TooLarge);
        }
        if comment.chars().count() > MODERATION_TEXT_CHARS_MAX {
            return Err(ReportError::Comment);
        }
        Ok(Self {
            id,
            reporter,
            received,
            category,
            comment,
            items,
        })
    }

    /// The report's name.
    #[must_use]
    pub fn id(&self) -> ReportId {
        self.id
    }

    /// The device that made it.
    #[must_use]
    pub fn reporter(&self) -> &DeviceAddress {
        &self.reporter
    }

    /// When the service received it.
    #[must_use]
    pub fn received(&self) -> UnixMillis {
        self.received
    }

    /// What the messages are said to be.
    #[must_use]
    pub fn category(&self) -> Category {
        self.category
    }

    /// What the reporter says.
    #[must_use]
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// The messages, in the order in which they came.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Those that are reported.
    pub fn reported(&self) -> impl Iterator<Item = &Evidence> {
        let reported = self.items.iter().filter(|item| !item.is_context);
        reported.map(|item| &item.evidence)
    }

    /// The devices whose messages are reported, each once.
    #[must_use]
    pub fn accused(&self) -> Vec<DeviceAddress> {
        let mut accused: Vec<_> = self.reported().map(|it| it.stamp.sender.clone()).collect();
        accused.sort_unstable();
        accused.dedup();
        accused
    }

    /// The encoding, JSON, in which a service keeps it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Nothing in it is without a form in JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(with = "text")]
    id: ReportId,
    reporter: WireAddress,
    #[serde(with = "millis")]
    received_millis: UnixMillis,
    category: Category,
    comment: String,
    messages: Vec<WireItem>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireItem {
    is_context: bool,
    evidence: WireEvidence,
}

impl From<Report> for Wire {
    fn from(report: Report) -> Self {
        let messages = report.items.iter().map(|item| WireItem {
            is_context: item.is_context,
            evidence: WireEvidence::from(&item.evidence),
        });
        Self {
            messages: messages.collect(),
            id: report.id,
            reporter: report.reporter.into(),
            received_millis: report.received,
            category: report.category,
            comment: report.comment,
        }
    }
}

impl TryFrom<Wire> for Report {
    type Error = &'static str;

    fn try_from(wire: Wire) -> Result<Self, &'static str> {
        let items = wire.messages.iter().map(|item| {
            Some(Item {
                evidence: item.evidence.evidence()?,
                is_context: item.is_context,
            })
        });
        let items: Option<Vec<_>> = items.collect();
        Self::new(
            wire.id,
            (wire.reporter.into(), wire.received_millis),
            (wire.category, wire.comment),
            items.ok_or("a message is not in the form of evidence")?,
        )
        .map_err(|_| "the report is out of its bounds")
    }
}
