//! The service's copy of a group's public state: what it refuses before a message takes the epoch.
//!
//! The only room that knows OpenMLS, whose `PublicGroup` does the work until our own tree does. All
//! that goes in is bytes and our types, and all that comes out. What only members can check
//! (confirmation tags, path ciphertexts, membership tags) is not checked here.
//!
//! A follower is stored as a [`Snapshot`](crate::store::Snapshot) and the *deltas* of the handshake
//! messages since. A delta is what a checked message changes, so a restart applies it without
//! judging it again by a clock that has moved on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use conclave_crypto::Crypto;
use conclave_protocol::{
    COMPONENT_RULES, CREDENTIAL_TYPE, DeviceCertificate, DeviceId, Epoch, GroupId, GroupRules,
    Sequence, UnixMillis, VerifyingKey,
    limits::{
        ADDS_PER_COMMIT_MAX, CLOCK_SKEW, GROUP_CONTEXT_BYTES_MAX, KEY_PACKAGE_LIFETIME,
        KEY_PACKAGE_REMAINING_MIN,
    },
};
use openmls::{
    group::{GroupContext, ProposalStore, PublicGroup, QueuedProposal, StagedCommit},
    messages::group_info::VerifiableGroupInfo,
    prelude::{
        Ciphersuite, ConfirmationTag, ContentType, CredentialType, ExtensionType, KeyPackageIn,
        LeafNode, LeafNodeIndex, MlsMessageBodyIn, MlsMessageIn, OpenMlsSignaturePublicKey,
        ProcessedMessageContent, Proposal, ProposalOrRefType, ProposalType, ProtocolVersion,
        PublicMessageIn, RatchetTreeIn, Sender, SignatureScheme, Verifiable as _,
    },
};
use tls_codec::{DeserializeBytes as _, Serialize as _};

use crate::{error::Refusal, store::StockedKeyPackage, wire::SlicedWelcome};
use snapshot::{Entities, decode, encode};

mod snapshot;

/// The suite of every group and KeyPackage: the one that devices' keys are made for.
const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;

/// Nothing here draws randomness or keeps secrets, so one provider serves all.
static CRYPTO: LazyLock<Crypto> = LazyLock::new(Crypto::default);

type Result<T, E = Refusal> = std::result::Result<T, E>;

/// A KeyPackage that may be kept in stock.
#[derive(Debug)]
pub(crate) struct CheckedKeyPackage {
    /// Whose it is.
    pub(crate) certificate: DeviceCertificate,
    /// What is kept.
    pub(crate) stocked: StockedKeyPackage,
    /// Whether it says that it may be used more than once (RFC 9420 §16.8).
    pub(crate) is_last_resort: bool,
}

