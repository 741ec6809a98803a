//! External Commits (RFC 9420 §12.4.3.2): a device comes in without a Welcome.

use openmls::{
    group::StagedCommit,
    prelude::{ContentType, Sender},
};

use super::{
    CheckedCommit, Follower, IMPOSSIBLE, NextEpoch, Result,
    bundle::check_group_info,
    leaf::{certificate, check_capabilities, verified},
    parse_public,
    rules::check_kinds,
    snapshot::{DeltaRef, encode},
};
use crate::{error::Refusal, store::Device};
use conclave_protocol::UnixMillis;

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
        let (staged, tag) = self.stage(message)?;
        check_kinds(&staged, true)?;
        let removed = self.check_removed(&staged)?;
        self.check_new_leaf(&staged, joiner, now)?;
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
        // Registered devices of a name have one identity key. One that was deleted and registered
        // anew is somebody else to the members.
        for (_, other) in self.group.treesync().full_leaves() {
            let other = verified(other)?;
            if other.address().user == joiner.address.user
                && *other.identity_key() != joiner.identity_key
            {
                return Err(Refusal::Invalid(
                    "the group knows another user of this name",
                ));
            }
        }
        Ok(())
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
