//! Making a Commit (RFC 9420 §12.4.1).

use conclave_crypto::{Random, Secret, SigningKey};
use conclave_mls_public::{
    Committer, Draft, SentProposal, Staged,
    wire::{
        AuthenticatedContent, Commit, Content, GroupContext, GroupInfo, LeafNode, MlsMessage, Node,
        PreSharedKeyId, Proposal, ProposalOrRef, Sender, UpdatePath, Welcome, encode,
    },
};

use super::{Group, KnownPsks, NextEpoch, info::EpochToShow};
use crate::{
    FreshPath, GroupSecrets, InitSecret, JoinerSecret, MemberError, MemberSecret, PrivateTree,
    PskStore, error::Result, seal_group_info,
};

/// A Commit that was made and not yet accepted. The group is still in the epoch before it.
#[derive(Debug)]
pub struct PendingCommit {
    content: AuthenticatedContent,
    keys: PrivateTree,
    next: NextEpoch,
}

/// What a Commit has beside its proposals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitForm {
    /// When it has a path.
    pub path: PathRule,
    /// Whether Welcome and GroupInfo carry the ratchet tree; otherwise joiners need it from elsewhere.
    pub with_tree: bool,
}

/// When a Commit has a path, that is, fresh keys for its committer (RFC 9420 §12.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathRule {
    /// Also where it could do without.
    Always,
    /// Only where its proposals ask for one.
    IfRequired,
}

impl Default for CommitForm {
    fn default() -> Self {
        Self {
            path: PathRule::Always,
            with_tree: true,
        }
    }
}

/// What a Commit consists of.
#[derive(Debug)]
pub struct Committed {
    /// For the members.
    pub commit: MlsMessage,
    /// For those who were added, if any.
    pub welcome: Option<Welcome>,
    /// The ratchet tree of the new epoch, if Welcome and GroupInfo lack it.
    pub tree: Option<Vec<Option<Node>>>,
    /// The new epoch for everybody else, signed, with the key for external Commits.
    pub group_info: GroupInfo,
    /// To be [merged](Group::merge) once the Commit is accepted.
    pub pending: PendingCommit,
}

/// The secrets of the next epoch, and what they follow from.
pub(super) struct Derived {
    joiner: JoinerSecret,
    member: MemberSecret,
    pub(super) next: NextEpoch,
}

impl Group {
    /// Commits these proposals and those of others that wait, with a path, and with the tree for those
    /// who join.
    ///
    /// # Errors
    /// The clause that the proposals break, alone or together; [`MemberError::UnknownPsk`].
    pub fn commit(
        &mut self,
        proposals: Vec<Proposal>,
        psks: &dyn PskStore,
        key: &SigningKey,
        random: &mut dyn Random,
    ) -> Result<Committed> {
        self.commit_as(CommitForm::default(), proposals, psks, key, random)
    }

    /// As [`commit`](Self::commit), in this form.
    ///
    /// # Errors
    /// As there.
    pub fn commit_as(
        &mut self,
        form: CommitForm,
        proposals: Vec<Proposal>,
        psks: &dyn PskStore,
        key: &SigningKey,
        random: &mut dyn Random,
    ) -> Result<Committed> {
        self.check_standing()?;
        let (listed, sent) = self.proposals_to_commit(proposals);
        let (before, own) = (self.public.context().clone(), self.leaf());
        let own_leaf = self.own_leaf()?.clone();
        let mut framed = self.frame(Content::Application(Vec::new().into()));
        let mut draft = self.public.draft(Committer::Member(own), &sent)?;
        let has_path = form.path == PathRule::Always || draft.effects().requires_path;
        let renewed = has_path.then(|| merge_path(&mut draft, own_leaf, &before, key, random));
        let (fresh, path) = renewed.transpose()?.unzip();
        let commit = Commit {
            proposals: listed,
            path,
        };
        framed.content = Content::Commit(Box::new(commit));
        let format = self.handshakes.wire_format();
        let mut content = AuthenticatedContent::sign(format, framed, &before, key)?;
        let staged = draft.seal(&content)?;
        let known = KnownPsks {
            context: before.clone(),
            secrets: &self.secrets,
            past: &self.past,
            others: psks,
        };
        let psk_secret = known.secret(staged.tree().suite(), &staged.effects().psks)?;
        let none = Secret::zero(staged.tree().suite().hash_len());
        let commit_secret = fresh.as_ref().map_or(&none, FreshPath::commit_secret);
        let init = self.secrets.init();
        let derived = Derived::from_commit(&staged, init, commit_secret, &psk_secret)?;
        let tag = derived.next.tag(staged.tree().suite(), staged.context());
        let epoch = EpochToShow {
            context: staged.context(),
            tree: staged.tree(),
            secrets: &derived.next.secrets,
            confirmation_tag: tag.as_bytes().into(),
        };
        let group_info = epoch.group_info(own, form.with_tree, key)?;
        let welcome = welcome(
            &staged,
            &sent,
            &group_info,
            &derived,
            fresh.as_ref(),
            random,
        )?;
        let keys = fresh.map_or_else(|| kept_keys(&self.keys, &staged), FreshPath::into_keys);
        let tree = (!form.with_tree).then(|| staged.tree().to_nodes());
        drop(staged);
        content.auth.confirmation_tag = Some(group_info.confirmation_tag.clone());
        Ok(Committed {
            commit: self.protect(content.clone(), random)?,
            welcome,
            tree,
            group_info,
            pending: PendingCommit {
                content,
                keys,
                next: derived.next,
            },
        })
    }

