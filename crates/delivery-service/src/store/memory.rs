//! The store in memory: the plainest reading of what each verb means.

mod departure;
mod keeping;
mod log;
mod moderation;
mod people;
mod ways_in;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use conclave_protocol::{
    DeviceCertificate, DeviceId, DeviceList, Epoch, GroupId, ReportId, RequestId, Sequence,
    UnixMillis, UserId, VerifyingKey, limits,
};
use conclave_safety::Chained;

use super::{
    Blob, BlobBegun, BlobId, Delta, Departure, Device, Entrance, Entry, EntryKind, Expiry, Filed,
    Going, GroupDeletion, Identity, Instance, Invitation, Listed, Mail, MailboxItem, NewAudit,
    NewBlob, NewEntry, NewGroup, NewInvitation, NewReport, Notice, Notified, Page, Published,
    Range, Registered, ReportRow, Result, Shown, Snapshot, StockedKeyPackage, Store, Take, Taken,
    TreePart,
};
use crate::ordering::{Applied, Facts, Head, Verdict};
use keeping::BlobState;
use log::cut;

/// A store that forgets everything when it is dropped.
#[derive(Default)]
pub(crate) struct MemoryStore(Mutex<State>);

#[derive(Default)]
struct State {
    identity: Option<Identity>,
    users: BTreeMap<UserId, VerifyingKey>,
    devices: BTreeMap<DeviceId, DeviceState>,
    lists: BTreeMap<UserId, DeviceList>,
    /// By taker, request and device: what was taken, and when.
    handouts: BTreeMap<(DeviceId, RequestId, DeviceId), (Vec<u8>, UnixMillis)>,
    groups: BTreeMap<GroupId, Group>,
    requests: BTreeMap<(DeviceId, RequestId), Applied>,
    blobs: BTreeMap<BlobId, BlobState>,
    last_blob: i64,
    /// By hash: when each expires.
    registration_codes: BTreeMap<[u8; 32], UnixMillis>,
    moderation: moderation::Moderation,
}

struct DeviceState {
    device: Device,
    stock: Vec<StockedKeyPackage>,
    published: BTreeSet<Vec<u8>>,
    last_resort: Option<StockedKeyPackage>,
    mailbox: Vec<MailboxItem>,
    mailbox_cursor: u64,
    instance: Option<Instance>,
}

struct Group {
    creator: DeviceId,
    body_hash: [u8; 32],
    head: Head,
    log: Vec<Entry>,
    deltas: Vec<Delta>,
    members: BTreeMap<DeviceId, Vec<Range>>,
    /// Deleted devices whose leaf stands, and whose other devices may still come in.
    departed: BTreeMap<DeviceId, Option<UserId>>,
    snapshot: Snapshot,
    group_info: Vec<u8>,
    invitations: BTreeMap<[u8; 32], Invited>,
    trees: BTreeMap<Epoch, (Sequence, Vec<u8>)>,
}

