//! Making Commits, and what becomes of them.

use std::collections::{BTreeMap, BTreeSet};

use conclave_protocol::{
    Acts, DeviceAddress, DeviceCertificate, DeviceId, Epoch, GroupId, GroupRules, UnixMillis,
    UserId,
    limits::{ADDS_PER_COMMIT_MAX, COMMIT_BYTES_MAX, WELCOME_BYTES_MAX},
};
use openmls::prelude::{
    CommitMessageBundle, LeafNodeIndex, LeafNodeParameters, MlsGroup, Proposal, Sender,
};

use super::{Engine, Provider, check_active, encode, epoch_of, rules_of};
use crate::{
    Change, Effects, EngineError, KeyPackage, PreparedCommit, RuleViolation, State,
    certificates::{self, Roster},
    loaded::Loaded,
    profile,
};

impl Engine {
    /// Makes a Commit and keeps it as pending; Proposals that wait are committed by it too.
    ///
    /// Where this engine's device has another certificate than its leaf, the Commit renews it. Where
    /// the group's rules list somebody who is not there any longer, it clears that away.
    ///
    /// # Errors
    /// [`EngineError::PendingCommit`], [`Leaving`](EngineError::Leaving),
    /// [`AlreadyMember`](EngineError::AlreadyMember), [`NotAMember`](EngineError::NotAMember),
    /// [`RemovesSelf`](EngineError::RemovesSelf), [`TooLarge`](EngineError::TooLarge),
    /// [`Certificate`](EngineError::Certificate), [`Violation`](EngineError::Violation) for what the
    /// group's rules do not let this device's user do.
    pub fn commit(
        &self,
        state: &dyn State,
        group: GroupId,
        change: Change,
        now: UnixMillis,
    ) -> Result<Effects<PreparedCommit>, EngineError> {
        self.device.check(now)?;
        self.on_group(state, group, |provider, loaded| {
            let group = &mut loaded.group;
            check_active(group)?;
            if group.pending_commit().is_some() {
                return Err(EngineError::PendingCommit);
            }
            let epoch = epoch_of(group);
            let plan = self.plan(group, &change, now)?;
            let messages = self.stage(provider, group, change, &plan)?;
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
        self.ask(state, group, |_, group| {
            Ok(group.pending_commit().is_some())
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
        self.on_group(state, group, |provider, Loaded { group, .. }| {
            if group.pending_commit().is_none() {
                return Err(EngineError::NoPendingCommit);
            }
            group
                .merge_pending_commit(provider)
                .map_err(|_| EngineError::Internal("an own commit cannot be merged"))?;
            Ok(epoch_of(group))
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
        self.on_group(state, group, |provider, Loaded { group, .. }| {
            group
                .clear_pending_commit(&provider.storage)
                .map_err(|_| EngineError::Corrupt)
        })
    }

    /// Finds what a Commit will do, and that the group's rules let this device's user do it.
    fn plan(
        &self,
        group: &MlsGroup,
        change: &Change,
        now: UnixMillis,
    ) -> Result<Plan, EngineError> {
        let (mut plan, govern) = Plan::new(group, change, now)?;
        let user = &self.device.certificate().address().user;
        plan.rules = match govern.judge(user, &plan.added) {
            Err(_) if !self.obeys() => change.rules.clone(),
            judged => judged?,
        };
        Ok(plan)
    }

    fn stage(
        &self,
        provider: &Provider<'_>,
        group: &mut MlsGroup,
        change: Change,
        plan: &Plan,
    ) -> Result<CommitMessageBundle, EngineError> {
        let leaf = self.renewed_leaf(group)?;
        let is_update = change.adds.is_empty() && change.removes.is_empty();
        let mut builder = group.commit_builder();
        if let Some(rules) = &plan.rules {
            let extensions = profile::group_extensions(rules)?;
            builder = builder
                .propose_group_context_extensions(extensions)
                .map_err(EngineError::invalid)?;
        }
        builder
            .consume_proposal_store(true)
            // RFC 9420 §12.4: a Commit that only adds needs no path, which saves a ciphertext for
            // every subtree. One that changes nothing has its path as its purpose.
            .force_self_update(is_update)
            .leaf_node_parameters(leaf)
            .propose_adds(change.adds.into_iter().map(KeyPackage::into_inner))
            .propose_removals(plan.removes.iter().copied())
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
    rules: Option<GroupRules>,
}

impl Plan {
    fn new(
        group: &MlsGroup,
        change: &Change,
        now: UnixMillis,
    ) -> Result<(Self, Govern), EngineError> {
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
        let mut govern = Govern::new(rules_of(group)?, change.rules.clone());
        for member in certificates::members(group) {
            let (leaf, certificate) = member?;
            let is_wanted = wanted.remove(&certificate.address().device);
            govern.meet(&certificate.address().user);
            if is_wanted && leaf == group.own_leaf_index() {
                return Err(EngineError::RemovesSelf); // RFC 9420 §12.2
            }
            // A device that asked to leave is removed by that already.
            let is_leaving = leaving.contains(&leaf);
            if is_wanted && !is_leaving {
                removes.push(leaf);
                govern.removed.push(certificate.address().user.clone());
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
        let plan = Self {
            added: admit_all(&mut roster, &change.adds, now)?,
            removes,
            removed,
            rules: None,
        };
        Ok((plan, govern))
    }
}

/// What the group's rules say to a Commit that is being made.
struct Govern {
    before: GroupRules,
    after: Option<GroupRules>,
    /// Whether those who are listed, before or after, have a device in the group.
    is_there: BTreeMap<UserId, bool>,
    /// Whose devices are removed.
    removed: Vec<UserId>,
}

impl Govern {
    fn new(before: GroupRules, after: Option<GroupRules>) -> Self {
        let listed = before
            .listed()
            .chain(after.iter().flat_map(GroupRules::listed));
        Self {
            is_there: listed.map(|(user, _)| (user.clone(), false)).collect(),
            removed: Vec::new(),
            before,
            after,
        }
    }

    /// Takes note of a member.
    fn meet(&mut self, user: &UserId) {
        if let Some(is_there) = self.is_there.get_mut(user) {
            *is_there = true;
        }
    }

    /// Gives the rules that the Commit brings, where it brings any.
    fn judge(
        self,
        by: &UserId,
        added: &[DeviceCertificate],
    ) -> Result<Option<GroupRules>, RuleViolation> {
        let is_member = |user: &UserId| self.is_there.get(user).copied().unwrap_or_default();
        let added: Vec<&UserId> = added.iter().map(|it| &it.address().user).collect();
        let will_be_there = |user: &UserId| is_member(user) || added.contains(&user);
        // Who comes back does not come back as an owner, unless that is asked for.
        let tidied = match &self.after {
            Some(rules) => rules.clone().without_strangers(will_be_there),
            None => self.before.clone().without_strangers(is_member),
        };
        let rules = (tidied != self.before).then_some(tidied);
        let acts = Acts {
            by,
            added: &added,
            removed: &self.removed.iter().collect::<Vec<_>>(),
            rules: rules.as_ref(),
        };
        self.before.judge(&acts, is_member)?;
        Ok(rules)
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
