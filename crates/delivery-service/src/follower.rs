//! The service's copy of a group's public state: what it refuses before a message takes the epoch.
//!
//! The only room that knows OpenMLS, whose `PublicGroup` does the work until our own tree does. All
//! that goes in is bytes and our types, and all that comes out. What only members can check
//! (confirmation tags, path ciphertexts, membership tags) is not checked here.
//!
//! A follower is stored as a [`Snapshot`](crate::store::Snapshot) and the *deltas* of the handshake
//! messages since. A delta is what a checked message changes, so a restart applies it without
//! judging it again by a clock that has moved on.

mod bundle;
mod external;
mod key_package;
mod leaf;
mod rules;
mod snapshot;

use std::{collections::BTreeSet, sync::LazyLock};

use conclave_crypto::Crypto;
use conclave_protocol::{
    DeviceCertificate, DeviceId, Epoch, GroupId, Sequence, UnixMillis, VerifyingKey,
};
use openmls::{
    group::{ProposalStore, PublicGroup, QueuedProposal, StagedCommit},
    messages::group_info::VerifiableGroupInfo,
    prelude::{
        Ciphersuite, ConfirmationTag, ContentType, LeafNode, LeafNodeIndex, MlsMessageBodyIn,
        MlsMessageIn, ProcessedMessageContent, Proposal, PublicMessageIn, RatchetTreeIn, Sender,
    },
};
use tls_codec::{DeserializeBytes as _, Serialize as _};

use crate::error::Refusal;
use bundle::{check_group_info, check_welcome};
use leaf::{certificate, check_capabilities, verified};
use rules::{FORBIDDEN_PROPOSAL, check_context, check_founder, check_kinds};
use snapshot::{Delta, DeltaRef, Entities, decode, encode};

pub(crate) use bundle::CheckedWelcome;
pub(crate) use key_package::CheckedKeyPackage;

/// The suite of every group and KeyPackage: the one that devices' keys are made for.
const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;

/// Nothing here draws randomness or keeps secrets, so one provider serves all.
static CRYPTO: LazyLock<Crypto> = LazyLock::new(Crypto::default);

type Result<T, E = Refusal> = std::result::Result<T, E>;

/// A group's public state, up to some handshake message.
pub(crate) struct Follower {
    group: PublicGroup,
    /// Members whose SelfRemove waits for a Commit.
    leaving: BTreeSet<LeafNodeIndex>,
    applied: Sequence,
}

/// A new group, checked.
pub(crate) struct Founded {
    /// Its only member.
    pub(crate) founder: DeviceCertificate,
    /// Its state, to be stored.
    pub(crate) snapshot: Vec<u8>,
}

/// A Commit that may be accepted.
pub(crate) struct CheckedCommit {
    /// The epoch that it starts.
    pub(crate) next: NextEpoch,
    /// What it changes, to be stored.
    pub(crate) delta: Vec<u8>,
    /// For the devices that it adds, where there are any.
    pub(crate) welcome: Option<CheckedWelcome>,
    /// The devices that it removes.
    pub(crate) removed: Vec<DeviceId>,
}

/// What OpenMLS makes of a Commit.
struct Staged {
    staged: StagedCommit,
    tag: ConfirmationTag,
    /// Its authenticated data behind the Safe AAD.
    tail_aad: Vec<u8>,
}

/// An epoch that has not begun.
pub(crate) struct NextEpoch(StagedCommit);

/// A Proposal that may be accepted.
pub(crate) struct CheckedProposal {
    queued: QueuedProposal,
    leaf: LeafNodeIndex,
    /// What it changes, to be stored.
    pub(crate) delta: Vec<u8>,
}

/// The sender of a handshake message, as authenticated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committer<'a> {
    /// The key that its leaf has to have.
    pub(crate) key: &'a VerifyingKey,
    /// The moment that certificates are judged at.
    pub(crate) now: UnixMillis,
}

impl Follower {
    /// Checks a new group: its GroupInfo and tree, in epoch 0 with one member.
    pub(crate) fn found(
        id: GroupId,
        group_info: &[u8],
        tree: &[u8],
        now: UnixMillis,
    ) -> Result<Founded> {
        let group_info = parse_group_info(group_info)?;
        let tree = RatchetTreeIn::tls_deserialize_exact_bytes(tree)
            .map_err(|_| Refusal::Invalid("the ratchet tree is malformed"))?;
        let context = group_info.group_context();
        if context.group_id().as_slice() != id.as_bytes() || context.epoch().as_u64() != 0 {
            return Err(Refusal::Invalid(
                "the GroupInfo is of another group or epoch",
            ));
        }
        check_context(context)?;
        let entities = Entities::recording();
        let (group, _) =
            PublicGroup::from_external(&*CRYPTO, &entities, tree, group_info, ProposalStore::new())
                .map_err(|_| Refusal::Invalid("the new group is not valid in MLS"))?;
        let founder = only_member(&group, now)?;
        check_founder(group.group_context(), &founder)?;
        Ok(Founded {
            founder,
            snapshot: entities.into_snapshot().ok_or(IMPOSSIBLE)?,
        })
    }

