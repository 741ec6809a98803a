//! What goes into the engine's operations and what comes out.

use std::fmt;

use conclave_protocol::{DeviceAddress, DeviceCertificate, DeviceId, Epoch, GroupId, GroupRules};

use openmls::prelude::{PublicMessageIn, RatchetTreeIn, group_info::VerifiableGroupInfo};

use crate::KeyPackage;

/// A group that was just created, as the service needs it to follow the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedGroup {
    /// The signed GroupInfo of epoch 0 as an MLSMessage, without the tree (RFC 9420 §12.4.3).
    pub group_info: Vec<u8>,
    /// The ratchet tree: `optional<Node> ratchet_tree<V>` (RFC 9420 §12.4.3.3).
    pub ratchet_tree: Vec<u8>,
}

/// What a Commit is to change. Empty, it renews the committer's own keys, and commits the
/// Proposals that wait.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Devices to add, each by a KeyPackage of its own; at most
    /// [`ADDS_PER_COMMIT_MAX`](conclave_protocol::limits::ADDS_PER_COMMIT_MAX).
    pub adds: Vec<KeyPackage>,
    /// Devices to remove.
    pub removes: Vec<DeviceId>,
    /// The group's rules from then on, where they change.
    pub rules: Option<GroupRules>,
}

impl Change {
    /// Nothing but fresh keys for the committer.
    #[must_use]
    pub fn update() -> Self {
        Self::default()
    }

    /// Adds devices.
    #[must_use]
    pub fn add(adds: Vec<KeyPackage>) -> Self {
        Self {
            adds,
            ..Self::default()
        }
    }

    /// Removes devices.
    #[must_use]
    pub fn remove(removes: Vec<DeviceId>) -> Self {
        Self {
            removes,
            ..Self::default()
        }
    }

    /// Changes the group's rules.
    #[must_use]
    pub fn govern(rules: GroupRules) -> Self {
        Self {
            rules: Some(rules),
            ..Self::default()
        }
    }
}

/// A Commit to submit. It is pending: when the service accepts it, merge it, and else discard it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedCommit {
    /// The epoch it was made in, and the only one in which it can be accepted.
    pub epoch: Epoch,
    /// The Commit: an MLSMessage with a PublicMessage.
    pub commit: Vec<u8>,
    /// Where it adds devices, the Welcome for all of them: an MLSMessage, without the tree.
    pub welcome: Option<Vec<u8>>,
    /// The GroupInfo of the epoch that it starts: an MLSMessage, without the tree.
    pub group_info: Vec<u8>,
    /// The devices that it adds.
    pub added: Vec<DeviceCertificate>,
    /// The devices that it removes, those that asked to leave among them.
    pub removed: Vec<DeviceAddress>,
}

/// What an external Commit is made from, as the service gives it.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// The GroupInfo of the current epoch: an MLSMessage, without the tree.
    pub group_info: &'a [u8],
    /// The ratchet tree of the same epoch.
    pub ratchet_tree: &'a [u8],
    /// The SelfRemove Proposals that wait in it: MLSMessages. The Commit refers to all of them.
    pub proposals: &'a [Vec<u8>],
    /// The encoded [`Approval`](conclave_protocol::Approval) of a device whose user has none in the
    /// group; otherwise empty.
    pub approval: &'a [u8],
}

/// An [`Opening`], parsed.
pub(crate) struct External {
    pub(crate) group_info: VerifiableGroupInfo,
    pub(crate) tree: RatchetTreeIn,
    pub(crate) proposals: Vec<PublicMessageIn>,
    pub(crate) approval: Vec<u8>,
}

/// A group that was just joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedGroup {
    /// Its id.
    pub group: GroupId,
    /// The first epoch that this device can read.
    pub epoch: Epoch,
    /// The members, in the order of their leaves, this device among them.
    pub roster: Vec<Member>,
    /// Who made the Commit that added this device.
    pub added_by: DeviceAddress,
}

/// A device in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The place of its leaf in the tree, counted over leaves.
    pub leaf_index: u32,
    /// Who it is.
    pub certificate: DeviceCertificate,
}

/// What a message from the log turned out to be. `Debug` shows the kind and no content.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Processed {
    /// An application message.
    Application {
        /// Who sent it.
        sender: DeviceAddress,
        /// The epoch it was sent in.
        epoch: Epoch,
        /// The bytes that were encrypted.
        content: Vec<u8>,
        /// The franking item of its authenticated data, if it has one.
        franking: Option<Vec<u8>>,
        /// The group's rules in that epoch.
        rules: GroupRules,
    },
    /// A Proposal, which now waits for a Commit.
    Proposal {
        /// Who proposes.
        from: DeviceAddress,
        /// What.
        kind: ProposalKind,
    },
    /// A Commit of somebody else. The writes hold the group in its new epoch; a pending Commit of
    /// this device is discarded by them.
    Commit {
        /// Who committed.
        by: DeviceAddress,
        /// The epoch that it started.
        epoch: Epoch,
        /// The devices that it added.
        added: Vec<DeviceCertificate>,
        /// The devices that it removed, those that asked to leave among them.
        removed: Vec<DeviceAddress>,
        /// The group's rules from then on, where they have changed.
        rules: Option<GroupRules>,
        /// Whether this device is among the removed. The group can only be deleted then.
        removed_self: bool,
    },
    /// An application message of this device, which nobody can decrypt again. Its sender is not
    /// authenticated.
    OwnMessage,
    /// This device's pending Commit, accepted: merge it.
    OwnCommit,
}

impl fmt::Debug for Processed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Application { .. } => "Application(..)",
            Self::Proposal { .. } => "Proposal(..)",
            Self::Commit { .. } => "Commit(..)",
            Self::OwnMessage => "OwnMessage",
            Self::OwnCommit => "OwnCommit",
        })
    }
}

/// What a Proposal that travels on its own asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProposalKind {
    /// Its sender wants to leave (SelfRemove, draft-ietf-mls-extensions).
    Leave,
}
