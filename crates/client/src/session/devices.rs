//! The devices of this user: linking, listing and revoking them.
//!
//! A new device makes its own keys and shows them ([`Session::begin_link`]); a device that holds the
//! user's identity key certifies it and shows the certificate ([`Session::link`]); with that the new
//! one registers ([`Session::finish_link`]). The old one publishes the new list of devices, waits for
//! the new one's KeyPackages, and adds it to every group.

use std::time::Duration;

use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceClaims, DeviceId, SigningKey, UnixMillis,
};
use conclave_rpc::v1;

use super::{Call, Database, Seed, Session, pace::Backoff};
use crate::{
    ClientError, Event, Registration, intent::Intent, linking, local::Local, waits::LINK_WAITS,
};

/// What is to be done about this user's devices.
#[derive(Debug, Default)]
pub(super) struct Devices {
    has_list: bool,
    awaits: bool,
    /// Under which KeyPackages of an awaited device are asked for.
    question: Vec<u8>,
    backoff: Backoff,
}

impl Devices {
    pub(super) fn has_list(&self) -> bool {
        self.has_list
    }

    pub(super) fn wake_at(&self) -> Option<UnixMillis> {
        self.awaits.then(|| self.backoff.not_before())
    }
}

impl Session {
    /// Makes the keys of a new device of a user who has another, and gives the text to show to that
    /// one; the same text where it was begun before.
    ///
    /// # Errors
    /// [`ClientError::AlreadyRegistered`], [`ClientError::Database`].
    pub fn begin_link(database: &Database, seed: &Seed) -> Result<String, ClientError> {
        Local::begin_link(database, seed)
    }

    /// Certifies the device that showed this text, and gives the text to show to it. It comes into
    /// all groups of this device once it has registered.
    ///
    /// # Errors
    /// [`ClientError::LinkCode`], [`ClientError::NoIdentityKey`] on a device that can't certify.
    pub fn link(&mut self, code: &str, now: UnixMillis) -> Result<String, ClientError> {
        let (device, key) = linking::read_request(code)?;
        let identity = self.identity_key()?;
        let address = DeviceAddress {
            user: self.user().clone(),
            device,
        };
        let claims = DeviceClaims::starting(address, key, now);
        let certificate = DeviceCertificate::issue(claims, &identity);
        self.local.write(|tx| {
            let mut devices = tx.own_devices()?;
            if devices.insert(device, key) != Some(key) {
                tx.change_devices(devices, &identity)?;
            }
            tx.await_device(device)
        })?;
        self.look_at_devices()?;
        Ok(linking::answer(&certificate))
    }

    /// Makes the session of a new device from what the old one showed. Its first call is to
    /// register.
    ///
    /// # Errors
    /// [`ClientError::LinkCode`] where the text is not for this device,
    /// [`ClientError::AlreadyRegistered`].
    pub fn finish_link(
        database: Database,
        registration: &Registration,
        answer: &str,
        seed: &Seed,
    ) -> Result<Self, ClientError> {
        let certificate = linking::read_answer(answer)?;
        let local = Local::finish_link(database, registration, certificate, seed)?;
        let mut session = Self::new(local)?;
        session.code.clone_from(&registration.code);
        Ok(session)
    }

    /// This user's devices, as this one knows them.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn devices(&mut self) -> Result<Vec<DeviceId>, ClientError> {
        let devices = self.local.read(|tx| tx.own_devices())?;
        Ok(devices.into_keys().collect())
    }

    /// Revokes another device of this user, for good: the service deletes it, no member lets it in
    /// again, and it is removed from every group of this device.
    ///
    /// # Errors
    /// [`ClientError::UnknownDevice`], [`ClientError::NoIdentityKey`].
    pub fn revoke(&mut self, device: DeviceId) -> Result<(), ClientError> {
        let identity = self.identity_key()?;
        let own = self.device();
        self.local.write(|tx| {
            let mut devices = tx.own_devices()?;
            if device == own || devices.remove(&device).is_none() {
                return Err(ClientError::UnknownDevice);
            }
            tx.change_devices(devices, &identity)?;
            tx.stop_awaiting(device)?;
            tx.enqueue_everywhere(&Intent::RemoveDevices(vec![device]))
        })?;
        for progress in self.groups.values_mut() {
            progress.outbox.set();
        }
        self.look_at_devices()
    }

    /// Reads what is to be done about this user's devices.
    pub(super) fn look_at_devices(&mut self) -> Result<(), ClientError> {
        let (has_list, awaits) = self
            .local
            .read(|tx| Ok((tx.list_to_publish()?.is_some(), tx.awaits_devices()?)))?;
        if awaits && !self.devices.awaits {
            self.devices.backoff.clear();
        }
        self.devices.has_list = has_list;
        self.devices.awaits = awaits;
        Ok(())
    }

    pub(super) fn next_for_devices(
        &mut self,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        if self.devices.has_list
            && let Some(list) = self.local.read(|tx| tx.list_to_publish())?
        {
            let device_list = list.into();
            let request = v1::PublishDeviceListRequest { device_list };
            return Ok(Some(Call::PublishDeviceList(request)));
        }
        if !self.devices.awaits || !self.devices.backoff.is_over(now) {
            return Ok(None);
        }
        if self.devices.question.is_empty() {
            self.devices.question = self.local.random::<16>().to_vec();
        }
        Ok(Some(Call::TakeKeyPackages(v1::TakeKeyPackagesRequest {
            request_id: self.devices.question.clone().into(),
            users: vec![self.user().to_string()],
        })))
    }

    /// The list is published, or a newer one is there.
    pub(super) fn take_published(
        &mut self,
        asked: &v1::PublishDeviceListRequest,
    ) -> Result<Vec<Event>, ClientError> {
        self.local
            .write(|tx| tx.list_published(&asked.device_list))?;
        self.look_at_devices()?;
        Ok(Vec::new())
    }

    /// Whether a request asks for what awaited devices have published.
    pub(super) fn is_device_question(&self, asked: &v1::TakeKeyPackagesRequest) -> bool {
        self.devices.question == asked.request_id[..]
    }

    /// What awaited devices have published; nothing, where the service refused to say.
    pub(super) fn take_awaited(
        &mut self,
        taken: &v1::TakeKeyPackagesResponse,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let packages = taken.users.iter().flat_map(|user| &user.key_packages);
        let there: Vec<DeviceId> = packages
            .filter_map(|bytes| conclave_engine::KeyPackage::from_bytes(bytes, now).ok())
            .map(|package| package.certificate().address().device)
            .collect();
        let has_come = self.local.write(|tx| {
            let mut has_come = false;
            for device in there {
                has_come |= tx.stop_awaiting(device)?;
            }
            if has_come {
                tx.enqueue_everywhere(&Intent::AddOwn)?;
            }
            Ok(has_come)
        })?;
        self.devices.question.clear();
        let share = self.share();
        if has_come {
            self.devices.backoff.clear();
            for progress in self.groups.values_mut() {
                progress.outbox.set();
            }
        } else {
            self.devices.backoff.fail(now, LINK_WAITS, share);
        }
        self.look_at_devices()?;
        Ok(Vec::new())
    }

    /// The service wants fewer questions.
    pub(super) fn wait_for_devices(&mut self, now: UnixMillis, asked: Duration) {
        let share = self.share();
        self.devices.backoff.wait(now, asked, share);
    }

    fn identity_key(&self) -> Result<SigningKey, ClientError> {
        let key = self.account().identity_key.clone();
        key.ok_or(ClientError::NoIdentityKey)
    }
}
