//! Making the bytes for an intent when its turn comes, durably, before anybody sees them.

use std::collections::BTreeMap;

use conclave_engine::{Change, EngineError, KeyPackage, PreparedCommit};
use conclave_protocol::{Commitment, DeviceId, Forbidden, GroupId, Sequence, UnixMillis, UserId};
use conclave_rpc::v1::{self, submit_request::Body};
use prost::Message as _;

use super::{Tx, outbox::Item, rules::plain};
use crate::{ClientError, Group, Standing, intent::Intent, session::Call};

impl Tx<'_> {
    /// What a group's outbox has to ask the service for next; `None` where nothing waits. Turns a
    /// queued intent into bytes.
    pub(crate) fn next_call(
        &self,
        group: GroupId,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        while let Some(item) = self.first_item(group)? {
            if let Some(submission) = &item.submission {
                return decode_call(&item, submission).map(Some);
            }
            if let Some(call) = self.prepare(group, &item, now)? {
                return Ok(Some(call));
            }
        }
        Ok(None)
    }

    /// Makes the bytes for an intent. `None` where it is settled without any.
    fn prepare(
        &self,
        group: GroupId,
        item: &Item,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        let trusted = self.check_trust(group, &item.intent);
        let prepared = trusted.and_then(|()| self.prepare_intent(group, item, now));
        match prepared {
            Err(error) if is_final(&error) => {
                self.give_up(group, item.id, &plain(error).to_string())?;
                Ok(None)
            }
            other => other,
        }
    }

    fn prepare_intent(
        &self,
        group: GroupId,
        item: &Item,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        match &item.intent {
            // A group's creation is prepared when it is enqueued.
            Intent::Create => Err(ClientError::Protocol("a creation without its bytes".into())),
            Intent::Send(content) => self.prepare_send(group, item, content, now),
            Intent::Receipt => match self.receipt(group)? {
                Some(content) => self.prepare_send(group, item, &content, now),
                None => self.settle_without_bytes(group, item),
            },
            Intent::Add(users) => self.prepare_add(group, item, users, now),
            Intent::Remove(users) => self.prepare_remove(group, item, users, now),
            Intent::Update => self.prepare_commit(group, item, Change::update(), true, now),
            Intent::Repair(epoch) => self.prepare_repair(group, item, *epoch, now),
            Intent::Leave => self.prepare_leave(group, item),
            Intent::Confirm => self.prepare_confirm(group, item, now),
            Intent::AddOwn => self.prepare_add_own(group, item, now),
            Intent::RemoveDevices(devices) => self.remove_devices(group, item, devices, now),
            Intent::RemoveUnlisted => self.prepare_remove_unlisted(group, item, now),
            Intent::SetRole(..)
            | Intent::SetPermissions(_)
            | Intent::SetUnreportable(_)
            | Intent::SetExpiry(_)
            | Intent::Govern(_) => self.prepare_govern(group, item, now),
            Intent::Describe(change) => self.prepare_describe(group, item, change, now),
            Intent::AddFor(users) => self.prepare_add(group, item, users, now),
            Intent::RemoveFor(users) => {
                let own = &self.own_certificate().address().user;
                let others: Vec<UserId> = users.iter().filter(|it| *it != own).cloned().collect();
                self.prepare_remove(group, item, &others, now)
            }
        }
    }

    fn prepare_send(
        &self,
        group: GroupId,
        item: &Item,
        content: &[u8],
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        match self.seal_message(group, item, content) {
            // RFC 9420 §12.4: whoever leaves has to be gone before the next message.
            Err(ClientError::Engine(EngineError::PendingProposals)) => {
                self.prepare_commit(group, item, Change::update(), false, now)
            }
            sealed => sealed,
        }
    }

    /// Makes the bytes of a message that was just put into the outbox, in the same transaction, where it is
    /// first there. Where it can't be encrypted now, its turn comes.
    pub(crate) fn seal_at_once(&self, group: GroupId, row: i64) -> Result<(), ClientError> {
        let is_member = |it: Group| it.standing == Standing::Member;
        let item = self.first_item(group)?.filter(|item| item.id == row);
        let (Some(item), true) = (item, self.group(group)?.is_some_and(is_member)) else {
            return Ok(());
        };
        let Intent::Send(content) = &item.intent else {
            return Ok(());
        };
        match self.seal_message(group, &item, content) {
            Err(error) if !is_final(&error) => Err(error),
            _ => Ok(()),
        }
    }

    fn seal_message(
        &self,
        group: GroupId,
        item: &Item,
        content: &[u8],
    ) -> Result<Option<Call>, ClientError> {
        let commitment = self.commitment(group, content);
        let franking = commitment
            .as_ref()
            .map(<[u8; Commitment::ITEM_BYTES]>::as_slice);
        #[cfg(feature = "planted-bugs")]
        let leak = self.leak(franking, content);
        #[cfg(feature = "planted-bugs")]
        let franking = leak.as_deref().or(franking);
        let effects = self.engine.encrypt(self, group, content, franking)?;
        #[cfg(feature = "planted-bugs")]
        let effects = self.forget_generation(effects);
        let message = self.apply(effects)?;
        self.count_encrypted(item.id)?;
        let body = Body::ApplicationMessage(message.clone().into());
        self.prepared(group, item, body, &message, true)
    }

    /// What has whoever reads it able to show that this device sent it (`docs/franking.md`).
    fn commitment(&self, group: GroupId, content: &[u8]) -> Option<[u8; Commitment::ITEM_BYTES]> {
        let own = self.own_certificate().address();
        let to = |content| Commitment::to(group, own, content).map(Commitment::to_item);
        #[cfg(feature = "planted-bugs")]
        match self.planted {
            Some(crate::Planted::Uncommitted) => return None,
            Some(crate::Planted::CommittedElsewhere) => return to(&[0; 256]),
            _ => {}
        }
        to(content)
    }

    /// What stands in the authenticated data, and behind it what is said.
    #[cfg(feature = "planted-bugs")]
    fn leak(&self, franking: Option<&[u8]>, content: &[u8]) -> Option<Vec<u8>> {
        let leaks = self.planted == Some(crate::Planted::ContentInClear);
        leaks.then(|| {
            let mut leaked = franking.unwrap_or_default().to_vec();
            leaked.extend_from_slice(content);
            leaked.truncate(conclave_protocol::limits::FRANKING_ITEM_BYTES_MAX);
            leaked
        })
    }

    #[cfg(feature = "planted-bugs")]
    fn forget_generation(
        &self,
        mut effects: conclave_engine::Effects<Vec<u8>>,
    ) -> conclave_engine::Effects<Vec<u8>> {
        if self.planted == Some(crate::Planted::GenerationReused) {
            effects.writes = conclave_engine::WriteSet::default();
            self.loaded.lost();
        }
        effects
    }

    fn prepare_add(
        &self,
        group: GroupId,
        item: &Item,
        users: &[UserId],
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        let there = self.users_in(group)?;
        let missing: Vec<&UserId> = users.iter().filter(|it| !there.contains(it)).collect();
        if missing.is_empty() {
            return self.settle_without_bytes(group, item);
        }
        let Some(taken) = &item.key_packages else {
            let wanted: Vec<UserId> = missing.iter().map(|it| (*it).clone()).collect();
            if !self.may_change(group, self.own_user(), &wanted, &[])? {
                return Err(Forbidden::Add.into());
            }
            let stale = self.stale_lists(&missing, now)?;
            if !stale.is_empty() {
                let request = v1::FetchDeviceListsRequest { users: stale };
                return Ok(Some(Call::FetchDeviceLists(request)));
            }
            if !matches!(item.intent, Intent::AddFor(_)) {
                self.refuse_changed(&missing)?;
            }
            let request = v1::TakeKeyPackagesRequest {
                request_id: item.request_id.as_bytes().to_vec().into(),
                users: missing.iter().map(ToString::to_string).collect(),
            };
            return Ok(Some(Call::TakeKeyPackages(request)));
        };
        let taken = decode_taken(taken)?;
        // One user who can't be added is not to spoil what others were asked for.
        let missing = match item.intent {
            Intent::AddFor(_) => missing
                .into_iter()
                .filter(|it| has_any(&taken, it))
                .collect(),
            _ => missing,
        };
        if missing.is_empty() {
            return self.settle_without_bytes(group, item);
        }
        let adds = self.check_key_packages(&missing, &taken, now)?;
        self.prepare_commit(group, item, Change::add(adds), true, now)
    }

    /// The service may hand out anything: each package must be of the user it was asked for.
    fn check_key_packages(
        &self,
        users: &[&UserId],
        taken: &v1::TakeKeyPackagesResponse,
        now: UnixMillis,
    ) -> Result<Vec<KeyPackage>, ClientError> {
        let (mut unknown, mut empty, mut adds) = (Vec::new(), Vec::new(), Vec::new());
        let taken: BTreeMap<_, _> = taken
            .users
            .iter()
            .map(|it| (it.user.as_str(), it))
            .collect();
        let taken: Vec<_> = users.iter().map(|it| taken.get(it.as_str())).collect();
        let packages = taken.iter().flatten().flat_map(|it| &it.key_packages);
        let packages: Vec<&[u8]> = packages.map(|it| &**it).collect();
        let mut checked = KeyPackage::from_many(&packages, now).into_iter();
        for (user, found) in users.iter().zip(taken) {
            match found {
                Some(found) if !found.key_packages.is_empty() => {
                    for package in checked.by_ref().take(found.key_packages.len()) {
                        let package = package?;
                        if package.certificate().address().user != **user {
                            return Err(ClientError::Protocol("another user's KeyPackage".into()));
                        }
                        // A device that was revoked stays out, whatever the service hands out.
                        if self.is_listed(package.certificate())? {
                            adds.push(package);
                        }
                    }
                }
                Some(found) if found.known => empty.push(user.to_string()),
                _ => unknown.push(user.to_string()),
            }
        }
        if !unknown.is_empty() {
            return Err(ClientError::UnknownUser(unknown));
        }
        if !empty.is_empty() {
            return Err(ClientError::NoKeyPackages(empty));
        }
        let met = self.meet(adds.iter().map(KeyPackage::certificate))?;
        met.refuse_changed()?;
        Ok(adds)
    }

    fn prepare_remove(
        &self,
        group: GroupId,
        item: &Item,
        users: &[UserId],
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        let devices: Vec<DeviceId> = self
            .members(group)?
            .into_iter()
            .filter(|member| users.contains(&member.user))
            .flat_map(|member| member.devices)
            .collect();
        self.remove_devices(group, item, &devices, now)
    }

    fn remove_devices(
        &self,
        group: GroupId,
        item: &Item,
        devices: &[DeviceId],
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        let roster = self.engine.roster(self, group)?;
        let there = roster.iter().map(|it| it.certificate.address().device);
        let devices: Vec<DeviceId> = there.filter(|it| devices.contains(it)).collect();
        if devices.is_empty() {
            return self.settle_without_bytes(group, item);
        }
        self.prepare_commit(group, item, Change::remove(devices), true, now)
    }

    /// Adds those of this user's devices that have come and are not in the group.
    fn prepare_add_own(
        &self,
        group: GroupId,
        item: &Item,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        let Some(taken) = &item.key_packages else {
            return Ok(Some(Call::TakeKeyPackages(v1::TakeKeyPackagesRequest {
                request_id: item.request_id.as_bytes().to_vec().into(),
                users: vec![self.own_certificate().address().user.to_string()],
            })));
        };
        let taken = decode_taken(taken)?;
        let roster = self.engine.roster(self, group)?;
        let mut adds = Vec::new();
        for bytes in taken.users.iter().flat_map(|user| &user.key_packages) {
            let package = KeyPackage::from_bytes(bytes, now)?;
            let certificate = package.certificate();
            let is_there = |it: &conclave_engine::Member| {
                it.certificate.address().device == certificate.address().device
            };
            if certificate.address().user == self.own_certificate().address().user
                && self.is_listed(certificate)?
                && !roster.iter().any(is_there)
            {
                adds.push(package);
            }
        }
        if adds.is_empty() {
            return self.settle_without_bytes(group, item);
        }
        self.prepare_commit(group, item, Change::add(adds), true, now)
    }

    fn prepare_leave(&self, group: GroupId, item: &Item) -> Result<Option<Call>, ClientError> {
        // What others have handed over is done first: a leaver commits nothing.
        if self.has_wishes(group)? {
            self.do_wishes(group)?;
            return Ok(None);
        }
        match self.engine.leave(self, group) {
            Ok(proposal) => {
                let body = Body::Proposal(proposal.clone().into());
                self.prepared(group, item, body, &proposal, true)
            }
            Err(EngineError::Leaving) => self.settle_without_bytes(group, item),
            Err(error) => Err(error.into()),
        }
    }

    fn prepare_confirm(
        &self,
        group: GroupId,
        item: &Item,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        if self.engine.pending_leaves(self, group)?.is_empty() {
            return self.settle_without_bytes(group, item);
        }
        self.prepare_commit(group, item, Change::update(), true, now)
    }

    pub(super) fn prepare_commit(
        &self,
        group: GroupId,
        item: &Item,
        change: Change,
        completes: bool,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        let PreparedCommit {
            commit,
            welcome,
            group_info,
            ..
        } = self.apply(self.engine.commit(self, group, change, now)?)?;
        #[cfg(feature = "planted-bugs")]
        if self.planted == Some(crate::Planted::MergedBeforeAccepted) {
            self.apply(self.engine.merge_pending(self, group)?)?;
        }
        let bundle = v1::CommitBundle {
            commit: commit.clone().into(),
            welcome: welcome.unwrap_or_default().into(),
            group_info: group_info.into(),
        };
        self.prepared(group, item, Body::Commit(bundle), &commit, completes)
    }

    /// Makes the bytes durable under a request id of their own, so that they can be sent again.
    fn prepared(
        &self,
        group: GroupId,
        item: &Item,
        body: Body,
        message: &[u8],
        completes: bool,
    ) -> Result<Option<Call>, ClientError> {
        // A message keeps its id however often it is encrypted anew: the service takes it once, even
        // from a folder that was put back to before it was sent.
        let request_id = match &body {
            Body::ApplicationMessage(_) => *item.request_id.as_bytes(),
            _ => self.random(),
        };
        let request = v1::SubmitRequest {
            group_id: group.as_bytes().to_vec().into(),
            request_id: request_id.to_vec().into(),
            body: Some(body),
        };
        self.set_submission(item.id, &request.encode_to_vec(), Some(message), completes)?;
        Ok(Some(Call::Submit(request)))
    }

    /// What was wanted is already so.
    pub(super) fn settle_without_bytes(
        &self,
        group: GroupId,
        item: &Item,
    ) -> Result<Option<Call>, ClientError> {
        let cursor = self.group(group)?.map_or(Sequence(0), |group| group.cursor);
        self.settle(item.id, cursor)?;
        Ok(None)
    }
}

fn decode_taken(bytes: &[u8]) -> Result<v1::TakeKeyPackagesResponse, ClientError> {
    v1::TakeKeyPackagesResponse::decode(bytes)
        .map_err(|_| ClientError::Protocol("KeyPackages in another form".into()))
}

fn has_any(taken: &v1::TakeKeyPackagesResponse, user: &UserId) -> bool {
    let found = taken.users.iter().find(|it| it.user == user.as_str());
    found.is_some_and(|found| !found.key_packages.is_empty())
}

/// Whether trying the intent again can't help.
fn is_final(error: &ClientError) -> bool {
    !matches!(
        error,
        ClientError::Database(_)
            | ClientError::Io(_)
            | ClientError::Engine(EngineError::State(_) | EngineError::PendingCommit)
    )
}

fn decode_call(item: &Item, submission: &[u8]) -> Result<Call, ClientError> {
    let call = if item.intent == Intent::Create {
        v1::CreateGroupRequest::decode(submission).map(Call::CreateGroup)
    } else {
        v1::SubmitRequest::decode(submission).map(Call::Submit)
    };
    call.map_err(|_| ClientError::Protocol("an outbox row in another form".into()))
}
