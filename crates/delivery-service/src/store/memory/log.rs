//! Logs: what is appended, and what that changes.

use conclave_protocol::{DeviceId, Frank, FrankBatch, GroupId, RequestId, Sequence, UnixMillis};

use super::{Group, State};
use crate::{
    ordering::{Applied, Facts, Receipt, Verdict, decide},
    store::{
        Delta, Effect, Entry, EntryKind, EpochChange, Mail, MailboxItem, NewEntry, NewWelcome,
        Page, Range, WaitingWelcome,
    },
};

impl State {
    pub(super) fn facts(
        &self,
        id: GroupId,
        sender: DeviceId,
        request: RequestId,
        joins: Option<UnixMillis>,
    ) -> Facts {
        let group = self.groups.get(&id);
        Facts {
            head: group.map(|group| group.head),
            is_entitled: group.is_some_and(|group| match joins {
                Some(now) => self.may_join(group, sender, now),
                None => group.has(sender),
            }),
            earlier: self.requests.get(&(sender, request)).copied(),
        }
    }

    pub(super) fn append(&mut self, entry: &NewEntry<'_>) -> Verdict {
        let joins = entry.submission.joins.then_some(entry.accepted);
        let facts = self.facts(entry.group, entry.sender, entry.request, joins);
        let verdict = decide(&facts, &entry.submission);
        let Verdict::Accept(sequence) = verdict else {
            return verdict;
        };
        let applied = Applied {
            body_hash: entry.submission.body_hash,
            receipt: Receipt {
                sequence,
                accepted: entry.accepted,
            },
        };
        self.requests.insert((entry.sender, entry.request), applied);
        if let Some(group) = self.groups.get_mut(&entry.group) {
            group.push(entry, sequence);
            if let Effect::Commit { change, .. } = entry.effect {
                group.change_epoch(entry, change);
            }
        }
        if let Effect::Commit { change, .. } = entry.effect
            && let Some(welcome) = &change.welcome
        {
            self.deliver(entry, sequence, welcome);
        }
        verdict
    }

    fn deliver(&mut self, entry: &NewEntry<'_>, sequence: Sequence, welcome: &NewWelcome) {
        for (joiner, secrets) in &welcome.joiners {
            let Some(state) = self.devices.get_mut(joiner) else {
                if let Some(group) = self.groups.get_mut(&entry.group) {
                    group.departed.insert(*joiner, None);
                }
                continue;
            };
            state.mailbox_cursor += 1;
            let waiting = WaitingWelcome {
                group: entry.group,
                epoch: entry.submission.epoch.next(),
                shared: welcome.shared.clone(),
                secrets: secrets.clone(),
                added_by: welcome.added_by.clone(),
                tree_hash: welcome.tree_hash.to_vec(),
                receipt: Receipt {
                    sequence,
                    accepted: entry.accepted,
                },
            };
            state.mailbox.push(MailboxItem {
                cursor: state.mailbox_cursor,
                mail: Mail::Welcome(waiting),
            });
        }
    }
}

impl Group {
    /// Whether a device is a member now.
    pub(super) fn has(&self, device: DeviceId) -> bool {
        let last = self.members.get(&device).and_then(|ranges| ranges.last());
        last.is_some_and(|range| range.to.is_none())
    }

    /// Who sent entries of a kind in this epoch.
    pub(super) fn senders(&self, kind: EntryKind) -> Vec<DeviceId> {
        let entries = self.log.iter();
        let of_kind = entries.filter(|it| it.epoch == self.head.epoch && it.kind == kind);
        of_kind.map(|entry| entry.sender).collect()
    }

    /// The last reports and votes up to a place.
    pub(super) fn words(&self, up_to: Sequence, limit: usize) -> Vec<Entry> {
        let is_word = |it: &&Entry| {
            it.sequence <= up_to && matches!(it.kind, EntryKind::Report | EntryKind::Vote)
        };
        let last = self.log.iter().rev().filter(is_word).take(limit);
        let mut words: Vec<Entry> = last.cloned().collect();
        words.reverse();
        words
    }

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
            frank: frank(entry, sequence),
        });
    }

    fn let_read(&mut self, device: DeviceId, from: Sequence) {
        let ranges = self.members.entry(device).or_default();
        ranges.retain(|range| range.from != from);
        ranges.push(Range { from, to: None });
    }

    fn change_epoch(&mut self, entry: &NewEntry<'_>, change: &EpochChange<'_>) {
        self.head.epoch = self.head.epoch.next();
        self.group_info = change.group_info.to_vec();
        let at = self.head.sequence;
        for device in &change.removed {
            let range = self.members.get_mut(device).and_then(|r| r.last_mut());
            if let Some(range) = range.filter(|range| range.to.is_none()) {
                range.to = Some(at);
            }
            self.departed.remove(device);
        }
        if entry.submission.joins {
            self.let_read(entry.sender, at);
            let asker = Some(entry.sender);
            self.invitations
                .retain(|_, known| known.invitation.asker != asker);
        }
        if let Some(welcome) = &change.welcome {
            for (joiner, _) in &welcome.joiners {
                self.let_read(*joiner, at);
            }
            let tree = (at, welcome.tree.clone());
            self.trees.insert(self.head.epoch, tree);
        }
    }
}

/// What of a list a page holds, given each one's place and size.
pub(super) fn cut<T: Clone>(
    list: &[T],
    page: Page,
    measure: impl Fn(&T) -> (Sequence, usize),
) -> Vec<T> {
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

/// A commit of its own, as each append here is.
fn frank(entry: &NewEntry<'_>, sequence: Sequence) -> Option<Frank> {
    let (key, stamp) = (entry.stamp?.key, entry.stamp_at(sequence)?);
    let batch = FrankBatch::seal(vec![stamp.leaf()], key)?;
    batch.frank(0, key.authenticate(&stamp))
}
