//! Making Commits, and what becomes of them.

use std::collections::BTreeSet;

use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceId, Epoch, GroupId, UnixMillis,
    limits::{ADDS_PER_COMMIT_MAX, COMMIT_BYTES_MAX, WELCOME_BYTES_MAX},
};
use openmls::prelude::{
    CommitMessageBundle, LeafNodeIndex, LeafNodeParameters, MlsGroup, Proposal, Sender,
};

use super::{Engine, Provider, encode, epoch_of, load, load_active};
use crate::{
    Change, Effects, EngineError, KeyPackage, PreparedCommit, State,
    certificates::{self, Roster},
};

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
            let (commit, welcome, group_info) = messages.into_messages();
            let group_info = group_info.ok_or(EngineError::Internal("a GroupInfo is missing"))?;
            check_size(PreparedCommit {
                epoch,
                commit: encode(&commit)?,
                welcome: welcome.as_ref().map(encode).transpose()?,
                group_info: encode(&group_info)?,
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
        let mut wanted: BTreeSet<DeviceId> = change.removes.iter().copied().collect();
        let mut roster = Roster::default();
        let (mut removes, mut removed) = (Vec::new(), Vec::new());
        for member in certificates::members(group) {
            let (leaf, certificate) = member?;
            let is_wanted = wanted.remove(&certificate.address().device);
            if is_wanted && leaf == group.own_leaf_index() {
                return Err(EngineError::RemovesSelf); // RFC 9420 §12.2
            }
            // A device that asked to leave is removed by that already.
            let is_leaving = leaving.contains(&leaf);
            if is_wanted && !is_leaving {
                removes.push(leaf);
            }
            if is_wanted || is_leaving {
                removed.push(certificate.address().clone());
            } else {
                roster.admit(&certificate)?;
            }
        }
        if !wanted.is_empty() {
            return Err(EngineError::NotAMember);
        }
        let added = admit_all(&mut roster, &change.adds, now)?;
        Ok(Self {
            removes,
            added,
            removed,
        })
    }
}

fn admit_all(
    roster: &mut Roster,
    adds: &[KeyPackage],
    now: UnixMillis,
) -> Result<Vec<DeviceCertificate>, EngineError> {
    for add in adds {
        add.check(now)?;
        if roster.has_device(add.certificate().address().device) {
            return Err(EngineError::AlreadyMember);
        }
        roster.admit(add.certificate())?;
    }
    Ok(adds.iter().map(KeyPackage::certificate).cloned().collect())
}

fn check_size(commit: PreparedCommit) -> Result<PreparedCommit, EngineError> {
    let welcome_bytes = commit.welcome.as_ref().map_or(0, Vec::len);
    if commit.commit.len() > COMMIT_BYTES_MAX || welcome_bytes > WELCOME_BYTES_MAX {
        return Err(EngineError::TooLarge);
    }
    Ok(commit)
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
