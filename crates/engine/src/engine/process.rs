//! Taking in the entries of a group's log.

use conclave_protocol::{
    COMPONENT_FRANKING, GroupId, UnixMillis,
    limits::{APPLICATION_MESSAGE_BYTES_MAX, COMMIT_BYTES_MAX},
};
use openmls::{
    group::QueuedProposal,
    prelude::{
        LeafNodeIndex, MlsGroup, MlsMessageIn, ProcessMessageError, ProcessedMessageContent,
        Proposal, ProtocolMessage, Sender, StagedCommit, ValidationError,
        tls_codec::DeserializeBytes as _,
    },
};

use super::{
    Engine, Provider, check_active, check_may_send, commit::leaving, epoch_of, mls_group_id,
    review::Review,
};
use crate::{
    Effects, EngineError, Processed, ProposalKind, RuleViolation, State, certificates,
    loaded::Loaded, storage::StorageError,
};

impl Engine {
    /// Takes in the next entry of the group's log, which the service accepted at `accepted_at`.
    /// That time is part of the log, so all members judge certificates alike.
    ///
    /// # Errors
    /// [`EngineError::WrongEpoch`], [`Undecryptable`](EngineError::Undecryptable),
    /// [`Malformed`](EngineError::Malformed), [`Invalid`](EngineError::Invalid),
    /// [`Certificate`](EngineError::Certificate), [`Violation`](EngineError::Violation).
    pub fn process(
        &self,
        state: &dyn State,
        group: GroupId,
        message: &[u8],
        accepted_at: UnixMillis,
    ) -> Result<Effects<Processed>, EngineError> {
        let message = parse(message)?;
        if *message.group_id() != mls_group_id(group) {
            return Err(EngineError::WrongGroup);
        }
        let Effects { value, writes } = self.on_group(state, group, |provider, loaded| {
            check_active(&loaded.group)?;
            check_header(&loaded.group, &message)?;
            if matches!(message, ProtocolMessage::PrivateMessage(_)) {
                return Ok(decrypt(provider, loaded, message, accepted_at));
            }
            let processed = take_in(provider, &mut loaded.group, message, accepted_at)?;
            #[cfg(feature = "planted-bugs")]
            if let Processed::Commit { rules, .. } = &processed {
                self.check_version(rules.as_ref())?;
            }
            Ok(Ok(processed))
        })?;
        Ok(Effects {
            value: value?,
            writes,
        })
    }
}

/// An encrypted message that can't be read changes nothing, so the group stays loaded also then.
fn decrypt(
    provider: &Provider<'_>,
    loaded: &mut Loaded,
    message: ProtocolMessage,
    accepted_at: UnixMillis,
) -> Result<Processed, EngineError> {
    let is_due = loaded.is_due();
    provider.storage.spare_secrets(!is_due);
    let processed = take_in(provider, &mut loaded.group, message, accepted_at);
    let is_written = provider.storage.secrets_bytes() > 0;
    loaded.count_message(false, is_written);
    processed
}

fn parse(bytes: &[u8]) -> Result<ProtocolMessage, EngineError> {
    if bytes.len() > COMMIT_BYTES_MAX {
        return Err(EngineError::TooLarge);
    }
    let message: ProtocolMessage = MlsMessageIn::tls_deserialize_exact_bytes(bytes)
        .map_err(|_| EngineError::Malformed)?
        .try_into_protocol_message()
        .map_err(|_| EngineError::Malformed)?;
    let is_private = matches!(message, ProtocolMessage::PrivateMessage(_));
    if is_private && bytes.len() > APPLICATION_MESSAGE_BYTES_MAX {
        return Err(EngineError::TooLarge);
    }
    Ok(message)
}