struct Invited {
    invitation: Invitation,
    expires: UnixMillis,
    approval: Option<Vec<u8>>,
}

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn identity(&self, fresh: &Identity) -> Result<Identity> {
        let mut state = self.state();
        Ok(state.identity.get_or_insert_with(|| fresh.clone()).clone())
    }

    fn register(&self, certificate: &DeviceCertificate) -> Result<Registered> {
        Ok(self.state().register(certificate))
    }

    fn register_with_code(
        &self,
        certificate: &DeviceCertificate,
        code_hash: &[u8; 32],
        now: UnixMillis,
    ) -> Result<Registered> {
        let mut state = self.state();
        let known = state.users.get(&certificate.address().user);
        let needs_code = known != Some(certificate.identity_key());
        let expires = state.registration_codes.get(code_hash);
        if needs_code && expires.is_none_or(|expires| *expires < now) {
            return Ok(Registered::CodeRefused);
        }
        let registered = state.register(certificate);
        if registered == Registered::Done && needs_code {
            state.registration_codes.remove(code_hash);
        }
        Ok(registered)
    }

    fn put_registration_code(
        &self,
        code_hash: &[u8; 32],
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<()> {
        let codes = &mut self.state().registration_codes;
        codes.retain(|_, expires| *expires >= now);
        codes.insert(*code_hash, expires);
        Ok(())
    }

    fn device(&self, device: DeviceId) -> Result<Option<Device>> {
        let state = self.state();
        Ok(state.devices.get(&device).map(|state| state.device.clone()))
    }

    fn publish_key_packages(
        &self,
        device: DeviceId,
        packages: &[StockedKeyPackage],
        last_resort: Option<&StockedKeyPackage>,
        now: UnixMillis,
    ) -> Result<Published> {
        let mut state = self.state();
        Ok(state.publish(device, packages, last_resort, now))
    }

    fn check_instance(&self, device: DeviceId, shown: &Shown) -> Result<Option<bool>> {
        Ok(self.state().check_instance(device, shown))
    }

    fn identity_key(&self, user: &UserId) -> Result<Option<VerifyingKey>> {
        Ok(self.state().users.get(user).copied())
    }

    fn put_device_list(&self, list: &DeviceList) -> Result<Listed> {
        Ok(self.state().put_list(list))
    }

    fn device_list(&self, user: &UserId) -> Result<Option<Vec<u8>>> {
        Ok(self.state().lists.get(user).map(DeviceList::to_bytes))
    }

    fn take_key_packages(&self, take: &Take<'_>) -> Result<Taken> {
        Ok(self.state().take(take))
    }

    fn create_group(&self, group: &NewGroup<'_>) -> Result<bool> {
        let mut state = self.state();
        if let Some(known) = state.groups.get(&group.group) {
            return Ok(known.creator == group.creator && known.body_hash == group.body_hash);
        }
        let range = Range {
            from: Sequence(1),
            to: None,
        };
        let fresh = Group {
            creator: group.creator,
            body_hash: group.body_hash,
            head: Head::default(),
            log: Vec::new(),
            deltas: Vec::new(),
            members: BTreeMap::from([(group.creator, vec![range])]),
            departed: BTreeMap::new(),
            snapshot: Snapshot {
                applied: Sequence(0),
                bytes: group.snapshot.to_vec(),
            },
            group_info: group.group_info.to_vec(),
            invitations: BTreeMap::new(),
            trees: BTreeMap::new(),
        };
        state.groups.insert(group.group, fresh);
        Ok(true)
    }

    fn facts(
        &self,
        group: GroupId,
        sender: DeviceId,
        request: RequestId,
        joins: Option<UnixMillis>,
    ) -> Result<Facts> {
        Ok(self.state().facts(group, sender, request, joins))
    }

    fn senders(&self, group: GroupId, kind: EntryKind) -> Result<Vec<DeviceId>> {
        let state = self.state();
        let group = state.groups.get(&group);
        Ok(group.map_or(Vec::new(), |group| group.senders(kind)))
    }

    fn append(&self, entry: &NewEntry<'_>) -> Result<Verdict> {
        Ok(self.state().append(entry))
    }

    fn access(&self, group: GroupId, device: DeviceId) -> Result<Option<(Head, Vec<Range>)>> {
        Ok(self.state().groups.get(&group).map(|group| {
            let ranges = group.members.get(&device).cloned();
            (group.head, ranges.unwrap_or_default())
        }))
    }

    fn memberships(&self, device: DeviceId) -> Result<Vec<GroupId>> {
        let state = self.state();
        let is_member = |group: &&GroupId| {
            let ranges = state.groups[*group].members.get(&device);
            ranges.is_some_and(|ranges| ranges.iter().any(|range| range.to.is_none()))
        };
        let mut groups: Vec<_> = state.groups.keys().filter(is_member).copied().collect();
        groups.sort_unstable();
        Ok(groups)
    }

    fn groups_of_user(&self, user: &UserId) -> Result<Vec<GroupId>> {
        let state = self.state();
        let groups = state.groups.iter();
        let theirs = groups.filter(|(_, group)| state.has_leaf(group, user));
        let mut groups: Vec<_> = theirs.map(|(id, _)| *id).collect();
        groups.sort_unstable();
        Ok(groups)
    }

    fn read_log(&self, group: GroupId, page: Page) -> Result<Vec<Entry>> {
        let state = self.state();
        let entries = state.groups.get(&group).map(|group| {
            cut(&group.log, page, |entry| {
                (entry.sequence, entry.message.len())
            })
        });
        Ok(entries.unwrap_or_default())
    }

    fn words(&self, group: GroupId, up_to: Sequence, limit: usize) -> Result<Vec<Entry>> {
        let state = self.state();
        let group = state.groups.get(&group);
        Ok(group.map_or(Vec::new(), |group| group.words(up_to, limit)))
    }

    fn read_deltas(&self, group: GroupId, page: Page) -> Result<Vec<Delta>> {
        let state = self.state();
        let deltas = state.groups.get(&group).map(|group| {
            cut(&group.deltas, page, |delta| {
                (delta.sequence, delta.bytes.len())
            })
        });
        Ok(deltas.unwrap_or_default())
    }

    fn snapshot(&self, group: GroupId) -> Result<Option<Snapshot>> {
        let state = self.state();
        Ok(state.groups.get(&group).map(|group| group.snapshot.clone()))
    }

    fn put_snapshot(&self, group: GroupId, snapshot: &Snapshot) -> Result<()> {
        let mut state = self.state();
        if let Some(group) = state.groups.get_mut(&group)
            && group.snapshot.applied < snapshot.applied
        {
            group.snapshot = snapshot.clone();
            group
                .deltas
                .retain(|delta| delta.sequence > snapshot.applied);
        }
        Ok(())
    }

    fn tree_part(&self, group: GroupId, epoch: Epoch, part: u32) -> Result<Option<TreePart>> {
        let state = self.state();
        let group = state.groups.get(&group);
        let Some((sequence, tree)) = group.and_then(|group| group.trees.get(&epoch)) else {
            return Ok(None);
        };
        let parts = tree.chunks(limits::CHUNK_BYTES).nth(part as usize);
        Ok(parts.map(|bytes| TreePart {
            bytes: bytes.to_vec(),
            total_bytes: tree.len() as u64,
            sequence: *sequence,
        }))
    }

    fn read_mailbox(&self, device: DeviceId, after: u64, limit: usize) -> Result<Vec<MailboxItem>> {
        let state = self.state();
        let items = state.devices.get(&device).map(|device| {
            let waiting = device.mailbox.iter().filter(|item| item.cursor > after);
            waiting.take(limit).cloned().collect()
        });
        Ok(items.unwrap_or_default())
    }

    fn acknowledge_mailbox(&self, device: DeviceId, up_to: u64) -> Result<()> {
        if let Some(device) = self.state().devices.get_mut(&device) {
            device.mailbox.retain(|item| item.cursor > up_to);
        }
        Ok(())
    }

    fn tree_epoch(&self, group: GroupId, tree_hash: &[u8]) -> Result<Option<Epoch>> {
        let state = self.state();
        let waiting = state.devices.values().flat_map(|device| &device.mailbox);
        let mut welcomes = waiting.filter_map(|item| match &item.mail {
            Mail::Welcome(welcome) => Some(welcome),
            Mail::Notice(_) => None,
        });
        let found = welcomes.find(|w| w.group == group && w.tree_hash == tree_hash);
        Ok(found.map(|welcome| welcome.epoch))
    }

    fn groups_after(&self, after: Option<GroupId>, limit: usize) -> Result<Vec<GroupId>> {
        let state = self.state();
        let later = state.groups.keys().filter(|group| Some(**group) > after);
        Ok(later.take(limit).copied().collect())
    }

    fn devices_after(&self, after: Option<DeviceId>, limit: usize) -> Result<Vec<DeviceId>> {
        let state = self.state();
        let later = state.devices.keys().filter(|device| Some(**device) > after);
        Ok(later.take(limit).copied().collect())
    }

    fn expire_group(&self, group: GroupId, expiry: &Expiry) -> Result<bool> {
        self.state().expire_group(group, expiry);
        Ok(false)
    }

    fn expire_device(&self, device: DeviceId, expiry: &Expiry) -> Result<()> {
        self.state().expire_device(device, expiry);
        Ok(())
    }

    fn begin_blob(&self, new: &NewBlob) -> Result<BlobBegun> {
        Ok(self.state().begin_blob(new))
    }

    fn put_blob_part(&self, id: BlobId, _: u32, bytes: &[u8]) -> Result<bool> {
        Ok(self.state().put_blob_part(id, bytes))
    }

    fn finish_blob(&self, id: BlobId, uploader: DeviceId, expires: UnixMillis) -> Result<bool> {
        Ok(self.state().finish_blob(id, uploader, expires))
    }

    fn drop_blob(&self, id: BlobId) -> Result<()> {
        self.state().blobs.remove(&id);
        Ok(())
    }

    fn blob(&self, group: GroupId, hash: &[u8; 32], now: UnixMillis) -> Result<Option<Blob>> {
        Ok(self.state().blob(group, hash, now))
    }

    fn blob_part(&self, id: BlobId, part: u32) -> Result<Option<Vec<u8>>> {
        Ok(self.state().blob_part(id, part))
    }

    fn notify(&self, device: DeviceId, notice: &Notice) -> Result<Notified> {
        Ok(self.state().notify(device, notice))
    }

    fn entrance(
        &self,
        group: GroupId,
        device: DeviceId,
        now: UnixMillis,
    ) -> Result<Option<Entrance>> {
        Ok(self.state().entrance(group, device, now))
    }

    fn create_invitation(&self, new: &NewInvitation<'_>, now: UnixMillis) -> Result<bool> {
        Ok(self.state().create_invitation(new, now))
    }

    fn redeem_invitation(
        &self,
        group: GroupId,
        token_hash: &[u8; 32],
        asker: DeviceId,
        now: UnixMillis,
    ) -> Result<Option<Invitation>> {
        Ok(self.state().redeem(group, token_hash, asker, now))
    }

    fn approve_invitation(
        &self,
        group: GroupId,
        token_hash: &[u8; 32],
        asker: DeviceId,
        approval: &[u8],
        now: UnixMillis,
    ) -> Result<bool> {
        Ok(self
            .state()
            .approve(group, token_hash, asker, approval, now))
    }

    fn going(&self, group: GroupId) -> Result<Going> {
        Ok(self.state().going(group))
    }

    fn delete_device(&self, device: DeviceId) -> Result<Departure> {
        Ok(self.state().delete_devices(vec![device]))
    }

    fn delete_user(&self, user: &UserId) -> Result<Departure> {
        Ok(self.state().delete_user(user))
    }

    fn delete_group(&self, group: GroupId, caller: DeviceId) -> Result<GroupDeletion> {
        Ok(self.state().delete_group(group, caller))
    }

    fn stays(&self, group: GroupId, user: &UserId) -> Result<Option<(Sequence, Vec<Range>)>> {
        Ok(self.state().stays(group, user))
    }

    fn put_report(&self, new: &NewReport<'_>) -> Result<Filed> {
        Ok(self.state().moderation.put_report(new))
    }

    fn report(&self, report: ReportId) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        Ok(self.state().moderation.report(report))
    }

    fn reports(&self, after: u64, limit: usize, with_decided: bool) -> Result<Vec<ReportRow>> {
        let state = self.state();
        Ok(state.moderation.reports(after, limit, with_decided))
    }

    fn reported(&self, user: &UserId, group: GroupId) -> Result<Vec<Sequence>> {
        Ok(self.state().moderation.reported(user, group))
    }

    fn expire_reports(&self, received_before: UnixMillis) -> Result<()> {
        self.state().moderation.expire(received_before);
        Ok(())
    }

    fn append_audit(&self, new: &NewAudit<'_>) -> Result<Option<Vec<DeviceId>>> {
        Ok(self.state().append_audit(new))
    }

    fn applied(&self, sender: DeviceId, request: RequestId) -> Result<Option<Applied>> {
        Ok(self.state().requests.get(&(sender, request)).copied())
    }

    fn audit_about(&self, report: ReportId, after: u64, limit: usize) -> Result<Vec<Chained>> {
        Ok(self.state().moderation.audit_about(report, after, limit))
    }

    fn audit(&self, after: u64, limit: usize) -> Result<Vec<Chained>> {
        Ok(self.state().moderation.audit(after, limit))
    }
}
