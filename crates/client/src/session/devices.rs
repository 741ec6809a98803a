//! The devices of this user: linking, listing and revoking them.
//!
//! A new device makes its own keys and shows them ([`Session::begin_link`]); a device that holds the
//! user's identity key certifies it and shows the certificate ([`Session::link`]); with that the new
//! one registers ([`Session::finish_link`]). The old one publishes the new list of devices, waits for
//! the new one's KeyPackages, and adds it to every group. The identity key may go along, sealed to the
//! new device, which can then link and revoke too. What two such devices change at the same time meets
//! in the list: whoever comes second makes the next one from the first one's.
//!
//! Who lost every device comes back with the identity key that was written down
//! ([`Session::recover`]): the new device is put on the list, registers, joins the user's groups from
//! outside while the leaves of the lost ones still stand there, and then revokes those, where that
//! is wanted.

use std::time::Duration;

use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceClaims, DeviceId, DeviceListError, SigningKey,
    UnixMillis, UserId, limits::DEVICES_PER_USER_MAX,
};
use conclave_rpc::{group_id, v1};
use zeroize::Zeroizing;

use super::{Call, Database, Rejection, Seed, Session, pace::Backoff};
use crate::{
    ClientError, Event, Recovery, RecoveryPhrase, Registration,
    intent::Intent,
    linking::{Answer, Request},
    local::Local,
    waits::LINK_WAITS,
};

/// What is to be done about this user's devices.
#[derive(Debug, Default)]
pub(super) struct Devices {
    /// Whether the service may not have the newest list.
    has_changes: bool,
    /// Whether other devices may have changed the list since it was read.
    is_list_due: bool,
    /// Whether the list was refused before this device was registered.
    pub(super) list_refused: bool,
    /// Whether this device is taking the place of others; if so, whether the groups are known.
    recovery: Option<bool>,
    awaits: bool,
    /// Under which KeyPackages of an awaited device are asked for.
    question: Vec<u8>,
    backoff: Backoff,
}

impl Devices {
    pub(super) fn has_business(&self) -> bool {
        self.has_changes || self.is_list_due || self.recovery == Some(false)
    }

    /// Other devices may have changed the list.
    pub(super) fn look_again(&mut self) {
        self.is_list_due = true;
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
        Ok(Local::begin_link(database, seed)?.to_text())
    }

    /// Certifies the device that showed this text, and gives the text to show to it. It comes into
    /// all groups of this device once it has registered.
    ///
    /// # Errors
    /// [`ClientError::LinkCode`], [`ClientError::NoIdentityKey`] on a device that can't certify,
    /// [`ClientError::DeviceList`] for one device too many.
    pub fn link(&mut self, code: &str, now: UnixMillis) -> Result<String, ClientError> {
        let request = Request::from_text(code)?;
        let (certificate, _) = self.certify(&request, now)?;
        Ok(Answer::new(certificate).to_text())
    }

    /// Like [`Self::link`], and hands the user's identity key over, which only that device can open:
    /// it can then link and revoke too, this one among others. Of a device that had it, a revocation
    /// is not final, since whoever has the key can certify another.
    ///
    /// # Errors
    /// Those of [`Self::link`].
    pub fn link_with_identity(
        &mut self,
        code: &str,
        now: UnixMillis,
    ) -> Result<String, ClientError> {
        let request = Request::from_text(code)?;
        let (certificate, identity) = self.certify(&request, now)?;
        let random = Zeroizing::new(self.local.random());
        let answer = Answer::with_identity(certificate, &request, &identity, &random)?;
        Ok(answer.to_text())
    }

    fn certify(
        &mut self,
        request: &Request,
        now: UnixMillis,
    ) -> Result<(DeviceCertificate, SigningKey), ClientError> {
        let identity = self.identity_key()?;
        let (device, key) = (request.device, request.key);
        let address = DeviceAddress {
            user: self.user().clone(),
            device,
        };
        let claims = DeviceClaims::starting(address, key, now);
        let certificate = DeviceCertificate::issue(claims, &identity);
        self.local.write(|tx| {
            let devices = tx.own_devices()?;
            if devices.get(&device) != Some(&key) {
                if devices.len() >= DEVICES_PER_USER_MAX {
                    return Err(DeviceListError::TooMany.into());
                }
                tx.change_device(device, Some(&key))?;
            }
            tx.await_device(device)
        })?;
        self.look_at_devices()?;
        Ok((certificate, identity))
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
        let answer = Answer::from_text(answer)?;
        let local = Local::finish_link(database, registration, answer, seed)?;
        let mut session = Self::new(local)?;
        session.code.clone_from(&registration.code);
        Ok(session)
    }

    /// Makes the session of a new device of a user who lost the others and has the recovery phrase.
    /// What an earlier attempt left goes on. Its first calls put it on the user's list and register
    /// it; a user who is not known any more is registered anew, under the same identity key.
    ///
    /// # Errors
    /// [`ClientError::Id`] for a name that is none, [`ClientError::AlreadyRegistered`].
    pub fn recover(
        database: Database,
        registration: &Registration,
        server_name: &str,
        recovery: &Recovery,
        seed: &Seed,
        now: UnixMillis,
    ) -> Result<Self, ClientError> {
        let user = UserId::new(&recovery.name, server_name)?;
        let local = Local::create(database, registration, user, Some(recovery), seed, now)?;
        let mut session = Self::new(local)?;
        session.code.clone_from(&registration.code);
        Ok(session)
    }

