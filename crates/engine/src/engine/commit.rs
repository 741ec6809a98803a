//! Making Commits, and what becomes of them.

use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceId, Epoch, GroupId, UnixMillis,
    limits::{ADDS_PER_COMMIT_MAX, COMMIT_BYTES_MAX},
};
use openmls::prelude::{
    CommitMessageBundle, LeafNodeIndex, LeafNodeParameters, MlsGroup, Proposal, Sender,
};

use super::{Engine, Provider, encode, epoch_of, leaf_of, load, load_active};
use crate::{Change, Effects, EngineError, KeyPackage, PreparedCommit, State, certificates};

impl Engine {
    /// Makes a Commit and keeps it as pending; Proposals that wait are committed by it too.
    ///
    /// Where this engine's device has another certificate than its leaf, the Commit renews it.
    ///
    /// # Errors
    /// [`EngineError::PendingCommit`], [`Leaving`](EngineError::Leaving),
    /// [`AlreadyMember`](EngineError::AlreadyMember), [`NotAMember`](EngineError::NotAMember),
    /// [`RemovesSelf`](EngineError::RemovesSelf), [`TooLarge`](EngineError::TooLarge),
    /// [`Certificate`](EngineError::Certificate).
    pub fn commit(
        &self,
        state: &dyn State,
        group: GroupId,
        change: Change,
        now: UnixMillis,
    ) -> Result<Effects<PreparedCommit>, EngineError> {
        self.device.check(now)?;
        self.transact(state, |provider| {
            let mut group = load_active(provider, group)?;
            if group.pending_commit().is_some() {
                return Err(EngineError::PendingCommit);
            }
            let epoch = epoch_of(&group);
            let plan = Plan::new(&group, &change, now)?;
            let messages = self.stage(provider, &mut group, change, plan.removes)?;
            let (commit, welcome, group_info) = encode_all(messages)?;
            Ok(PreparedCommit {
                epoch,
                commit,
                welcome,
                group_info,
                added: plan.added,
                removed: plan.removed,
            })
        })
    }

    /// Whether a Commit of this device is pending.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn has_pending_commit(
        &self,
        state: &dyn State,
        group: GroupId,
    ) -> Result<bool, EngineError> {
        self.look(state, |provider| {
            Ok(load(provider, group)?.pending_commit().is_some())
        })
    }

    /// Moves to the epoch that the pending Commit starts; gives that epoch.
    ///
    /// # Errors
    /// [`EngineError::NoPendingCommit`].
    pub fn merge_pending(
        &self,
        state: &dyn State,
        group: GroupId,
    ) -> Result<Effects<Epoch>, EngineError> {
        self.transact(state, |provider| {
            let mut group = load(provider, group)?;
            if group.pending_commit().is_none() {
                return Err(EngineError::NoPendingCommit);
            }
            group
                .merge_pending_commit(provider)
                .map_err(|_| EngineError::Internal("an own commit cannot be merged"))?;
            Ok(epoch_of(&group))
        })
    }

    /// Forgets the pending Commit, if there is one.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn discard_pending(
        &self,
        state: &dyn State,
        group: GroupId,
    ) -> Result<Effects<()>, EngineError> {
        self.transact(state, |provider| {
            load(provider, group)?
                .clear_pending_commit(&provider.storage)
                .map_err(|_| EngineError::Corrupt)
        })
    }

    fn stage(
        &self,
        provider: &Provider<'_>,
        group: &mut MlsGroup,
        change: Change,
        removes: Vec<LeafNodeIndex>,
    ) -> Result<CommitMessageBundle, EngineError> {
        let leaf = self.renewed_leaf(group)?;
        let is_update = change.adds.is_empty() && change.removes.is_empty();
        group
            .commit_builder()
            .consume_proposal_store(true)
            // RFC 9420 §12.4: a Commit that only adds needs no path, which saves a ciphertext for
            // every subtree. One that changes nothing has its path as its purpose.
            .force_self_update(is_update)
            .leaf_node_parameters(leaf)
            .propose_adds(change.adds.into_iter().map(KeyPackage::into_inner))
            .propose_removals(removes)
            .load_psks(&provider.storage)
            .map_err(EngineError::invalid)?
            .use_ratchet_tree_extension(false)
            .create_group_info(true)
            .build(provider.crypto, provider.crypto, &self.signer(), |_| true)
            .map_err(EngineError::invalid)?
            .stage_commit(provider)
            .map_err(|_| EngineError::Internal("a commit cannot be staged"))
    }

    /// Nothing, unless the device's certificate was renewed since it stands in the leaf.
    fn renewed_leaf(&self, group: &MlsGroup) -> Result<LeafNodeParameters, EngineError> {
        let ours = self.device.credential_with_key();
        if *group.credential().map_err(|_| EngineError::Evicted)? == ours.credential {
            return Ok(LeafNodeParameters::default());
        }
        Ok(LeafNodeParameters::builder()
            .with_credential_with_key(ours)
            .build())
    }
}

