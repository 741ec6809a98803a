//! Joining by an external Commit, and approving of somebody who does.

use conclave_protocol::{
    Approval, CommitReport, DeviceAddress, GroupId, ReportedCommit, Successor, SuccessorVote,
    UnixMillis,
    limits::{GROUP_INFO_BYTES_MAX, KEY_PACKAGE_BYTES_MAX},
};
use openmls::prelude::{
    CommitMessageBundle, LeafNodeParameters, MlsGroup, MlsMessageBodyIn, MlsMessageIn,
    PublicMessageIn, Sender, group_info::VerifiableGroupInfo, tls_codec::DeserializeBytes as _,
};

use super::{Engine, Provider, delete, encode, epoch_of, join::parse_tree, load, mls_group_id};
use crate::{
    Effects, EngineError, Opening, PreparedCommit, State, profile, types::External,
    vetting::Vetting,
};

impl Engine {
    /// Makes an external Commit (RFC 9420 §12.4.3.2) by which this device comes into a group: back,
    /// beside another device of its user, or with an [`Approval`].
    ///
    /// OpenMLS merges it at once. So the writes are not to be applied before the service has
    /// accepted the Commit, and are to be dropped if it refuses: they hold the group in its new
    /// epoch, in the place of the one that this device may still have. Whom it removes, this device
    /// among them, is not told: it has no roster to compare with.
    ///
    /// # Errors
    /// [`EngineError::Malformed`], [`TooLarge`](EngineError::TooLarge),
    /// [`Invalid`](EngineError::Invalid), [`Certificate`](EngineError::Certificate), and what is
    /// wrong with the group's rules or its members.
    pub fn external_join(
        &self,
        state: &dyn State,
        group: GroupId,
        opening: Opening<'_>,
        now: UnixMillis,
    ) -> Result<Effects<PreparedCommit>, EngineError> {
        self.device.check(now)?;
        let mut external = External {
            group_info: parse_group_info(opening.group_info)?,
            tree: parse_tree(opening.ratchet_tree)?,
            proposals: parse_proposals(opening.proposals)?,
            approval: opening.approval.to_vec(),
        };
        let context = external.group_info.group_context();
        if *context.group_id() != mls_group_id(group) {
            return Err(EngineError::WrongGroup);
        }
        profile::check_group_context(context)?;
        self.transact(state, |provider| {
            if let Ok(mut older) = load(provider, group) {
                // Whoever was leaving comes back instead: its leaf is removed by value, and only
                // one Proposal of a Commit may remove it (RFC 9420 §12.2).
                let own = Sender::Member(older.own_leaf_index());
                external.proposals.retain(|it| *it.sender() != own);
                delete(provider, &mut older)?;
            }
            provider.begin_lease(group)?;
            let vetting = Vetting::of(provider, &external.tree)?;
            let (made, vetted) = vetting.beside(|| self.join_from_outside(provider, external));
            let (group, messages) = made?;
            for (_, leaf) in group.treesync().full_leaves() {
                vetted.verify_leaf(provider, leaf)?;
            }
            vetted.keep(provider)?;
            let (commit, _, group_info) = messages.into_messages();
            let group_info = group_info.ok_or(EngineError::Internal("no GroupInfo was made"))?;
            let epoch = epoch_of(&group).0.saturating_sub(1);
            Ok(PreparedCommit {
                epoch: conclave_protocol::Epoch(epoch),
                commit: encode(&commit)?,
                welcome: None,
                group_info: encode(&group_info)?,
                added: vec![self.device.certificate().clone()],
                removed: Vec::new(),
            })
        })
    }

    /// Whether a GroupInfo is of the very epoch that this device is in: the same GroupContext, with
    /// the same history of Commits behind it (RFC 9420 §8.1). Its signature is not checked: who
    /// forges one gains no more than that the device does not join again by itself.
    ///
    /// # Errors
    /// [`EngineError::Malformed`], [`TooLarge`](EngineError::TooLarge).
    pub fn is_in_epoch_of(
        &self,
        state: &dyn State,
        group: GroupId,
        group_info: &[u8],
    ) -> Result<bool, EngineError> {
        let theirs = parse_group_info(group_info)?;
        match self.group_info(state, group) {
            // OpenMLS shows a group's context in its GroupInfo only.
            Ok(ours) => Ok(parse_group_info(&ours)?.group_context() == theirs.group_context()),
            Err(EngineError::State(error)) => Err(error.into()),
            Err(_) => Ok(false),
        }
    }

    /// This device's approval of somebody who wants to join a group that it is a member of. It goes
    /// to the service, which hands it on.
    #[must_use]
    pub fn approve(&self, group: GroupId, joiner: &DeviceAddress, expires: UnixMillis) -> Approval {
        let approver = self.device.address().device;
        Approval::issue(group, joiner, approver, expires, self.device.key())
    }

    /// This device's word that it could not process a Commit.
    #[must_use]
    pub fn report(&self, commit: ReportedCommit) -> CommitReport {
        let reporter = self.device.address().device;
        CommitReport::issue(commit, reporter, self.device.key())
    }

    /// This device's word that a group goes on as another.
    #[must_use]
    pub fn vote(&self, successor: Successor) -> SuccessorVote {
        SuccessorVote::issue(successor, self.device.address().device, self.device.key())
    }

    fn join_from_outside(
        &self,
        provider: &Provider<'_>,
        external: External,
    ) -> Result<(MlsGroup, CommitMessageBundle), EngineError> {
        let leaf = LeafNodeParameters::builder()
            .with_capabilities(profile::capabilities())
            .with_extensions(profile::leaf_extensions()?)
            .build();
        let credential = self.device.credential_with_key();
        MlsGroup::external_commit_builder()
            .with_config(profile::join_config())
            .with_ratchet_tree(external.tree)
            .with_proposals(external.proposals)
            .with_aad(external.approval)
            .skip_lifetime_validation()
            .build_group(provider, external.group_info, credential)
            .map_err(EngineError::invalid)?
            .leaf_node_parameters(leaf)
            .load_psks(&provider.storage)
            .map_err(EngineError::invalid)?
            .use_ratchet_tree_extension(false)
            .create_group_info(true)
            .build(provider.crypto, provider.crypto, &self.signer(), |_| true)
            .map_err(EngineError::invalid)?
            .finalize(provider)
            .map_err(|_| EngineError::Internal("an external commit cannot be finalized"))
    }
}

fn parse_group_info(bytes: &[u8]) -> Result<VerifiableGroupInfo, EngineError> {
    if bytes.len() > GROUP_INFO_BYTES_MAX {
        return Err(EngineError::TooLarge);
    }
    let message = MlsMessageIn::tls_deserialize_exact_bytes(bytes);
    match message.map(MlsMessageIn::extract) {
        Ok(MlsMessageBodyIn::GroupInfo(group_info)) => Ok(group_info),
        _ => Err(EngineError::Malformed),
    }
}

fn parse_proposals(messages: &[Vec<u8>]) -> Result<Vec<PublicMessageIn>, EngineError> {
    let parse = |bytes: &Vec<u8>| {
        if bytes.len() > KEY_PACKAGE_BYTES_MAX {
            return Err(EngineError::TooLarge);
        }
        let message = MlsMessageIn::tls_deserialize_exact_bytes(bytes);
        match message.map(MlsMessageIn::extract) {
            Ok(MlsMessageBodyIn::PublicMessage(message)) => Ok(message),
            _ => Err(EngineError::Malformed),
        }
    };
    messages.iter().map(parse).collect()
}
