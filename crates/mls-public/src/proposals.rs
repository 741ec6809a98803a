//! Which proposals may stand in one Commit (RFC 9420 §12.2), and what they do to a group (§12.3).

use std::collections::BTreeSet;

use conclave_crypto::CipherSuite;

use crate::{
    Error, RatchetTree,
    wire::{
        Extensions, GroupContext, LeafNode, LeafNodeSource, MLS10, PreSharedKeyId, Proposal,
        ProposalType, Psk, ReInit, ResumptionPskUsage, Sender, encode,
    },
};

/// A proposal with the one who proposed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentProposal {
    /// Who proposed it; for a proposal by value, the committer.
    pub sender: Sender,
    /// What.
    pub proposal: Proposal,
    /// Whether it was sent on its own before.
    pub by_reference: bool,
}

/// Who commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committer {
    /// The member at this leaf.
    Member(u32),
    /// Someone who joins by an external Commit.
    Joiner,
}

/// What a list of proposals did, in leaf indices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// Who was added, in the order of the proposals.
    pub added: Vec<u32>,
    /// Who was removed or left.
    pub removed: Vec<u32>,
    /// Whose leaf was replaced by an Update.
    pub updated: Vec<u32>,
    /// The pre-shared keys to mix in, in order.
    pub psks: Vec<PreSharedKeyId>,
    /// The `kem_output` of an external joiner.
    pub external_init: Option<Vec<u8>>,
    /// What the group shall be begun anew with: it ends with this Commit.
    pub reinit: Option<ReInit>,
    /// The GroupContext's new extensions.
    pub extensions: Option<Extensions>,
    /// Whether the Commit must have a path.
    pub requires_path: bool,
}

/// Checks a list and applies it to the tree. The result must still hold for all members together:
/// [`RatchetTree::check_members`], once a path is applied too.
///
/// # Errors
/// The clause that the list breaks; the tree may be partly changed then.
pub(crate) fn apply(
    tree: &mut RatchetTree,
    context: &GroupContext,
    committer: Committer,
    proposals: &[SentProposal],
) -> Result<Effects, Error> {
    check_list(committer, proposals)?;
    for sent in proposals {
        check_one(tree, context, sent)?;
    }
    let mut effects = Effects {
        // RFC 9420 §12.4: also a Commit without proposals must have one.
        requires_path: proposals.is_empty()
            || proposals.iter().any(|sent| sent.proposal.requires_path()),
        ..Effects::default()
    };
    // RFC 9420 §12.3 fixes the order.
    for pass in [apply_context, apply_update, apply_removal, apply_add] {
        for sent in proposals {
            pass(tree, sent, &mut effects)?;
        }
    }
    Ok(effects)
}

/// What the list must fulfil as a whole (RFC 9420 §12.2).
fn check_list(committer: Committer, proposals: &[SentProposal]) -> Result<(), Error> {
    let count = |kind| {
        let all = proposals.iter();
        all.filter(|sent| sent.proposal.proposal_type() == kind)
            .count()
    };
    let reinits = count(ProposalType::REINIT);
    if count(ProposalType::GROUP_CONTEXT_EXTENSIONS) > 1
        || (reinits > 0 && proposals.len() > 1)
        || !all_differ(proposals.iter().filter_map(touched_leaf))
    {
        return Err(Error::ProposalList);
    }
    let mut psks = BTreeSet::new();
    for sent in proposals {
        if let Proposal::PreSharedKey(id) = &sent.proposal
            && !psks.insert(encode(id)?)
        {
            return Err(Error::ProposalList);
        }
    }
    let inits = count(ProposalType::EXTERNAL_INIT);
    let holds = match committer {
        Committer::Member(own) => {
            inits == 0 && proposals.iter().all(|sent| touched_leaf(sent) != Some(own))
        }
        // RFC 9420 §12.2, and the MLS Extensions draft for SelfRemove.
        Committer::Joiner => {
            inits == 1
                && count(ProposalType::REMOVE) <= 1
                && proposals.iter().all(may_join_externally)
        }
    };
    if holds {
        Ok(())
    } else {
        Err(Error::ProposalList)
    }
}

/// RFC 9420 §12.4.3.2: an external joiner knows no earlier proposals, except those that the MLS
/// Extensions draft lets it see.
fn may_join_externally(sent: &SentProposal) -> bool {
    match &sent.proposal {
        Proposal::ExternalInit(_) | Proposal::Remove(_) | Proposal::PreSharedKey(_) => {
            !sent.by_reference
        }
        Proposal::SelfRemove => sent.by_reference,
        _ => false,
    }
}

/// The leaf that an Update, Remove or SelfRemove is about: at most one of these for each leaf.
fn touched_leaf(sent: &SentProposal) -> Option<u32> {
    match (&sent.proposal, sent.sender) {
        (Proposal::Remove(leaf), _) => Some(*leaf),
        (Proposal::Update(_) | Proposal::SelfRemove, Sender::Member(leaf)) => Some(leaf),
        _ => None,
    }
}

fn all_differ(leaves: impl Iterator<Item = u32>) -> bool {
    let mut seen = BTreeSet::new();
    let mut leaves = leaves;
    leaves.all(|leaf| seen.insert(leaf))
}

