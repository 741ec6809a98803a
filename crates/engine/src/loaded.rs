//! Groups that stay in memory between operations, and what of them is not written meanwhile.
//!
//! With each message, OpenMLS hands over the secrets of all senders as one value. Of a group that is
//! loaded, they are written only now and then. What is left behind is safe, for two reasons:
//!
//! - **What was received** is not read from the log again, so keys that the stored secrets still have
//!   are of no use to this device. A sender's next message is some generations ahead of what is
//!   stored: the [`Lease`] bounds how many, over all programs that ever left something unwritten, to
//!   fewer than MLS lets a receiver skip.
//! - **What was sent** is counted there too, in the same transaction as the message. Whoever loads the
//!   group encrypts as many times and throws the result away, before it sends anything.

use std::{cell::RefCell, collections::BTreeMap, fmt};

use conclave_protocol::GroupId;
use openmls::prelude::{GroupEpoch, MlsGroup};

use crate::{
    limits::{
        BEHIND_MAX, BEHIND_STEP, BYTES_A_MESSAGE, GROUPS_LOADED_MAX, MESSAGES_UNWRITTEN_MAX,
        MESSAGES_UNWRITTEN_MIN,
    },
    storage::StoredTree,
};

/// Groups of one state that stay loaded while they are used: [`State::loaded`](crate::State::loaded).
///
/// Another program may change the same state: what it wrote is noticed. That a transaction came to
/// nothing is not, so it has to be [said](Self::lost).
#[derive(Default)]
pub struct LoadedGroups(RefCell<Shelf>);

#[derive(Default)]
struct Shelf {
    groups: BTreeMap<GroupId, Loaded>,
    /// Counts what is put here, so that what was not used for longest is known.
    uses: u64,
}

impl LoadedGroups {
    /// The transaction is committed: what is loaded is as the state is.
    pub fn kept(&self) {
        for loaded in self.0.borrow_mut().groups.values_mut() {
            loaded.is_touched = false;
        }
    }

    /// The transaction, or a part of it, was rolled back: what it had to do with is loaded anew.
    pub fn lost(&self) {
        let mut shelf = self.0.borrow_mut();
        shelf.groups.retain(|_, loaded| !loaded.is_touched);
    }

    pub(crate) fn take(&self, group: GroupId) -> Option<Loaded> {
        self.0.borrow_mut().groups.remove(&group)
    }

    pub(crate) fn put(&self, group: GroupId, mut loaded: Loaded) {
        let mut shelf = self.0.borrow_mut();
        shelf.uses += 1;
        loaded.used = shelf.uses;
        shelf.groups.insert(group, loaded);
        if shelf.groups.len() > GROUPS_LOADED_MAX {
            let oldest = shelf.groups.iter().min_by_key(|(_, it)| it.used);
            let oldest = oldest.map(|(group, _)| *group);
            oldest.and_then(|group| shelf.groups.remove(&group));
        }
    }
}

impl fmt::Debug for LoadedGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoadedGroups({})", self.0.borrow().groups.len())
    }
}

/// A group in memory, and how the state is behind it.
pub(crate) struct Loaded {
    pub(crate) group: MlsGroup,
    /// The row in the state that it was loaded with, or that was written since.
    pub(crate) lease: Option<Lease>,
    /// Own messages that were encrypted with keys which the secrets in memory still have.
    pub(crate) unburnt: u32,
    /// Messages since the secrets were loaded or written.
    unwritten: u32,
    /// After how many of them they are to be written.
    unwritten_max: u32,
    /// By how many messages of any sender the secrets were behind when they were loaded. That a sender
    /// has been heard since is not known, so this ends with the epoch only.
    inherited: u32,
    pub(crate) tree: Option<StoredTree>,
    /// Whether it was changed in a transaction that is not committed.
    pub(crate) is_touched: bool,
    used: u64,
}

impl Loaded {
    pub(crate) fn new(group: MlsGroup, lease: Option<Lease>, tree: Option<StoredTree>) -> Self {
        Self {
            group,
            lease,
            unburnt: lease.map_or(0, |lease| lease.sent),
            inherited: lease.map_or(0, |lease| lease.behind),
            unwritten: 0,
            unwritten_max: MESSAGES_UNWRITTEN_MIN,
            tree,
            is_touched: false,
            used: 0,
        }
    }

    /// Whether the secrets are to be written with the next message.
    pub(crate) fn is_due(&self) -> bool {
        // A program before this one wrote them with each message, and no row.
        self.lease.is_none_or(|lease| {
            let next = self.unwritten.max(lease.sent) + 1;
            next >= self.unwritten_max || self.inherited + next > BEHIND_MAX
        })
    }

    /// A message was encrypted or decrypted, and the secrets were written or not.
    pub(crate) fn count_message(&mut self, is_own: bool, is_written: bool) {
        self.is_touched = true;
        let (false, Some(lease)) = (is_written, &mut self.lease) else {
            return;
        };
        self.unwritten += 1;
        lease.sent += u32::from(is_own);
        if self.inherited + self.unwritten > lease.behind {
            lease.behind += BEHIND_STEP;
        }
    }

    /// All secrets were written, in so many bytes.
    pub(crate) fn secrets_written(&mut self, bytes: usize) {
        let messages = u32::try_from(bytes / BYTES_A_MESSAGE).unwrap_or(u32::MAX);
        self.unwritten = 0;
        self.unwritten_max = messages.clamp(MESSAGES_UNWRITTEN_MIN, MESSAGES_UNWRITTEN_MAX);
        if let Some(lease) = &mut self.lease {
            (lease.sent, lease.behind) = (self.unburnt, self.inherited);
        }
    }

    /// Another epoch has begun since `before`, if one has: with secrets of which none is used up.
    pub(crate) fn turn(&mut self, before: GroupEpoch) {
        if self.group.epoch() != before {
            (self.unburnt, self.inherited) = (0, 0);
        }
    }
}

/// A small row beside a group's entities. It changes with whatever is written of the group, so who has
/// the group loaded sees that somebody else has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) stamp: [u8; 16],
    /// Own messages that were encrypted since the secrets were written.
    pub(crate) sent: u32,
    /// By how many messages of one sender the secrets may be behind, at most.
    pub(crate) behind: u32,
}

impl Lease {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let (sent, behind) = (self.sent.to_be_bytes(), self.behind.to_be_bytes());
        [self.stamp.as_slice(), &sent, &behind].concat()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (stamp, counts) = bytes.split_first_chunk()?;
        let (sent, behind) = counts.split_first_chunk()?;
        Some(Self {
            stamp: *stamp,
            sent: u32::from_be_bytes(*sent),
            behind: u32::from_be_bytes(behind.try_into().ok()?),
        })
    }
}
