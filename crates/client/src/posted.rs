//! A message as it stands now: what its author said, and what came of it since.

use conclave_protocol::{Message, MessageId, Sequence, UnixMillis, UserId};

/// A message as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// What names it, for answers, reactions, edits and deletions.
    pub id: MessageId,
    /// What it says, after the last edit; empty where it was deleted.
    pub message: Message,
    /// Where the message that it answers stands in the log, as long as that one is here.
    pub answers: Option<Sequence>,
    /// When its author last put another text in its place.
    pub edited: Option<UnixMillis>,
    /// Whether its author has taken it back.
    pub deleted: bool,
    /// When it is to be gone.
    pub expires: Option<UnixMillis>,
    /// Whether this device holds what proves that its author sent it, as it stands now.
    pub is_reportable: bool,
    /// What members think of it, by user.
    pub reactions: Vec<Reaction>,
}

/// A mark that a member has put on a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reaction {
    /// Who.
    pub user: UserId,
    /// What, for example an emoji.
    pub text: String,
}

impl Posted {
    /// A message that nobody has reacted to yet.
    pub(crate) fn new(id: MessageId, message: Message, accepted: UnixMillis) -> Self {
        Self {
            id,
            expires: message.expires_at(accepted),
            message,
            answers: None,
            edited: None,
            deleted: false,
            is_reportable: false,
            reactions: Vec::new(),
        }
    }

    /// The text, after the last edit.
    #[must_use]
    pub fn text(&self) -> &str {
        self.message.body()
    }

    /// Whether it is to be gone at `now`.
    #[must_use]
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}
