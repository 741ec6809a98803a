//! What the members call a group and say of it, and how long messages stay there.

use std::{path::Path, time::Duration};

use conclave_protocol::{Attachment, ContentError, GroupId, Profile, limits::PICTURE_BYTES_MAX};

use crate::{AttachmentError, Client, ClientError, Progress, Receipt};

/// What to change of what is said of a group; the rest stays.
///
/// ```
/// # use conclave_client::ProfileChange;
/// let change = ProfileChange::default().name("readers").description("a book a month");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileChange {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) picture: Option<Option<Attachment>>,
}

impl ProfileChange {
    /// Another name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Another description; empty for none.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Another picture, which was [uploaded](Client::upload), or none.
    #[must_use]
    pub fn picture(mut self, picture: Option<Attachment>) -> Self {
        self.picture = Some(picture);
        self
    }

    pub(crate) fn apply(&self, mut profile: Profile) -> Profile {
        if let Some(name) = &self.name {
            profile.name.clone_from(name);
        }
        if let Some(description) = &self.description {
            profile.description.clone_from(description);
        }
        if let Some(picture) = &self.picture {
            profile.picture.clone_from(picture);
        }
        profile
    }
}

impl Client {
    /// What the members call a group and say of it; `None` where this device has not heard yet, or
    /// the group has a name and nothing else.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn profile(&self, group: GroupId) -> Result<Option<Profile>, ClientError> {
        self.session(move |session| session.profile(group)).await
    }

    /// Changes what the members call a group and say of it. Those may to whom the
    /// [permissions](Self::permissions) leave it.
    ///
    /// # Errors
    /// [`ClientError::Content`] for a name or a description that is none, [`ClientError::Forbidden`],
    /// and those of [`Self::send`].
    pub async fn describe(
        &self,
        group: GroupId,
        change: ProfileChange,
    ) -> Result<Receipt, ClientError> {
        let intent = self.session(move |session| session.describe(group, change));
        let receipt = self.settle(group, &[intent.await?]).await?;
        self.say_the_rest(group).await;
        Ok(receipt)
    }

    /// Gives a group a picture from a file.
    ///
    /// # Errors
    /// Those of [`Self::upload`] and [`Self::describe`].
    pub async fn set_picture(
        &self,
        group: GroupId,
        path: &Path,
        media_type: &str,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Receipt, ClientError> {
        let about = std::fs::metadata(path).map_err(AttachmentError::from)?;
        if about.len() > PICTURE_BYTES_MAX {
            return Err(ContentError::Picture.into());
        }
        let picture = self.upload(group, path, media_type, progress).await?;
        let change = ProfileChange::default().picture(Some(picture));
        self.describe(group, change).await
    }

    /// After what time messages in a group are to be gone at the latest; `None` for never.
    ///
    /// # Errors
    /// [`ClientError::NotMember`] for a group that ended.
    pub async fn expiry(&self, group: GroupId) -> Result<Option<Duration>, ClientError> {
        self.session(move |session| session.expiry(group)).await
    }

    /// Has messages in a group be gone after a time, at the latest, or stay. It counts for messages
    /// that are sent from then on. Those may who may describe the group.
    ///
    /// # Errors
    /// [`ClientError::Rules`] for a time that is none, [`ClientError::Forbidden`], and those of
    /// [`Self::send`].
    pub async fn set_expiry(
        &self,
        group: GroupId,
        expiry: Option<Duration>,
    ) -> Result<Receipt, ClientError> {
        let intent = self.session(move |session| session.set_expiry(group, expiry));
        self.settle(group, &[intent.await?]).await
    }
}