fn check_header(group: &MlsGroup, message: &ProtocolMessage) -> Result<(), EngineError> {
    if message.epoch() != group.epoch() {
        return Err(EngineError::WrongEpoch {
            current: epoch_of(group),
        });
    }
    match message {
        ProtocolMessage::PublicMessage(message) => match message.sender() {
            Sender::Member(_) | Sender::NewMemberCommit => Ok(()),
            Sender::External(_) | Sender::NewMemberProposal => {
                Err(RuleViolation::ExternalSender.into())
            }
        },
        ProtocolMessage::PrivateMessage(_) => Ok(()),
    }
}

fn take_in(
    provider: &Provider<'_>,
    group: &mut MlsGroup,
    message: ProtocolMessage,
    accepted_at: UnixMillis,
) -> Result<Processed, EngineError> {
    let message = group.process_message(provider, message).map_err(refused)?;
    let sender = &message.sender().clone();
    let franking = message
        .safe_aad_item(COMPONENT_FRANKING)
        .map(<[u8]>::to_vec);
    let approval = message.tail_aad().to_vec();
    match message.into_content() {
        ProcessedMessageContent::ApplicationMessage(content) => {
            let certificate = certificates::member(group, leaf_of_member(sender)?)?;
            certificate.check_time(accepted_at)?;
            let rules = check_may_send(group, &certificate.address().user)?;
            Ok(Processed::Application {
                sender: certificate.address().clone(),
                epoch: epoch_of(group),
                content: content.into_bytes(),
                franking,
                rules,
            })
        }
        ProcessedMessageContent::ProposalMessage(proposal) => {
            take_in_proposal(provider, group, sender, *proposal)
        }
        ProcessedMessageContent::StagedCommitMessage(commit) => {
            let review = Review::new(group, sender, &commit, &approval, accepted_at)?;
            take_in_commit(provider, group, *commit, review)
        }
        ProcessedMessageContent::OwnPrivateMessage => Ok(Processed::OwnMessage),
        ProcessedMessageContent::OwnPendingCommit => Ok(Processed::OwnCommit),
        ProcessedMessageContent::ExternalJoinProposalMessage(_) => {
            Err(RuleViolation::ExternalSender.into())
        }
        ProcessedMessageContent::UnresolvedAppDataCommit(_) => Err(RuleViolation::Proposal.into()),
    }
}

fn take_in_proposal(
    provider: &Provider<'_>,
    group: &mut MlsGroup,
    sender: &Sender,
    proposal: QueuedProposal,
) -> Result<Processed, EngineError> {
    let leaf = leaf_of_member(sender)?;
    if !matches!(proposal.proposal(), Proposal::SelfRemove) {
        return Err(RuleViolation::Proposal.into());
    }
    // This also bounds the queue: at most one Proposal waits for each member.
    if leaving(group).contains(&leaf) {
        return Err(RuleViolation::AlreadyLeaving.into());
    }
    group
        .store_pending_proposal(&provider.storage, proposal)
        .map_err(|_| EngineError::Corrupt)?;
    Ok(Processed::Proposal {
        from: certificates::member(group, leaf)?.address().clone(),
        kind: ProposalKind::Leave,
    })
}

fn take_in_commit(
    provider: &Provider<'_>,
    group: &mut MlsGroup,
    commit: StagedCommit,
    review: Review,
) -> Result<Processed, EngineError> {
    let removed_self = commit.self_removed();
    group
        .merge_staged_commit(provider, commit)
        .map_err(|_| EngineError::Internal("a commit cannot be merged"))?;
    Ok(Processed::Commit {
        by: review.by,
        epoch: epoch_of(group),
        added: review.added,
        removed: review.removed,
        rules: review.rules,
        removed_self,
    })
}

fn leaf_of_member(sender: &Sender) -> Result<LeafNodeIndex, RuleViolation> {
    match sender {
        Sender::Member(leaf) => Ok(*leaf),
        _ => Err(RuleViolation::ExternalSender),
    }
}

fn refused(error: ProcessMessageError<StorageError>) -> EngineError {
    match error {
        ProcessMessageError::ValidationError(ValidationError::UnableToDecrypt(_)) => {
            EngineError::Undecryptable
        }
        error => EngineError::invalid(error),
    }
}
