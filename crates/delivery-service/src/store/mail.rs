//! What waits for one device.

use conclave_protocol::{DeviceId, Epoch, GroupId, RequestId, UserId};

use crate::ordering::Receipt;

/// Something that waits for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MailboxItem {
    /// Its place in the mailbox.
    pub(crate) cursor: u64,
    /// What it is.
    pub(crate) mail: Mail,
}

/// What waits for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mail {
    /// The way into a group.
    Welcome(WaitingWelcome),
    /// Something to know.
    Notice(Notice),
}

/// What a device is told. Two about the same are one: the later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Its stock of KeyPackages is running out.
    KeyPackagesLow { stock: u32, last_resort_used: bool },
    /// Somebody asks to be let in by an invitation that it made.
    InvitationAsked {
        group: GroupId,
        token_hash: [u8; 32],
        asker: DeviceId,
        user: UserId,
    },
    /// It was let in.
    InvitationApproved {
        group: GroupId,
        token_hash: [u8; 32],
    },
    /// Another member asks it to commit something.
    Intent {
        group: GroupId,
        sender: DeviceId,
        request: RequestId,
        intent: Vec<u8>,
    },
    /// Moderators decided something about its user.
    Measure {
        /// The decision's number: what is said of it later takes the place of what was said before.
        decision: u64,
        /// What they decided, opaque here.
        measure: Vec<u8>,
    },
}

impl Notice {
    /// What it is about: its kind, by a number that stores may keep, and what of that kind.
    pub(crate) fn subject(&self) -> (u8, Vec<u8>) {
        match self {
            Self::KeyPackagesLow { .. } => (1, Vec::new()),
            Self::InvitationAsked { token_hash, .. } => (2, token_hash.to_vec()),
            Self::InvitationApproved { token_hash, .. } => (3, token_hash.to_vec()),
            Self::Intent {
                sender, request, ..
            } => (4, [&sender.as_bytes()[..], request.as_bytes()].concat()),
            Self::Measure { decision, .. } => (5, decision.to_be_bytes().to_vec()),
        }
    }
}

/// What became of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notified {
    /// It waits.
    Done,
    /// Too many wait already.
    Full,
    /// There is no such device.
    NoSuchDevice,
}

/// A Welcome that waits for its joiner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WaitingWelcome {
    /// The group.
    pub(crate) group: GroupId,
    /// The epoch to be joined.
    pub(crate) epoch: Epoch,
    /// What all joiners share, and when they were added, and by whom.
    pub(crate) shared: Vec<u8>,
    /// What this joiner has alone.
    pub(crate) secrets: Vec<u8>,
    /// Who added it.
    pub(crate) added_by: String,
    /// SHA-256 of the epoch's ratchet tree.
    pub(crate) tree_hash: Vec<u8>,
    /// Where the Commit stands in the log, and since when.
    pub(crate) receipt: Receipt,
}
