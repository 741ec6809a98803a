//! Ratchet trees with all private keys: what happens in them, and what is in them.

use std::collections::BTreeMap;

use conclave_crypto::{CipherSuite, Secret, SystemRandomness};
use conclave_mls_member::FreshPath;
use conclave_mls_public::{
    RatchetTree,
    math::NodeIndex,
    wire::{
        Extensions, GroupContext, LeafNode, LeafNodeSource, MLS10, Proposal, UpdatePath, encode,
    },
};

use super::{client::Client, random};
use crate::vectors::{hex::Hex, shapes};

const EPOCH: u64 = 7;

/// A tree and what all its members know together.
struct Grove {
    suite: CipherSuite,
    group_id: Hex,
    tree: RatchetTree,
    members: BTreeMap<u32, Client>,
    /// The path secret of each node that is not blank.
    secrets: BTreeMap<NodeIndex, Secret>,
}

/// A member's fresh path in a tree that it changed.
struct Renewed {
    tree: RatchetTree,
    fresh: FreshPath,
    leaf: LeafNode,
}

/// One of each kind of tree for each suite.
pub(super) fn tree_validation() -> anyhow::Result<Vec<shapes::TreeValidation>> {
    let groves = CipherSuite::ALL.into_iter().map(Grove::one_of_each);
    let groves: Vec<_> = groves.collect::<anyhow::Result<_>>()?;
    groves
        .into_iter()
        .flatten()
        .map(Grove::validation)
        .collect()
}

/// One of each kind of tree for each suite.
pub(super) fn treekem() -> anyhow::Result<Vec<shapes::TreeKem>> {
    let groves = CipherSuite::ALL.into_iter().map(Grove::one_of_each);
    let groves: Vec<_> = groves.collect::<anyhow::Result<_>>()?;
    groves.iter().flatten().map(Grove::treekem).collect()
}

/// For each suite: joining in a gap and at the end, renewing, leaving, and leaving such that the
/// tree shrinks.
pub(super) fn tree_operations() -> anyhow::Result<Vec<shapes::TreeOperations>> {
    let mut entries = Vec::new();
    for suite in CipherSuite::ALL {
        let joiner = Client::new(suite, "joiner")?;
        let add = || Proposal::Add(Box::new(joiner.keys.package.clone()));
        let full = Grove::grown(suite, 8)?;
        let mut gap = Grove::grown(suite, 8)?;
        gap.remove(2)?;
        let five = Grove::grown(suite, 5)?;
        let updated = full.updated_leaf(3)?;
        entries.push(gap.operation(0, &add())?);
        entries.push(full.operation(0, &add())?);
        entries.push(full.operation(3, &Proposal::Update(Box::new(updated)))?);
        entries.push(full.operation(0, &Proposal::Remove(5))?);
        entries.push(five.operation(0, &Proposal::Remove(4))?);
    }
    Ok(entries)
}

impl Grove {
    /// Of this many members, each of whom has committed.
    fn grown(suite: CipherSuite, members: u32) -> anyhow::Result<Self> {
        let founder = Client::new(suite, "member 0")?;
        let mut grove = Self {
            suite,
            group_id: random(16)?,
            tree: RatchetTree::new(suite, founder.keys.package.leaf_node.clone()),
            members: BTreeMap::from([(0, founder)]),
            secrets: BTreeMap::new(),
        };
        for _ in 1..members {
            grove.add()?;
        }
        for member in 0..members {
            grove.renew(member)?;
        }
        Ok(grove)
    }

    /// Full trees, one with a gap, one with an unmerged leaf, one with both and blank parents.
    fn one_of_each(suite: CipherSuite) -> anyhow::Result<Vec<Self>> {
        let mut gap = Self::grown(suite, 7)?;
        gap.remove(2)?;
        let mut unmerged = Self::grown(suite, 5)?;
        unmerged.add()?;
        let mut both = Self::grown(suite, 8)?;
        both.remove(1)?;
        both.remove(6)?;
        both.renew(3)?;
        both.add()?;
        Ok(vec![
            Self::grown(suite, 2)?,
            Self::grown(suite, 4)?,
            gap,
            unmerged,
            both,
        ])
    }

    fn add(&mut self) -> anyhow::Result<()> {
        let client = Client::new(self.suite, &format!("member {}", self.members.len()))?;
        let leaf = self.tree.add_leaf(client.keys.package.leaf_node.clone())?;
        self.members.insert(leaf, client);
        Ok(())
    }

    fn remove(&mut self, leaf: u32) -> anyhow::Result<()> {
        self.tree.remove_leaf(leaf)?;
        self.members.remove(&leaf);
        Ok(())
    }

    fn member(&self, leaf: u32) -> anyhow::Result<&Client> {
        let member = self.members.get(&leaf);
        member.ok_or_else(|| anyhow::anyhow!("no member is at leaf {leaf}"))
    }

    /// A fresh path of a member, in a copy of the tree.
    fn renewed(&self, sender: u32) -> anyhow::Result<Renewed> {
        let (member, mut tree) = (self.member(sender)?, self.tree.clone());
        let leaf = tree.leaf(sender).unwrap_or(&member.keys.package.leaf_node);
        let leaf = leaf.clone();
        let fresh = FreshPath::draw(&tree, sender, &mut SystemRandomness)?;
        let parent_hash = tree.merge_keys(sender, fresh.filtered(), fresh.public_keys());
        let leaf = fresh.sign_leaf(leaf, parent_hash, &self.group_id, &member.identity.key)?;
        tree.merge_leaf(sender, leaf.clone());
        Ok(Renewed { tree, fresh, leaf })
    }

