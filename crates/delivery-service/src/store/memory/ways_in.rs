//! Invitations, external joins, and the end of groups.

use conclave_protocol::{DeviceId, GroupId, UnixMillis, UserId};

use super::{Group, Invited, State};
use crate::{
    limits::INVITATIONS_PER_GROUP_MAX,
    store::{Entrance, EntryKind, GroupDeletion, Invitation, Mail, NewInvitation, Notice},
};

impl State {
    pub(super) fn may_join(&self, group: &Group, device: DeviceId, now: UnixMillis) -> bool {
        let Some(user) = self.user_of(device) else {
            return false;
        };
        self.has_leaf(group, user) || group.approval(device, now).is_some()
    }

    /// Whether a device of the user is in the group, or one that was deleted has a leaf there.
    pub(super) fn has_leaf(&self, group: &Group, user: &UserId) -> bool {
        let mut members = group.members.keys().filter(|member| group.has(**member));
        members.any(|member| self.user_of(*member) == Some(user))
            || group.departed.values().flatten().any(|it| it == user)
    }

    fn user_of(&self, device: DeviceId) -> Option<&UserId> {
        Some(&self.devices.get(&device)?.device.address.user)
    }

    pub(super) fn entrance(
        &self,
        id: GroupId,
        device: DeviceId,
        now: UnixMillis,
    ) -> Option<Entrance> {
        let group = self.groups.get(&id)?;
        let waiting = group.log.iter().filter(|entry| {
            entry.epoch == group.head.epoch && matches!(entry.kind, EntryKind::Proposal)
        });
        Some(Entrance {
            head: group.head,
            may_join: self.may_join(group, device, now),
            group_info: group.group_info.clone(),
            proposals: waiting.map(|entry| entry.message.clone()).collect(),
            approval: group.approval(device, now).map(<[u8]>::to_vec),
        })
    }

    pub(super) fn create_invitation(&mut self, new: &NewInvitation<'_>, now: UnixMillis) -> bool {
        let Some(group) = self.groups.get_mut(&new.group) else {
            return false;
        };
        group.invitations.retain(|_, known| known.expires >= now);
        if group.invitations.len() >= INVITATIONS_PER_GROUP_MAX {
            return false;
        }
        let known = group.invitations.entry(*new.token_hash);
        known.or_insert(Invited {
            invitation: Invitation {
                inviter: new.inviter,
                asker: None,
                approved: false,
            },
            expires: new.expires,
            approval: None,
        });
        true
    }

    pub(super) fn redeem(
        &mut self,
        group: GroupId,
        token_hash: &[u8; 32],
        asker: DeviceId,
        now: UnixMillis,
    ) -> Option<Invitation> {
        let group = self.groups.get_mut(&group)?;
        let known = group.invitations.get_mut(token_hash)?;
        if known.expires < now {
            return None;
        }
        known.invitation.asker.get_or_insert(asker);
        Some(known.invitation)
    }

    pub(super) fn approve(
        &mut self,
        group: GroupId,
        token_hash: &[u8; 32],
        asker: DeviceId,
        approval: &[u8],
        now: UnixMillis,
    ) -> bool {
        let group = self.groups.get_mut(&group);
        let known = group.and_then(|group| group.invitations.get_mut(token_hash));
        let asked =
            known.filter(|known| known.invitation.asker == Some(asker) && known.expires >= now);
        asked.is_some_and(|known| {
            known.invitation.approved = true;
            known.approval = Some(approval.to_vec());
            true
        })
    }

    pub(super) fn delete_group(&mut self, id: GroupId, caller: DeviceId) -> GroupDeletion {
        let Some(group) = self.groups.get(&id) else {
            return GroupDeletion::Unknown;
        };
        if !group.has(caller) {
            return GroupDeletion::NotMember;
        }
        let user_of = |device: &DeviceId| Some(&self.devices.get(device)?.device.address.user);
        let mut members = group.members.keys().filter(|member| group.has(**member));
        if members.any(|member| user_of(member) != user_of(&caller)) {
            return GroupDeletion::NotAlone;
        }
        self.moderation.forget_group(id);
        self.groups.remove(&id);
        self.drop_blobs_of_group(id);
        for device in self.devices.values_mut() {
            device.mailbox.retain(|item| match &item.mail {
                Mail::Welcome(welcome) => welcome.group != id,
                Mail::Notice(
                    Notice::InvitationAsked { group, .. }
                    | Notice::InvitationApproved { group, .. }
                    | Notice::Intent { group, .. },
                ) => *group != id,
                Mail::Notice(Notice::KeyPackagesLow { .. } | Notice::Measure { .. }) => true,
            });
        }
        GroupDeletion::Done
    }
}

impl Group {
    fn approval(&self, device: DeviceId, now: UnixMillis) -> Option<&[u8]> {
        let mut invitations = self.invitations.values();
        invitations.find_map(|known| {
            let is_good = known.invitation.asker == Some(device) && known.expires >= now;
            known.approval.as_deref().filter(|_| is_good)
        })
    }
}
