//! Who may do what in a group, and who says so.

use conclave_protocol::{GroupId, Permissions, Role, Unreportable, UserId};

use super::{IntentId, Session};
use crate::{ClientError, intent::Intent};

impl Session {
    /// From which role on somebody may do what in a group.
    ///
    /// # Errors
    /// [`ClientError::NotMember`] for a group that ended.
    pub fn permissions(&mut self, group: GroupId) -> Result<Permissions, ClientError> {
        self.local.read(|tx| {
            tx.require_member(group)?;
            Ok(tx.rules(group)?.permissions())
        })
    }

    /// Makes a user an owner, an admin or a member of a group. Only owners may, and everybody may
    /// step down who is not the last owner.
    ///
    /// # Errors
    /// [`ClientError::Forbidden`], [`ClientError::NoSuchMember`], [`ClientError::Rules`] where too
    /// many are more than members, [`ClientError::NotMember`], [`ClientError::Leaving`].
    pub fn set_role(
        &mut self,
        group: GroupId,
        user: &UserId,
        role: Role,
    ) -> Result<IntentId, ClientError> {
        self.govern(group, &Intent::SetRole(user.clone(), role))
    }

    /// Says from which role on somebody may do what. Only owners may.
    ///
    /// # Errors
    /// [`ClientError::Forbidden`], [`ClientError::NotMember`], [`ClientError::Leaving`].
    pub fn set_permissions(
        &mut self,
        group: GroupId,
        permissions: Permissions,
    ) -> Result<IntentId, ClientError> {
        self.govern(group, &Intent::SetPermissions(permissions))
    }

    /// What becomes of messages in a group that nobody could report.
    ///
    /// # Errors
    /// [`ClientError::NotMember`] for a group that ended.
    pub fn unreportable(&mut self, group: GroupId) -> Result<Unreportable, ClientError> {
        self.local.read(|tx| {
            tx.require_member(group)?;
            Ok(tx.rules(group)?.unreportable())
        })
    }

    /// Says what becomes of messages that nobody could report. Only owners may.
    ///
    /// # Errors
    /// [`ClientError::Forbidden`], [`ClientError::NotMember`], [`ClientError::Leaving`].
    pub fn set_unreportable(
        &mut self,
        group: GroupId,
        unreportable: Unreportable,
    ) -> Result<IntentId, ClientError> {
        self.govern(group, &Intent::SetUnreportable(unreportable))
    }

    /// Refuses where this user may not have these added and those removed.
    pub(crate) fn check_may_change(
        &mut self,
        group: GroupId,
        added: &[UserId],
        removed: &[UserId],
    ) -> Result<(), ClientError> {
        self.local.read(|tx| {
            tx.check_allowed(group, &Intent::Add(added.to_vec()))?;
            tx.check_allowed(group, &Intent::Remove(removed.to_vec()))
        })
    }

    pub(super) fn govern(
        &mut self,
        group: GroupId,
        intent: &Intent,
    ) -> Result<IntentId, ClientError> {
        self.enqueue(group, |tx| {
            tx.check_allowed(group, intent)?;
            tx.check_trust(group, intent)?;
            tx.enqueue(group, intent).map(IntentId)
        })
    }
}
