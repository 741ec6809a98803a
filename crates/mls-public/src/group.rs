//! A group as somebody sees it who holds none of its secrets: it follows Commits from one epoch to
//! the next, as strictly as RFC 9420 lets anybody be who is no member.

mod stage;

pub use stage::{Draft, Staged};

use std::{collections::BTreeMap, num::NonZeroUsize};

use conclave_crypto::CipherSuite;

use crate::{
    Error, RatchetTree,
    proposals::{self, SentProposal},
    transcript::interim_transcript_hash,
    wire::{
        AuthenticatedContent, Bytes, Content, GroupContext, GroupInfo, MLS10, Node, Proposal,
        ProposalOrRef, PublicMessage, Sender,
    },
};

/// A group's public state in one epoch.
#[derive(Debug, Clone)]
pub struct PublicGroup {
    suite: CipherSuite,
    context: GroupContext,
    tree: RatchetTree,
    confirmation_tag: Bytes,
    /// Proposals of this epoch by their reference.
    proposals: BTreeMap<Vec<u8>, SentProposal>,
}

impl PublicGroup {
    /// Begins with a GroupInfo and its tree, from its extension if `nodes` is none. Checks all that a
    /// joiner must check of them (RFC 9420 §12.4.3.1), signatures on up to `threads` threads.
    ///
    /// # Errors
    /// The clause that does not hold.
    pub fn from_group_info(
        info: &GroupInfo,
        nodes: Option<Vec<Option<Node>>>,
        threads: NonZeroUsize,
    ) -> Result<Self, Error> {
        info.extensions.check_unique()?;
        let nodes = match nodes {
            Some(nodes) => nodes,
            None => info.extensions.ratchet_tree()?.ok_or(Error::NoTree)?,
        };
        let tag = info.confirmation_tag.clone();
        let mut group = Self::restore(info.group_context.clone(), tag, nodes)?;
        let signer = group.tree.leaf(info.signer).ok_or(Error::UnknownLeaf)?;
        info.verify(group.suite, signer.signature_key.as_slice())?;
        group.context.extensions.check_unique()?;
        group.tree.validate(&group.context, threads)?;
        Ok(group)
    }

    /// Goes on from what was stored before, which is not checked again.
    ///
    /// # Errors
    /// [`Error::Version`] or [`Error::Crypto`] if the suite is not supported, [`Error::TreeShape`].
    pub fn restore(
        context: GroupContext,
        confirmation_tag: Bytes,
        nodes: Vec<Option<Node>>,
    ) -> Result<Self, Error> {
        if context.version != MLS10 {
            return Err(Error::Version);
        }
        let suite = CipherSuite::try_from(context.cipher_suite)?;
        Ok(Self {
            suite,
            context,
            tree: RatchetTree::from_nodes(suite, nodes)?,
            confirmation_tag,
            proposals: BTreeMap::new(),
        })
    }

    /// The suite.
    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// What the members agree on in this epoch.
    pub fn context(&self) -> &GroupContext {
        &self.context
    }

    /// The tree of this epoch.
    pub fn tree(&self) -> &RatchetTree {
        &self.tree
    }

    /// Proves membership of a leaf in this epoch (the Partial MLS draft).
    ///
    /// # Errors
    /// [`Error::UnknownLeaf`].
    pub fn prove(&mut self, leaf: u32) -> Result<crate::wire::MembershipProof, Error> {
        self.tree.prove(leaf)
    }

    /// The confirmation tag of the Commit that began this epoch.
    pub fn confirmation_tag(&self) -> &Bytes {
        &self.confirmation_tag
    }

    /// `interim_transcript_hash` of this epoch (RFC 9420 §8.2).
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn interim_transcript_hash(&self) -> Result<conclave_crypto::Hash, Error> {
        let confirmed = self.context.confirmed_transcript_hash.as_slice();
        interim_transcript_hash(self.suite, confirmed, &self.confirmation_tag)
    }

    /// The proposals of this epoch that a Commit may refer to, each under its reference.
    pub fn proposals(&self) -> impl Iterator<Item = (&[u8], &SentProposal)> {
        let all = self.proposals.iter();
        all.map(|(reference, sent)| (reference.as_slice(), sent))
    }

