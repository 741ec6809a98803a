//! The audit log: what each moderator did, one entry after the other, each hashed with the one before.
//!
//! ```text
//! hash(n) = SHA-256("Conclave 1.0 AuditEntry" || hash(n - 1) || entry(n))      hash(0) = 32 zeros
//! ```
//!
//! An entry is JSON, and what is hashed are its very bytes. So nobody takes an entry out, changes one or puts one in
//! between without every later hash being another, and whoever once noted a hash can tell.

use std::str::FromStr;

use conclave_protocol::{ReportId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::{
    book::Role,
    encoding::{millis, text},
    measure::Measure,
};

const LABEL: &[u8] = b"Conclave 1.0 AuditEntry";

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Actor {
    /// Whoever runs the server.
    Operator,
    /// A moderator, or somebody who appeals.
    User(UserId),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Act {
    /// Somebody got a role, or lost it.
    Appointed {
        /// Who.
        #[serde(with = "text")]
        user: UserId,
        /// `None` for one who is a moderator no more.
        role: Option<Role>,
    },
    /// A moderator has seen a report.
    Shown {
        /// Which.
        #[serde(with = "text")]
        report: ReportId,
    },
    /// Nothing is done about a report.
    Dismissed {
        /// Which.
        #[serde(with = "text")]
        report: ReportId,
        /// Why, for other moderators.
        reason: String,
    },
    /// Something is done about a report.
    Decided {
        /// Which.
        #[serde(with = "text")]
        report: ReportId,
        /// What.
        measure: Measure,
        /// Why, for the person whom it is about.
        reason: String,
    },
    /// Somebody asks for a decision about them to be looked at again.
    Appealed {
        /// The decision's number.
        decision: u64,
        /// What they say.
        text: String,
    },
    /// An appeal was answered.
    Answered {
        /// The decision's number.
        decision: u64,
        /// Whether it counts no more.
        is_upheld: bool,
        /// What is said to the person.
        answer: String,
    },
    /// A decision counts no more.
    Lifted {
        /// The decision's number.
        decision: u64,
        /// Why.
        reason: String,
    },
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// 1 for the first, without gaps.
    pub number: u64,
    /// When.
    #[serde(with = "millis")]
    pub at_millis: UnixMillis,
    /// Who.
    pub by: Actor,
    /// What.
    #[serde(flatten)]
    pub act: Act,
}

/// An entry as it is kept: its bytes, and the hash up to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chained {
    /// Its number.
    pub number: u64,
    /// JSON, in the bytes that are hashed.
    pub entry: Vec<u8>,
    /// The hash.
    pub hash: [u8; 32],
}

/// Why entries are no audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChainError {
    /// An entry is missing, or stands elsewhere.
    #[error("entry {0} of the audit log is missing")]
    Missing(u64),
    /// An entry's hash is not the one that follows.
    #[error("entry {0} of the audit log, or one before it, was changed")]
    Changed(u64),
    /// An entry is not one that this program knows.
    #[error("entry {0} of the audit log can't be read by this version")]
    Unreadable(u64),
}

/// Where an audit log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chain {
    entries: u64,
    hash: [u8; 32],
}

impl Act {
    /// Whether a report is done with by it.
    #[must_use]
    pub fn decides(&self) -> bool {
        matches!(self, Self::Dismissed { .. } | Self::Decided { .. })
    }
}

impl Chained {
    /// The entry, whatever stands before it: that the chain holds, [`Chain::follow`] says.
    ///
    /// # Errors
    /// [`ChainError::Unreadable`], and [`ChainError::Missing`] where it is of another number.
    pub fn read(&self) -> Result<Entry, ChainError> {
        let number = self.number;
        let entry: Entry =
            serde_json::from_slice(&self.entry).map_err(|_| ChainError::Unreadable(number))?;
        if entry.number == number {
            Ok(entry)
        } else {
            Err(ChainError::Missing(number))
        }
    }
}

impl Chain {
    /// How many entries there are.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The hash of the last.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// An entry as it would be kept behind the last.
    #[must_use]
    pub fn link(&self, entry: &Entry) -> Chained {
        // Nothing in it is without a form in JSON.
        let bytes = serde_json::to_vec(entry).unwrap_or_default();
        Chained {
            number: self.entries + 1,
            hash: self.hash_with(&bytes),
            entry: bytes,
        }
    }

    /// Goes on by an entry that was kept.
    ///
    /// # Errors
    /// [`ChainError`] where it is not the next one; the chain stays as it was.
    pub fn follow(&mut self, chained: &Chained) -> Result<Entry, ChainError> {
        let number = self.entries + 1;
        if chained.number != number {
            return Err(ChainError::Missing(number));
        }
        let hash = self.hash_with(&chained.entry);
        if hash != chained.hash {
            return Err(ChainError::Changed(number));
        }
        let entry = chained.read()?;
        (self.entries, self.hash) = (number, hash);
        Ok(entry)
    }

    fn hash_with(&self, entry: &[u8]) -> [u8; 32] {
        let hash = Sha256::new().chain_update(LABEL).chain_update(self.hash);
        hash.chain_update(entry).finalize().into()
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> Self {
        match actor {
            Actor::Operator => "operator".to_owned(),
            Actor::User(user) => user.as_str().to_owned(),
        }
    }
}

impl TryFrom<String> for Actor {
    type Error = conclave_protocol::IdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "operator" => Ok(Self::Operator),
            user => UserId::from_str(user).map(Self::User),
        }
    }
}
