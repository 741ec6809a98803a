//! OpenMLS's storage on the key-value state.
//!
//! Reads look into the writes of the running operation first and into the committed state behind
//! them; writes go into the operation's [`WriteSet`](crate::WriteSet) only. A key is a [`Kind`], which names the kind
//! of entity, followed by OpenMLS's own key in the [codec](crate::codec). An encoded value tells
//! where it ends, so no two keys of a kind run into each other.
//!
//! What is large is not written as a whole each time: of a tree, what has changed ([`tree`]); of the
//! secrets of messages, also those of a Commit that is pending, what is there ([`squeeze`]).

mod number;
mod overlay;
mod pieces;
mod splices;
mod squeeze;
mod tree;
mod verified;

use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};

pub(crate) use self::{
    overlay::{Overlay, StorageError},
    tree::StoredTree,
    verified::Hash,
};

/// The kinds of entity. The numbers are on disk: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    JoinConfig = 1,
    OwnLeafNodes = 2,
    ProposalRefs = 3,
    Proposal = 4,
    Tree = 5,
    InterimTranscriptHash = 6,
    GroupContext = 7,
    ConfirmationTag = 8,
    GroupState = 9,
    MessageSecrets = 10,
    ResumptionPsks = 11,
    OwnLeafIndex = 12,
    EpochSecrets = 13,
    ExportTree = 14,
    SignatureKeyPair = 15,
    EncryptionKeyPair = 16,
    EpochKeyPairs = 17,
    KeyPackage = 18,
    Psk = 19,
    Lease = 20,
    TreeSplices = 21,
    TreePatch = 22,
    Verified = 23,
}

type Stored = Result<(), StorageError>;

/// The methods that store, load or delete one entity under one key. Each line names the method, its
/// generics in the order of the trait, and what is the key of what.
macro_rules! entities {
    () => {};
    (put $name:ident<$($generic:ident),+> $key:ident => $entity:ident at $kind:ident; $($rest:tt)*) => {
        fn $name<$($generic: traits::$generic<CURRENT_VERSION>),+>(
            &self, key: &$key, entity: &$entity,
        ) -> Stored {
            self.put(Kind::$kind, key, entity)
        }
        entities! { $($rest)* }
    };
    (get $name:ident<$($generic:ident),+> $key:ident => $entity:ident at $kind:ident; $($rest:tt)*) => {
        fn $name<$($generic: traits::$generic<CURRENT_VERSION>),+>(
            &self, key: &$key,
        ) -> Result<Option<$entity>, StorageError> {
            self.get(Kind::$kind, key)
        }
        entities! { $($rest)* }
    };
    (delete $name:ident<$($generic:ident),+> $key:ident at $kind:ident; $($rest:tt)*) => {
        fn $name<$($generic: traits::$generic<CURRENT_VERSION>),+>(&self, key: &$key) -> Stored {
            self.delete(Kind::$kind, key)
        }
        entities! { $($rest)* }
    };
}

