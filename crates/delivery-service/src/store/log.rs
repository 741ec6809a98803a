//! Groups: their logs, and what a restart needs of them.

use std::sync::Arc;

use conclave_protocol::{
    Commitment, DeviceAddress, DeviceId, Epoch, Frank, GroupId, RequestId, Sequence, Stamp,
    StampingKey, UnixMillis,
};

use crate::ordering::Submission;

/// A group to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewGroup<'a> {
    /// Its id.
    pub(crate) group: GroupId,
    /// Its only member.
    pub(crate) creator: DeviceId,
    /// What the creator sent hashes to: the same again is the same group.
    pub(crate) body_hash: [u8; 32],
    /// The GroupInfo of epoch 0.
    pub(crate) group_info: &'a [u8],
    /// Its public state.
    pub(crate) snapshot: &'a [u8],
}

/// What kind of message an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// A Commit, which starts the next epoch.
    Commit,
    /// A Proposal.
    Proposal,
    /// An application message.
    Application,
    /// A member's report of a Commit that it can't process.
    Report,
    /// A member's vote for the group that goes on.
    Vote,
}

/// An entry to be appended, if [`decide`](crate::ordering::decide) accepts it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewEntry<'a> {
    /// The log.
    pub(crate) group: GroupId,
    /// Who sends it.
    pub(crate) sender: DeviceId,
    /// Under which id.
    pub(crate) request: RequestId,
    /// What the decision is about.
    pub(crate) submission: Submission,
    /// When it is accepted.
    pub(crate) accepted: UnixMillis,
    /// The MLSMessage, the report or the vote.
    pub(crate) message: &'a [u8],
    /// What it does.
    pub(crate) effect: Effect<'a>,
    /// How it becomes reportable, where it is a message that its sender committed to.
    pub(crate) stamp: Option<NewStamp<'a>>,
}

/// What goes into a stamp beside what every entry has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewStamp<'a> {
    /// Who sends it, as the service knows them.
    pub(crate) sender: &'a DeviceAddress,
    /// What the sender committed to.
    pub(crate) commitment: Commitment,
    /// Of the message; it is made before the one who writes has its turn.
    pub(crate) message_hash: [u8; 32],
    /// The key that stamps now.
    pub(crate) key: &'a Arc<StampingKey>,
}

impl NewEntry<'_> {
    /// The stamp of the entry, once it has a place.
    pub(crate) fn stamp_at(&self, sequence: Sequence) -> Option<Stamp> {
        let NewStamp {
            sender,
            commitment,
            message_hash,
            ..
        } = self.stamp?;
        Some(Stamp {
            group: self.group,
            epoch: self.submission.epoch,
            sequence,
            accepted: self.accepted,
            sender: sender.clone(),
            commitment,
            message_hash,
        })
    }
}

/// What an entry does besides standing in the log. A delta is what it changes in the group's
/// public state.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Effect<'a> {
    /// A Commit.
    Commit {
        delta: &'a [u8],
        change: &'a EpochChange<'a>,
    },
    /// A Proposal.
    Proposal { delta: &'a [u8] },
    /// An application message.
    Application,
    /// A report of a Commit.
    Report,
    /// A vote for a successor.
    Vote,
}

impl Effect<'_> {
    pub(crate) fn kind(&self) -> EntryKind {
        match self {
            Self::Commit { .. } => EntryKind::Commit,
            Self::Proposal { .. } => EntryKind::Proposal,
            Self::Application => EntryKind::Application,
            Self::Report => EntryKind::Report,
            Self::Vote => EntryKind::Vote,
        }
    }

    pub(crate) fn delta(&self) -> Option<&[u8]> {
        match self {
            Self::Commit { delta, .. } | Self::Proposal { delta } => Some(delta),
            Self::Application | Self::Report | Self::Vote => None,
        }
    }
}

/// What a Commit changes.
#[derive(Debug, Clone)]
pub(crate) struct EpochChange<'a> {
    /// The GroupInfo of the new epoch.
    pub(crate) group_info: &'a [u8],
    /// The devices that may read up to this Commit.
    pub(crate) removed: Vec<DeviceId>,
    /// What the joiners get, where there are any.
    pub(crate) welcome: Option<NewWelcome>,
}

/// A Welcome in slices, and the tree that goes with it.
#[derive(Debug, Clone)]
pub(crate) struct NewWelcome {
    /// Who committed, as `name@domain/device`.
    pub(crate) added_by: String,
    /// What all joiners share.
    pub(crate) shared: Vec<u8>,
    /// What each has alone.
    pub(crate) joiners: Vec<(DeviceId, Vec<u8>)>,
    /// SHA-256 of the tree.
    pub(crate) tree_hash: [u8; 32],
    /// The ratchet tree of the new epoch.
    pub(crate) tree: Vec<u8>,
}

/// An entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its place.
    pub(crate) sequence: Sequence,
    /// The epoch it is of.
    pub(crate) epoch: Epoch,
    /// What it holds.
    pub(crate) kind: EntryKind,
    /// Who sent it.
    pub(crate) sender: DeviceId,
    /// When it was accepted.
    pub(crate) accepted: UnixMillis,
    /// The MLSMessage, the report or the vote.
    pub(crate) message: Vec<u8>,
    /// What makes it reportable.
    pub(crate) frank: Option<Frank>,
}

/// Which entries to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    /// Those after this.
    pub(crate) after: Sequence,
    /// Up to and including this.
    pub(crate) up_to: Sequence,
    /// At most so many.
    pub(crate) entries: usize,
    /// And so many bytes, unless the first alone is larger.
    pub(crate) bytes: usize,
}

/// A stretch of a log that a device may read, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    /// The Commit by which it joined, or the first entry of a group it created.
    pub(crate) from: Sequence,
    /// The Commit by which it was removed; `None` while it is a member.
    pub(crate) to: Option<Sequence>,
}

/// A group's public state as of some entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The last handshake message in it.
    pub(crate) applied: Sequence,
    /// The state.
    pub(crate) bytes: Vec<u8>,
}

/// What one handshake message changed in a group's public state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delta {
    /// The message's place in the log.
    pub(crate) sequence: Sequence,
    /// The change.
    pub(crate) bytes: Vec<u8>,
}

/// A part of a ratchet tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreePart {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// The whole tree's.
    pub(crate) total_bytes: u64,
    /// The Commit that started its epoch.
    pub(crate) sequence: Sequence,
}