    /// Restores a group from its snapshot, without checking it again.
    pub(crate) fn restore(id: GroupId, snapshot: &[u8], applied: Sequence) -> Result<Self> {
        let entities = Entities::from_snapshot(snapshot).ok_or(CORRUPT)?;
        let id = openmls::group::GroupId::from_slice(id.as_bytes());
        let group = PublicGroup::load(&entities, &id).map_err(|_| CORRUPT)?;
        Ok(Self::at(group.ok_or(CORRUPT)?, applied))
    }

    fn at(group: PublicGroup, applied: Sequence) -> Self {
        Self {
            group,
            leaving: BTreeSet::new(),
            applied,
        }
    }

    /// The last handshake message that it has taken in.
    pub(crate) fn applied(&self) -> Sequence {
        self.applied
    }

    /// The epoch it is in.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.group.group_context().epoch().as_u64())
    }

    /// Takes in a delta from the store.
    pub(crate) fn apply_delta(&mut self, sequence: Sequence, delta: &[u8]) -> Result<()> {
        match decode(delta).ok_or(CORRUPT)? {
            Delta::Commit(staged) => self.merge(*staged, &Entities::discarding())?,
            Delta::Proposal(queued) => {
                let Sender::Member(leaf) = *queued.sender() else {
                    return Err(CORRUPT);
                };
                self.enqueue(*queued, leaf)?;
            }
        }
        self.applied = sequence;
        Ok(())
    }

    /// Checks a Commit with its Welcome (empty where nobody is added) and GroupInfo.
    pub(crate) fn check_commit(
        &self,
        commit: &[u8],
        welcome: &[u8],
        group_info: &[u8],
        committer: Committer<'_>,
    ) -> Result<CheckedCommit> {
        let (message, leaf) = self.parse_handshake(commit, ContentType::Commit, committer)?;
        let Staged { staged, tag, .. } = self.stage(message)?;
        check_kinds(&staged, false)?;
        let removed = self.check_removed(&staged)?;
        let by = self.check_own_leaf(leaf, &staged, committer.now)?;
        self.judge(&staged, &by)?;
        check_group_info(group_info, &staged, &tag, leaf, committer.key)?;
        let welcome = check_welcome(welcome, &staged, committer.now)?;
        let delta = encode(&DeltaRef::Commit(&staged)).ok_or(IMPOSSIBLE)?;
        Ok(CheckedCommit {
            next: NextEpoch(staged),
            delta,
            welcome,
            removed,
        })
    }

    fn stage(&self, message: PublicMessageIn) -> Result<Staged> {
        let tag = message.confirmation_tag().cloned();
        let tag = tag.ok_or(Refusal::Invalid("a Commit carries a confirmation tag"))?;
        let processed = self.group.process_message(&*CRYPTO, message);
        let processed =
            processed.map_err(|_| Refusal::Invalid("the Commit is not valid in MLS"))?;
        let tail_aad = processed.tail_aad().to_vec();
        match processed.into_content() {
            ProcessedMessageContent::StagedCommitMessage(staged) => Ok(Staged {
                staged: *staged,
                tag,
                tail_aad,
            }),
            _ => Err(FORBIDDEN_PROPOSAL),
        }
    }

    /// Checks a Proposal: of those, only a member's own SelfRemove travels alone.
    pub(crate) fn check_proposal(
        &self,
        message: &[u8],
        sender: Committer<'_>,
    ) -> Result<CheckedProposal> {
        let (message, leaf) = self.parse_handshake(message, ContentType::Proposal, sender)?;
        let processed = self.group.process_message(&*CRYPTO, message);
        let processed =
            processed.map_err(|_| Refusal::Invalid("the Proposal is not valid in MLS"))?;
        let ProcessedMessageContent::ProposalMessage(queued) = processed.into_content() else {
            return Err(FORBIDDEN_PROPOSAL);
        };
        if !matches!(queued.proposal(), Proposal::SelfRemove) {
            return Err(FORBIDDEN_PROPOSAL);
        }
        if self.leaving.contains(&leaf) {
            return Err(Refusal::Invalid("the device is leaving the group already"));
        }
        let delta = encode(&DeltaRef::Proposal(&queued)).ok_or(IMPOSSIBLE)?;
        Ok(CheckedProposal {
            queued: *queued,
            leaf,
            delta,
        })
    }

    /// Moves to the epoch that a Commit starts; with a snapshot of it where one is wanted. If the
    /// store then does not accept the Commit, the follower is to be dropped.
    pub(crate) fn advance(
        mut self,
        next: NextEpoch,
        wants_snapshot: bool,
    ) -> Result<(Self, Option<Vec<u8>>)> {
        let entities = if wants_snapshot {
            Entities::recording()
        } else {
            Entities::discarding()
        };
        self.merge(next.0, &entities)?;
        Ok((self, entities.into_snapshot()))
    }

    /// Takes a Proposal in.
    pub(crate) fn propose(mut self, proposal: CheckedProposal) -> Result<Self> {
        self.enqueue(proposal.queued, proposal.leaf)?;
        Ok(self)
    }

    /// Notes the place that the store gave to the message that was just taken in.
    pub(crate) fn accepted_at(&mut self, sequence: Sequence) {
        self.applied = sequence;
    }

    /// The ratchet tree, as in the `ratchet_tree` extension (RFC 9420 §12.4.3.3).
    pub(crate) fn ratchet_tree(&self) -> Result<Vec<u8>> {
        let tree = self.group.export_ratchet_tree();
        tree.tls_serialize_detached().map_err(|_| IMPOSSIBLE)
    }

    fn merge(&mut self, staged: StagedCommit, entities: &Entities) -> Result<()> {
        let merged = self.group.merge_commit(entities, staged);
        self.leaving.clear();
        merged.map_err(|_| IMPOSSIBLE)
    }

    fn enqueue(&mut self, queued: QueuedProposal, leaf: LeafNodeIndex) -> Result<()> {
        self.leaving.insert(leaf);
        let added = self.group.add_proposal(&Entities::discarding(), queued);
        added.map_err(|_| IMPOSSIBLE)
    }

    /// Reads a PublicMessage and holds that the leaf that signed it is the authenticated device's.
    fn parse_handshake(
        &self,
        message: &[u8],
        content: ContentType,
        sender: Committer<'_>,
    ) -> Result<(PublicMessageIn, LeafNodeIndex)> {
        let message = parse_public(message, content)?;
        let Sender::Member(leaf) = *message.sender() else {
            return Err(Refusal::Invalid("only members send to a group"));
        };
        let signer = self.group.leaf(leaf).map(LeafNode::signature_key);
        if signer.is_none_or(|key| key.as_slice() != sender.key.as_bytes()) {
            return Err(Refusal::Invalid(
                "the message is of another device than the caller",
            ));
        }
        Ok((message, leaf))
    }

    /// The devices that a Commit removes. No leaf may stay whose removal was asked for before.
    fn check_removed(&self, staged: &StagedCommit) -> Result<Vec<DeviceId>> {
        let removed: BTreeSet<LeafNodeIndex> = staged
            .queued_proposals()
            .filter_map(|queued| match (queued.proposal(), queued.sender()) {
                (Proposal::Remove(remove), _) => Some(remove.removed()),
                (Proposal::SelfRemove, Sender::Member(leaf)) => Some(*leaf),
                _ => None,
            })
            .collect();
        if !self.leaving.is_subset(&removed) {
            return Err(Refusal::LeavesStanding);
        }
        let device_of = |leaf: &LeafNodeIndex| {
            let leaf = self.group.leaf(*leaf).ok_or(IMPOSSIBLE)?;
            Ok(verified(leaf)?.address().device)
        };
        removed.iter().map(device_of).collect()
    }

    /// A leaf may get fresh keys and a renewed certificate, but stays the device it is. Gives the
    /// certificate that it had.
    fn check_own_leaf(
        &self,
        leaf: LeafNodeIndex,
        staged: &StagedCommit,
        now: UnixMillis,
    ) -> Result<DeviceCertificate> {
        let old = verified(self.group.leaf(leaf).ok_or(IMPOSSIBLE)?)?;
        let Some(new) = staged.update_path_leaf_node() else {
            return Ok(old);
        };
        check_capabilities(new)?;
        if certificate(new, now)?.same_device(&old) {
            Ok(old)
        } else {
            Err(Refusal::Invalid(
                "a leaf may not change the device that it stands for",
            ))
        }
    }
}

