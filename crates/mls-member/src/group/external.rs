//! Joining by an external Commit (RFC 9420 §12.4.3.2).

use std::{collections::BTreeMap, num::NonZeroUsize};

use conclave_crypto::{Random, SigningKey};
use conclave_mls_public::{
    Committer, PublicGroup, SentProposal,
    wire::{
        AuthenticatedContent, Commit, Content, FramedContent, GroupInfo, LeafNode, MlsMessage,
        Node, PreSharedKeyId, Proposal, ProposalOrRef, PublicMessage, Sender, WireFormat,
    },
};

use super::{
    Group, Handshakes, PastEpochs, Standing,
    commit::{Derived, merge_path},
    find_psks,
};
use crate::{InitSecret, MemberError, PskStore, SecretTree, error::Result, psk_secret};

/// How somebody joins from outside.
#[derive(Debug, Clone)]
pub struct ExternalJoin {
    /// What the joiner wants to be; its key, source and signature are replaced.
    pub leaf_node: LeafNode,
    /// The ratchet tree, if the GroupInfo lacks it.
    pub nodes: Option<Vec<Option<Node>>>,
    /// An older leaf of the same client, which goes.
    pub remove: Option<u32>,
    /// Pre-shared keys to mix in, in this order.
    pub psks: Vec<PreSharedKeyId>,
}

impl ExternalJoin {
    /// Joins with this leaf, and nothing else.
    pub fn new(leaf_node: LeafNode) -> Self {
        Self {
            leaf_node,
            nodes: None,
            remove: None,
            psks: Vec::new(),
        }
    }
}

impl Group {
    /// Joins from outside: gives the Commit, and the group as it will be if the Commit is accepted.
    ///
    /// # Errors
    /// [`MemberError::NoExternalPub`] if the group does not allow it; the clause that does not hold.
    pub fn join_externally(
        info: &GroupInfo,
        join: ExternalJoin,
        psks: &dyn PskStore,
        key: &SigningKey,
        threads: NonZeroUsize,
        random: &mut dyn Random,
    ) -> Result<(MlsMessage, Self)> {
        let mut public = PublicGroup::from_group_info(info, join.nodes, threads)?;
        let (suite, before) = (public.suite(), public.context().clone());
        // RFC 9420 §12.4.3.2
        let external_pub = info
            .extensions
            .external_pub()?
            .ok_or(MemberError::NoExternalPub)?;
        let (kem_output, init) = InitSecret::external_for(suite, external_pub.as_slice(), random)?;
        let mut proposals = vec![Proposal::ExternalInit(kem_output.into())];
        proposals.extend(join.remove.map(Proposal::Remove));
        proposals.extend(join.psks.iter().cloned().map(Proposal::PreSharedKey));
        let mut draft = public.draft(Committer::Joiner, &sent_by_joiner(&proposals))?;
        let (fresh, path) = merge_path(&mut draft, join.leaf_node, &before, key, random)?;
        let by_value = |proposal| ProposalOrRef::Proposal(Box::new(proposal));
        let commit = Commit {
            proposals: proposals.into_iter().map(by_value).collect(),
            path: Some(path),
        };
        let framed = FramedContent {
            group_id: before.group_id.clone(),
            epoch: before.epoch,
            sender: Sender::NewMemberCommit,
            authenticated_data: Vec::new().into(),
            content: Content::Commit(Box::new(commit)),
        };
        let format = WireFormat::PublicMessage;
        let mut content = AuthenticatedContent::sign(format, framed, &before, key)?;
        let mut staged = draft.seal(&content)?;
        let psk_secret = psk_secret(suite, &find_psks(&join.psks, psks)?)?;
        let next = Derived::from_commit(&staged, &init, fresh.commit_secret(), &psk_secret)?.next;
        let tag = next.tag(suite, staged.context());
        content.auth.confirmation_tag = Some(tag.as_bytes().into());
        staged.set_confirmation_tag(&tag);
        staged.accept();
        let message = PublicMessage::protect(suite, content, &before, &[])?;
        let group = Self {
            messages: SecretTree::new(suite, public.tree().size(), next.encryption),
            secrets: next.secrets,
            public,
            keys: fresh.into_keys(),
            updates: BTreeMap::new(),
            past: BTreeMap::new(),
            past_epochs: PastEpochs::default(),
            standing: Standing::Member,
            handshakes: Handshakes::default(),
        };
        Ok((MlsMessage::PublicMessage(message), group))
    }
}

fn sent_by_joiner(proposals: &[Proposal]) -> Vec<SentProposal> {
    let sent = |proposal: &Proposal| SentProposal {
        sender: Sender::NewMemberCommit,
        proposal: proposal.clone(),
        by_reference: false,
    };
    proposals.iter().map(sent).collect()
}