impl CheckedKeyPackage {
    /// Checks an MLSMessage with a KeyPackage (RFC 9420 §10.1) that is uploaded now.
    pub(crate) fn check(message: &[u8], now: UnixMillis) -> Result<Self> {
        let MlsMessageBodyIn::KeyPackage(package) = parse(message)? else {
            return Err(Refusal::Invalid("not a KeyPackage"));
        };
        let package = KeyPackageIn::validate(package, &*CRYPTO, ProtocolVersion::Mls10)
            .map_err(|_| Refusal::Invalid("the KeyPackage is not valid in MLS"))?;
        if package.ciphersuite() != SUITE {
            return Err(Refusal::Invalid(
                "the KeyPackage is of another cipher suite",
            ));
        }
        let certificate = certificate(package.leaf_node(), now)?;
        check_capabilities(package.leaf_node())?;
        let expires_seconds = package.life_time().not_after();
        let remaining = expires_seconds.saturating_sub(now.as_seconds());
        let longest = KEY_PACKAGE_LIFETIME.as_secs() + CLOCK_SKEW.as_secs();
        if !(KEY_PACKAGE_REMAINING_MIN.as_secs()..=longest).contains(&remaining) {
            return Err(Refusal::Invalid(
                "the KeyPackage has too short or long a lifetime",
            ));
        }
        let reference = package.hash_ref(&*CRYPTO).map_err(|_| IMPOSSIBLE)?;
        Ok(Self {
            certificate,
            stocked: StockedKeyPackage {
                reference: reference.as_slice().to_vec(),
                expires_seconds,
                message: message.to_vec(),
            },
            is_last_resort: package.last_resort(),
        })
    }
}

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
    /// The devices that it adds, each with its slice of the Welcome.
    pub(crate) added: Vec<(DeviceCertificate, Vec<u8>)>,
    /// What the added share of the Welcome; empty where there are none.
    pub(crate) welcome_shared: Vec<u8>,
    /// The devices that it removes.
    pub(crate) removed: Vec<DeviceId>,
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
        Ok(Founded {
            founder: only_member(&group, now)?,
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
            snapshot::Delta::Commit(staged) => self.merge(*staged, &Entities::discarding())?,
            snapshot::Delta::Proposal(queued) => {
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
        let tag = message.confirmation_tag().cloned();
        let tag = tag.ok_or(Refusal::Invalid("a Commit carries a confirmation tag"))?;
        let processed = self.group.process_message(&*CRYPTO, message);
        let processed =
            processed.map_err(|_| Refusal::Invalid("the Commit is not valid in MLS"))?;
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            return Err(FORBIDDEN_PROPOSAL);
        };
        check_kinds(&staged)?;
        let removed = self.check_removed(&staged)?;
        self.check_own_leaf(leaf, &staged, committer.now)?;
        check_group_info(group_info, &staged, &tag, leaf, committer.key)?;
        let added = added(&staged, committer.now)?;
        let (added, welcome_shared) = check_welcome(welcome, added)?;
        let delta = encode(&snapshot::DeltaRef::Commit(&staged)).ok_or(IMPOSSIBLE)?;
        Ok(CheckedCommit {
            next: NextEpoch(*staged),
            delta,
            added,
            welcome_shared,
            removed,
        })
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
        let delta = encode(&snapshot::DeltaRef::Proposal(&queued)).ok_or(IMPOSSIBLE)?;
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
        let MlsMessageBodyIn::PublicMessage(message) = parse(message)? else {
            return Err(Refusal::Invalid("a handshake message is a PublicMessage"));
        };
        if message.content_type() != content {
            return Err(Refusal::Invalid(
                "the message is not of the kind it is sent as",
            ));
        }
        let leaf = match message.sender() {
            Sender::Member(leaf) => *leaf,
            Sender::NewMemberCommit => {
                return Err(Refusal::NotBuilt("external Commits are not accepted yet"));
            }
            _ => return Err(Refusal::Invalid("only members send to a group")),
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
            return Err(Refusal::Invalid(
                "a Commit has to remove every member that is leaving",
            ));
        }
        let device_of = |leaf: &LeafNodeIndex| {
            let leaf = self.group.leaf(*leaf).ok_or(IMPOSSIBLE)?;
            Ok(verified(leaf)?.address().device)
        };
        removed.iter().map(device_of).collect()
    }

    /// A leaf may get fresh keys and a renewed certificate, but stays the device it is.
    fn check_own_leaf(
        &self,
        leaf: LeafNodeIndex,
        staged: &StagedCommit,
        now: UnixMillis,
    ) -> Result<()> {
        let Some(new) = staged.update_path_leaf_node() else {
            return Ok(());
        };
        let old = verified(self.group.leaf(leaf).ok_or(IMPOSSIBLE)?)?;
        check_capabilities(new)?;
        if certificate(new, now)?.same_device(&old) {
            Ok(())
        } else {
            Err(Refusal::Invalid(
                "a leaf may not change the device that it stands for",
            ))
        }
    }
}

const FORBIDDEN_PROPOSAL: Refusal =
    Refusal::Invalid("the group's rules do not allow this Proposal, or not in this way");
const IMPOSSIBLE: Refusal = Refusal::Internal("the group's public state is inconsistent");
const CORRUPT: Refusal = Refusal::Internal("the group's stored state is unreadable");