    /// The identity key as words to be written down.
    ///
    /// # Errors
    /// [`ClientError::NoIdentityKey`].
    pub fn recovery_phrase(&self) -> Result<RecoveryPhrase, ClientError> {
        Ok(RecoveryPhrase::of(&self.identity_key()?))
    }

    /// Whether a refused registration only comes before the list that names this device.
    pub(super) fn is_too_early(&self, rejection: &Rejection) -> bool {
        self.account().is_linked() && rejection.is_denial()
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
        self.identity_key()?;
        let own = self.device();
        self.local.write(|tx| {
            if device == own || !tx.own_devices()?.contains_key(&device) {
                return Err(ClientError::UnknownDevice);
            }
            tx.revoke(&[device])
        })?;
        self.outboxes_are_due();
        self.look_at_devices()
    }

    /// Reads what is to be done about this user's devices.
    pub(super) fn look_at_devices(&mut self) -> Result<(), ClientError> {
        let has_key = self.account().identity_key.is_some();
        let (has_changes, awaits, recovery) = self.local.read(|tx| {
            let has_changes = has_key && tx.has_device_changes()?;
            Ok((has_changes, tx.awaits_devices()?, tx.recovery()?))
        })?;
        if awaits && !self.devices.awaits {
            self.devices.backoff.clear();
        }
        self.devices.has_changes = has_changes;
        self.devices.awaits = awaits;
        self.devices.recovery = recovery;
        Ok(())
    }

    /// What comes before a device can ask for anything else: to be registered, and, where it takes
    /// the place of others, to be on the user's list.
    pub(super) fn next_before_registration(&mut self) -> Result<Option<Call>, ClientError> {
        if self.registration_refused {
            return Ok(None);
        }
        let is_listed = self.devices.recovery.is_none() || self.devices.list_refused;
        if !is_listed && let Some(call) = self.next_list()? {
            return Ok(Some(call));
        }
        Ok(Some(self.registration()))
    }

    pub(super) fn next_for_devices(
        &mut self,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        if let Some(call) = self.next_list()? {
            return Ok(Some(call));
        }
        if let Some(call) = self.next_own_list(now)? {
            return Ok(Some(call));
        }
        if let Some(call) = self.next_of_recovery()? {
            return Ok(Some(call));
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

    /// The list with what has changed here.
    fn next_list(&mut self) -> Result<Option<Call>, ClientError> {
        let Some(identity) = self.account().identity_key.clone() else {
            return Ok(None);
        };
        if !self.devices.has_changes {
            return Ok(None);
        }
        let list = match self.local.read(|tx| tx.list_to_publish(&identity)) {
            // Another device has linked as many meanwhile.
            Err(ClientError::DeviceList(DeviceListError::TooMany)) => {
                self.local.write(|tx| tx.drop_new_devices())?;
                self.local.read(|tx| tx.list_to_publish(&identity))?
            }
            list => list?,
        };
        self.devices.has_changes = list.is_some();
        Ok(list.map(|list| {
            let device_list = list.to_bytes().into();
            Call::PublishDeviceList(v1::PublishDeviceListRequest { device_list })
        }))
    }

    /// The list with what other devices have changed.
    fn next_own_list(&mut self, now: UnixMillis) -> Result<Option<Call>, ClientError> {
        if !self.devices.is_list_due {
            return Ok(None);
        }
        let user = self.user().clone();
        let users = self.local.read(|tx| tx.stale_lists(&[&user], now))?;
        self.devices.is_list_due = !users.is_empty();
        let request = v1::FetchDeviceListsRequest { users };
        Ok((!request.users.is_empty()).then_some(Call::FetchDeviceLists(request)))
    }

    fn next_of_recovery(&mut self) -> Result<Option<Call>, ClientError> {
        match self.devices.recovery {
            None => return Ok(None),
            Some(false) => return Ok(Some(Call::FindGroups(v1::FindGroupsRequest {}))),
            Some(true) => {}
        }
        if self.local.read(|tx| tx.recovery_waits())? {
            return Ok(None);
        }
        self.local.write(|tx| tx.end_recovery())?;
        self.outboxes_are_due();
        self.look_at_devices()?;
        self.next_list()
    }

    /// The groups that this user's other devices are in.
    pub(super) fn take_groups(
        &mut self,
        found: &v1::FindGroupsResponse,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        if self.devices.recovery != Some(false) {
            return Ok(Vec::new());
        }
        let groups = found.group_ids.iter();
        let groups: Vec<_> = groups.filter_map(|id| group_id(id).ok()).collect();
        let events = self.local.write(|tx| tx.groups_found(&groups, now))?;
        self.look_at_groups()?;
        self.look_at_devices()?;
        Ok(events)
    }

    /// The service has this list of this user's, just published or there before. Says whether it
    /// was news.
    pub(super) fn take_own_list(
        &mut self,
        list: &[u8],
        now: UnixMillis,
    ) -> Result<bool, ClientError> {
        let is_news = self.local.write(|tx| tx.take_own_list(list, now))?;
        self.look_at_devices()?;
        Ok(is_news)
    }

    pub(super) fn outboxes_are_due(&mut self) {
        for progress in self.groups.values_mut() {
            progress.outbox.set();
        }
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
            self.outboxes_are_due();
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
