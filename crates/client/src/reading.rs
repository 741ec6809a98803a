//! Reading: how far, by whom, what is looked for, and what nobody is to be told of.

use conclave_protocol::{GroupId, Sequence, UserId};

use crate::{Client, ClientError, Entry, entropy::now, session::Session};

/// How much of a group its user has not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unread {
    /// Up to where everything is read.
    pub read: Sequence,
    /// Messages of others that stand after that.
    pub count: u32,
}

/// What a user has said of their reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserReceipt {
    /// Who.
    pub user: UserId,
    /// Up to where a device of theirs has received the group's log.
    pub delivered: Sequence,
    /// Up to where they have read it.
    pub read: Sequence,
}

impl Client {
    /// Marks a group as read up to a place in its log. Where this device [sends
    /// receipts](Self::send_receipts) and the group is small, the others hear of it, this user's
    /// other devices among them; at most once in a few seconds, with what is true then.
    ///
    /// # Errors
    /// [`ClientError::Database`]. Where the service is away, the receipt is sent later.
    pub async fn mark_read(&self, group: GroupId, up_to: Sequence) -> Result<(), ClientError> {
        let _turn = self.inner.turn.lock().await;
        let is_told = self.session(move |session| session.mark_read(group, up_to, now()));
        if !is_told.await? {
            return Ok(());
        }
        match self.go_on().await {
            // Whoever listens hears of what this came upon, such as a group that was joined.
            Ok(events) => {
                let keep = |session: &mut Session| {
                    session.tell_later(events);
                    Ok(())
                };
                self.session(keep).await?;
                self.inner.grown.send_replace(());
                Ok(())
            }
            Err(ClientError::Unreachable { .. } | ClientError::RateLimited(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Up to where this user has read a group, and how many messages of others stand after that.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn unread(&self, group: GroupId) -> Result<Unread, ClientError> {
        self.session(move |session| session.unread(group)).await
    }

    /// What the members of a group have said of their reading.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn receipts(&self, group: GroupId) -> Result<Vec<UserReceipt>, ClientError> {
        self.session(move |session| session.receipts(group)).await
    }

    /// Whether this device tells others how far its user has read; at first it does not.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn sends_receipts(&self) -> Result<bool, ClientError> {
        self.session(|session| session.sends_receipts()).await
    }

    /// Has this device tell others how far its user has read, or no longer. In groups of more than
    /// [`RECEIPT_MEMBERS_MAX`](conclave_protocol::limits::RECEIPT_MEMBERS_MAX) users it never does.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn send_receipts(&self, sends: bool) -> Result<(), ClientError> {
        self.session(move |session| session.send_receipts(sends))
            .await
    }

    /// Up to `limit` entries of a group's history before a place in its log, the last ones, oldest
    /// first: as somebody scrolls back. From the end on, the place is `Sequence(u64::MAX)`.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn history_before(
        &self,
        group: GroupId,
        before: Sequence,
        limit: usize,
    ) -> Result<Vec<Entry>, ClientError> {
        self.session(move |session| {
            session.expire_unasked(now())?;
            session.history_before(group, before, limit)
        })
        .await
    }

    /// Lets the members who are there see that this user types. Call it as often as there is a key
    /// press: it goes out every few seconds at most. It is kept nowhere and may be lost.
    ///
    /// # Errors
    /// [`ClientError::NotMember`], [`ClientError::Unreachable`].
    pub async fn typing(&self, group: GroupId) -> Result<(), ClientError> {
        let request = self.session(move |session| session.typing(group, now()));
        match request.await? {
            Some(request) => self.inner.remote.send_signal(request).await,
            None => Ok(()),
        }
    }

    /// Messages that have all the words, of which the last may be the beginning of one; at most
    /// `limit`, in one group or in all, the latest of each first.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn search(
        &self,
        query: &str,
        group: Option<GroupId>,
        limit: usize,
    ) -> Result<Vec<Entry>, ClientError> {
        let query = query.to_owned();
        self.session(move |session| {
            session.expire_unasked(now())?;
            session.search(&query, group, limit)
        })
        .await
    }

    /// Groups that this user does not want to be notified of.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn muted(&self) -> Result<Vec<GroupId>, ClientError> {
        self.session(|session| session.muted()).await
    }

    /// Notes that this user does not want to be notified of a group, or wants to again. Its events
    /// come all the same: the application asks before it rings.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn mute(&self, group: GroupId, muted: bool) -> Result<(), ClientError> {
        self.session(move |session| session.mute(group, muted))
            .await
    }

    /// Users whose messages are not shown.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn blocked(&self) -> Result<Vec<UserId>, ClientError> {
        self.session(|session| session.blocked()).await
    }

    /// Shows nothing of what a user says from now on, or all of it again: it is kept all the same.
    /// Nobody hears of it.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn block(&self, user: &UserId, blocked: bool) -> Result<(), ClientError> {
        let user = user.clone();
        self.session(move |session| session.block(&user, blocked))
            .await
    }
}
