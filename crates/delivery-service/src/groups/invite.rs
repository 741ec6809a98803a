//! What members do besides messages: let others in, ask each other to commit, end a group.

use std::sync::PoisonError;

use conclave_protocol::{Approval, DeviceId, GroupId, RequestId, UnixMillis, limits};
use sha2::{Digest as _, Sha256};

use super::{Groups, body::check_size};
use crate::{
    error::Refusal,
    hub::{Signal, Topic},
    limits::{COMMITTERS_ASKED_MAX, HANDSHAKE_ATTEMPTS_MAX},
    store::{Entrance, GroupDeletion, NewInvitation, Notice, Notified},
};

/// What an external Commit is made from.
#[derive(Debug)]
pub(crate) struct Opening {
    /// The GroupInfo, and the Proposals that wait.
    pub(crate) entrance: Entrance,
    /// The ratchet tree of the same epoch.
    pub(crate) tree: Vec<u8>,
}

impl Groups {
    /// Gives what an external Commit is made from to a device that may join.
    pub(crate) fn open(
        &self,
        group: GroupId,
        device: DeviceId,
        now: UnixMillis,
    ) -> Result<Opening, Refusal> {
        for _ in 0..HANDSHAKE_ATTEMPTS_MAX {
            let entrance = self.entrance(group, device, now)?;
            let slot = self.followers.slot(group);
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            // The group may move on at the same time.
            match self.follower_at(&mut slot, group, entrance.head) {
                Err(Refusal::Busy(_)) => {}
                follower => {
                    let tree = slot.insert(follower?).ratchet_tree()?;
                    return Ok(Opening { entrance, tree });
                }
            }
        }
        Err(Refusal::Busy("the group is busy; try again"))
    }

    fn entrance(
        &self,
        group: GroupId,
        device: DeviceId,
        now: UnixMillis,
    ) -> Result<Entrance, Refusal> {
        let entrance = self.store.entrance(group, device, now)?;
        let entrance = entrance.ok_or(Refusal::UnknownGroup)?;
        let may_join = entrance.may_join;
        may_join.then_some(entrance).ok_or(Refusal::NotMember)
    }

    /// Passes a member's signal to the members who are there now.
    pub(crate) fn pass(&self, signal: &Signal) -> Result<(), Refusal> {
        if signal.bytes.is_empty() || signal.bytes.len() > limits::SIGNAL_BYTES_MAX {
            return Err(Refusal::Invalid("signal: empty or too large"));
        }
        self.require_member(signal.group, signal.sender)?;
        self.hub.pass(signal);
        Ok(())
    }

    /// Makes an invitation of a member. The same again changes nothing.
    pub(crate) fn invite(
        &self,
        group: GroupId,
        inviter: DeviceId,
        token_hash: &[u8],
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let token_hash = parse_hash(token_hash)?;
        if expires < now || expires > now.after(limits::INVITATION_LIFETIME_MAX) {
            return Err(Refusal::Invalid("expires_millis: past, or too far ahead"));
        }
        self.require_member(group, inviter)?;
        let new = NewInvitation {
            group,
            token_hash: &token_hash,
            inviter,
            expires,
        };
        let made = self.store.create_invitation(&new, now)?;
        made.then_some(())
            .ok_or(Refusal::Busy("the group has too many invitations"))
    }

    /// Asks to be let in by an invitation, and says whether that has happened. The inviter is told;
    /// asking again tells it again.
    pub(crate) fn redeem(
        &self,
        group: GroupId,
        asker: DeviceId,
        token: &[u8],
        now: UnixMillis,
    ) -> Result<bool, Refusal> {
        if token.len() != limits::INVITATION_TOKEN_BYTES {
            return Err(Refusal::Invalid("token: not of an invitation"));
        }
        let device = self.store.device(asker)?;
        let device = device.ok_or(Refusal::Unauthenticated("the device is not registered"))?;
        let token_hash = Sha256::digest(token).into();
        let found = self
            .store
            .redeem_invitation(group, &token_hash, asker, now)?;
        let found = found.ok_or(Refusal::NotFound("no such invitation, or it has expired"))?;
        if found.asker != Some(asker) {
            return Err(Refusal::Taken("another device used this invitation"));
        }
        if !found.approved {
            let notice = Notice::InvitationAsked {
                group,
                token_hash,
                asker,
                user: device.address.user,
            };
            self.tell(found.inviter, &notice)?;
        }
        Ok(found.approved)
    }