    /// Goes into the epoch that this member's own Commit begins, once that is the one accepted.
    ///
    /// # Errors
    /// [`MemberError::Public`] if the group is no longer in the epoch in which the Commit was made.
    pub fn merge(&mut self, pending: PendingCommit) -> Result<()> {
        self.check_standing()?;
        let former = self.past_epochs.former(&self.public);
        let staged = self.public.stage(&pending.content)?;
        let reinit = staged.effects().reinit.clone();
        staged.accept();
        self.begin(former, pending.keys, pending.next);
        self.end_if(reinit);
        Ok(())
    }

    /// What waits, by reference, then what is new, by value. A member does not commit its own Update
    /// (RFC 9420 §12.2): the path renews its leaf anyway.
    fn proposals_to_commit(
        &self,
        proposals: Vec<Proposal>,
    ) -> (Vec<ProposalOrRef>, Vec<SentProposal>) {
        let own = Sender::Member(self.leaf());
        let is_own_update = |sent: &SentProposal| {
            sent.sender == own && matches!(sent.proposal, Proposal::Update(_))
        };
        let waiting = self
            .public
            .proposals()
            .filter(|(_, sent)| !is_own_update(sent));
        let (mut listed, mut sent): (Vec<_>, Vec<_>) = waiting
            .map(|(reference, sent)| (ProposalOrRef::Reference(reference.into()), sent.clone()))
            .unzip();
        for proposal in proposals {
            listed.push(ProposalOrRef::Proposal(Box::new(proposal.clone())));
            sent.push(SentProposal {
                sender: own,
                proposal,
                by_reference: false,
            });
        }
        (listed, sent)
    }
}

impl Derived {
    pub(super) fn from_commit(
        staged: &Staged<'_>,
        init: &InitSecret,
        commit_secret: &Secret,
        psk_secret: &Secret,
    ) -> Result<Self> {
        let (suite, context) = (staged.tree().suite(), staged.context());
        let joiner = JoinerSecret::derive(suite, init, commit_secret, &encode(context)?)?;
        let member = joiner.with_psks(suite, psk_secret);
        let next = NextEpoch::derive(&member, context)?;
        Ok(Self {
            joiner,
            member,
            next,
        })
    }
}

/// Renews the committer's leaf and path in the draft, and encrypts the path secrets.
pub(super) fn merge_path(
    draft: &mut Draft<'_>,
    own_leaf: LeafNode,
    before: &GroupContext,
    key: &SigningKey,
    random: &mut dyn Random,
) -> Result<(FreshPath, UpdatePath)> {
    let fresh = FreshPath::draw(draft.tree(), draft.sender(), random)?;
    let parent_hash = draft.merge_keys(fresh.filtered(), fresh.public_keys());
    let leaf = fresh.sign_leaf(own_leaf, parent_hash, before.group_id.as_slice(), key)?;
    let context = encode(&draft.merge_leaf(leaf.clone()))?;
    let mut added = draft.effects().added.clone();
    added.sort_unstable();
    let path = fresh.seal(leaf, draft.tree(), &added, &context, random)?;
    Ok((fresh, path))
}

/// What a committer still knows that renewed none of its keys.
fn kept_keys(keys: &PrivateTree, staged: &Staged<'_>) -> PrivateTree {
    let mut kept = keys.clone();
    kept.retain(staged.tree());
    kept
}

/// RFC 9420 §12.4.3.1
fn welcome(
    staged: &Staged<'_>,
    sent: &[SentProposal],
    info: &GroupInfo,
    derived: &Derived,
    fresh: Option<&FreshPath>,
    random: &mut dyn Random,
) -> Result<Option<Welcome>> {
    let (suite, effects) = (staged.tree().suite(), staged.effects());
    if effects.added.is_empty() {
        return Ok(None);
    }
    let sealed_info = seal_group_info(suite, info, &derived.member)?;
    let packages = sent.iter().filter_map(|sent| match &sent.proposal {
        Proposal::Add(package) => Some(package),
        _ => None,
    });
    let secrets = packages.zip(&effects.added).map(|(package, leaf)| {
        let psks: Vec<PreSharedKeyId> = effects.psks.clone();
        let told = |path: &'_ FreshPath| path.secret_for(*leaf).cloned();
        let path_secret = fresh.map(|path| told(path).ok_or(MemberError::NotInPath));
        let path_secret = path_secret.transpose()?;
        GroupSecrets::new(&derived.joiner, path_secret.as_ref(), psks).seal(
            suite,
            package,
            &sealed_info,
            random,
        )
    });
    Ok(Some(Welcome {
        cipher_suite: suite.into(),
        secrets: secrets.collect::<Result<_>>()?,
        encrypted_group_info: sealed_info.into(),
    }))
}
