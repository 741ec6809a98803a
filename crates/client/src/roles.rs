//! Who may do what in a group: what an application shows of it, and changes.

use conclave_protocol::{GroupId, Permissions, Role, Unreportable, UserId};

use crate::{Client, ClientError, Receipt};

impl Client {
    /// From which role on somebody may do what in a group. Who is what stands in
    /// [`members`](Self::members).
    ///
    /// # Errors
    /// [`ClientError::NotMember`] for a group that ended.
    pub async fn permissions(&self, group: GroupId) -> Result<Permissions, ClientError> {
        self.session(move |session| session.permissions(group))
            .await
    }

    /// Makes a user an owner, an admin or a member of a group. Whoever creates a group is its owner;
    /// only owners say who is what. Everybody may step down, but the last owner.
    ///
    /// ```no_run
    /// # use conclave_client::{Client, ClientError, GroupId, Permissions, Role};
    /// # async fn example(alice: Client, club: GroupId) -> Result<(), ClientError> {
    /// alice.set_role(club, &alice.user_named("bob")?, Role::Admin).await?;
    /// let only_admins_add = Permissions { add: Role::Admin, ..Permissions::default() };
    /// alice.set_permissions(club, only_admins_add).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Forbidden`], [`ClientError::NoSuchMember`], [`ClientError::Rules`] where too
    /// many are more than members, and those of [`Self::send`].
    pub async fn set_role(
        &self,
        group: GroupId,
        user: &UserId,
        role: Role,
    ) -> Result<Receipt, ClientError> {
        let user = user.clone();
        let intent = self.session(move |session| session.set_role(group, &user, role));
        self.settle(group, &[intent.await?]).await
    }

    /// Says from which role on somebody may add, remove, describe and send. Only owners may.
    ///
    /// # Errors
    /// [`ClientError::Forbidden`] and those of [`Self::send`].
    pub async fn set_permissions(
        &self,
        group: GroupId,
        permissions: Permissions,
    ) -> Result<Receipt, ClientError> {
        let intent = self.session(move |session| session.set_permissions(group, permissions));
        self.settle(group, &[intent.await?]).await
    }

    /// What becomes of messages in a group that nobody could report.
    ///
    /// # Errors
    /// [`ClientError::NotMember`] for a group that ended.
    pub async fn unreportable(&self, group: GroupId) -> Result<Unreportable, ClientError> {
        self.session(move |session| session.unreportable(group))
            .await
    }

    /// Says whether members mark messages that nobody could report, or refuse them. Only owners may.
    ///
    /// # Errors
    /// [`ClientError::Forbidden`] and those of [`Self::send`].
    pub async fn set_unreportable(
        &self,
        group: GroupId,
        unreportable: Unreportable,
    ) -> Result<Receipt, ClientError> {
        let intent = self.session(move |session| session.set_unreportable(group, unreportable));
        self.settle(group, &[intent.await?]).await
    }
}
