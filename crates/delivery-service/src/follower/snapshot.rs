//! How a `PublicGroup` and its changes become bytes and come back.
//!
//! OpenMLS writes the whole tree on every merge, to wherever it is told: mostly to nowhere.

use std::cell::RefCell;

use openmls::group::{QueuedProposal, StagedCommit};
use openmls_traits::{
    public_storage::PublicStorageProvider,
    storage::{CURRENT_VERSION as V, traits},
};
use rmp_serde::config::BytesMode;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;
use tls_codec::{
    DeserializeBytes as _, Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes,
};

/// What a handshake message changes, on its way into the store.
#[derive(Serialize)]
pub(super) enum DeltaRef<'a> {
    Commit(&'a StagedCommit),
    Proposal(&'a QueuedProposal),
}

/// What a handshake message changed, out of the store.
#[derive(Deserialize)]
pub(super) enum Delta {
    Commit(Box<StagedCommit>),
    Proposal(Box<QueuedProposal>),
}

/// Encodes as MessagePack: OpenMLS's types need a format that describes itself, and JSON takes
/// three times the room.
pub(super) fn encode(value: &impl Serialize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    // Byte strings of `tls_codec` call themselves sequences of numbers, and would take 1.5 bytes a
    // byte: they are written as what they are.
    let mut serializer =
        rmp_serde::Serializer::new(&mut bytes).with_bytes(BytesMode::ForceIterables);
    value.serialize(&mut serializer).ok()?;
    Some(bytes)
}

/// Decodes what [`encode`] wrote.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    rmp_serde::from_slice(bytes).ok()
}

/// The place that OpenMLS writes a group to and loads it from.
pub(super) struct Entities {
    records: bool,
    parts: RefCell<Parts>,
}

/// A snapshot: each part in its own encoding. The proposals that wait are not in it: snapshots are
/// taken at Commits, and after one none wait.
#[derive(TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct Parts {
    tree: VLBytes,
    context: VLBytes,
    interim_transcript_hash: VLBytes,
    confirmation_tag: VLBytes,
}

impl Default for Parts {
    fn default() -> Self {
        let empty = || VLBytes::new(Vec::new());
        Self {
            tree: empty(),
            context: empty(),
            interim_transcript_hash: empty(),
            confirmation_tag: empty(),
        }
    }
}

/// A part that can't be encoded or decoded.
#[derive(Debug, Error)]
#[error("a part of the group's public state is unreadable")]
pub(super) struct PartError;

impl Entities {
    /// Keeps what is written.
    pub(super) fn recording() -> Self {
        Self {
            records: true,
            parts: RefCell::default(),
        }
    }

    /// Drops what is written, before it costs anything.
    pub(super) fn discarding() -> Self {
        Self {
            records: false,
            parts: RefCell::default(),
        }
    }

    /// Holds what a snapshot holds.
    pub(super) fn from_snapshot(bytes: &[u8]) -> Option<Self> {
        let parts = Parts::tls_deserialize_exact_bytes(bytes).ok()?;
        Some(Self {
            records: false,
            parts: RefCell::new(parts),
        })
    }

    /// What was written; `None` where nothing was kept.
    pub(super) fn into_snapshot(self) -> Option<Vec<u8>> {
        let parts = self.parts.into_inner();
        self.records.then(|| parts.tls_serialize_detached().ok())?
    }

    fn write<T: Serialize>(
        &self,
        part: impl FnOnce(&mut Parts) -> &mut VLBytes,
        value: &T,
    ) -> Result<(), PartError> {
        if self.records {
            *part(&mut self.parts.borrow_mut()) = encode(value).ok_or(PartError)?.into();
        }
        Ok(())
    }

    fn read<T: DeserializeOwned>(
        &self,
        part: impl FnOnce(&Parts) -> &VLBytes,
    ) -> Result<Option<T>, PartError> {
        let parts = self.parts.borrow();
        decode(part(&parts).as_slice()).map(Some).ok_or(PartError)
    }
}

type Done = Result<(), PartError>;

impl PublicStorageProvider<V> for Entities {
    type PublicError = PartError;

    fn write_tree<G: traits::GroupId<V>, T: traits::TreeSync<V>>(&self, _: &G, tree: &T) -> Done {
        self.write(|parts| &mut parts.tree, tree)
    }

    fn write_interim_transcript_hash<G: traits::GroupId<V>, T: traits::InterimTranscriptHash<V>>(
        &self,
        _: &G,
        hash: &T,
    ) -> Done {
        self.write(|parts| &mut parts.interim_transcript_hash, hash)
    }

    fn write_context<G: traits::GroupId<V>, T: traits::GroupContext<V>>(
        &self,
        _: &G,
        context: &T,
    ) -> Done {
        self.write(|parts| &mut parts.context, context)
    }

    fn write_confirmation_tag<G: traits::GroupId<V>, T: traits::ConfirmationTag<V>>(
        &self,
        _: &G,
        tag: &T,
    ) -> Done {
        self.write(|parts| &mut parts.confirmation_tag, tag)
    }

    fn tree<G: traits::GroupId<V>, T: traits::TreeSync<V>>(
        &self,
        _: &G,
    ) -> Result<Option<T>, PartError> {
        self.read(|parts| &parts.tree)
    }

    fn group_context<G: traits::GroupId<V>, T: traits::GroupContext<V>>(
        &self,
        _: &G,
    ) -> Result<Option<T>, PartError> {
        self.read(|parts| &parts.context)
    }

    fn interim_transcript_hash<G: traits::GroupId<V>, T: traits::InterimTranscriptHash<V>>(
        &self,
        _: &G,
    ) -> Result<Option<T>, PartError> {
        self.read(|parts| &parts.interim_transcript_hash)
    }

    fn confirmation_tag<G: traits::GroupId<V>, T: traits::ConfirmationTag<V>>(
        &self,
        _: &G,
    ) -> Result<Option<T>, PartError> {
        self.read(|parts| &parts.confirmation_tag)
    }

    // Proposals that wait stand in the store as deltas, and groups are deleted with all else there.

    fn queue_proposal<
        G: traits::GroupId<V>,
        R: traits::ProposalRef<V>,
        P: traits::QueuedProposal<V>,
    >(
        &self,
        _: &G,
        _: &R,
        _: &P,
    ) -> Done {
        Ok(())
    }

    fn queued_proposals<
        G: traits::GroupId<V>,
        R: traits::ProposalRef<V>,
        P: traits::QueuedProposal<V>,
    >(
        &self,
        _: &G,
    ) -> Result<Vec<(R, P)>, PartError> {
        Ok(Vec::new())
    }

    fn delete_tree<G: traits::GroupId<V>>(&self, _: &G) -> Done {
        Ok(())
    }

    fn delete_confirmation_tag<G: traits::GroupId<V>>(&self, _: &G) -> Done {
        Ok(())
    }

    fn delete_context<G: traits::GroupId<V>>(&self, _: &G) -> Done {
        Ok(())
    }

    fn delete_interim_transcript_hash<G: traits::GroupId<V>>(&self, _: &G) -> Done {
        Ok(())
    }

    fn remove_proposal<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        _: &G,
        _: &R,
    ) -> Done {
        Ok(())
    }

    fn clear_proposal_queue<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        _: &G,
    ) -> Done {
        Ok(())
    }
}
