//! Groups that look right to anybody who is no member: valid signatures, parent hashes and
//! transcripts, but keys that nobody has and ciphertexts that nobody can open. With them tests and
//! benchmarks make histories of any size, in which every public follower must agree.

use std::collections::BTreeMap;

use conclave_crypto::{CipherSuite, CryptoError, Random, SigningKey};

use crate::{
    Changes, Committer, Draft, Error, PublicGroup, RatchetTree,
    wire::{
        AuthenticatedContent, Bytes, Capabilities, Commit, Content, Credential, Extensions,
        FramedContent, GroupContext, GroupInfo, HpkeCiphertext, KeyPackage, LeafNode,
        LeafNodeSource, Lifetime, MLS10, Proposal, ProposalOrRef, ProposalType, PublicMessage,
        Sender, UpdatePath, UpdatePathNode, WireFormat,
    },
};

/// A group with the signature keys of its members.
#[derive(Debug)]
pub struct World<R> {
    group: PublicGroup,
    keys: BTreeMap<u32, SigningKey>,
    /// Those who may become members, by their public key.
    newcomers: BTreeMap<Vec<u8>, SigningKey>,
    forge: Forge<R>,
}

/// What a member proposes in a message of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To add somebody new.
    Add,
    /// To renew its own leaf.
    Update,
    /// To remove the member at this leaf.
    Remove(u32),
    /// To leave.
    SelfRemove,
}

impl<R: Random> World<R> {
    /// A group of `members`, each of which has committed once, so that no node is blank. KeyPackages
    /// are valid around `now_seconds` since 1970.
    ///
    /// # Errors
    /// Those of the functions that it is built with.
    pub fn new(
        suite: CipherSuite,
        members: u32,
        now_seconds: u64,
        random: R,
    ) -> Result<Self, Error> {
        let mut forge = Forge {
            suite,
            random,
            now_seconds,
            made: 0,
        };
        let (founder, leaf) = forge.leaf()?;
        let mut keys = BTreeMap::from([(0, founder)]);
        let mut tree = RatchetTree::new(suite, leaf);
        for _ in 1..members {
            let (key, leaf) = forge.leaf()?;
            keys.insert(tree.add_leaf(leaf)?, key);
        }
        for (index, key) in &keys {
            forge.renew(&mut tree, *index, key)?;
        }
        let context = GroupContext {
            version: MLS10,
            cipher_suite: suite.into(),
            group_id: GROUP_ID.into(),
            epoch: 1,
            tree_hash: tree.tree_hash().into(),
            confirmed_transcript_hash: forge.bytes(suite.hash_len())?,
            extensions: Extensions::default(),
        };
        let tag = forge.bytes(suite.hash_len())?;
        let group = PublicGroup::restore(context, tag, tree.to_nodes())?;
        Ok(Self {
            group,
            keys,
            newcomers: BTreeMap::new(),
            forge,
        })
    }

    /// The group as its members see it.
    pub fn group(&self) -> &PublicGroup {
        &self.group
    }

    /// The leaves of all members.
    pub fn members(&self) -> Vec<u32> {
        self.keys.keys().copied().collect()
    }

    /// A GroupInfo, without the tree, signed by a member, of this context: the group's own, or one
    /// with which a test lies.
    ///
    /// # Errors
    /// [`Error::UnknownLeaf`].
    pub fn group_info(&self, signer: u32, context: GroupContext) -> Result<GroupInfo, Error> {
        let mut info = GroupInfo {
            group_context: context,
            extensions: Extensions::default(),
            confirmation_tag: self.group.confirmation_tag().clone(),
            signer,
            signature: Vec::new().into(),
        };
        self.sign_info(&mut info)?;
        Ok(info)
    }

    /// Signs a GroupInfo with the key of the member that it names.
    ///
    /// # Errors
    /// [`Error::UnknownLeaf`].
    pub fn sign_info(&self, info: &mut GroupInfo) -> Result<(), Error> {
        let key = self.keys.get(&info.signer);
        info.sign(key.ok_or(Error::UnknownLeaf)?)
    }

