//! Messages that are not in the log yet: for applications that show them while they wait.

use conclave_protocol::{GroupId, Message};

use crate::{Client, ClientError, Receipt, session::IntentId};

/// What names a message in the outbox of this device, also after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WaitingId(pub i64);

/// A message that is kept here and not in the log yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What names it here.
    pub id: WaitingId,
    /// What it says.
    pub message: Message,
}

impl Client {
    /// Puts a message into the outbox, and waits for no network. It goes out with what is done next:
    /// [`landed`](Self::landed), [`sync`](Self::sync), or a connection that [`events`](Self::events)
    /// makes. Messages of a group go out in the order in which they were kept.
    ///
    /// # Errors
    /// [`ClientError::NotMember`], [`ClientError::Leaving`], [`ClientError::Content`].
    pub async fn keep(
        &self,
        group: GroupId,
        message: impl Into<Message>,
    ) -> Result<WaitingId, ClientError> {
        let message = message.into();
        let intent = self.session(move |session| session.send(group, message));
        intent.await.map(|intent| WaitingId(intent.0))
    }

    /// Sends a kept message, where that has not happened yet, and says where it stands in the log. It
    /// is asked once for each message: what became of it is forgotten then.
    ///
    /// # Errors
    /// With [`ClientError::Unreachable`] the message is still kept, and this can be asked again; with
    /// [`ClientError::GivenUp`] it is not sent.
    pub async fn landed(&self, group: GroupId, id: WaitingId) -> Result<Receipt, ClientError> {
        self.settle(group, &[IntentId(id.0)]).await
    }

    /// The messages of a group that wait in the outbox, also those that an earlier run of the program
    /// kept, in the order in which they go out.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn waiting(&self, group: GroupId) -> Result<Vec<Waiting>, ClientError> {
        self.session(move |session| session.waiting(group)).await
    }
}