    /// Checks a message that anybody can read, up to its signature. The membership tag is for members
    /// to check, before.
    ///
    /// # Errors
    /// The clause that does not hold.
    pub fn open(&self, message: PublicMessage) -> Result<AuthenticatedContent, Error> {
        // RFC 9420 §6.2
        if matches!(message.content.content, Content::Application(_)) {
            return Err(Error::WireFormat);
        }
        let content = AuthenticatedContent::from(message);
        self.verify(&content)?;
        Ok(content)
    }

    /// Checks that content is for this group and epoch and signed by who it says (RFC 9420 §6.1).
    ///
    /// # Errors
    /// [`Error::WrongGroup`], [`Error::WrongEpoch`], [`Error::UnknownLeaf`],
    /// [`Error::ExternalSender`], [`Error::ProposalSender`], [`Error::MessageSignature`].
    pub fn verify(&self, content: &AuthenticatedContent) -> Result<(), Error> {
        if content.content.group_id != self.context.group_id {
            return Err(Error::WrongGroup);
        }
        if content.content.epoch != self.context.epoch {
            return Err(Error::WrongEpoch);
        }
        let key = self.signature_key(content)?;
        content.verify(self.suite, &self.context, key.as_slice())
    }

    /// Takes in a proposal that was sent on its own, and gives its reference. Says nothing of whether
    /// it can stand in a Commit together with others.
    ///
    /// # Errors
    /// The clause of RFC 9420 §12.1 or §6.1 that does not hold, [`Error::TooLarge`] over the bound.
    pub fn receive(&mut self, content: &AuthenticatedContent) -> Result<Vec<u8>, Error> {
        self.verify(content)?;
        let Content::Proposal(proposal) = &content.content.content else {
            return Err(Error::ContentType);
        };
        let sent = SentProposal {
            sender: content.content.sender,
            proposal: (**proposal).clone(),
            by_reference: true,
        };
        proposals::check_one(&self.tree, &self.context, &sent)?;
        if self.proposals.len() >= crate::limits::PROPOSALS_MAX {
            return Err(Error::TooLarge);
        }
        let reference = content.proposal_reference(self.suite)?.as_bytes().to_vec();
        self.proposals.insert(reference.clone(), sent);
        Ok(reference)
    }

    /// The key that content must be signed with (RFC 9420 §6.1).
    fn signature_key<'a>(&'a self, content: &'a AuthenticatedContent) -> Result<Bytes, Error> {
        let proposal = |content: &'a Content| match content {
            Content::Proposal(proposal) => Some(&**proposal),
            Content::Application(_) | Content::Commit(_) => None,
        };
        match (content.content.sender, &content.content.content) {
            (Sender::Member(leaf), _) => {
                let leaf = self.tree.leaf(leaf).ok_or(Error::UnknownLeaf)?;
                Ok(leaf.signature_key.clone())
            }
            (Sender::External(index), Content::Proposal(_)) => {
                let senders = self.context.extensions.external_senders()?;
                // RFC 9420 §12.1.8.1
                senders
                    .unwrap_or_default()
                    .into_iter()
                    .nth(index as usize)
                    .map(|sender| sender.signature_key)
                    .ok_or(Error::ExternalSender)
            }
            (Sender::NewMemberProposal, content) => match proposal(content) {
                Some(Proposal::Add(package)) => Ok(package.leaf_node.signature_key.clone()),
                _ => Err(Error::ProposalSender),
            },
            (Sender::NewMemberCommit, Content::Commit(commit)) => {
                let path = commit.path.as_ref().ok_or(Error::NoPath)?;
                Ok(path.leaf_node.signature_key.clone())
            }
            (Sender::External(_) | Sender::NewMemberCommit, _) => Err(Error::ProposalSender),
        }
    }

    /// The proposals that a Commit lists, with their senders.
    pub(crate) fn resolve(
        &self,
        sender: Sender,
        listed: &[ProposalOrRef],
    ) -> Result<Vec<SentProposal>, Error> {
        let one = |item: &ProposalOrRef| match item {
            ProposalOrRef::Proposal(proposal) => Ok(SentProposal {
                sender,
                proposal: (**proposal).clone(),
                by_reference: false,
            }),
            ProposalOrRef::Reference(reference) => {
                let known = self.proposals.get(reference.as_slice());
                known.cloned().ok_or(Error::UnknownReference)
            }
        };
        listed.iter().map(one).collect()
    }
}