    /// A Proposal of a member, which waits from then on for the next Commit.
    ///
    /// # Errors
    /// The clause that it breaks.
    pub fn propose(&mut self, sender: u32, wish: Wish) -> Result<PublicMessage, Error> {
        let proposal = match wish {
            Wish::Add => self.somebody_new()?,
            Wish::Update => self.update(sender)?,
            Wish::Remove(leaf) => Proposal::Remove(leaf),
            Wish::SelfRemove => Proposal::SelfRemove,
        };
        let key = self.keys.get(&sender).ok_or(Error::UnknownLeaf)?;
        let context = self.group.context();
        let content = Content::Proposal(Box::new(proposal));
        let content = framed(context, Sender::Member(sender), content);
        let format = WireFormat::PublicMessage;
        let signed = AuthenticatedContent::sign(format, content, context, key)?;
        self.group.receive(&signed)?;
        PublicMessage::protect(
            self.forge.suite,
            signed,
            self.group.context(),
            MEMBERSHIP_KEY,
        )
    }

    /// A Commit of a member that takes up what waits, adds some new ones, removes these, and renews
    /// its own keys if `with_path`.
    ///
    /// # Errors
    /// The clause that such a Commit would break.
    pub fn commit(
        &mut self,
        sender: u32,
        adds: u32,
        removes: &[u32],
        with_path: bool,
    ) -> Result<PublicMessage, Error> {
        let mut listed = self.waiting(|_| true);
        for _ in 0..adds {
            listed.push(by_value(self.somebody_new()?));
        }
        listed.extend(removes.iter().copied().map(Proposal::Remove).map(by_value));
        let key = self.keys.get(&sender).ok_or(Error::UnknownLeaf)?;
        let (committer, forge) = (Committer::Member(sender), &mut self.forge);
        forge.commit(&mut self.group, committer, key, listed, with_path)
    }

    /// An external Commit, by which somebody joins and those go who want to leave.
    ///
    /// # Errors
    /// Those of the functions that it is made with.
    pub fn join(&mut self) -> Result<PublicMessage, Error> {
        let (key, _) = self.forge.leaf()?;
        let mut listed = self.waiting(|proposal| *proposal == Proposal::SelfRemove);
        listed.push(by_value(Proposal::ExternalInit(self.forge.bytes(32)?)));
        let (committer, forge) = (Committer::Joiner, &mut self.forge);
        let message = forge.commit(&mut self.group, committer, &key, listed, true)?;
        self.newcomers.insert(key.public().to_vec(), key);
        Ok(message)
    }

    /// Signs changed content again, as the sender of what was made would.
    ///
    /// # Errors
    /// [`Error::UnknownLeaf`] if the sender is no member and no joiner.
    pub fn sign_again(
        &self,
        made: &PublicMessage,
        content: FramedContent,
    ) -> Result<PublicMessage, Error> {
        let key = match (made.content.sender, &made.content.content) {
            (Sender::Member(leaf), _) => self.keys.get(&leaf),
            (_, Content::Commit(commit)) => {
                let path = commit.path.as_ref().ok_or(Error::NoPath)?;
                self.newcomers.get(path.leaf_node.signature_key.as_slice())
            }
            _ => None,
        };
        let key = key.ok_or(Error::UnknownLeaf)?;
        let context = self.group.context();
        let format = WireFormat::PublicMessage;
        let mut content = AuthenticatedContent::sign(format, content, context, key)?;
        content.auth.confirmation_tag = made.auth.confirmation_tag.clone();
        PublicMessage::protect(self.forge.suite, content, context, MEMBERSHIP_KEY)
    }

    /// Begins the epoch of a Commit that was made.
    ///
    /// # Errors
    /// The clause that it breaks.
    pub fn follow(&mut self, message: PublicMessage) -> Result<Changes, Error> {
        let content = self.group.open(message)?;
        let staged = self.group.stage(&content)?;
        let effects = staged.effects().clone();
        let sender = staged.sender();
        let changes = staged.accept();
        for leaf in &effects.removed {
            self.keys.remove(leaf);
        }
        for leaf in effects.added.into_iter().chain([sender]) {
            let node = self.group.tree().leaf(leaf).ok_or(Error::UnknownLeaf)?;
            if let Some(key) = self.newcomers.remove(node.signature_key.as_slice()) {
                self.keys.insert(leaf, key);
            }
        }
        Ok(changes)
    }