/// What a proposal must fulfil by itself (RFC 9420 §12.1), before any is applied.
pub(crate) fn check_one(
    tree: &RatchetTree,
    context: &GroupContext,
    sent: &SentProposal,
) -> Result<(), Error> {
    let suite = tree.suite();
    check_sender(sent)?;
    match &sent.proposal {
        // RFC 9420 §12.1.1
        Proposal::Add(package) => {
            package.verify(suite)?;
            package.extensions.check_unique()?;
            tree.check_leaf_itself(&package.leaf_node)
        }
        // RFC 9420 §12.1.2
        Proposal::Update(leaf) => check_update(tree, context, sent.sender, leaf),
        // RFC 9420 §12.1.3
        Proposal::Remove(leaf) => tree.leaf(*leaf).map(drop).ok_or(Error::UnknownLeaf),
        Proposal::PreSharedKey(id) => check_psk(suite, id, is_about_to_begin(tree, context)),
        // RFC 9420 §12.1.5
        Proposal::ReInit(reinit) if reinit.version < MLS10 => Err(Error::ProposalContent),
        Proposal::ReInit(reinit) => reinit.extensions.check_unique(),
        // RFC 9420 §12.1.7
        Proposal::GroupContextExtensions(extensions) => check_context_extensions(extensions),
        Proposal::ExternalInit(_) | Proposal::SelfRemove => Ok(()),
        // RFC 9420 §12.2: what it does is unknown here, though every member may know it.
        Proposal::Other(..) => Err(Error::UnknownProposal),
    }
}

/// Who may propose what (RFC 9420 §12.1.8, §17.4).
fn check_sender(sent: &SentProposal) -> Result<(), Error> {
    use Proposal as P;
    let allowed = match sent.sender {
        Sender::Member(_) => !matches!(sent.proposal, P::ExternalInit(_)),
        Sender::External(_) => matches!(
            sent.proposal,
            P::Add(_)
                | P::Remove(_)
                | P::PreSharedKey(_)
                | P::ReInit(_)
                | P::GroupContextExtensions(_)
        ),
        Sender::NewMemberProposal => matches!(sent.proposal, P::Add(_)),
        Sender::NewMemberCommit => may_join_externally(sent),
    };
    if allowed {
        Ok(())
    } else {
        Err(Error::ProposalSender)
    }
}

fn check_update(
    tree: &RatchetTree,
    context: &GroupContext,
    sender: Sender,
    leaf: &LeafNode,
) -> Result<(), Error> {
    let Sender::Member(index) = sender else {
        return Err(Error::ProposalSender);
    };
    let current = tree.leaf(index).ok_or(Error::UnknownLeaf)?;
    // RFC 9420 §7.3
    if leaf.leaf_node_source != LeafNodeSource::Update {
        return Err(Error::LeafSource);
    }
    // RFC 9420 §12.1.2
    if leaf.encryption_key == current.encryption_key {
        return Err(Error::DuplicateKey);
    }
    tree.check_leaf_itself(leaf)?;
    leaf.verify(tree.suite(), (context.group_id.as_slice(), index))
}

/// Whether nobody is there yet but the group's creator, whose next Commit links it to the group that it
/// comes from, if there is one (RFC 9420 §11.2, §11.3).
fn is_about_to_begin(tree: &RatchetTree, context: &GroupContext) -> bool {
    context.epoch == 0 && tree.member_count() == 1
}

fn check_psk(suite: CipherSuite, id: &PreSharedKeyId, may_link: bool) -> Result<(), Error> {
    let may_stand_here = match &id.psk {
        Psk::External(_) => true,
        Psk::Resumption { usage, .. } => may_link || *usage == ResumptionPskUsage::Application,
    };
    // RFC 9420 §12.1.4
    match may_stand_here && id.psk_nonce.as_slice().len() == suite.hash_len() {
        true => Ok(()),
        false => Err(Error::ProposalContent),
    }
}

fn check_context_extensions(extensions: &Extensions) -> Result<(), Error> {
    extensions.check_unique()?;
    // The ones that are understood must be well formed; whether members support them is checked
    // when all proposals have been applied (RFC 9420 §12.1.7).
    extensions.required_capabilities()?;
    extensions.external_senders()?;
    Ok(())
}

type Applied = Result<(), Error>;

fn apply_context(_: &mut RatchetTree, sent: &SentProposal, effects: &mut Effects) -> Applied {
    match &sent.proposal {
        Proposal::GroupContextExtensions(new) => effects.extensions = Some(new.clone()),
        Proposal::PreSharedKey(id) => effects.psks.push(id.clone()),
        Proposal::ExternalInit(kem) => effects.external_init = Some(kem.as_slice().to_vec()),
        Proposal::ReInit(reinit) => effects.reinit = Some(reinit.clone()),
        _ => {}
    }
    Ok(())
}

fn apply_update(tree: &mut RatchetTree, sent: &SentProposal, effects: &mut Effects) -> Applied {
    if let (Proposal::Update(leaf), Sender::Member(index)) = (&sent.proposal, sent.sender) {
        tree.update_leaf(index, (**leaf).clone())?;
        effects.updated.push(index);
    }
    Ok(())
}

fn apply_removal(tree: &mut RatchetTree, sent: &SentProposal, effects: &mut Effects) -> Applied {
    if let (Proposal::Remove(_) | Proposal::SelfRemove, Some(leaf)) =
        (&sent.proposal, touched_leaf(sent))
    {
        tree.remove_leaf(leaf)?;
        effects.removed.push(leaf);
    }
    Ok(())
}

fn apply_add(tree: &mut RatchetTree, sent: &SentProposal, effects: &mut Effects) -> Applied {
    if let Proposal::Add(package) = &sent.proposal {
        effects
            .added
            .push(tree.add_leaf(package.leaf_node.clone())?);
    }
    Ok(())
}
