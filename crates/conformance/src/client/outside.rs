//! Those who are no members: who may propose from outside (RFC 9420 §12.1.8), and what they see.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use conclave_mls_public::wire::{
    Credential, ExternalSender, GroupInfo, MlsMessage, Node, PublicMessage, Sender, decode, encode,
};

use super::{Change, identity::Identity, mls_rs, openmls, ours};
use crate::engine::EngineName;

/// An external sender of some implementation.
pub(crate) struct Outsider {
    engine: EngineName,
    identity: Arc<Identity>,
}

impl Outsider {
    pub(crate) fn new(engine: EngineName, identity: Arc<Identity>) -> Self {
        Self { engine, identity }
    }

    /// What a group lists it as, encoded.
    pub(crate) fn sender(&self) -> anyhow::Result<Vec<u8>> {
        Ok(encode(&ExternalSender {
            signature_key: self.identity.key.public().into(),
            credential: Credential::Basic(self.identity.name.as_slice().into()),
        })?)
    }

    /// Proposes to a group in whose list it is at `index`.
    ///
    /// # Errors
    /// If the GroupInfo is refused, or the implementation can't make such a proposal.
    pub(crate) fn propose(
        &self,
        (info, tree): (&[u8], Option<&[u8]>),
        index: u32,
        change: &Change,
    ) -> anyhow::Result<Vec<u8>> {
        match self.engine {
            EngineName::Ours => propose(&self.identity, info, index, change),
            EngineName::Openmls => openmls::propose(&self.identity, info, index, change),
            EngineName::MlsRs => mls_rs::propose(&self.identity, info, tree, change),
        }
    }
}

fn propose(
    identity: &Identity,
    info: &[u8],
    index: u32,
    change: &Change,
) -> anyhow::Result<Vec<u8>> {
    let context = group_info(info)?.group_context;
    let proposal = ours::proposal(identity.suite, context.group_id.as_slice(), change)?;
    let sender = Sender::External(index);
    let message = PublicMessage::propose_from_outside(sender, proposal, &context, &identity.key)?;
    Ok(encode(&MlsMessage::PublicMessage(message))?)
}

pub(super) fn group_info(message: &[u8]) -> anyhow::Result<GroupInfo> {
    match decode(message)? {
        MlsMessage::GroupInfo(info) => Ok(info),
        _ => bail!("no GroupInfo"),
    }
}

/// The first leaf whose credential is this bare name. `tree` is for a GroupInfo without it.
pub(crate) fn leaf_named(info: &[u8], tree: Option<&[u8]>, name: &[u8]) -> anyhow::Result<u32> {
    let nodes = match tree {
        Some(tree) => Some(decode(tree)?),
        None => group_info(info)?.extensions.ratchet_tree()?,
    };
    leaf_among(&nodes.context("there is no tree")?, name)
}

/// The first leaf of this name in an encoded tree.
pub(crate) fn leaf_in_tree(tree: &[u8], name: &[u8]) -> anyhow::Result<u32> {
    leaf_among(&decode::<Vec<_>>(tree)?, name)
}

/// The suite of the group that a GroupInfo shows.
pub(crate) fn suite_of(info: &[u8]) -> anyhow::Result<u16> {
    Ok(group_info(info)?.group_context.cipher_suite)
}

fn leaf_among(nodes: &[Option<Node>], name: &[u8]) -> anyhow::Result<u32> {
    let mut leaves = nodes.iter().step_by(2).zip(0..);
    let is_named = |node: &Option<Node>| match node {
        Some(Node::Leaf(leaf)) => leaf.credential == Credential::Basic(name.into()),
        _ => false,
    };
    let found = leaves.find(|(node, _)| is_named(node));
    found.map(|(_, leaf)| leaf).context("nobody has this name")
}
