//! How far things were read, and what a person does not want to hear of.

use conclave_protocol::{GroupId, Sequence, UnixMillis, UserId};

use super::Session;
use crate::{ClientError, Unread, UserReceipt, intent::Intent, waits::RECEIPT_WAIT};

impl Session {
    /// Marks a group as read up to a place in its log, here and, where receipts are sent, on this
    /// user's other devices and for the others. Receipts go out at most once in a few seconds, with
    /// what is true then. Says whether one will.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn mark_read(
        &mut self,
        group: GroupId,
        up_to: Sequence,
        now: UnixMillis,
    ) -> Result<bool, ClientError> {
        let is_told = self.local.write(|tx| {
            let Some(known) = tx.group(group)? else {
                return Ok(false);
            };
            let up_to = up_to.min(known.cursor);
            let raised = tx.raise_receipt(group, tx.own_user(), up_to, up_to)?;
            Ok(raised && tx.require_member(group).is_ok() && tx.sends_receipts_in(group)?)
        })?;
        if let Some(progress) = self.groups.get_mut(&group)
            && is_told
        {
            let at = progress.receipt_not_before.max(now);
            progress.receipt_at.get_or_insert(at);
        }
        Ok(is_told)
    }

    /// Up to where this user has read a group, and how many messages of others stand after that.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn unread(&mut self, group: GroupId) -> Result<Unread, ClientError> {
        self.local.read(|tx| tx.unread(group))
    }

    /// What the members of a group have said of their reading.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn receipts(&mut self, group: GroupId) -> Result<Vec<UserReceipt>, ClientError> {
        self.local.read(|tx| tx.receipts(group))
    }

    /// Whether this device tells others how far its user has read.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn sends_receipts(&mut self) -> Result<bool, ClientError> {
        self.local.read(|tx| tx.sends_receipts())
    }

    /// Has this device tell others how far its user has read, in groups of few, or no longer.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn send_receipts(&mut self, sends: bool) -> Result<(), ClientError> {
        self.local.write(|tx| tx.set_sends_receipts(sends))
    }

    /// Groups that this user does not want to be notified of.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn muted(&mut self) -> Result<Vec<GroupId>, ClientError> {
        self.local.read(|tx| tx.muted())
    }

    /// Notes that this user does not want to be notified of a group, or wants to again. Its events
    /// come all the same: the application asks before it rings.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn mute(&mut self, group: GroupId, muted: bool) -> Result<(), ClientError> {
        self.local.write(|tx| tx.set_muted(group, muted))
    }

    /// Users whose messages are not shown.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn blocked(&mut self) -> Result<Vec<UserId>, ClientError> {
        self.local.read(|tx| tx.blocked())
    }

    /// Shows nothing of what a user says from now on, or all of it again. It is kept all the same.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn block(&mut self, user: &UserId, blocked: bool) -> Result<(), ClientError> {
        self.local.write(|tx| tx.set_blocked(user, blocked))
    }

    /// Puts a receipt into the outbox where its time has come.
    pub(super) fn send_receipt(&mut self, id: GroupId, now: UnixMillis) -> Result<(), ClientError> {
        let Some(progress) = self.groups.get_mut(&id) else {
            return Ok(());
        };
        if progress.receipt_at.is_none_or(|at| now < at) {
            return Ok(());
        }
        self.local.write(|tx| {
            if !tx.is_queued(id, &Intent::Receipt)? {
                tx.enqueue(id, &Intent::Receipt)?;
            }
            Ok(())
        })?;
        progress.receipt_at = None;
        progress.receipt_not_before = now.after(RECEIPT_WAIT);
        progress.outbox.set();
        Ok(())
    }
}
