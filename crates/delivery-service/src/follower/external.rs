//! External Commits (RFC 9420 §12.4.3.2): a device comes in without a Welcome.

use conclave_protocol::{Acts, Approval, GroupId, UnixMillis};
use openmls::{
    group::StagedCommit,
    prelude::{ContentType, Sender},
};

use super::{
    CORRUPT, CheckedCommit, Follower, IMPOSSIBLE, NextEpoch, Result, Staged,
    bundle::check_group_info,
    leaf::{certificate, check_capabilities, verified},
    parse_public,
    rules::check_kinds,
    snapshot::{DeltaRef, encode},
};
use crate::{error::Refusal, store::Device};

impl Follower {
    /// Checks an external Commit of a device that is entitled to join, with its GroupInfo.
    ///
    /// The leaf that it adds is the device's own, and all that it removes by itself is an older leaf
    /// of the same device; members who are leaving go with it.
    pub(crate) fn check_external_commit(
        &self,
        commit: &[u8],
        group_info: &[u8],
        joiner: &Device,
        now: UnixMillis,
    ) -> Result<CheckedCommit> {
        let message = parse_public(commit, ContentType::Commit)?;
        if !matches!(message.sender(), Sender::NewMemberCommit) {
            return Err(Refusal::Invalid("not an external Commit"));
        }
        let Staged {
            staged,
            tag,
            tail_aad,
        } = self.stage(message)?;
        check_kinds(&staged, true)?;
        let removed = self.check_removed(&staged)?;
        self.check_new_leaf(&staged, joiner, now)?;
        self.check_entitled(joiner, &tail_aad, now)?;
        self.check_older_leaf(&staged, joiner)?;
        let leaf = self.group.ext_commit_sender_index(&staged);
        let leaf = leaf.map_err(|_| IMPOSSIBLE)?;
        check_group_info(group_info, &staged, &tag, leaf, &joiner.signature_key)?;
        let delta = encode(&DeltaRef::Commit(&staged)).ok_or(IMPOSSIBLE)?;
        Ok(CheckedCommit {
            next: NextEpoch(staged),
            delta,
            welcome: None,
            removed,
        })
    }

    /// The new leaf is the device that asks, as it is registered. That no other leaf has its
    /// signature key is what MLS asks anyway (RFC 9420 §7.3).
    fn check_new_leaf(
        &self,
        staged: &StagedCommit,
        joiner: &Device,
        now: UnixMillis,
    ) -> Result<()> {
        let leaf = staged.update_path_leaf_node();
        let leaf = leaf.ok_or(Refusal::Invalid("an external Commit has a path"))?;
        check_capabilities(leaf)?;
        if !joiner.is_of(&certificate(leaf, now)?) {
            return Err(Refusal::Invalid(
                "an external Commit adds the device that sends it",
            ));
        }
        Ok(())
    }

    /// The device's user has one in the group, or the approval of a member who may add it: what
    /// members ask too.
    fn check_entitled(&self, joiner: &Device, approval: &[u8], now: UnixMillis) -> Result<()> {
        let approval = Approval::from_bytes(approval);
        let group = GroupId::try_from(self.group.group_id().as_slice()).map_err(|_| CORRUPT)?;
        let (mut is_known, mut approver) = (false, None);
        for (_, leaf) in self.group.treesync().full_leaves() {
            let member = verified(leaf)?;
            if member.address().user == joiner.address.user {
                // One that was deleted here and registered anew is somebody else to the members.
                if *member.identity_key() != joiner.identity_key {
                    return Err(Refusal::Invalid(
                        "the group knows another user of this name",
                    ));
                }
                is_known = true;
            }
            let approves = approval.as_ref().is_some_and(|approval| {
                let key = &member.claims().signature_key;
                approval.approver() == member.address().device
                    && approval.verify(group, &joiner.address, key, now).is_ok()
            });
            if approves {
                approver = Some(member.address().user.clone());
            }
        }
        if is_known {
            return Ok(());
        }
        let approver = approver.ok_or(Refusal::Invalid(
            "an external Commit of a stranger carries a member's approval",
        ))?;
        self.allows(&Acts {
            by: &approver,
            added: &[&joiner.address.user],
            removed: &[],
            rules: None,
        })
    }

    fn check_older_leaf(&self, staged: &StagedCommit, joiner: &Device) -> Result<()> {
        for remove in staged.remove_proposals() {
            let leaf = self.group.leaf(remove.remove_proposal().removed());
            let older = verified(leaf.ok_or(IMPOSSIBLE)?)?;
            if !joiner.is_of(&older) {
                return Err(Refusal::Invalid(
                    "an external Commit removes nobody but an older leaf of its own device",
                ));
            }
        }
        Ok(())
    }
}
