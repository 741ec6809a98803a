//! Invitations: what the mailbox says of them, and what a member decides.

use conclave_protocol::{GroupId, UnixMillis, UserId};
use conclave_rpc::v1;

use super::Session;
use crate::{Asker, ClientError};

impl Session {
    /// Who asks to be let in, by invitations that this device made.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn askers(&mut self) -> Result<Vec<Asker>, ClientError> {
        self.local.read(|tx| tx.askers())
    }

    /// Signs that a user who asks may join: what to tell the service, once for each device. That it
    /// was told is [noted](Self::approved) then.
    ///
    /// # Errors
    /// [`ClientError::NotAsked`], [`ClientError::NotMember`].
    pub fn approve(
        &mut self,
        group: GroupId,
        user: &UserId,
        now: UnixMillis,
    ) -> Result<Vec<v1::ApproveInvitationRequest>, ClientError> {
        self.local.read(|tx| tx.approve(group, user, now))
    }

    /// The service has the approvals of a user.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn approved(&mut self, group: GroupId, user: &UserId) -> Result<(), ClientError> {
        self.local.write(|tx| tx.set_approved(group, user))
    }

    /// This device is about to ask to be let in; `token_hash` is SHA-256 of the invitation's token.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn redeeming(&mut self, group: GroupId, token_hash: &[u8]) -> Result<(), ClientError> {
        self.local.write(|tx| tx.note_redeemed(group, token_hash))
    }

    /// A member has let this device in, which joins where it had asked.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn enter(
        &mut self,
        group: GroupId,
        token_hash: &[u8],
        now: UnixMillis,
    ) -> Result<(), ClientError> {
        self.local.write(|tx| tx.enter(group, token_hash, now))?;
        self.refresh(group)
    }

    /// The service has deleted a group: what was read stays readable.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn group_deleted(&mut self, group: GroupId) -> Result<(), ClientError> {
        let events = self.local.write(|tx| tx.end_group(group))?;
        self.news.extend(events);
        self.refresh(group)
    }

    pub(super) fn take_asked(&mut self, asked: &v1::InvitationAsked) -> Result<(), ClientError> {
        let event = self.local.write(|tx| tx.note_asker(asked))?;
        self.news.extend(event);
        Ok(())
    }

    pub(super) fn take_approved(
        &mut self,
        approved: &v1::InvitationApproved,
        now: UnixMillis,
    ) -> Result<(), ClientError> {
        match conclave_rpc::group_id(&approved.group_id) {
            Ok(group) => self.enter(group, &approved.token_hash, now),
            Err(_) => Ok(()),
        }
    }
}
