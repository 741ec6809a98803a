//! Bugs to be planted, each of a kind that a messenger can have, to see that the witness finds it.

use std::{fmt, str::FromStr};

use conclave_client::{
    DeviceId, Planted,
    session::{Call, Rejection, Reply},
};
use conclave_rpc::v1::{self, submit_request::Body};

/// What is done wrong: by the service, or by all clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bug {
    /// It accepts a Commit of an epoch that another has ended.
    TwoCommits,
    /// It acknowledges messages that it then forgets.
    NotDurable,
    /// It hands KeyPackages out that it has handed out before.
    KeyPackageTwice,
    /// It goes on serving the log to who was removed.
    RemovalIgnored,
    /// A client uses a generation of its ratchet twice.
    GenerationReused,
    /// A client merges its Commits before they are accepted.
    MergedBeforeAccepted,
    /// Clients let whoever spoilt a group into the one that goes on.
    CulpritKept,
    /// Clients do not commit to what they encrypt, so that nobody could report it.
    Uncommitted,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::TwoCommits,
        Self::NotDurable,
        Self::KeyPackageTwice,
        Self::RemovalIgnored,
        Self::GenerationReused,
        Self::MergedBeforeAccepted,
        Self::CulpritKept,
        Self::Uncommitted,
    ];

    /// What is to be planted in each client.
    pub(crate) fn in_clients(self) -> Option<Planted> {
        match self {
            Self::GenerationReused => Some(Planted::GenerationReused),
            Self::MergedBeforeAccepted => Some(Planted::MergedBeforeAccepted),
            Self::CulpritKept => Some(Planted::CulpritKept),
            Self::Uncommitted => Some(Planted::Uncommitted),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::TwoCommits => "two-commits",
            Self::NotDurable => "not-durable",
            Self::KeyPackageTwice => "key-package-twice",
            Self::RemovalIgnored => "removal-ignored",
            Self::GenerationReused => "generation-reused",
            Self::MergedBeforeAccepted => "merged-before-accepted",
            Self::CulpritKept => "culprit-kept",
            Self::Uncommitted => "uncommitted",
        }
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Bug {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|bug| bug.name() == text);
        found.ok_or_else(|| format!("there is no bug {text}"))
    }
}

/// A bug at work between the service and its clients.
#[derive(Debug, Default)]
pub(crate) struct Saboteur {
    bug: Option<Bug>,
    taken: Option<v1::TakeKeyPackagesResponse>,
    submissions: u32,
}

impl Saboteur {
    pub(crate) fn new(bug: Option<Bug>) -> Self {
        Self {
            bug,
            ..Self::default()
        }
    }

    /// As whom the service serves a call: `insider` is a member of the call's group.
    pub(crate) fn caller(
        &self,
        caller: DeviceId,
        insider: Option<DeviceId>,
        call: &Call,
    ) -> DeviceId {
        match (self.bug, call, insider) {
            (Some(Bug::RemovalIgnored), Call::ReadLog(_), Some(insider)) => insider,
            _ => caller,
        }
    }

    /// An answer that the service gives without having done what it was asked.
    pub(crate) fn instead(&mut self, call: &Call) -> Option<Reply> {
        match (self.bug?, call) {
            (Bug::NotDurable, Call::Submit(asked)) => {
                let is_message = matches!(asked.body, Some(Body::ApplicationMessage(_)));
                self.submissions += u32::from(is_message);
                // Not the first: it has to know where the log ends.
                let forgets = is_message && self.submissions.is_multiple_of(5);
                forgets.then_some(Reply::Submit(v1::SubmitResponse {
                    sequence: 1_000_000 + u64::from(self.submissions),
                    accepted_millis: 0,
                }))
            }
            (Bug::KeyPackageTwice, Call::TakeKeyPackages(asked)) => {
                let known = self.taken.as_ref()?;
                let fits = |user: &v1::UserKeyPackages| asked.users.contains(&user.user);
                known
                    .users
                    .iter()
                    .any(fits)
                    .then(|| Reply::TakeKeyPackages(known.clone()))
            }
            _ => None,
        }
    }

    /// What becomes of an answer that the service gives.
    pub(crate) fn answer(
        &mut self,
        call: &Call,
        answer: Result<Reply, Rejection>,
    ) -> Result<Reply, Rejection> {
        match (self.bug, call, answer) {
            (
                Some(Bug::TwoCommits),
                Call::Submit(v1::SubmitRequest {
                    body: Some(Body::Commit(_)),
                    ..
                }),
                Err(Rejection::WrongEpoch { head, .. }),
            ) => Ok(Reply::Submit(v1::SubmitResponse {
                sequence: head.0 + 1,
                accepted_millis: 0,
            })),
            (Some(Bug::KeyPackageTwice), _, Ok(Reply::TakeKeyPackages(given))) => {
                self.taken = Some(given.clone());
                Ok(Reply::TakeKeyPackages(given))
            }
            (_, _, answer) => answer,
        }
    }
}
