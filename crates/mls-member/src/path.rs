//! Path secrets (RFC 9420 §7.4 to §7.6): how a committer shares fresh keys with everybody below the
//! nodes that it renews, and how they find them.

use std::collections::BTreeMap;

use conclave_crypto::{CipherSuite, HpkeKeyPair, Random, Secret, SigningKey};
use conclave_mls_public::{
    RatchetTree,
    math::NodeIndex,
    wire::{HpkeCiphertext, LeafNode, LeafNodeSource, UpdatePath, UpdatePathNode},
};

use crate::{MemberError, error::Result, key_schedule::random_secret};

const LABEL: &str = "UpdatePathNode";

/// The private keys that one member knows: its leaf's, and those of nodes above it.
#[derive(Debug, Clone)]
pub struct PrivateTree {
    leaf: u32,
    keys: BTreeMap<NodeIndex, HpkeKeyPair>,
}

impl PrivateTree {
    /// Of a member that knows no key but its leaf's.
    pub fn new(leaf: u32, pair: HpkeKeyPair) -> Self {
        Self {
            leaf,
            keys: BTreeMap::from([(NodeIndex::of_leaf(leaf), pair)]),
        }
    }

    /// The member's leaf.
    pub fn leaf(&self) -> u32 {
        self.leaf
    }

    /// The key pair of a node, if it is known.
    pub fn key(&self, node: NodeIndex) -> Option<&HpkeKeyPair> {
        self.keys.get(&node)
    }

    /// Learns the key of a node.
    pub fn insert(&mut self, node: NodeIndex, pair: HpkeKeyPair) {
        self.keys.insert(node, pair);
    }

    /// Takes the leaf's new key pair, if the tree has one of these public keys at it: an Update that
    /// this member proposed was committed (RFC 9420 §12.1.2).
    pub fn adopt(&mut self, tree: &RatchetTree, updates: &BTreeMap<Vec<u8>, HpkeKeyPair>) {
        let leaf = NodeIndex::of_leaf(self.leaf);
        let updated = tree
            .encryption_key(leaf)
            .and_then(|public| updates.get(public));
        if let Some(pair) = updated {
            self.insert(leaf, pair.clone());
        }
    }

    /// Forgets every key whose public half is no longer in the tree: what was blanked or replaced.
    pub fn retain(&mut self, tree: &RatchetTree) {
        self.keys
            .retain(|node, pair| tree.encryption_key(*node) == Some(pair.public()));
    }

    /// Learns the keys from `node` up to the root, on the filtered direct path of `sender`, from the
    /// path secret of `node`; gives the commit secret (RFC 9420 §7.4). Each must lead to the public
    /// key that is in the tree.
    ///
    /// # Errors
    /// [`MemberError::NotInPath`] if `node` is not on that path, [`MemberError::PathSecret`].
    pub fn learn(
        &mut self,
        tree: &RatchetTree,
        sender: u32,
        node: NodeIndex,
        path_secret: Secret,
    ) -> Result<Secret> {
        let suite = tree.suite();
        let path = tree.filtered_direct_path(sender);
        let above = path
            .iter()
            .map(|(index, _)| *index)
            .skip_while(|index| *index != node);
        let mut secret = path_secret;
        let mut learnt = Vec::new();
        for index in above {
            let pair = node_key_pair(suite, &secret)?;
            // RFC 9420 §12.4.2, §12.4.3.1: the derived public key is the one in the tree.
            if tree.encryption_key(index) != Some(pair.public()) {
                return Err(MemberError::PathSecret);
            }
            learnt.push((index, pair));
            secret = next_path_secret(suite, &secret)?;
        }
        if learnt.is_empty() {
            return Err(MemberError::NotInPath);
        }
        self.keys.extend(learnt);
        Ok(secret)
    }

    /// Opens an update path that was merged into `tree` (RFC 9420 §7.6): learns its keys and gives the
    /// commit secret. `context` is the provisional GroupContext, serialized; `added` are the leaves
    /// that the Commit added, sorted.
    ///
    /// # Errors
    /// [`MemberError::NotInPath`], [`MemberError::PathSecret`]; [`MemberError::Crypto`] if the
    /// ciphertext does not open.
    pub fn open(
        &mut self,
        tree: &RatchetTree,
        sender: u32,
        path: &UpdatePath,
        added: &[u32],
        context: &[u8],
    ) -> Result<Secret> {
        let at = NodeIndex::of_leaf(self.leaf);
        let filtered = tree.filtered_direct_path(sender);
        let mut steps = filtered.iter().zip(&path.nodes);
        let ((node, beside), sent) = steps
            .find(|((_, beside), _)| beside.covers(at))
            .ok_or(MemberError::NotInPath)?;
        let receivers = receivers(tree, *beside, added);
        let mut candidates = receivers.iter().zip(&sent.encrypted_path_secret);
        let (pair, sealed) = candidates
            .find_map(|(receiver, sealed)| Some((self.keys.get(receiver)?, sealed)))
            .ok_or(MemberError::NotInPath)?;
        let secret = tree.suite().decrypt_with_label(
            pair,
            LABEL,
            context,
            sealed.kem_output.as_slice(),
            sealed.ciphertext.as_slice(),
        )?;
        self.learn(tree, sender, *node, secret)
    }
}

/// Fresh secrets for a committer's leaf and filtered direct path.
#[derive(Debug)]
pub struct FreshPath {
    filtered: Vec<(NodeIndex, NodeIndex)>,
    /// One for each of the filtered direct path.
    secrets: Vec<Secret>,
    commit_secret: Secret,
    keys: PrivateTree,
}