    /// Lets in the device that asked by an invitation; any member may.
    pub(crate) fn approve(
        &self,
        group: GroupId,
        member: DeviceId,
        token_hash: &[u8],
        asker: DeviceId,
        approval: &[u8],
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        if Approval::from_bytes(approval).is_none_or(|approval| approval.approver() != member) {
            return Err(Refusal::Invalid("approval: not one by the caller"));
        }
        let token_hash = parse_hash(token_hash)?;
        self.require_member(group, member)?;
        if !self
            .store
            .approve_invitation(group, &token_hash, asker, approval, now)?
        {
            return Err(Refusal::NotFound(
                "that device asked by no invitation of this kind, or it has expired",
            ));
        }
        self.tell(asker, &Notice::InvitationApproved { group, token_hash })
            .map(drop)
    }

    /// Hands a member's intent to one that is online and not passed over, and says to whom. Those who have
    /// been online longest come first, so that the intents of many gather at one.
    pub(crate) fn hand_over(
        &self,
        group: GroupId,
        sender: DeviceId,
        request: RequestId,
        intent: &[u8],
        passed_over: &[DeviceId],
    ) -> Result<DeviceId, Refusal> {
        check_size("intent: too large", intent, limits::INTENT_BYTES_MAX)?;
        self.require_member(group, sender)?;
        let notice = Notice::Intent {
            group,
            sender,
            request,
            intent: intent.to_vec(),
        };
        let online = self
            .hub
            .followers(Topic::Group(group), COMMITTERS_ASKED_MAX);
        let others = online.into_iter().filter(|device| *device != sender);
        // Who is leaving commits nothing any more, its own removal least of all (RFC 9420 §12.2).
        let leaving = self.store.going(group)?.leaving;
        let is_asked = |it: &DeviceId| !leaving.contains(it) && !passed_over.contains(it);
        for device in others.chain([sender]).filter(is_asked) {
            if self.access(group, device).is_ok_and(|it| it.is_member())
                && self.tell(device, &notice)? == Notified::Done
            {
                return Ok(device);
            }
        }
        Err(Refusal::Busy("nobody can take the intent; try again later"))
    }

    /// Deletes a group for its last user.
    pub(crate) fn delete(&self, group: GroupId, caller: DeviceId) -> Result<(), Refusal> {
        self.require_member(group, caller)?;
        let slot = self.followers.slot(group);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        match self.store.delete_group(group, caller)? {
            GroupDeletion::Done => {
                *slot = None;
                self.hub.hint(Topic::Standing(group));
                Ok(())
            }
            GroupDeletion::Unknown => Err(Refusal::UnknownGroup),
            GroupDeletion::NotMember => Err(Refusal::NotMember),
            GroupDeletion::NotAlone => Err(Refusal::NotAlone),
        }
    }

    fn require_member(&self, group: GroupId, device: DeviceId) -> Result<(), Refusal> {
        let is_member = self.access(group, device)?.is_member();
        is_member.then_some(()).ok_or(Refusal::NotMember)
    }

    /// Puts a notice into a mailbox and wakes its reader.
    fn tell(&self, device: DeviceId, notice: &Notice) -> Result<Notified, Refusal> {
        let notified = self.store.notify(device, notice)?;
        if notified == Notified::Done {
            self.hub.hint(Topic::Mailbox(device));
        }
        Ok(notified)
    }
}

fn parse_hash(bytes: &[u8]) -> Result<[u8; 32], Refusal> {
    let hash = bytes.try_into();
    hash.map_err(|_| Refusal::Invalid("token_hash: SHA-256 has 32 bytes"))
}
