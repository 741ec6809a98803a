//! Invitations, and the end of a group or an account: what is asked of the service at once, since
//! somebody waits for the answer.

use std::time::Duration;

use conclave_protocol::{
    GroupId, UserDeletion, UserId,
    limits::{INVITATION_TOKEN_BYTES, USER_DELETION_LIFETIME_MAX},
};
use conclave_rpc::v1;
use sha2::{Digest as _, Sha256};

use crate::{
    Client, ClientError, Standing,
    entropy::{now, random},
    linking::{decode, encode},
};

/// What an invitation's text begins with. Group and token follow, in base32 as in linking.
const INVITATION: &str = "CONCLAVE-INVITE:";

/// A user who asks to be let into a group, by an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// The group.
    pub group: GroupId,
    /// Who asks.
    pub user: UserId,
}

impl Client {
    /// Makes an invitation to a group, as text that lets whoever has it ask to be let in, once. A
    /// member then [approves](Self::approve).
    ///
    /// # Errors
    /// [`ClientError::Refused`] for a time that is too long, and where this device is no member.
    pub async fn invite(&self, group: GroupId, lifetime: Duration) -> Result<String, ClientError> {
        let token: [u8; INVITATION_TOKEN_BYTES] = random();
        let request = v1::CreateInvitationRequest {
            group_id: group.as_bytes().to_vec().into(),
            token_hash: Sha256::digest(token).to_vec().into(),
            expires_millis: now().after(lifetime).0,
        };
        self.inner.remote.create_invitation(request).await?;
        let bytes = [group.as_bytes().as_slice(), &token].concat();
        Ok(encode(INVITATION, &bytes))
    }

    /// Asks to be let into a group by an invitation, and says which group. This device joins when a
    /// member has approved, at the next [`sync`](Self::sync) or as it happens; asking again asks
    /// again.
    ///
    /// # Errors
    /// [`ClientError::Invitation`], [`ClientError::Refused`] where it was used or has expired.
    pub async fn redeem(&self, invitation: &str) -> Result<GroupId, ClientError> {
        let bytes = decode(INVITATION, invitation).ok_or(ClientError::Invitation)?;
        let (group, token) = bytes.split_at_checked(16).ok_or(ClientError::Invitation)?;
        let group = GroupId::try_from(group).map_err(|_| ClientError::Invitation)?;
        let hash: [u8; 32] = Sha256::digest(token).into();
        self.session(move |session| session.redeeming(group, &hash))
            .await?;
        let request = v1::RedeemInvitationRequest {
            group_id: group.as_bytes().to_vec().into(),
            token: token.to_vec().into(),
        };
        if self.inner.remote.redeem_invitation(request).await? {
            self.session(move |session| session.enter(group, &hash, now()))
                .await?;
        }
        Ok(group)
    }

    /// Who asks to be let in, by invitations that this device made.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn askers(&self) -> Result<Vec<Asker>, ClientError> {
        self.session(|session| session.askers()).await
    }

    /// Lets a user in who asks. What this device signs travels in the newcomer's Commit, and every
    /// member checks it.
    ///
    /// # Errors
    /// [`ClientError::NotAsked`], [`ClientError::Refused`] where the invitation has expired.
    pub async fn approve(&self, group: GroupId, user: &UserId) -> Result<(), ClientError> {
        let asker = user.clone();
        let requests = self.session(move |session| session.approve(group, &asker, now()));
        for request in requests.await? {
            self.inner.remote.approve_invitation(request).await?;
        }
        let asker = user.clone();
        self.session(move |session| session.approved(group, &asker))
            .await
    }

    /// Deletes a group at the service, once nobody else is in it. What was read stays readable here.
    ///
    /// # Errors
    /// [`ClientError::Refused`] while others are in it, [`ClientError::NotMember`].
    pub async fn delete_group(&self, group: GroupId) -> Result<(), ClientError> {
        let _turn = self.inner.turn.lock().await;
        let known = self.session(move |session| session.group(group)).await?;
        if known.is_none_or(|known| known.standing == Standing::Ended) {
            return Err(ClientError::NotMember);
        }
        let group_id = group.as_bytes().to_vec().into();
        let request = v1::DeleteGroupRequest { group_id };
        self.inner.remote.delete_group(request).await?;
        self.session(move |session| session.group_deleted(group))
            .await
    }

    /// Deletes this user with all devices at the service, and what this device has in its home. The
    /// name can be registered anew by somebody else.
    ///
    /// # Errors
    /// [`ClientError::NoIdentityKey`] on a device without it, [`ClientError::Unreachable`].
    pub async fn delete_account(&self) -> Result<(), ClientError> {
        let _turn = self.inner.turn.lock().await;
        let request = self.session(|session| {
            let account = session.account();
            let identity = account.identity_key.as_ref();
            let identity = identity.ok_or(ClientError::NoIdentityKey)?;
            let deletion = UserDeletion {
                server: account.server_name.clone(),
                user: account.user().clone(),
                // Half of what is allowed, for clocks that differ.
                expires: now().after(USER_DELETION_LIFETIME_MAX / 2),
            };
            Ok(v1::DeleteUserRequest {
                user: deletion.user.to_string(),
                expires_millis: deletion.expires.0,
                signature: deletion.sign(identity).to_vec().into(),
            })
        });
        self.inner.remote.delete_user(request.await?).await?;
        Ok(crate::local::delete(self.home())?)
    }
}