    fn renew(&mut self, sender: u32) -> anyhow::Result<()> {
        let Renewed { tree, fresh, .. } = self.renewed(sender)?;
        for (node, beside) in fresh.filtered() {
            let mut below = beside.leaves().filter_map(|leaf| fresh.secret_for(leaf));
            if let Some(secret) = below.next() {
                self.secrets.insert(*node, secret.clone());
            }
        }
        self.tree = tree;
        let keys = fresh.into_keys();
        if let (Some(member), Some(pair)) = (
            self.members.get_mut(&sender),
            keys.key(NodeIndex::of_leaf(sender)),
        ) {
            member.keys.leaf = pair.clone();
        }
        Ok(())
    }

    fn updated_leaf(&self, leaf: u32) -> anyhow::Result<LeafNode> {
        let member = self.member(leaf)?;
        let pair = self.suite.generate_key_pair(&mut SystemRandomness)?;
        let mut node = member.keys.package.leaf_node.clone();
        node.encryption_key = pair.public().into();
        node.leaf_node_source = LeafNodeSource::Update;
        node.sign(&member.identity.key, Some((&self.group_id, leaf)))?;
        Ok(node)
    }

    fn operation(
        &self,
        sender: u32,
        proposal: &Proposal,
    ) -> anyhow::Result<shapes::TreeOperations> {
        let (mut before, mut after) = (self.tree.clone(), self.tree.clone());
        match proposal {
            Proposal::Add(package) => drop(after.add_leaf(package.leaf_node.clone())?),
            Proposal::Update(leaf) => after.update_leaf(sender, (**leaf).clone())?,
            Proposal::Remove(leaf) => after.remove_leaf(*leaf)?,
            _ => anyhow::bail!("a proposal that does not change the tree"),
        }
        Ok(shapes::TreeOperations {
            cipher_suite: self.suite.into(),
            tree_before: encode(&before.to_nodes())?.into(),
            proposal: encode(proposal)?.into(),
            proposal_sender: sender,
            tree_hash_before: before.tree_hash().into(),
            tree_after: encode(&after.to_nodes())?.into(),
            tree_hash_after: after.tree_hash().into(),
        })
    }

    fn validation(mut self) -> anyhow::Result<shapes::TreeValidation> {
        let nodes: Vec<_> = (0..self.tree.size().nodes()).map(NodeIndex).collect();
        let resolution = |node: &NodeIndex| {
            let nodes = self.tree.resolution(*node).into_iter();
            nodes.map(|node| node.0).collect()
        };
        Ok(shapes::TreeValidation {
            cipher_suite: self.suite.into(),
            tree: encode(&self.tree.to_nodes())?.into(),
            group_id: self.group_id.clone(),
            resolutions: nodes.iter().map(resolution).collect(),
            tree_hashes: nodes
                .iter()
                .map(|node| self.tree.hash_of(*node).into())
                .collect(),
        })
    }

    fn treekem(&self) -> anyhow::Result<shapes::TreeKem> {
        let confirmed_transcript_hash = random(self.suite.hash_len())?;
        let members = self.members.iter();
        let leaves_private = members.map(|(leaf, member)| self.leaf_private(*leaf, member));
        let senders = self.members.keys();
        let update_paths = senders.map(|sender| self.path(*sender, &confirmed_transcript_hash));
        Ok(shapes::TreeKem {
            cipher_suite: self.suite.into(),
            group_id: self.group_id.clone(),
            epoch: EPOCH,
            ratchet_tree: encode(&self.tree.to_nodes())?.into(),
            leaves_private: leaves_private.collect(),
            update_paths: update_paths.collect::<anyhow::Result<_>>()?,
            confirmed_transcript_hash,
        })
    }

    /// What a member knows: the secret of each node above it, but of those that it is not merged in.
    fn leaf_private(&self, leaf: u32, member: &Client) -> shapes::LeafPrivate {
        let above = self.tree.size().direct_path(NodeIndex::of_leaf(leaf));
        let known = above.filter(|node| {
            let parent = self.tree.parent(*node);
            parent.is_some_and(|parent| !parent.unmerged_leaves.contains(&leaf))
        });
        let secrets = known.filter_map(|node| {
            Some(shapes::NodeSecret {
                node: node.0,
                path_secret: self.secrets.get(&node)?.as_bytes().into(),
            })
        });
        shapes::LeafPrivate {
            index: leaf,
            encryption_priv: member.keys.leaf.private().as_bytes().into(),
            signature_priv: member.identity.private.as_bytes().into(),
            path_secrets: secrets.collect(),
        }
    }

    fn path(&self, sender: u32, transcript: &Hex) -> anyhow::Result<shapes::UpdatePathCase> {
        let Renewed {
            mut tree,
            fresh,
            leaf,
        } = self.renewed(sender)?;
        let tree_hash = tree.tree_hash();
        let context = encode(&GroupContext {
            version: MLS10,
            cipher_suite: self.suite.into(),
            group_id: self.group_id.to_vec().into(),
            epoch: EPOCH,
            tree_hash: tree_hash.clone().into(),
            confirmed_transcript_hash: transcript.to_vec().into(),
            extensions: Extensions::default(),
        })?;
        let path: UpdatePath = fresh.seal(leaf, &tree, &[], &context, &mut SystemRandomness)?;
        let secret = |leaf: u32| {
            let is_receiver = leaf != sender && self.members.contains_key(&leaf);
            let secret = fresh.secret_for(leaf).filter(|_| is_receiver);
            secret.map(|secret| secret.as_bytes().into())
        };
        Ok(shapes::UpdatePathCase {
            sender,
            update_path: encode(&path)?.into(),
            path_secrets: (0..tree.size().leaves()).map(secret).collect(),
            commit_secret: fresh.commit_secret().as_bytes().into(),
            tree_hash_after: tree_hash.into(),
        })
    }
}
