//! Groups that look right to anybody who is no member: valid signatures, parent hashes and
//! transcripts, but keys that nobody has and ciphertexts that nobody can open. With them tests and
//! benchmarks make histories of any size, in which every public follower must agree.

use std::collections::BTreeMap;

use conclave_crypto::{CipherSuite, CryptoError, Random, SigningKey};

use crate::{
    Changes, Committer, Draft, Error, PublicGroup, RatchetTree, SentProposal,
    wire::{
        AuthenticatedContent, Bytes, Capabilities, Commit, Content, Credential, Extensions,
        FramedContent, GroupContext, GroupInfo, HpkeCiphertext, KeyPackage, LeafNode,
        LeafNodeSource, Lifetime, MLS10, MlsMessage, Proposal, ProposalOrRef, PublicMessage,
        Sender, UpdatePath, UpdatePathNode, WireFormat,
    },
};

/// A group with the signature keys of its members.
#[derive(Debug)]
pub struct World<R> {
    group: PublicGroup,
    keys: BTreeMap<u32, SigningKey>,
    forge: Forge<R>,
}

/// A Commit that was made and not yet followed.
#[derive(Debug)]
pub struct Made {
    /// The message as it would travel.
    pub message: PublicMessage,
    /// Who will be at which leaf by it.
    joined: Vec<SigningKey>,
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
        Ok(Self { group, keys, forge })
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
        let key = self.keys.get(&signer).ok_or(Error::UnknownLeaf)?;
        let mut info = GroupInfo {
            group_context: context,
            extensions: Extensions::default(),
            confirmation_tag: self.group.confirmation_tag().clone(),
            signer,
            signature: Vec::new().into(),
        };
        info.sign(key)?;
        Ok(info)
    }

    /// A Commit of a member that adds some new ones, removes these, and renews its own keys if
    /// `with_path`.
    ///
    /// # Errors
    /// The clause that such a Commit would break.
    pub fn commit(
        &mut self,
        sender: u32,
        adds: u32,
        removes: &[u32],
        with_path: bool,
    ) -> Result<Made, Error> {
        let mut proposals = Vec::new();
        let mut joined = Vec::new();
        for _ in 0..adds {
            let (key, package) = self.forge.key_package()?;
            proposals.push(Proposal::Add(Box::new(package)));
            joined.push(key);
        }
        proposals.extend(removes.iter().copied().map(Proposal::Remove));
        let key = self.keys.get(&sender).ok_or(Error::UnknownLeaf)?;
        let committer = Committer::Member(sender);
        let forge = &mut self.forge;
        let message = forge.commit(&mut self.group, committer, key, proposals, with_path)?;
        Ok(Made { message, joined })
    }

    /// An external Commit, by which somebody joins.
    ///
    /// # Errors
    /// Those of the functions that it is made with.
    pub fn join(&mut self) -> Result<Made, Error> {
        let (key, _) = self.forge.leaf()?;
        let proposals = vec![Proposal::ExternalInit(self.forge.bytes(32)?)];
        let forge = &mut self.forge;
        let message = forge.commit(&mut self.group, Committer::Joiner, &key, proposals, true)?;
        Ok(Made {
            message,
            joined: vec![key],
        })
    }

    /// Signs a changed message again, as its sender would. A joiner's key is in `made`.
    ///
    /// # Errors
    /// [`Error::UnknownLeaf`] if the sender is no member and no joiner.
    pub fn sign_again(&self, made: &Made, content: FramedContent) -> Result<PublicMessage, Error> {
        let key = match content.sender {
            Sender::Member(leaf) => self.keys.get(&leaf),
            _ => made.joined.first(),
        };
        let key = key.ok_or(Error::UnknownLeaf)?;
        let context = self.group.context();
        let format = WireFormat::PublicMessage;
        let mut content = AuthenticatedContent::sign(format, content, context, key)?;
        content.auth.confirmation_tag = made.message.auth.confirmation_tag.clone();
        PublicMessage::protect(self.forge.suite, content, context, MEMBERSHIP_KEY)
    }

    /// Begins the epoch of a Commit that was made.
    ///
    /// # Errors
    /// The clause that it breaks.
    pub fn follow(&mut self, made: Made) -> Result<Changes, Error> {
        let content = self.group.open(made.message)?;
        let staged = self.group.stage(&content)?;
        let effects = staged.effects().clone();
        let sender = staged.sender();
        let changes = staged.accept();
        for leaf in &effects.removed {
            self.keys.remove(leaf);
        }
        let leaves = match content.content.sender {
            Sender::Member(_) => effects.added,
            _ => vec![sender],
        };
        self.keys.extend(leaves.into_iter().zip(made.joined));
        Ok(changes)
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
                proposals: Vec::new(),
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
        proposals: Vec<Proposal>,
        with_path: bool,
    ) -> Result<PublicMessage, Error> {
        let context = group.context().clone();
        let sender = match committer {
            Committer::Member(leaf) => Sender::Member(leaf),
            Committer::Joiner => Sender::NewMemberCommit,
        };
        let sent: Vec<_> = proposals
            .iter()
            .map(|proposal| SentProposal {
                sender,
                proposal: proposal.clone(),
                by_reference: false,
            })
            .collect();
        let current = match committer {
            Committer::Member(leaf) => group.tree().leaf(leaf).cloned(),
            Committer::Joiner => None,
        };
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
        let by_value = |proposal| ProposalOrRef::Proposal(Box::new(proposal));
        let content = FramedContent {
            group_id: context.group_id.clone(),
            epoch: context.epoch,
            sender,
            authenticated_data: Vec::new().into(),
            content: Content::Commit(Box::new(Commit {
                proposals: proposals.into_iter().map(by_value).collect(),
                path,
            })),
        };
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

/// The message as it travels.
impl From<Made> for MlsMessage {
    fn from(made: Made) -> Self {
        Self::PublicMessage(made.message)
    }
}