impl StorageProvider<CURRENT_VERSION> for Overlay<'_> {
    type Error = StorageError;

    entities! {
        put write_mls_join_config<GroupId, MlsGroupJoinConfig>
            GroupId => MlsGroupJoinConfig at JoinConfig;
        get mls_group_join_config<GroupId, MlsGroupJoinConfig>
            GroupId => MlsGroupJoinConfig at JoinConfig;
        delete delete_group_config<GroupId> GroupId at JoinConfig;

        put write_tree<GroupId, TreeSync> GroupId => TreeSync at Tree;
        get tree<GroupId, TreeSync> GroupId => TreeSync at Tree;
        delete delete_tree<GroupId> GroupId at Tree;

        put write_interim_transcript_hash<GroupId, InterimTranscriptHash>
            GroupId => InterimTranscriptHash at InterimTranscriptHash;
        get interim_transcript_hash<GroupId, InterimTranscriptHash>
            GroupId => InterimTranscriptHash at InterimTranscriptHash;
        delete delete_interim_transcript_hash<GroupId> GroupId at InterimTranscriptHash;

        put write_context<GroupId, GroupContext> GroupId => GroupContext at GroupContext;
        get group_context<GroupId, GroupContext> GroupId => GroupContext at GroupContext;
        delete delete_context<GroupId> GroupId at GroupContext;

        put write_confirmation_tag<GroupId, ConfirmationTag>
            GroupId => ConfirmationTag at ConfirmationTag;
        get confirmation_tag<GroupId, ConfirmationTag>
            GroupId => ConfirmationTag at ConfirmationTag;
        delete delete_confirmation_tag<GroupId> GroupId at ConfirmationTag;

        put write_group_state<GroupState, GroupId> GroupId => GroupState at GroupState;
        get group_state<GroupState, GroupId> GroupId => GroupState at GroupState;
        delete delete_group_state<GroupId> GroupId at GroupState;

        put write_message_secrets<GroupId, MessageSecrets>
            GroupId => MessageSecrets at MessageSecrets;
        get message_secrets<GroupId, MessageSecrets> GroupId => MessageSecrets at MessageSecrets;
        delete delete_message_secrets<GroupId> GroupId at MessageSecrets;

        put write_resumption_psk_store<GroupId, ResumptionPskStore>
            GroupId => ResumptionPskStore at ResumptionPsks;
        get resumption_psk_store<GroupId, ResumptionPskStore>
            GroupId => ResumptionPskStore at ResumptionPsks;
        delete delete_all_resumption_psk_secrets<GroupId> GroupId at ResumptionPsks;

        put write_own_leaf_index<GroupId, LeafNodeIndex>
            GroupId => LeafNodeIndex at OwnLeafIndex;
        get own_leaf_index<GroupId, LeafNodeIndex> GroupId => LeafNodeIndex at OwnLeafIndex;
        delete delete_own_leaf_index<GroupId> GroupId at OwnLeafIndex;

        put write_group_epoch_secrets<GroupId, GroupEpochSecrets>
            GroupId => GroupEpochSecrets at EpochSecrets;
        get group_epoch_secrets<GroupId, GroupEpochSecrets>
            GroupId => GroupEpochSecrets at EpochSecrets;
        delete delete_group_epoch_secrets<GroupId> GroupId at EpochSecrets;

        put write_application_export_tree<GroupId, ApplicationExportTree>
            GroupId => ApplicationExportTree at ExportTree;
        get application_export_tree<GroupId, ApplicationExportTree>
            GroupId => ApplicationExportTree at ExportTree;
        delete delete_application_export_tree<GroupId, ApplicationExportTree>
            GroupId at ExportTree;

        put write_signature_key_pair<SignaturePublicKey, SignatureKeyPair>
            SignaturePublicKey => SignatureKeyPair at SignatureKeyPair;
        get signature_key_pair<SignaturePublicKey, SignatureKeyPair>
            SignaturePublicKey => SignatureKeyPair at SignatureKeyPair;
        delete delete_signature_key_pair<SignaturePublicKey>
            SignaturePublicKey at SignatureKeyPair;

        put write_encryption_key_pair<EncryptionKey, HpkeKeyPair>
            EncryptionKey => HpkeKeyPair at EncryptionKeyPair;
        get encryption_key_pair<HpkeKeyPair, EncryptionKey>
            EncryptionKey => HpkeKeyPair at EncryptionKeyPair;
        delete delete_encryption_key_pair<EncryptionKey> EncryptionKey at EncryptionKeyPair;

        put write_key_package<HashReference, KeyPackage>
            HashReference => KeyPackage at KeyPackage;
        delete delete_psk<PskId> PskId at Psk;

        put write_psk<PskId, PskBundle> PskId => PskBundle at Psk;
        get psk<PskBundle, PskId> PskId => PskBundle at Psk;
    }

    // The trait gives the key of a KeyPackage another name where it is read.

    fn key_package<
        KeyPackageRef: traits::HashReference<CURRENT_VERSION>,
        KeyPackage: traits::KeyPackage<CURRENT_VERSION>,
    >(
        &self,
        hash_ref: &KeyPackageRef,
    ) -> Result<Option<KeyPackage>, StorageError> {
        self.get(Kind::KeyPackage, hash_ref)
    }

    fn delete_key_package<KeyPackageRef: traits::HashReference<CURRENT_VERSION>>(
        &self,
        hash_ref: &KeyPackageRef,
    ) -> Stored {
        self.delete(Kind::KeyPackage, hash_ref)
    }

    fn append_own_leaf_node<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        LeafNode: traits::LeafNode<CURRENT_VERSION>,
    >(
        &self,
        group: &GroupId,
        leaf_node: &LeafNode,
    ) -> Stored {
        self.append(Kind::OwnLeafNodes, group, leaf_node)
    }

    fn own_leaf_nodes<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        LeafNode: traits::LeafNode<CURRENT_VERSION>,
    >(
        &self,
        group: &GroupId,
    ) -> Result<Vec<LeafNode>, StorageError> {
        self.list(Kind::OwnLeafNodes, group)
    }

    fn delete_own_leaf_nodes<GroupId: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &GroupId,
    ) -> Stored {
        self.delete(Kind::OwnLeafNodes, group)
    }

    fn write_encryption_epoch_key_pairs<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        EpochKey: traits::EpochKey<CURRENT_VERSION>,
        HpkeKeyPair: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
        key_pairs: &[HpkeKeyPair],
    ) -> Stored {
        self.put_list(Kind::EpochKeyPairs, &(group, epoch, leaf_index), key_pairs)
    }

    fn encryption_epoch_key_pairs<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        EpochKey: traits::EpochKey<CURRENT_VERSION>,
        HpkeKeyPair: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
    ) -> Result<Vec<HpkeKeyPair>, StorageError> {
        self.list(Kind::EpochKeyPairs, &(group, epoch, leaf_index))
    }

    fn delete_encryption_epoch_key_pairs<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        EpochKey: traits::EpochKey<CURRENT_VERSION>,
    >(
        &self,
        group: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
    ) -> Stored {
        self.delete(Kind::EpochKeyPairs, &(group, epoch, leaf_index))
    }

    // Proposals are stored one by one, and their references as a list.

    fn queue_proposal<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
        QueuedProposal: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group: &GroupId,
        reference: &ProposalRef,
        proposal: &QueuedProposal,
    ) -> Stored {
        self.put(Kind::Proposal, &(group, reference), proposal)?;
        self.append(Kind::ProposalRefs, group, reference)
    }

    fn queued_proposal_refs<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &GroupId,
    ) -> Result<Vec<ProposalRef>, StorageError> {
        self.list(Kind::ProposalRefs, group)
    }

    fn queued_proposals<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
        QueuedProposal: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group: &GroupId,
    ) -> Result<Vec<(ProposalRef, QueuedProposal)>, StorageError> {
        let references: Vec<ProposalRef> = self.list(Kind::ProposalRefs, group)?;
        references
            .into_iter()
            .map(|reference| {
                let proposal = self.get(Kind::Proposal, &(group, &reference))?;
                Ok((reference, proposal.ok_or_else(|| self.corrupt())?))
            })
            .collect()
    }

    fn remove_proposal<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &GroupId,
        reference: &ProposalRef,
    ) -> Stored {
        let removed = self.key(Kind::Proposal, &(group, reference))?;
        let mut kept: Vec<ProposalRef> = Vec::new();
        for candidate in self.list(Kind::ProposalRefs, group)? {
            if self.key(Kind::Proposal, &(group, &candidate))? != removed {
                kept.push(candidate);
            }
        }
        self.writes.borrow_mut().delete(removed);
        self.put_list(Kind::ProposalRefs, group, &kept)
    }

    fn clear_proposal_queue<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &GroupId,
    ) -> Stored {
        for reference in self.list::<ProposalRef>(Kind::ProposalRefs, group)? {
            self.delete(Kind::Proposal, &(group, reference))?;
        }
        self.delete(Kind::ProposalRefs, group)
    }
}