fn parse(message: &[u8]) -> Result<MlsMessageBodyIn> {
    MlsMessageIn::tls_deserialize_exact_bytes(message)
        .map(MlsMessageIn::extract)
        .map_err(|_| Refusal::Invalid("the message is not an encoding of an MLSMessage"))
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

/// Rules version 1, as far as the GroupContext shows them. No Proposal can change it later.
fn check_context(context: &GroupContext) -> Result<()> {
    let extensions = context.extensions();
    let bytes = extensions
        .tls_serialize_detached()
        .map_err(|_| IMPOSSIBLE)?;
    if bytes.len() > GROUP_CONTEXT_BYTES_MAX {
        return Err(Refusal::Invalid("the GroupContext is too large"));
    }
    if context.ciphersuite() != SUITE {
        return Err(Refusal::Invalid("the group is of another cipher suite"));
    }
    if extensions.external_senders().is_some() {
        return Err(Refusal::Invalid(
            "the group's rules do not allow external senders",
        ));
    }
    let required = extensions.required_capabilities().is_some_and(|required| {
        required
            .proposal_types()
            .contains(&ProposalType::SelfRemove)
            && required.credential_types().contains(&CREDENTIAL)
    });
    let rules = extensions
        .app_data_dictionary()
        .and_then(|extension| extension.dictionary().get(&COMPONENT_RULES));
    let follows_rules = rules.is_some_and(|rules| GroupRules::from_bytes(rules).is_ok());
    if required && follows_rules {
        Ok(())
    } else {
        Err(Refusal::Invalid(
            "the group lacks the required capabilities or known rules",
        ))
    }
}

const CREDENTIAL: CredentialType = CredentialType::Other(CREDENTIAL_TYPE);

/// What every leaf has to support, whatever a group says.
fn check_capabilities(leaf: &LeafNode) -> Result<()> {
    let stated = leaf.capabilities();
    if stated.proposals().contains(&ProposalType::SelfRemove)
        && stated.credentials().contains(&CREDENTIAL)
        && stated
            .extensions()
            .contains(&ExtensionType::AppDataDictionary)
    {
        Ok(())
    } else {
        Err(Refusal::Invalid(
            "a leaf lacks a capability that the rules require",
        ))
    }
}

/// The certificate of a new leaf, checked for its key and for now.
fn certificate(leaf: &LeafNode, now: UnixMillis) -> Result<DeviceCertificate> {
    let refused = |_| Refusal::Invalid("a leaf's device certificate is not valid");
    if leaf.credential().credential_type() != CREDENTIAL {
        return Err(Refusal::Invalid(
            "a leaf's credential is no device certificate",
        ));
    }
    let certificate = DeviceCertificate::from_bytes(leaf.credential().serialized_content());
    let certificate = certificate.map_err(refused)?;
    // RFC 9420 §5.3.1: the credential has to be for the key that the leaf signs with.
    certificate
        .check(leaf.signature_key().as_slice(), now)
        .map_err(refused)?;
    Ok(certificate)
}

/// The certificate of a leaf in the tree, which was checked when it came in.
fn verified(leaf: &LeafNode) -> Result<DeviceCertificate> {
    DeviceCertificate::from_verified_bytes(leaf.credential().serialized_content())
        .map_err(|_| CORRUPT)
}

/// Rules version 1: members are added and removed by value, and leave by reference.
fn check_kinds(staged: &StagedCommit) -> Result<()> {
    let allowed = staged.queued_proposals().all(|queued| {
        matches!(
            (queued.proposal(), queued.proposal_or_ref_type()),
            (
                Proposal::Add(_) | Proposal::Remove(_),
                ProposalOrRefType::Proposal
            ) | (Proposal::SelfRemove, ProposalOrRefType::Reference)
        )
    });
    if !allowed {
        return Err(FORBIDDEN_PROPOSAL);
    }
    if staged.add_proposals().count() > ADDS_PER_COMMIT_MAX {
        return Err(Refusal::Invalid("the Commit adds too many devices"));
    }
    Ok(())
}

/// The devices that a Commit adds, each with its KeyPackageRef.
fn added(staged: &StagedCommit, now: UnixMillis) -> Result<Vec<(DeviceCertificate, Vec<u8>)>> {
    staged
        .add_proposals()
        .map(|add| {
            let package = add.add_proposal().key_package();
            check_capabilities(package.leaf_node())?;
            let reference = package.hash_ref(&*CRYPTO).map_err(|_| IMPOSSIBLE)?;
            let certificate = certificate(package.leaf_node(), now)?;
            Ok((certificate, reference.as_slice().to_vec()))
        })
        .collect()
}

/// Holds that a Welcome is for the added and nobody else, and gives each its slice.
fn check_welcome(
    welcome: &[u8],
    added: Vec<(DeviceCertificate, Vec<u8>)>,
) -> Result<(Vec<(DeviceCertificate, Vec<u8>)>, Vec<u8>)> {
    if added.is_empty() && welcome.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let SlicedWelcome { shared, joiners } = SlicedWelcome::cut(welcome)?;
    let mut slices: BTreeMap<_, _> = joiners.into_iter().collect();
    let count = slices.len();
    let sliced: Option<Vec<_>> = added
        .into_iter()
        .map(|(certificate, reference)| Some((certificate, slices.remove(&reference)?)))
        .collect();
    match sliced {
        Some(sliced) if sliced.len() == count => Ok((sliced, shared)),
        _ => Err(Refusal::Invalid(
            "the Welcome is not for exactly the devices that are added",
        )),
    }
}

/// Holds that a GroupInfo is of the epoch that the Commit starts, in every byte that the service
/// can know, and signed by the committer (RFC 9420 §12.4.3).
fn check_group_info(
    message: &[u8],
    staged: &StagedCommit,
    tag: &ConfirmationTag,
    signer: LeafNodeIndex,
    key: &VerifyingKey,
) -> Result<()> {
    let group_info = parse_group_info(message)?;
    let other = Refusal::Invalid("the GroupInfo is not of the epoch that the Commit starts");
    if group_info.extensions().ratchet_tree().is_some() {
        return Err(Refusal::Invalid(
            "a GroupInfo comes without the ratchet tree",
        ));
    }
    // GroupInfoTBS, written down from what it has to hold.
    let mut expected = Vec::new();
    let extensions = group_info.extensions();
    let written = staged
        .group_context()
        .tls_serialize(&mut expected)
        .and_then(|_| extensions.tls_serialize(&mut expected))
        .and_then(|_| tag.tls_serialize(&mut expected))
        .and_then(|_| signer.u32().tls_serialize(&mut expected));
    written.map_err(|_| IMPOSSIBLE)?;
    if group_info.unsigned_payload().map_err(|_| IMPOSSIBLE)? != expected {
        return Err(other);
    }
    let key = OpenMlsSignaturePublicKey::new(key.as_bytes()[..].into(), SignatureScheme::ED25519)
        .map_err(|_| IMPOSSIBLE)?;
    group_info
        .verify_no_out(&*CRYPTO, &key)
        .map_err(|_| Refusal::Invalid("the GroupInfo's signature does not verify"))
}