    fn somebody_new(&mut self) -> Result<Proposal, Error> {
        let (key, package) = self.forge.key_package()?;
        self.newcomers.insert(key.public().to_vec(), key);
        Ok(Proposal::Add(Box::new(package)))
    }

    fn update(&mut self, sender: u32) -> Result<Proposal, Error> {
        let key = self.keys.get(&sender).ok_or(Error::UnknownLeaf)?;
        let leaf = self.group.tree().leaf(sender);
        let mut leaf = leaf.ok_or(Error::UnknownLeaf)?.clone();
        leaf.encryption_key = self.forge.public_key()?;
        leaf.leaf_node_source = LeafNodeSource::Update;
        leaf.sign(key, Some((GROUP_ID, sender)))?;
        Ok(Proposal::Update(Box::new(leaf)))
    }

    /// The references of what waits, of those that are wanted.
    fn waiting(&self, wanted: impl Fn(&Proposal) -> bool) -> Vec<ProposalOrRef> {
        let all = self.group.proposals();
        all.filter(|(_, sent)| wanted(&sent.proposal))
            .map(|(reference, _)| ProposalOrRef::Reference(reference.into()))
            .collect()
    }
}

const GROUP_ID: &[u8] = b"forged";
const MEMBERSHIP_KEY: &[u8] = b"nobody's";

/// Makes the parts.
#[derive(Debug)]
struct Forge<R> {
    suite: CipherSuite,
    random: R,
    now_seconds: u64,
    made: u64,
}

impl<R: Random> Forge<R> {
    fn bytes(&mut self, len: usize) -> Result<Bytes, CryptoError> {
        let mut out = vec![0; len];
        self.random.fill(&mut out)?;
        Ok(out.into())
    }

    /// A public key, of which nobody knows the private one: real, since others look at it.
    fn public_key(&mut self) -> Result<Bytes, CryptoError> {
        let pair = self.suite.generate_key_pair(&mut self.random)?;
        Ok(pair.public().into())
    }

    fn leaf(&mut self) -> Result<(SigningKey, LeafNode), Error> {
        const DAY_SECONDS: u64 = 24 * 60 * 60;
        self.made += 1;
        let key = SigningKey::generate(self.suite, &mut self.random)?;
        let mut leaf = LeafNode {
            encryption_key: self.public_key()?,
            signature_key: key.public().into(),
            credential: Credential::Basic(self.made.to_be_bytes().to_vec().into()),
            capabilities: Capabilities {
                versions: vec![MLS10],
                cipher_suites: vec![self.suite.into()],
                extensions: Vec::new(),
                proposals: vec![ProposalType::SELF_REMOVE],
                credentials: vec![1],
            },
            leaf_node_source: LeafNodeSource::KeyPackage(Lifetime {
                not_before: self.now_seconds.saturating_sub(DAY_SECONDS),
                not_after: self.now_seconds + 30 * DAY_SECONDS,
            }),
            extensions: Extensions::default(),
            signature: Vec::new().into(),
        };
        leaf.sign(&key, None)?;
        Ok((key, leaf))
    }

    fn key_package(&mut self) -> Result<(SigningKey, KeyPackage), Error> {
        let (key, leaf_node) = self.leaf()?;
        let mut package = KeyPackage {
            version: MLS10,
            cipher_suite: self.suite.into(),
            init_key: self.public_key()?,
            leaf_node,
            extensions: Extensions::default(),
            signature: Vec::new().into(),
        };
        package.sign(&key)?;
        Ok((key, package))
    }

