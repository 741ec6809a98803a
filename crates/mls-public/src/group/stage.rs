use conclave_crypto::Hash;

use super::PublicGroup;
use crate::{
    Changes, Error, RatchetTree,
    math::NodeIndex,
    proposals::{self, Committer, Effects, SentProposal},
    transcript::confirmed_transcript_hash,
    wire::{
        AuthenticatedContent, Bytes, Commit, Content, GroupContext, LeafNode, Sender, UpdatePath,
    },
};

/// A group whose next epoch is being made: the proposals are applied, the path is not yet. Dropping
/// it leaves the group as it was.
#[derive(Debug)]
pub struct Draft<'g> {
    group: Undo<'g>,
    sender: u32,
    is_joiner: bool,
    effects: Effects,
    context: GroupContext,
}

/// A Commit that has been checked as far as anybody can who is no member. Dropping it leaves the
/// group as it was.
#[derive(Debug)]
pub struct Staged<'g> {
    group: Undo<'g>,
    sender: u32,
    effects: Effects,
    /// The context that path secrets are encrypted in.
    provisional: GroupContext,
    context: GroupContext,
    confirmation_tag: Bytes,
}

/// Undoes what was done to the tree, unless it is kept.
#[derive(Debug)]
struct Undo<'g>(&'g mut PublicGroup);

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        self.0.tree.roll_back();
    }
}

impl PublicGroup {
    /// Checks a Commit and prepares the epoch that it begins (RFC 9420 §12.4.2). What is left is for
    /// members: the path's ciphertexts, the pre-shared keys and the confirmation tag.
    ///
    /// # Errors
    /// The clause that does not hold.
    pub fn stage(&mut self, content: &AuthenticatedContent) -> Result<Staged<'_>, Error> {
        self.verify(content)?;
        let Content::Commit(commit) = &content.content.content else {
            return Err(Error::ContentType);
        };
        let proposals = self.resolve(content.content.sender, &commit.proposals)?;
        let committer = match content.content.sender {
            Sender::Member(leaf) => Committer::Member(leaf),
            Sender::NewMemberCommit => Committer::Joiner,
            Sender::External(_) | Sender::NewMemberProposal => return Err(Error::ProposalSender),
        };
        let mut draft = self.draft(committer, &proposals)?;
        draft.apply_commit_path(commit)?;
        draft.seal(content)
    }

    /// Applies proposals towards a Commit (RFC 9420 §12.4.1), checking them as a receiver will.
    ///
    /// # Errors
    /// The clause that the list breaks.
    pub fn draft(
        &mut self,
        committer: Committer,
        proposals: &[SentProposal],
    ) -> Result<Draft<'_>, Error> {
        self.tree.begin();
        let group = Undo(self);
        let PublicGroup { tree, context, .. } = &mut *group.0;
        let effects = proposals::apply(tree, context, committer, proposals)?;
        let (sender, is_joiner) = match committer {
            Committer::Member(leaf) => (leaf, false),
            // RFC 9420 §12.4.3.2: it takes the leaf that an Add would have taken.
            Committer::Joiner => (tree.make_room()?, true),
        };
        let mut next = context.clone();
        // RFC 9420 §12.4.2
        next.epoch = next.epoch.checked_add(1).ok_or(Error::TooLarge)?;
        if let Some(extensions) = &effects.extensions {
            next.extensions = extensions.clone();
        }
        Ok(Draft {
            group,
            sender,
            is_joiner,
            effects,
            context: next,
        })
    }
}

impl<'g> Draft<'g> {
    /// The tree with the proposals applied.
    pub fn tree(&self) -> &RatchetTree {
        &self.group.0.tree
    }

    /// What the proposals did.
    pub fn effects(&self) -> &Effects {
        &self.effects
    }

    /// The committer's leaf; a joiner's is blank still.
    pub fn sender(&self) -> u32 {
        self.sender
    }

