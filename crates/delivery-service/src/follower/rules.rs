//! Rules version 1, as far as they show in public.

use conclave_protocol::{
    COMPONENT_RULES, GroupRules,
    limits::{ADDS_PER_COMMIT_MAX, GROUP_CONTEXT_BYTES_MAX},
};
use openmls::{
    group::{GroupContext, StagedCommit},
    prelude::{Proposal, ProposalOrRefType, ProposalType},
};
use tls_codec::Serialize as _;

use super::{IMPOSSIBLE, Result, SUITE, leaf::CREDENTIAL};
use crate::error::Refusal;

pub(super) const FORBIDDEN_PROPOSAL: Refusal =
    Refusal::Invalid("the group's rules do not allow this Proposal, or not in this way");

/// The GroupContext. No Proposal can change it later.
pub(super) fn check_context(context: &GroupContext) -> Result<()> {
    let extensions = context.extensions();
    let bytes = extensions
        .tls_serialize_detached()
        .map_err(|_| IMPOSSIBLE)?;
    if bytes.len() > GROUP_CONTEXT_BYTES_MAX {
        return Err(Refusal::Invalid("the GroupContext is too large"));
    }
    if context.ciphersuite() != SUITE {
        return Err(Refusal::Invalid("the group is of another cipher suite"));
    }
    if extensions.external_senders().is_some() {
        return Err(Refusal::Invalid(
            "the group's rules do not allow external senders",
        ));
    }
    let required = extensions.required_capabilities().is_some_and(|required| {
        required
            .proposal_types()
            .contains(&ProposalType::SelfRemove)
            && required.credential_types().contains(&CREDENTIAL)
    });
    let rules = extensions
        .app_data_dictionary()
        .and_then(|extension| extension.dictionary().get(&COMPONENT_RULES));
    let follows_rules = rules.is_some_and(|rules| GroupRules::from_bytes(rules).is_ok());
    if required && follows_rules {
        Ok(())
    } else {
        Err(Refusal::Invalid(
            "the group lacks the required capabilities or known rules",
        ))
    }
}

/// The Proposals of a Commit: members are added and removed by value, and leave by reference. An
/// external Commit adds nobody else.
pub(super) fn check_kinds(staged: &StagedCommit, is_external: bool) -> Result<()> {
    let allowed = staged.queued_proposals().all(|queued| {
        match (queued.proposal(), queued.proposal_or_ref_type()) {
            (Proposal::Add(_), ProposalOrRefType::Proposal) => !is_external,
            (Proposal::ExternalInit(_), ProposalOrRefType::Proposal) => is_external,
            (Proposal::Remove(_), ProposalOrRefType::Proposal)
            | (Proposal::SelfRemove, ProposalOrRefType::Reference) => true,
            _ => false,
        }
    });
    if !allowed {
        return Err(FORBIDDEN_PROPOSAL);
    }
    if staged.add_proposals().count() > ADDS_PER_COMMIT_MAX {
        return Err(Refusal::Invalid("the Commit adds too many devices"));
    }
    Ok(())
}
