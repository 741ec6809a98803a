//! Users and devices, their KeyPackages and notices.

use std::collections::BTreeSet;

use conclave_protocol::{DeviceCertificate, DeviceId, UnixMillis, UserId, limits};

use super::{DeviceState, State};
use crate::{
    limits::{NOTICES_PER_DEVICE_MAX, TAKES_PER_REQUESTER_MAX},
    store::{
        Device, Mail, MailboxItem, Notice, Notified, Published, Registered, Shown,
        StockedKeyPackage, Take, Taken,
    },
};

impl State {
    pub(super) fn register(&mut self, certificate: &DeviceCertificate) -> Registered {
        let address = certificate.address();
        let known = self.users.get(&address.user);
        if known.is_some_and(|key| key != certificate.identity_key()) {
            return Registered::NameTaken;
        }
        if let Some(known) = self.devices.get(&address.device) {
            return if known.device.is_of(certificate) {
                Registered::Done
            } else {
                Registered::DeviceTaken
            };
        }
        if self.devices_of(&address.user).len() >= limits::DEVICES_PER_USER_MAX {
            return Registered::TooMany;
        }
        let list = self.lists.get(&address.user);
        if list.is_some_and(|list| !list.names(certificate)) {
            return Registered::Unlisted;
        }
        let device = Device {
            address: address.clone(),
            signature_key: certificate.claims().signature_key,
            identity_key: *certificate.identity_key(),
        };
        self.users.insert(address.user.clone(), device.identity_key);
        let fresh = DeviceState {
            device,
            stock: Vec::new(),
            published: BTreeSet::new(),
            last_resort: None,
            mailbox: Vec::new(),
            mailbox_cursor: 0,
            instance: None,
        };
        self.devices.insert(address.device, fresh);
        Registered::Done
    }

    pub(super) fn publish(
        &mut self,
        device: DeviceId,
        packages: &[StockedKeyPackage],
        last_resort: Option<&StockedKeyPackage>,
        now: UnixMillis,
    ) -> Published {
        let Some(state) = self.devices.get_mut(&device) else {
            return Published::NoSuchDevice;
        };
        let mut stock = state.stock.clone();
        stock.retain(|package| package.expires_seconds >= now.as_seconds());
        let mut published = state.published.clone();
        for package in packages {
            if published.insert(package.reference.clone()) {
                stock.push(package.clone());
            }
        }
        if stock.len() > limits::KEY_PACKAGES_MAX {
            return Published::Full;
        }
        state.stock = stock;
        state.published = published;
        if last_resort.is_some() {
            state.last_resort = last_resort.cloned();
        }
        Published::Stock(state.stock.len())
    }

    pub(super) fn check_instance(&mut self, device: DeviceId, shown: &Shown) -> Option<bool> {
        let state = self.devices.get_mut(&device)?;
        let now = shown.after(state.instance);
        state.instance = now.or(state.instance);
        Some(now.is_some())
    }

    pub(super) fn take(&mut self, take: &Take<'_>) -> Taken {
        if !self.users.contains_key(take.user) {
            return Taken::UnknownUser;
        }
        let devices = self.devices_of(take.user);
        for device in &devices {
            let key = (take.taker, take.request, *device);
            let lately = self.taken_lately(take, *device);
            if lately.len() >= TAKES_PER_REQUESTER_MAX && !self.handouts.contains_key(&key) {
                let first = lately.into_iter().min().unwrap_or_default();
                return Taken::TooMany(take.again_after(first));
            }
        }
        let (mut packages, mut low) = (Vec::new(), Vec::new());
        for device in devices {
            let key = (take.taker, take.request, device);
            if let Some((again, _)) = self.handouts.get(&key) {
                packages.push(again.clone());
                continue;
            }
            let Some((message, notice)) = self.hand_out(take, device) else {
                continue;
            };
            self.handouts.insert(key, (message.clone(), take.now));
            packages.push(message);
            if let Some(notice) = notice {
                self.notify(device, &notice);
                low.push(device);
            }
        }
        Taken::Packages { packages, low }
    }

    fn hand_out(&mut self, take: &Take<'_>, device: DeviceId) -> Option<(Vec<u8>, Option<Notice>)> {
        let usable = |p: &StockedKeyPackage| p.expires_seconds >= take.usable_until_seconds;
        let state = self.devices.get_mut(&device)?;
        let from_stock = state.stock.iter().position(usable);
        let message = match from_stock {
            Some(at) => state.stock.remove(at).message,
            None => {
                let last = state.last_resort.as_ref().filter(|p| usable(p));
                last?.message.clone()
            }
        };
        let stock = state.stock.iter().filter(|p| usable(p)).count();
        let notice = (stock < limits::KEY_PACKAGE_STOCK_LOW).then(|| Notice::KeyPackagesLow {
            stock: u32::try_from(stock).unwrap_or(u32::MAX),
            last_resort_used: from_stock.is_none(),
        });
        Some((message, notice))
    }

    /// When the requester's user took packages of this device within the window.
    fn taken_lately(&self, take: &Take<'_>, target: DeviceId) -> Vec<UnixMillis> {
        let user_of = |device: DeviceId| Some(&self.devices.get(&device)?.device.address.user);
        let user = user_of(take.taker);
        self.handouts
            .iter()
            .filter(|((taker, _, device), (_, at))| {
                *device == target
                    && user_of(*taker).is_some()
                    && user_of(*taker) == user
                    && *at > take.window_start()
            })
            .map(|(_, (_, at))| *at)
            .collect()
    }

    pub(super) fn notify(&mut self, device: DeviceId, notice: &Notice) -> Notified {
        let Some(state) = self.devices.get_mut(&device) else {
            return Notified::NoSuchDevice;
        };
        state.mailbox.retain(|item| match &item.mail {
            Mail::Notice(known) => known.subject() != notice.subject(),
            Mail::Welcome(_) => true,
        });
        let notices = state
            .mailbox
            .iter()
            .filter(|item| matches!(item.mail, Mail::Notice(_)));
        if notices.count() >= NOTICES_PER_DEVICE_MAX {
            return Notified::Full;
        }
        state.mailbox_cursor += 1;
        state.mailbox.push(MailboxItem {
            cursor: state.mailbox_cursor,
            mail: Mail::Notice(notice.clone()),
        });
        Notified::Done
    }

    pub(super) fn devices_of(&self, user: &UserId) -> Vec<DeviceId> {
        let of_user = |(id, state): (&DeviceId, &DeviceState)| {
            (state.device.address.user == *user).then_some(*id)
        };
        self.devices.iter().filter_map(of_user).collect()
    }
}