/// What a Commit will do to the roster.
struct Plan {
    removes: Vec<LeafNodeIndex>,
    added: Vec<DeviceCertificate>,
    removed: Vec<DeviceAddress>,
}

impl Plan {
    fn new(group: &MlsGroup, change: &Change, now: UnixMillis) -> Result<Self, EngineError> {
        if change.adds.len() > ADDS_PER_COMMIT_MAX {
            return Err(EngineError::TooLarge);
        }
        let leaving = leaving(group);
        if leaving.contains(&group.own_leaf_index()) {
            return Err(EngineError::Leaving);
        }
        // A device that asked to leave is removed by that.
        let mut removes = removed_leaves(group, &change.removes)?;
        removes.retain(|leaf| !leaving.contains(leaf));

        let mut roster = certificates::Roster::default();
        let mut removed = Vec::new();
        for member in certificates::members(group) {
            let (leaf, certificate) = member?;
            if leaving.contains(&leaf) || removes.contains(&leaf) {
                removed.push(certificate.address().clone());
            } else {
                roster.admit(&certificate)?;
            }
        }
        for add in &change.adds {
            add.check(now)?;
            if roster.has_device(add.certificate().address().device) {
                return Err(EngineError::AlreadyMember);
            }
            roster.admit(add.certificate())?;
        }
        Ok(Self {
            removes,
            added: change
                .adds
                .iter()
                .map(KeyPackage::certificate)
                .cloned()
                .collect(),
            removed,
        })
    }
}

/// The Commit, the Welcome if there is one, and the GroupInfo, as they go to the service.
fn encode_all(
    messages: CommitMessageBundle,
) -> Result<(Vec<u8>, Option<Vec<u8>>, Vec<u8>), EngineError> {
    let (commit, welcome, group_info) = messages.into_messages();
    let group_info = group_info.ok_or(EngineError::Internal("a commit lacks its GroupInfo"))?;
    let commit = encode(&commit)?;
    if commit.len() > COMMIT_BYTES_MAX {
        return Err(EngineError::TooLarge);
    }
    let welcome = welcome.as_ref().map(encode).transpose()?;
    Ok((commit, welcome, encode(&group_info)?))
}

/// The leaves whose devices asked to leave in this epoch.
pub(super) fn leaving(group: &MlsGroup) -> Vec<LeafNodeIndex> {
    group
        .pending_proposals()
        .filter_map(|queued| match (queued.proposal(), queued.sender()) {
            (Proposal::SelfRemove, Sender::Member(leaf)) => Some(*leaf),
            _ => None,
        })
        .collect()
}

fn removed_leaves(
    group: &MlsGroup,
    devices: &[DeviceId],
) -> Result<Vec<LeafNodeIndex>, EngineError> {
    let mut leaves = Vec::with_capacity(devices.len());
    for device in devices {
        let leaf = leaf_of(group, *device)?.ok_or(EngineError::NotAMember)?;
        // RFC 9420 §12.2: a committer does not remove itself.
        if leaf == group.own_leaf_index() {
            return Err(EngineError::RemovesSelf);
        }
        leaves.push(leaf);
    }
    Ok(leaves)
}
