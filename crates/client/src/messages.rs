//! What an application says in a group, and does about what others say.

use conclave_protocol::{GroupId, Message, MessageId, Sequence};

use crate::{Client, ClientError, Entry, Receipt};

impl Client {
    /// Sends a message: a line of text, or what a [`Message`] says.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use conclave_client::{Client, ClientError, GroupId, Message, MessageId};
    /// # async fn example(
    /// #     client: Client, club: GroupId, question: MessageId,
    /// # ) -> Result<(), ClientError> {
    /// client.send(club, "hello").await?;
    /// let answer = Message::text("at 7").reply_to(question);
    /// client.send(club, answer.expires_after(Duration::from_secs(3600))).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::NotMember`], [`ClientError::Leaving`], [`ClientError::Content`]. With
    /// [`ClientError::Unreachable`] the message is kept and sent later; with others it is given up.
    pub async fn send(
        &self,
        group: GroupId,
        message: impl Into<Message>,
    ) -> Result<Receipt, ClientError> {
        let message = message.into();
        let intent = self.session(move |session| session.send(group, message));
        self.settle(group, &[intent.await?]).await
    }

    /// Puts another text in the place of a message's. Everybody sees that it was edited.
    ///
    /// # Errors
    /// [`ClientError::UnknownMessage`], [`ClientError::NotAuthor`] and those of [`Self::send`].
    pub async fn edit(
        &self,
        group: GroupId,
        message: MessageId,
        text: &str,
    ) -> Result<Receipt, ClientError> {
        let text = text.to_owned();
        let intent = self.session(move |session| session.edit(group, message, &text));
        self.settle(group, &[intent.await?]).await
    }

    /// Takes a message back. Who has read it has read it; who keeps to the rules keeps nothing.
    ///
    /// # Errors
    /// Those of [`Self::edit`].
    pub async fn delete(&self, group: GroupId, message: MessageId) -> Result<Receipt, ClientError> {
        let intent = self.session(move |session| session.delete(group, message));
        self.settle(group, &[intent.await?]).await
    }

    /// Puts a mark on a message, for example an emoji.
    ///
    /// # Errors
    /// [`ClientError::UnknownMessage`] and those of [`Self::send`].
    pub async fn react(
        &self,
        group: GroupId,
        message: MessageId,
        reaction: &str,
    ) -> Result<Receipt, ClientError> {
        self.put_reaction(group, message, reaction, false).await
    }

    /// Takes a mark off a message.
    ///
    /// # Errors
    /// Those of [`Self::react`].
    pub async fn withdraw_reaction(
        &self,
        group: GroupId,
        message: MessageId,
        reaction: &str,
    ) -> Result<Receipt, ClientError> {
        self.put_reaction(group, message, reaction, true).await
    }

    async fn put_reaction(
        &self,
        group: GroupId,
        message: MessageId,
        reaction: &str,
        withdrawn: bool,
    ) -> Result<Receipt, ClientError> {
        let reaction = reaction.to_owned();
        let intent =
            self.session(move |session| session.react(group, message, &reaction, withdrawn));
        self.settle(group, &[intent.await?]).await
    }

    /// What stands at a place in a group's log.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn entry(&self, group: GroupId, at: Sequence) -> Result<Option<Entry>, ClientError> {
        self.session(move |session| session.entry(group, at)).await
    }

    /// The message that `text` means: its place in the log, or the beginning of its id.
    ///
    /// # Errors
    /// [`ClientError::UnknownMessage`] also where it may mean several.
    pub async fn message_named(&self, group: GroupId, text: &str) -> Result<Entry, ClientError> {
        let text = text.to_owned();
        self.session(move |session| session.message_named(group, &text))
            .await
    }
}
