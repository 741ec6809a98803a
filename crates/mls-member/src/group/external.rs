//! Joining by an external Commit (RFC 9420 §12.4.3.2).

use std::{collections::BTreeMap, num::NonZeroUsize};

use conclave_crypto::{Random, SigningKey};
use conclave_mls_public::{
    Committer, PublicGroup, SentProposal,
    wire::{
        AuthenticatedContent, Commit, Content, FramedContent, GroupInfo, LeafNode, MlsMessage,
        Node, Proposal, ProposalOrRef, PublicMessage, Sender, WireFormat,
    },
};

use super::{
    Group, Handshakes, Standing,
    commit::{Derived, merge_path},
};
use crate::{InitSecret, MemberError, SecretTree, error::Result, psk_secret};

impl Group {
    /// Joins from outside: gives the Commit, and the group as it will be if the Commit is accepted.
    /// `leaf_node` is what the joiner wants to be; its key, source and signature are replaced.
    /// `remove` is an older leaf of the same client. `nodes` is the tree, if `info` lacks it.
    ///
    /// # Errors
    /// [`MemberError::NoExternalPub`] if the group does not allow it; the clause that does not hold.
    pub fn join_externally(
        info: &GroupInfo,
        nodes: Option<Vec<Option<Node>>>,
        leaf_node: LeafNode,
        remove: Option<u32>,
        key: &SigningKey,
        threads: NonZeroUsize,
        random: &mut dyn Random,
    ) -> Result<(MlsMessage, Self)> {
        let mut public = PublicGroup::from_group_info(info, nodes, threads)?;
        let (suite, before) = (public.suite(), public.context().clone());
        // RFC 9420 §12.4.3.2
        let external_pub = info
            .extensions
            .external_pub()?
            .ok_or(MemberError::NoExternalPub)?;
        let (kem_output, init) = InitSecret::external_for(suite, external_pub.as_slice(), random)?;
        let mut proposals = vec![Proposal::ExternalInit(kem_output.into())];
        proposals.extend(remove.map(Proposal::Remove));
        let mut draft = public.draft(Committer::Joiner, &sent_by_joiner(&proposals))?;
        let (fresh, path) = merge_path(&mut draft, leaf_node, &before, key, random)?;
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
        let no_psks = psk_secret(suite, &[])?;
        let next = Derived::from_commit(&staged, &init, fresh.commit_secret(), &no_psks)?.next;
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
