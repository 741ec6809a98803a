//! The public ratchet tree.

use std::num::NonZeroUsize;

use anyhow::{bail, ensure};
use conclave_mls_public::{
    RatchetTree,
    math::NodeIndex,
    same_tree, tree_hash_of,
    wire::{Extensions, Proposal, decode, encode},
};

use super::suite;
use crate::vectors::{same, shapes};

pub(super) fn operations(vector: &shapes::TreeOperations) -> anyhow::Result<()> {
    let suite = suite(vector.cipher_suite)?;
    let mut tree = RatchetTree::from_nodes(suite, decode(&vector.tree_before)?)?;
    same(
        "tree_hash_before",
        &tree.tree_hash(),
        &vector.tree_hash_before,
    )?;
    match decode(&vector.proposal)? {
        Proposal::Add(package) => {
            tree.add_leaf(package.leaf_node)?;
        }
        Proposal::Update(leaf) => tree.update_leaf(vector.proposal_sender, *leaf)?,
        Proposal::Remove(leaf) => tree.remove_leaf(leaf)?,
        _ => bail!("a proposal that does not change the tree"),
    }
    same("tree_after", &encode(&tree.to_nodes())?, &vector.tree_after)?;
    same(
        "tree_hash_after",
        &tree.tree_hash(),
        &vector.tree_hash_after,
    )
}

pub(super) fn validation(vector: &shapes::TreeValidation) -> anyhow::Result<()> {
    let suite = suite(vector.cipher_suite)?;
    let mut tree = RatchetTree::from_nodes(suite, decode(&vector.tree)?)?;
    for (index, expected) in (0..).map(NodeIndex).zip(&vector.tree_hashes) {
        same("a tree hash", &tree.hash_of(index), expected)?;
    }
    for (index, expected) in (0..).map(NodeIndex).zip(&vector.resolutions) {
        let resolution: Vec<_> = tree.resolution(index).iter().map(|node| node.0).collect();
        ensure!(
            resolution == *expected,
            "the resolution of {index:?} is {resolution:?}"
        );
    }
    tree.validate_structure(&Extensions::default())?;
    Ok(tree.verify_leaf_signatures(&vector.group_id, NonZeroUsize::MIN)?)
}

pub(super) fn membership_proofs(vector: &shapes::PartialProofs) -> anyhow::Result<()> {
    let suite = suite(vector.cipher_suite)?;
    let proofs: Vec<_> = vector
        .proofs
        .iter()
        .map(|proof| decode(proof))
        .collect::<Result<_, _>>()?;
    for proof in &proofs {
        same(
            "the tree hash",
            tree_hash_of(suite, proof)?.as_bytes(),
            &vector.tree_hash,
        )?;
        for other in &proofs {
            ensure!(
                same_tree(suite, proof, other)?,
                "two proofs are for different trees"
            );
        }
    }
    Ok(())
}
