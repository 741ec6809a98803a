//! What rules version 1 ask of a Commit that is valid in MLS.

use conclave_protocol::{
    Acts, Approval, DeviceAddress, DeviceCertificate, GroupId, GroupRules, UnixMillis, UserId,
};
use openmls::{
    group::QueuedProposal,
    prelude::{
        LeafNode, LeafNodeIndex, MlsGroup, Proposal, ProposalOrRefType, Sender, StagedCommit,
    },
};

use crate::{
    EngineError, RuleViolation,
    certificates::{self, Roster, has_user},
    profile,
};

/// A Commit that breaks no rule, and what it does.
pub(super) struct Review {
    pub(super) by: DeviceAddress,
    pub(super) added: Vec<DeviceCertificate>,
    pub(super) removed: Vec<DeviceAddress>,
    /// The rules that it brings, where it does.
    pub(super) rules: Option<GroupRules>,
}

impl Review {
    /// Checks a Commit by `sender` that was accepted at `at`, on the group as it was before.
    /// `approval` is what its authenticated data holds behind the Safe AAD.
    pub(super) fn new(
        group: &MlsGroup,
        sender: &Sender,
        commit: &StagedCommit,
        approval: &[u8],
        at: UnixMillis,
    ) -> Result<Self, EngineError> {
        for queued in commit.queued_proposals() {
            check_kind(queued, sender)?;
        }
        let rules = super::rules_of(group)?;
        let removed: Vec<LeafNodeIndex> =
            commit.queued_proposals().filter_map(removed_leaf).collect();
        let mut added = commit
            .add_proposals()
            .map(|add| {
                certificates::verify_leaf_at(add.add_proposal().key_package().leaf_node(), at)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let by = match sender {
            Sender::Member(leaf) => {
                let by = committer(group, *leaf, commit.update_path_leaf_node(), at)?;
                judge(group, &rules, commit, &by.address().user, &added)?;
                by
            }
            _ => {
                let joiner = external_committer(group, &rules, commit, approval, at)?;
                added.push(joiner.clone());
                joiner
            }
        };
        if !added.is_empty() {
            check_roster(group, &removed, &added)?;
        }
        Ok(Self {
            by: by.address().clone(),
            added,
            rules: brought_rules(commit)?,
            removed: removed
                .into_iter()
                .map(|leaf| Ok(certificates::member(group, leaf)?.address().clone()))
                .collect::<Result<_, EngineError>>()?,
        })
    }
}

fn check_kind(queued: &QueuedProposal, committer: &Sender) -> Result<(), RuleViolation> {
    let by_value = queued.proposal_or_ref_type() == ProposalOrRefType::Proposal;
    let is_member = matches!(committer, Sender::Member(_));
    let allowed = match queued.proposal() {
        Proposal::Add(_) => by_value && is_member,
        Proposal::Remove(_) => by_value,
        Proposal::SelfRemove => !by_value,
        Proposal::GroupContextExtensions(_) => by_value && is_member,
        Proposal::ExternalInit(_) => by_value && !is_member,
        _ => false,
    };
    if allowed {
        Ok(())
    } else {
        Err(RuleViolation::Proposal)
    }
}

/// Asks the group's rules whether a member may do what the Commit does.
fn judge(
    group: &MlsGroup,
    rules: &GroupRules,
    commit: &StagedCommit,
    by: &UserId,
    added: &[DeviceCertificate],
) -> Result<(), EngineError> {
    let removed = commit
        .remove_proposals()
        .map(|remove| certificates::member(group, remove.remove_proposal().removed()))
        .collect::<Result<Vec<_>, _>>()?;
    let users = |of: &'_ [DeviceCertificate]| {
        of.iter()
            .map(|it| it.address().user.clone())
            .collect::<Vec<_>>()
    };
    let (added, removed) = (users(added), users(&removed));
    let brought = brought_rules(commit)?;
    let acts = Acts {
        by,
        added: &added.iter().collect::<Vec<_>>(),
        removed: &removed.iter().collect::<Vec<_>>(),
        rules: brought.as_ref(),
    };
    let judged = rules.judge(&acts, |user| has_user(group, user));
    Ok(judged.map_err(RuleViolation::from)?)
}

/// The rules of the epoch that a Commit starts, where it brings any. Nothing else of the GroupContext
/// may change.
fn brought_rules(commit: &StagedCommit) -> Result<Option<GroupRules>, EngineError> {
    let brings = commit
        .queued_proposals()
        .any(|queued| matches!(queued.proposal(), Proposal::GroupContextExtensions(_)));
    brings
        .then(|| profile::check_group_context(commit.group_context()))
        .transpose()
}

fn removed_leaf(queued: &QueuedProposal) -> Option<LeafNodeIndex> {
    match (queued.proposal(), queued.sender()) {
        (Proposal::Remove(remove), _) => Some(remove.removed()),
        (Proposal::SelfRemove, Sender::Member(leaf)) => Some(*leaf),
        _ => None,
    }
}

/// A member who commits holds a certificate that is valid then: its leaf's, or the one that the
/// Commit's path renews it with.
fn committer(
    group: &MlsGroup,
    leaf: LeafNodeIndex,
    path_leaf: Option<&LeafNode>,
    at: UnixMillis,
) -> Result<DeviceCertificate, EngineError> {
    let before = certificates::member(group, leaf)?;
    let Some(path_leaf) = path_leaf else {
        before.check_time(at)?;
        return Ok(before);
    };
    let after = certificates::verify_leaf_at(path_leaf, at)?;
    if !after.same_device(&before) {
        return Err(RuleViolation::ChangedDevice.into());
    }
    Ok(after)
}

/// Who commits from outside is a user of the group or approved by a member, and takes the place of its own device at most
/// (RFC 9420 §12.4.3.2 leaves that to the application).
fn external_committer(
    group: &MlsGroup,
    rules: &GroupRules,
    commit: &StagedCommit,
    approval: &[u8],
    at: UnixMillis,
) -> Result<DeviceCertificate, EngineError> {
    let leaf = commit
        .update_path_leaf_node()
        .ok_or(EngineError::Malformed)?;
    let joiner = certificates::verify_leaf_at(leaf, at)?;
    for remove in commit.remove_proposals() {
        let older = certificates::member(group, remove.remove_proposal().removed())?;
        if older.address() != joiner.address() {
            return Err(RuleViolation::ExternalRemove.into());
        }
        if !joiner.same_device(&older) {
            return Err(RuleViolation::ChangedDevice.into());
        }
    }
    let approval = Approval::from_bytes(approval);
    let id = GroupId::try_from(group.group_id().as_slice()).map_err(|_| EngineError::Corrupt)?;
    let (mut is_known, mut approver) = (false, None);
    for member in certificates::members(group) {
        let (_, certificate) = member?;
        let approves = approval.as_ref().is_some_and(|approval| {
            let key = &certificate.claims().signature_key;
            approval.approver() == certificate.address().device
                && approval.verify(id, joiner.address(), key, at).is_ok()
        });
        if approves {
            approver = Some(certificate.address().user.clone());
        }
        if certificate.address().user == joiner.address().user {
            if certificate.identity_key() != joiner.identity_key() {
                return Err(RuleViolation::ChangedIdentity.into());
            }
            is_known = true;
        }
    }
    if is_known {
        return Ok(joiner);
    }
    // Whoever approves adds.
    let acts = Acts {
        by: &approver.ok_or(RuleViolation::ExternalStranger)?,
        added: &[&joiner.address().user],
        removed: &[],
        rules: None,
    };
    let judged = rules.judge(&acts, |user| has_user(group, user));
    judged.map_err(RuleViolation::from)?;
    Ok(joiner)
}

fn check_roster(
    group: &MlsGroup,
    removed: &[LeafNodeIndex],
    added: &[DeviceCertificate],
) -> Result<(), EngineError> {
    let mut roster = Roster::default();
    for member in certificates::members(group) {
        let (leaf, certificate) = member?;
        if !removed.contains(&leaf) {
            roster.admit(&certificate)?;
        }
    }
    for certificate in added {
        roster.admit(certificate)?;
    }
    Ok(())
}
