//! Update paths, given and fresh.

use anyhow::{Context as _, ensure};
use conclave_crypto::{Secret, SigningKey, SystemRandomness};
use conclave_mls_member::{FreshPath, PrivateTree};
use conclave_mls_public::{
    RatchetTree,
    math::NodeIndex,
    wire::{Extensions, GroupContext, MLS10, UpdatePath, decode, encode},
};

use super::suite;
use crate::vectors::{same, shapes};

pub(super) fn treekem(vector: &shapes::TreeKem) -> anyhow::Result<()> {
    let suite = suite(vector.cipher_suite)?;
    let tree = RatchetTree::from_nodes(suite, decode(&vector.ratchet_tree)?)?;
    let members: Vec<_> = vector
        .leaves_private
        .iter()
        .map(|leaf| private_tree(&tree, leaf).with_context(|| format!("leaf {}", leaf.index)))
        .collect::<anyhow::Result<_>>()?;
    for case in &vector.update_paths {
        let from = || format!("the path from {}", case.sender);
        given_path(vector, &tree, &members, case).with_context(from)?;
        fresh_path(vector, &tree, &members, case.sender).with_context(from)?;
    }
    Ok(())
}

/// A member's keys; each must be the private one of what is in the tree.
fn private_tree(tree: &RatchetTree, leaf: &shapes::LeafPrivate) -> anyhow::Result<PrivateTree> {
    let suite = tree.suite();
    let mut keys = PrivateTree::new(leaf.index, suite.key_pair(&leaf.encryption_priv)?);
    for known in &leaf.path_secrets {
        let node_secret = suite.derive_secret(&Secret::from(&*known.path_secret), "node")?;
        let pair = suite.derive_key_pair(&node_secret)?;
        let public = tree
            .encryption_key(NodeIndex(known.node))
            .unwrap_or_default();
        same("a node's public key", pair.public(), public)?;
        keys.insert(NodeIndex(known.node), pair);
    }
    let member = tree.leaf(leaf.index).context("the leaf is blank")?;
    let pair = keys
        .key(NodeIndex::of_leaf(leaf.index))
        .context("no key for the leaf")?;
    same(
        "the leaf's public key",
        pair.public(),
        member.encryption_key.as_slice(),
    )?;
    let signing = SigningKey::from_bytes(suite, &leaf.signature_priv)?;
    same(
        "the signature key",
        signing.public(),
        member.signature_key.as_slice(),
    )?;
    Ok(keys)
}

fn given_path(
    vector: &shapes::TreeKem,
    tree: &RatchetTree,
    members: &[PrivateTree],
    case: &shapes::UpdatePathCase,
) -> anyhow::Result<()> {
    let path: UpdatePath = decode(&case.update_path)?;
    let mut after = tree.clone();
    path.leaf_node
        .verify(after.suite(), (&vector.group_id, case.sender))?;
    after.apply_path(case.sender, &path, &[])?;
    same("tree_hash_after", &after.tree_hash(), &case.tree_hash_after)?;
    let context = context(vector, &mut after)?;
    for member in members.iter().filter(|member| member.leaf() != case.sender) {
        let mut member = member.clone();
        let commit_secret = member.open(&after, case.sender, &path, &[], &context)?;
        same(
            "the commit secret",
            commit_secret.as_bytes(),
            &case.commit_secret,
        )?;
        let expected = case
            .path_secrets
            .get(member.leaf() as usize)
            .and_then(Option::as_ref);
        let expected = expected.context("no path secret is given for the leaf")?;
        same_path_secret(&after, case.sender, &member, expected)?;
    }
    Ok(())
}

/// That the lowest node above both, which is the first that the member learnt, has the key pair of
/// the given path secret.
fn same_path_secret(
    tree: &RatchetTree,
    sender: u32,
    member: &PrivateTree,
    expected: &[u8],
) -> anyhow::Result<()> {
    let at = NodeIndex::of_leaf(member.leaf());
    let path = tree.filtered_direct_path(sender);
    let mut path = path.iter();
    let (node, _) = path
        .find(|(_, beside)| beside.covers(at))
        .context("no node above both")?;
    let node_secret = tree
        .suite()
        .derive_secret(&Secret::from(expected), "node")?;
    let expected = tree.suite().derive_key_pair(&node_secret)?;
    ensure!(
        member.key(*node) == Some(&expected),
        "a path secret differs"
    );
    Ok(())
}

fn fresh_path(
    vector: &shapes::TreeKem,
    tree: &RatchetTree,
    members: &[PrivateTree],
    sender: u32,
) -> anyhow::Result<()> {
    let mut random = SystemRandomness;
    let private = vector
        .leaves_private
        .iter()
        .find(|leaf| leaf.index == sender);
    let private = private.context("the sender's keys are not given")?;
    let key = SigningKey::from_bytes(tree.suite(), &private.signature_priv)?;
    let mut after = tree.clone();
    let leaf = after
        .leaf(sender)
        .context("the sender's leaf is blank")?
        .clone();
    let fresh = FreshPath::draw(&after, sender, &mut random)?;
    let parent_hash = after.merge_keys(sender, fresh.filtered(), fresh.public_keys());
    let leaf = fresh.sign_leaf(leaf, parent_hash, &vector.group_id, &key)?;
    after.merge_leaf(sender, leaf.clone());
    let context = context(vector, &mut after)?;
    let path = fresh.seal(leaf, &after, &[], &context, &mut random)?;
    let mut received = tree.clone();
    received.apply_path(sender, &path, &[])?;
    same(
        "the fresh tree hash",
        &received.tree_hash(),
        &after.tree_hash(),
    )?;
    for member in members.iter().filter(|member| member.leaf() != sender) {
        let commit_secret = member
            .clone()
            .open(&received, sender, &path, &[], &context)?;
        ensure!(
            commit_secret == *fresh.commit_secret(),
            "a fresh commit secret differs"
        );
    }
    Ok(())
}

fn context(vector: &shapes::TreeKem, after: &mut RatchetTree) -> anyhow::Result<Vec<u8>> {
    Ok(encode(&GroupContext {
        version: MLS10,
        cipher_suite: vector.cipher_suite,
        group_id: vector.group_id.to_vec().into(),
        epoch: vector.epoch,
        tree_hash: after.tree_hash().into(),
        confirmed_transcript_hash: vector.confirmed_transcript_hash.to_vec().into(),
        extensions: Extensions::default(),
    })?)
}