    /// Renews a leaf and its path, outside of any Commit.
    fn renew(&mut self, tree: &mut RatchetTree, index: u32, key: &SigningKey) -> Result<(), Error> {
        let filtered = tree.filtered_direct_path(index);
        let fresh = (0..filtered.len()).map(|_| self.public_key());
        let fresh = fresh.collect::<Result<Vec<_>, _>>()?;
        let keys = fresh.iter().map(Bytes::as_slice);
        let parent_hash = tree.merge_keys(index, &filtered, keys);
        let mut leaf = tree.leaf(index).ok_or(Error::UnknownLeaf)?.clone();
        leaf.encryption_key = self.public_key()?;
        leaf.leaf_node_source = LeafNodeSource::Commit(parent_hash.into());
        leaf.sign(key, Some((GROUP_ID, index)))?;
        tree.merge_leaf(index, leaf);
        Ok(())
    }

    fn commit(
        &mut self,
        group: &mut PublicGroup,
        committer: Committer,
        key: &SigningKey,
        proposals: Vec<ProposalOrRef>,
        with_path: bool,
    ) -> Result<PublicMessage, Error> {
        let context = group.context().clone();
        let (sender, current) = match committer {
            Committer::Member(leaf) => (Sender::Member(leaf), group.tree().leaf(leaf).cloned()),
            Committer::Joiner => (Sender::NewMemberCommit, None),
        };
        let sent = group.resolve(sender, &proposals)?;
        let leaf = match current {
            Some(leaf) => leaf,
            None => self.leaf_of(key)?,
        };
        let mut draft = group.draft(committer, &sent)?;
        let path = match with_path {
            true => Some(self.path(&mut draft, leaf, key)?),
            false => None,
        };
        drop(draft);
        let content = Content::Commit(Box::new(Commit { proposals, path }));
        let content = framed(&context, sender, content);
        let format = WireFormat::PublicMessage;
        let mut content = AuthenticatedContent::sign(format, content, &context, key)?;
        content.auth.confirmation_tag = Some(self.bytes(self.suite.hash_len())?);
        PublicMessage::protect(self.suite, content, &context, MEMBERSHIP_KEY)
    }

    /// A joiner's leaf, for a key that exists.
    fn leaf_of(&mut self, key: &SigningKey) -> Result<LeafNode, Error> {
        let (_, mut leaf) = self.leaf()?;
        leaf.signature_key = key.public().into();
        Ok(leaf)
    }

    fn path(
        &mut self,
        draft: &mut Draft<'_>,
        mut leaf: LeafNode,
        key: &SigningKey,
    ) -> Result<UpdatePath, Error> {
        let sender = draft.sender();
        let filtered = draft.tree().filtered_direct_path(sender);
        let mut nodes = Vec::new();
        for (_, beside) in &filtered {
            let added = draft.effects().added.clone();
            let mut receivers = draft.tree().resolution(*beside);
            receivers.retain(|node| node.leaf().is_none_or(|leaf| !added.contains(&leaf)));
            nodes.push(UpdatePathNode {
                encryption_key: self.public_key()?,
                encrypted_path_secret: receivers
                    .iter()
                    .map(|_| self.ciphertext())
                    .collect::<Result<_, _>>()?,
            });
        }
        let keys = nodes.iter().map(|node| node.encryption_key.as_slice());
        let parent_hash = draft.merge_keys(&filtered, keys);
        leaf.encryption_key = self.public_key()?;
        leaf.leaf_node_source = LeafNodeSource::Commit(parent_hash.into());
        leaf.sign(key, Some((GROUP_ID, sender)))?;
        Ok(UpdatePath {
            leaf_node: leaf,
            nodes,
        })
    }

    fn ciphertext(&mut self) -> Result<HpkeCiphertext, CryptoError> {
        Ok(HpkeCiphertext {
            kem_output: self.bytes(32)?,
            ciphertext: self.bytes(48)?,
        })
    }
}

fn by_value(proposal: Proposal) -> ProposalOrRef {
    ProposalOrRef::Proposal(Box::new(proposal))
}

fn framed(context: &GroupContext, sender: Sender, content: Content) -> FramedContent {
    FramedContent {
        group_id: context.group_id.clone(),
        epoch: context.epoch,
        sender,
        authenticated_data: Vec::new().into(),
        content,
    }
}
