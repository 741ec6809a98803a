//! Beginning a group (RFC 9420 §11).

use std::collections::BTreeMap;

use conclave_crypto::{CipherSuite, HpkeKeyPair, Random, Secret, SigningKey};
use conclave_mls_public::{
    PublicGroup, RatchetTree,
    wire::{Extensions, GroupContext, LeafNode, MLS10, encode},
};

use super::{Group, Handshakes, NextEpoch, PastEpochs, Standing};
use crate::{InitSecret, JoinerSecret, MemberError, PrivateTree, SecretTree, error::Result};

impl Group {
    /// A new group with one member, in epoch 0. `leaf_node` is as for a KeyPackage, signed again
    /// here, and `pair` its key pair.
    ///
    /// # Errors
    /// [`MemberError::KeyMismatch`] if `pair` is not the leaf's; the clause of RFC 9420 §7.3 that
    /// the leaf breaks.
    pub fn create(
        suite: CipherSuite,
        group_id: &[u8],
        extensions: Extensions,
        mut leaf_node: LeafNode,
        pair: HpkeKeyPair,
        key: &SigningKey,
        random: &mut dyn Random,
    ) -> Result<Self> {
        if leaf_node.encryption_key.as_slice() != pair.public() {
            return Err(MemberError::KeyMismatch);
        }
        leaf_node.sign(key, None)?;
        let mut tree = RatchetTree::new(suite, leaf_node);
        let context = GroupContext {
            version: MLS10,
            cipher_suite: suite.into(),
            group_id: group_id.into(),
            epoch: 0,
            tree_hash: tree.tree_hash().into(),
            confirmed_transcript_hash: Vec::new().into(),
            extensions,
        };
        tree.validate_structure(&context.extensions)?;
        let next = first_epoch(suite, &context, random)?;
        let tag = next.tag(suite, &context).as_bytes().into();
        Ok(Self {
            messages: SecretTree::new(suite, tree.size(), next.encryption),
            secrets: next.secrets,
            public: PublicGroup::restore(context, tag, tree.to_nodes())?,
            keys: PrivateTree::new(0, pair),
            updates: BTreeMap::new(),
            past: BTreeMap::new(),
            past_epochs: PastEpochs::default(),
            standing: Standing::Member,
            handshakes: Handshakes::default(),
        })
    }
}

/// RFC 9420 §11: all secrets of the first epoch come from fresh randomness.
fn first_epoch(
    suite: CipherSuite,
    context: &GroupContext,
    random: &mut dyn Random,
) -> Result<NextEpoch> {
    let (init, zero) = (
        InitSecret::random(suite, random)?,
        Secret::zero(suite.hash_len()),
    );
    let joiner = JoinerSecret::derive(suite, &init, &zero, &encode(context)?)?;
    NextEpoch::derive(&joiner.with_psks(suite, &zero), context)
}
