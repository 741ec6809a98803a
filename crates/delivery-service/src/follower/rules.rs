//! Rules version 1, as far as they show in public.

use conclave_protocol::{
    Acts, COMPONENT_RULES, DeviceCertificate, Forbidden, GroupRules, UserId,
    limits::{ADDS_PER_COMMIT_MAX, GROUP_CONTEXT_BYTES_MAX},
};
use openmls::{
    group::{GroupContext, PublicGroup, StagedCommit},
    prelude::{
        AppDataDictionary, AppDataDictionaryExtension, Extension, Extensions, Proposal,
        ProposalOrRefType, ProposalType,
    },
};
use tls_codec::Serialize as _;

use super::{
    CORRUPT, Follower, IMPOSSIBLE, Result, SUITE,
    leaf::{CREDENTIAL, verified},
};
use crate::error::Refusal;

pub(super) const FORBIDDEN_PROPOSAL: Refusal =
    Refusal::Invalid("the group's rules do not allow this Proposal, or not in this way");

impl Follower {
    /// Who may do what in the group, without those who have left it.
    pub(crate) fn rules(&self) -> Result<GroupRules> {
        let rules = rules_of(self.group.group_context())?;
        Ok(rules.without_strangers(|user| has_user(&self.group, user)))
    }

    /// Asks the group's rules whether a member may do what its Commit does.
    pub(super) fn judge(&self, staged: &StagedCommit, by: &DeviceCertificate) -> Result<()> {
        let mut users = [Vec::new(), Vec::new()];
        for add in staged.add_proposals() {
            let leaf = add.add_proposal().key_package().leaf_node();
            users[0].push(verified(leaf)?.address().user.clone());
        }
        for remove in staged.remove_proposals() {
            let leaf = self.group.leaf(remove.remove_proposal().removed());
            users[1].push(verified(leaf.ok_or(IMPOSSIBLE)?)?.address().user.clone());
        }
        let [added, removed] = &users;
        let brought = self.brought_rules(staged)?;
        self.allows(&Acts {
            by: &by.address().user,
            added: &added.iter().collect::<Vec<_>>(),
            removed: &removed.iter().collect::<Vec<_>>(),
            rules: brought.as_ref(),
        })
    }

    pub(super) fn allows(&self, acts: &Acts<'_>) -> Result<()> {
        let rules = rules_of(self.group.group_context())?;
        let judged = rules.judge(acts, |user| has_user(&self.group, user));
        judged.map_err(Refusal::Forbidden)
    }

    /// The rules that a Commit brings, where it brings any: all else in the GroupContext stays.
    fn brought_rules(&self, staged: &StagedCommit) -> Result<Option<GroupRules>> {
        let mut kinds = staged.queued_proposals().map(|queued| queued.proposal());
        if !kinds.any(|kind| matches!(kind, Proposal::GroupContextExtensions(_))) {
            return Ok(None);
        }
        let after = staged.group_context();
        let rules = rules_of(after)?;
        if with_rules(self.group.group_context(), &rules)? != *after.extensions() {
            return Err(Refusal::Invalid(
                "of the GroupContext nothing changes but the rules",
            ));
        }
        check_context(after)?;
        Ok(Some(rules))
    }
}

fn has_user(group: &PublicGroup, user: &UserId) -> bool {
    let mut leaves = group.treesync().full_leaves();
    leaves.any(|(_, leaf)| verified(leaf).is_ok_and(|it| it.address().user == *user))
}

fn rules_of(context: &GroupContext) -> Result<GroupRules> {
    let dictionary = context.extensions().app_data_dictionary();
    dictionary
        .and_then(|extension| extension.dictionary().get(&COMPONENT_RULES))
        .and_then(|rules| GroupRules::from_bytes(rules).ok())
        .ok_or(Refusal::Invalid("the group lacks known rules"))
}

/// A context's extensions, with other rules.
fn with_rules(context: &GroupContext, rules: &GroupRules) -> Result<Extensions<GroupContext>> {
    let mut extensions = context.extensions().clone();
    let ours = extensions.app_data_dictionary().ok_or(CORRUPT)?;
    let mut dictionary = AppDataDictionary::new();
    for entry in ours.dictionary().entries() {
        dictionary.insert(entry.id(), entry.data().to_vec());
    }
    dictionary.insert(COMPONENT_RULES, rules.to_bytes());
    let extension = AppDataDictionaryExtension::new(dictionary);
    extensions
        .add_or_replace(Extension::AppDataDictionary(extension))
        .map_err(|_| IMPOSSIBLE)?;
    Ok(extensions)
}

/// Of a new group, nobody but its founder is more than a member.
pub(super) fn check_founder(context: &GroupContext, founder: &DeviceCertificate) -> Result<()> {
    let rules = rules_of(context)?;
    if rules
        .listed()
        .all(|(user, _)| *user == founder.address().user)
    {
        Ok(())
    } else {
        Err(Refusal::Forbidden(Forbidden::Stranger))
    }
}

/// The GroupContext.
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
    if required {
        rules_of(context).map(drop)
    } else {
        Err(Refusal::Invalid(
            "the group lacks the required capabilities",
        ))
    }
}

/// The Proposals of a Commit: members are added and removed and rules changed by value, and members
/// leave by reference. An external Commit adds nobody else, and leaves the rules.
pub(super) fn check_kinds(staged: &StagedCommit, is_external: bool) -> Result<()> {
    let allowed = staged.queued_proposals().all(|queued| {
        match (queued.proposal(), queued.proposal_or_ref_type()) {
            (
                Proposal::Add(_) | Proposal::GroupContextExtensions(_),
                ProposalOrRefType::Proposal,
            ) => !is_external,
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