    /// Checks and merges a path (RFC 9420 §7.5, §12.4.2).
    ///
    /// # Errors
    /// The clause that does not hold.
    pub fn apply_path(&mut self, path: &UpdatePath) -> Result<(), Error> {
        let tree = &mut self.group.0.tree;
        tree.check_leaf_itself(&path.leaf_node)?;
        let place = (self.context.group_id.as_slice(), self.sender);
        path.leaf_node.verify(tree.suite(), place)?;
        let mut added = self.effects.added.clone();
        added.sort_unstable();
        tree.apply_path(self.sender, path, &added)
    }

    /// For the committer: sets fresh keys on its filtered direct path, and gives the parent hash that
    /// its new leaf must have.
    pub fn merge_keys<'a>(
        &mut self,
        filtered: &[(NodeIndex, NodeIndex)],
        keys: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> Vec<u8> {
        self.group.0.tree.merge_keys(self.sender, filtered, keys)
    }

    /// For the committer: sets its new leaf, and gives the context in which to encrypt path secrets.
    pub fn merge_leaf(&mut self, leaf: LeafNode) -> GroupContext {
        self.group.0.tree.merge_leaf(self.sender, leaf);
        self.provisional()
    }

    /// The context of the new epoch, but for the transcript, which the Commit itself will enter
    /// (RFC 9420 §12.4.1).
    pub fn provisional(&mut self) -> GroupContext {
        self.context.tree_hash = self.group.0.tree.tree_hash().into();
        self.context.clone()
    }

    /// Closes the epoch with its signed Commit. The confirmation tag may be missing while the
    /// committer has yet to compute it: see [`Staged::set_confirmation_tag`].
    ///
    /// # Errors
    /// [`Error::DuplicateKey`], [`Error::LeafCapabilities`] if the members don't fit together,
    /// [`Error::TooLarge`].
    pub fn seal(mut self, content: &AuthenticatedContent) -> Result<Staged<'g>, Error> {
        let provisional = self.provisional();
        // RFC 9420 §7.3, for the tree that results.
        self.group.0.tree.check_members(&provisional.extensions)?;
        let suite = self.group.0.suite;
        let interim = self.group.0.interim_transcript_hash()?;
        let confirmed = confirmed_transcript_hash(suite, interim.as_bytes(), content)?;
        let mut context = provisional.clone();
        context.confirmed_transcript_hash = confirmed.as_bytes().into();
        let tag = content.auth.confirmation_tag.clone();
        Ok(Staged {
            group: self.group,
            sender: self.sender,
            effects: self.effects,
            provisional,
            context,
            confirmation_tag: tag.unwrap_or_else(|| Vec::new().into()),
        })
    }

    fn apply_commit_path(&mut self, commit: &Commit) -> Result<(), Error> {
        match &commit.path {
            Some(path) => self.apply_path(path),
            // RFC 9420 §12.4
            None if self.effects.requires_path || self.is_joiner => Err(Error::NoPath),
            None => Ok(()),
        }
    }
}

impl Staged<'_> {
    /// The tree of the new epoch.
    pub fn tree(&self) -> &RatchetTree {
        &self.group.0.tree
    }

    /// What the proposals did.
    pub fn effects(&self) -> &Effects {
        &self.effects
    }

    /// The committer's leaf in the new tree.
    pub fn sender(&self) -> u32 {
        self.sender
    }

    /// The context in which path secrets are encrypted (RFC 9420 §12.4.1).
    pub fn provisional(&self) -> &GroupContext {
        &self.provisional
    }

    /// The context of the new epoch.
    pub fn context(&self) -> &GroupContext {
        &self.context
    }

    /// The Commit's confirmation tag, for members to check.
    pub fn confirmation_tag(&self) -> &Bytes {
        &self.confirmation_tag
    }

    /// For the committer, which can compute the tag only now.
    pub fn set_confirmation_tag(&mut self, tag: &Hash) {
        self.confirmation_tag = tag.as_bytes().into();
    }

    /// Begins the new epoch; gives the nodes that it changed.
    pub fn accept(self) -> Changes {
        let changes = self.group.0.tree.keep();
        let group = &mut *self.group.0;
        group.context = self.context;
        group.confirmation_tag = self.confirmation_tag;
        group.proposals.clear();
        changes
    }
}
