//! Device lists, the end of devices and users, and what is left of them in groups.

use conclave_protocol::{DeviceId, DeviceList, GroupId, UserId};

use super::State;
use crate::store::{Departure, EntryKind, Going, Invitation, Listed, Mail, Notice};

impl State {
    pub(super) fn put_list(&mut self, list: &DeviceList) -> Listed {
        let user = list.user();
        if self.users.get(user) != Some(list.identity_key()) {
            return Listed::UnknownUser;
        }
        match self.lists.get(user) {
            Some(known) if known == list => return Listed::Done(Departure::default()),
            Some(known) if known.version() >= list.version() => {
                return Listed::Stale(known.version());
            }
            _ => {}
        }
        self.lists.insert(user.clone(), list.clone());
        let mut devices = self.devices_of(user);
        devices.retain(|device| {
            let key = self.devices[device].device.signature_key;
            !list.devices().any(|named| named == (*device, &key))
        });
        Listed::Done(self.delete_devices(devices))
    }

    pub(super) fn going(&self, group: GroupId) -> Going {
        let Some(group) = self.groups.get(&group) else {
            return Going::default();
        };
        Going {
            leaving: group.senders(EntryKind::Proposal),
            departed: group.departed.keys().copied().collect(),
        }
    }

    pub(super) fn delete_devices(&mut self, devices: Vec<DeviceId>) -> Departure {
        let of_any = |group: &super::Group| devices.iter().any(|device| group.has(*device));
        let groups = self.groups.iter().filter(|(_, group)| of_any(group));
        let groups = groups.map(|(id, _)| *id).collect();
        for device in &devices {
            self.delete_device(*device);
        }
        Departure { devices, groups }
    }

    pub(super) fn delete_user(&mut self, user: &UserId) -> Departure {
        let departure = self.delete_devices(self.devices_of(user));
        for group in self.groups.values_mut() {
            for departed in group.departed.values_mut() {
                departed.take_if(|departed| departed == user);
            }
        }
        self.users.remove(user);
        self.lists.remove(user);
        self.moderation.forget_user(user);
        self.drop_blobs_of_user(user);
        departure
    }

    fn delete_device(&mut self, device: DeviceId) {
        let user = self.devices.remove(&device);
        let user = user.map(|state| state.device.address.user);
        if let Some(user) = &user {
            self.keep_stays(device, user);
        }
        self.handouts
            .retain(|(taker, _, target), _| *taker != device && *target != device);
        self.requests.retain(|(sender, _), _| *sender != device);
        for group in self.groups.values_mut() {
            if group.has(device) {
                group.departed.insert(device, user.clone());
            }
            group.members.remove(&device);
            group.invitations.retain(|_, known| {
                let Invitation { inviter, asker, .. } = known.invitation;
                inviter != device && asker != Some(device)
            });
        }
        for state in self.devices.values_mut() {
            state.mailbox.retain(|item| match &item.mail {
                Mail::Notice(
                    Notice::Intent { sender, .. } | Notice::InvitationAsked { asker: sender, .. },
                ) => *sender != device,
                _ => true,
            });
        }
    }
}
