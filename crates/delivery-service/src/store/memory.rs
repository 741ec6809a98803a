//! The store in memory: the plainest reading of what each verb means.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use conclave_protocol::{
    DeviceCertificate, DeviceId, Epoch, GroupId, RequestId, Sequence, UnixMillis, UserId,
    VerifyingKey, limits,
};

use super::{
    Delta, Device, Effect, Entry, EpochChange, Identity, MailboxItem, NewEntry, NewGroup,
    NewWelcome, Page, Published, Range, Registered, Result, Snapshot, StockedKeyPackage, Store,
    Take, TreePart,
};
use crate::ordering::{Applied, Facts, Head, Receipt, Verdict, decide};

/// A store that forgets everything when it is dropped.
#[derive(Default)]
pub(crate) struct MemoryStore(Mutex<State>);

#[derive(Default)]
struct State {
    identity: Option<Identity>,
    users: BTreeMap<UserId, VerifyingKey>,
    devices: BTreeMap<DeviceId, DeviceState>,
    handouts: BTreeMap<(DeviceId, RequestId, DeviceId), Vec<u8>>,
    groups: BTreeMap<GroupId, Group>,
    requests: BTreeMap<(DeviceId, RequestId), Applied>,
}

struct DeviceState {
    device: Device,
    stock: Vec<StockedKeyPackage>,
    published: BTreeSet<Vec<u8>>,
    last_resort: Option<StockedKeyPackage>,
    mailbox: Vec<MailboxItem>,
    mailbox_cursor: u64,
}

struct Group {
    creator: DeviceId,
    body_hash: [u8; 32],
    head: Head,
    log: Vec<Entry>,
    deltas: Vec<Delta>,
    members: BTreeMap<DeviceId, Vec<Range>>,
    snapshot: Snapshot,
    trees: BTreeMap<Epoch, (Sequence, Vec<u8>)>,
}

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn facts(&self, group: GroupId, sender: DeviceId, request: RequestId) -> Facts {
        let group = self.groups.get(&group);
        Facts {
            head: group.map(|group| group.head),
            is_member: group
                .and_then(|group| group.members.get(&sender)?.last())
                .is_some_and(|range| range.to.is_none()),
            earlier: self.requests.get(&(sender, request)).copied(),
        }
    }

    fn deliver(&mut self, entry: &NewEntry<'_>, sequence: Sequence, welcome: &NewWelcome) {
        for (joiner, secrets) in &welcome.joiners {
            let Some(state) = self.devices.get_mut(joiner) else {
                continue;
            };
            state.mailbox_cursor += 1;
            state.mailbox.push(MailboxItem {
                cursor: state.mailbox_cursor,
                group: entry.group,
                epoch: entry.submission.epoch.next(),
                shared: welcome.shared.clone(),
                secrets: secrets.clone(),
                added_by: welcome.added_by.clone(),
                receipt: Receipt {
                    sequence,
                    accepted: entry.accepted,
                },
            });
        }
    }
}

impl Group {
    fn push(&mut self, entry: &NewEntry<'_>, sequence: Sequence) {
        let kind = entry.effect.kind();
        self.head.sequence = sequence;
        if let Some(delta) = entry.effect.delta() {
            self.head.handshake = sequence;
            self.deltas.push(Delta {
                sequence,
                bytes: delta.to_vec(),
            });
        }
        self.log.push(Entry {
            sequence,
            epoch: entry.submission.epoch,
            kind,
            sender: entry.sender,
            accepted: entry.accepted,
            message: entry.message.to_vec(),
        });
    }

    fn change_epoch(&mut self, change: &EpochChange<'_>) {
        self.head.epoch = self.head.epoch.next();
        let at = self.head.sequence;
        for device in &change.removed {
            let range = self.members.get_mut(device).and_then(|r| r.last_mut());
            if let Some(range) = range.filter(|range| range.to.is_none()) {
                range.to = Some(at);
            }
        }
        if let Some(welcome) = &change.welcome {
            for (joiner, _) in &welcome.joiners {
                let range = Range { from: at, to: None };
                self.members.entry(*joiner).or_default().push(range);
            }
            let tree = (at, welcome.tree.clone());
            self.trees.insert(self.head.epoch, tree);
        }
    }
}

/// What of a list a page holds, given each one's place and size.
fn cut<T: Clone>(list: &[T], page: Page, measure: impl Fn(&T) -> (Sequence, usize)) -> Vec<T> {
    let mut bytes = 0;
    list.iter()
        .filter(|item| (page.after.next()..=page.up_to).contains(&measure(item).0))
        .take(page.entries)
        .enumerate()
        .take_while(|(at, item)| {
            bytes += measure(item).1;
            *at == 0 || bytes <= page.bytes
        })
        .map(|(_, item)| item.clone())
        .collect()
}