impl FreshPath {
    /// Draws the secrets for the committer at this leaf. Where the tree has nobody else there is no
    /// node, and the commit secret is simply drawn. Next, the public keys are merged into the tree
    /// with [`RatchetTree::merge_keys`], and the leaf is signed.
    ///
    /// # Errors
    /// [`MemberError::Crypto`] without randomness.
    pub fn draw(tree: &RatchetTree, leaf: u32, random: &mut dyn Random) -> Result<Self> {
        let suite = tree.suite();
        let filtered = tree.filtered_direct_path(leaf);
        let mut keys = PrivateTree::new(leaf, suite.generate_key_pair(random)?);
        let mut secret = random_secret(suite, random)?;
        let mut secrets = Vec::with_capacity(filtered.len());
        for (node, _) in &filtered {
            keys.insert(*node, node_key_pair(suite, &secret)?);
            let next = next_path_secret(suite, &secret)?;
            secrets.push(std::mem::replace(&mut secret, next));
        }
        Ok(Self {
            filtered,
            secrets,
            commit_secret: secret,
            keys,
        })
    }

    /// The nodes that are renewed, from below, each with its child beside the path.
    pub fn filtered(&self) -> &[(NodeIndex, NodeIndex)] {
        &self.filtered
    }

    /// Their public keys, in the same order.
    pub fn public_keys(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        let nodes = self.filtered.iter();
        nodes.map(|(node, _)| self.keys.key(*node).map_or(&[][..], HpkeKeyPair::public))
    }

    /// The committer's new leaf: the old one with its fresh key, the parent hash that merging gave,
    /// and a new signature (RFC 9420 §7.5).
    ///
    /// # Errors
    /// [`MemberError::Public`] if it is too large.
    pub fn sign_leaf(
        &self,
        mut leaf_node: LeafNode,
        parent_hash: Vec<u8>,
        group_id: &[u8],
        key: &SigningKey,
    ) -> Result<LeafNode> {
        let leaf = self.keys.leaf();
        let pair = self
            .keys
            .key(NodeIndex::of_leaf(leaf))
            .ok_or(MemberError::UnknownLeaf)?;
        leaf_node.encryption_key = pair.public().into();
        leaf_node.leaf_node_source = LeafNodeSource::Commit(parent_hash.into());
        leaf_node.sign(key, Some((group_id, leaf)))?;
        Ok(leaf_node)
    }

    /// Encrypts each path secret to those below who may know it (RFC 9420 §7.6). `tree` has the keys
    /// and `leaf_node` merged, `context` is the provisional GroupContext with its hash, and `added`
    /// are the leaves that the Commit added, sorted.
    ///
    /// # Errors
    /// [`MemberError::Crypto`] if a member's public key is none.
    pub fn seal(
        &self,
        leaf_node: LeafNode,
        tree: &RatchetTree,
        added: &[u32],
        context: &[u8],
        random: &mut dyn Random,
    ) -> Result<UpdatePath> {
        let mut nodes = Vec::with_capacity(self.secrets.len());
        let steps = self
            .filtered
            .iter()
            .zip(&self.secrets)
            .zip(self.public_keys());
        for (((_, beside), secret), public) in steps {
            nodes.push(UpdatePathNode {
                encryption_key: public.into(),
                encrypted_path_secret: receivers(tree, *beside, added)
                    .into_iter()
                    .map(|receiver| seal_to(tree, receiver, context, secret, random))
                    .collect::<Result<_>>()?,
            });
        }
        Ok(UpdatePath { leaf_node, nodes })
    }

    /// The path secret that a joiner at this leaf gets in its Welcome: that of the lowest node above
    /// both (RFC 9420 §12.4.3.1).
    pub fn secret_for(&self, leaf: u32) -> Option<&Secret> {
        let at = NodeIndex::of_leaf(leaf);
        let mut steps = self.filtered.iter().zip(&self.secrets);
        steps
            .find(|((_, beside), _)| beside.covers(at))
            .map(|(_, secret)| secret)
    }

    /// What goes into the key schedule.
    pub fn commit_secret(&self) -> &Secret {
        &self.commit_secret
    }

    /// The committer's private keys after the Commit.
    pub fn into_keys(self) -> PrivateTree {
        self.keys
    }
}

fn seal_to(
    tree: &RatchetTree,
    receiver: NodeIndex,
    context: &[u8],
    secret: &Secret,
    random: &mut dyn Random,
) -> Result<HpkeCiphertext> {
    let public = tree.encryption_key(receiver).unwrap_or_default();
    let suite = tree.suite();
    let sealed = suite.encrypt_with_label(public, LABEL, context, secret.as_bytes(), random)?;
    Ok(HpkeCiphertext {
        kem_output: sealed.kem_output.into(),
        ciphertext: sealed.ciphertext.into(),
    })
}

/// Whom the path secret of the node above `beside` is encrypted to: its resolution without the
/// leaves that this Commit added, which find theirs in the Welcome (RFC 9420 §12.4.2).
fn receivers(tree: &RatchetTree, beside: NodeIndex, added: &[u32]) -> Vec<NodeIndex> {
    let mut receivers = tree.resolution(beside);
    receivers.retain(|node| {
        node.leaf()
            .is_none_or(|leaf| added.binary_search(&leaf).is_err())
    });
    receivers
}

/// A node's key pair from its path secret (RFC 9420 §7.4).
fn node_key_pair(suite: CipherSuite, path_secret: &Secret) -> Result<HpkeKeyPair> {
    let node_secret = suite.derive_secret(path_secret, "node")?;
    Ok(suite.derive_key_pair(&node_secret)?)
}

/// The path secret of the next node above (RFC 9420 §7.4).
fn next_path_secret(suite: CipherSuite, path_secret: &Secret) -> Result<Secret> {
    Ok(suite.derive_secret(path_secret, "path")?)
}