const IMPOSSIBLE: Refusal = Refusal::Internal("the group's public state is inconsistent");
const CORRUPT: Refusal = Refusal::Internal("the group's stored state is unreadable");

fn parse(message: &[u8]) -> Result<MlsMessageBodyIn> {
    MlsMessageIn::tls_deserialize_exact_bytes(message)
        .map(MlsMessageIn::extract)
        .map_err(|_| Refusal::Invalid("the message is not an encoding of an MLSMessage"))
}

fn parse_public(message: &[u8], content: ContentType) -> Result<PublicMessageIn> {
    let MlsMessageBodyIn::PublicMessage(message) = parse(message)? else {
        return Err(Refusal::Invalid("a handshake message is a PublicMessage"));
    };
    if message.content_type() == content {
        Ok(message)
    } else {
        Err(Refusal::Invalid(
            "the message is not of the kind it is sent as",
        ))
    }
}

fn parse_group_info(message: &[u8]) -> Result<VerifiableGroupInfo> {
    match parse(message)? {
        MlsMessageBodyIn::GroupInfo(group_info) => Ok(group_info),
        _ => Err(Refusal::Invalid("not a GroupInfo")),
    }
}

fn only_member(group: &PublicGroup, now: UnixMillis) -> Result<DeviceCertificate> {
    let mut leaves = group.treesync().full_leaves();
    let (Some((_, leaf)), None) = (leaves.next(), leaves.next()) else {
        return Err(Refusal::Invalid("a new group has one member"));
    };
    check_capabilities(leaf)?;
    certificate(leaf, now)
}