impl Store for MemoryStore {
    fn identity(&self, fresh: &Identity) -> Result<Identity> {
        let mut state = self.state();
        Ok(state.identity.get_or_insert_with(|| fresh.clone()).clone())
    }

    fn register(&self, certificate: &DeviceCertificate) -> Result<Registered> {
        let mut state = self.state();
        let address = certificate.address();
        let known = state.users.get(&address.user);
        if known.is_some_and(|key| key != certificate.identity_key()) {
            return Ok(Registered::NameTaken);
        }
        if let Some(known) = state.devices.get(&address.device) {
            return Ok(if known.device.is_of(certificate) {
                Registered::Done
            } else {
                Registered::DeviceTaken
            });
        }
        let device = Device {
            address: address.clone(),
            signature_key: certificate.claims().signature_key,
            identity_key: *certificate.identity_key(),
        };
        state
            .users
            .insert(address.user.clone(), device.identity_key);
        let fresh = DeviceState {
            device,
            stock: Vec::new(),
            published: BTreeSet::new(),
            last_resort: None,
            mailbox: Vec::new(),
            mailbox_cursor: 0,
        };
        state.devices.insert(address.device, fresh);
        Ok(Registered::Done)
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
        let Some(state) = state.devices.get_mut(&device) else {
            return Ok(Published::Stock(0));
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
            return Ok(Published::Full);
        }
        state.stock = stock;
        state.published = published;
        if last_resort.is_some() {
            state.last_resort = last_resort.cloned();
        }
        Ok(Published::Stock(state.stock.len()))
    }

    fn take_key_packages(&self, take: &Take<'_>) -> Result<Option<Vec<Vec<u8>>>> {
        let mut state = self.state();
        let State {
            users,
            devices,
            handouts,
            ..
        } = &mut *state;
        if !users.contains_key(take.user) {
            return Ok(None);
        }
        let usable = |p: &StockedKeyPackage| p.expires_seconds >= take.usable_until_seconds;
        let mut taken = Vec::new();
        for (id, device) in devices
            .iter_mut()
            .filter(|(_, state)| state.device.address.user == *take.user)
        {
            let key = (take.taker, take.request, *id);
            if let Some(again) = handouts.get(&key) {
                taken.push(again.clone());
                continue;
            }
            let from_stock = device.stock.iter().position(usable);
            let message = match from_stock {
                Some(at) => Some(device.stock.remove(at).message),
                None => {
                    let last = device.last_resort.as_ref().filter(|p| usable(p));
                    last.map(|package| package.message.clone())
                }
            };
            if let Some(message) = message {
                handouts.insert(key, message.clone());
                taken.push(message);
            }
        }
        Ok(Some(taken))
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
            snapshot: Snapshot {
                applied: Sequence(0),
                bytes: group.snapshot.to_vec(),
            },
            trees: BTreeMap::new(),
        };
        state.groups.insert(group.group, fresh);
        Ok(true)
    }

    fn facts(&self, group: GroupId, sender: DeviceId, request: RequestId) -> Result<Facts> {
        Ok(self.state().facts(group, sender, request))
    }

    fn append(&self, entry: &NewEntry<'_>) -> Result<Verdict> {
        let mut state = self.state();
        let facts = state.facts(entry.group, entry.sender, entry.request);
        let verdict = decide(&facts, &entry.submission);
        let Verdict::Accept(sequence) = verdict else {
            return Ok(verdict);
        };
        let applied = Applied {
            body_hash: entry.submission.body_hash,
            receipt: Receipt {
                sequence,
                accepted: entry.accepted,
            },
        };
        state
            .requests
            .insert((entry.sender, entry.request), applied);
        if let Effect::Commit { change, .. } = entry.effect
            && let Some(welcome) = &change.welcome
        {
            state.deliver(entry, sequence, welcome);
        }
        if let Some(group) = state.groups.get_mut(&entry.group) {
            group.push(entry, sequence);
            if let Effect::Commit { change, .. } = entry.effect {
                group.change_epoch(change);
            }
        }
        Ok(verdict)
    }

    fn access(&self, group: GroupId, device: DeviceId) -> Result<Option<(Head, Vec<Range>)>> {
        Ok(self.state().groups.get(&group).map(|group| {
            let ranges = group.members.get(&device).cloned();
            (group.head, ranges.unwrap_or_default())
        }))
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
}
