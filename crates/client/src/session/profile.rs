//! What the members call a group and say of it, and how long messages stay there.

use std::time::Duration;

use conclave_protocol::{Attachment, GroupId, Profile, UnixMillis};

use super::{IntentId, Session};
use crate::{ClientError, ProfileChange, intent::Intent};

impl Session {
    /// What the members call a group and say of it; `None` where this device has not heard yet, or
    /// the group has a name and nothing else.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn profile(&mut self, group: GroupId) -> Result<Option<Profile>, ClientError> {
        self.local.read(|tx| tx.profile(group))
    }

    /// Changes what the members call a group and say of it.
    ///
    /// # Errors
    /// [`ClientError::Content`], [`ClientError::Forbidden`], [`ClientError::NotMember`],
    /// [`ClientError::Leaving`].
    pub fn describe(
        &mut self,
        group: GroupId,
        change: ProfileChange,
    ) -> Result<IntentId, ClientError> {
        // What it is put together with holds already.
        let checked = change.apply(Profile::named("-"));
        checked.to_bytes([0; 32])?;
        self.govern(group, &Intent::Describe(change))
    }

    /// After what time messages in a group are to be gone at the latest; `None` for never.
    ///
    /// # Errors
    /// [`ClientError::NotMember`] for a group that ended.
    pub fn expiry(&mut self, group: GroupId) -> Result<Option<Duration>, ClientError> {
        self.local.read(|tx| {
            tx.require_member(group)?;
            Ok(tx.rules(group)?.expiry())
        })
    }

    /// Has messages in a group be gone after a time, at the latest, or stay.
    ///
    /// # Errors
    /// [`ClientError::Rules`], [`ClientError::Forbidden`], [`ClientError::NotMember`],
    /// [`ClientError::Leaving`].
    pub fn set_expiry(
        &mut self,
        group: GroupId,
        expiry: Option<Duration>,
    ) -> Result<IntentId, ClientError> {
        self.govern(group, &Intent::SetExpiry(expiry))
    }

    /// The pictures of groups that this device should have the service keep for longer.
    pub(crate) fn pictures_to_keep(
        &mut self,
        now: UnixMillis,
    ) -> Result<Vec<(GroupId, Attachment)>, ClientError> {
        self.local.read(|tx| tx.pictures_to_keep(now))
    }

    /// The service keeps a group's picture until then.
    pub(crate) fn picture_is_kept(
        &mut self,
        group: GroupId,
        until: UnixMillis,
    ) -> Result<(), ClientError> {
        self.local.write(|tx| tx.picture_is_kept(group, until))
    }
}
