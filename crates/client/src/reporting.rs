//! What proves what was said, for whoever has to show it.

use conclave_protocol::{Evidence, GroupId, Sequence};

use crate::{Client, ClientError};

/// A message with what proves it, as it is shown to somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The message, and what proves it.
    pub evidence: Evidence,
    /// Whether it is there for the sake of others, so that those can be understood.
    pub is_context: bool,
}

impl Client {
    /// What proves a line of a group's history to a third party; `None` where nothing does. It holds all that was
    /// said there, also the keys of attachments.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn evidence(
        &self,
        group: GroupId,
        line: Sequence,
    ) -> Result<Option<Evidence>, ClientError> {
        self.session(move |session| session.evidence(group, line))
            .await
    }
}
