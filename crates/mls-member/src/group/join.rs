//! Joining by a Welcome (RFC 9420 §12.4.3.1).

use std::{collections::BTreeMap, num::NonZeroUsize};

use conclave_crypto::{CipherSuite, HpkeKeyPair, Secret};
use conclave_mls_public::{
    PublicGroup, RatchetTree,
    math::NodeIndex,
    wire::{GroupInfo, KeyPackage, Node, PreSharedKeyId, Psk, ResumptionPskUsage, Welcome},
};

use super::{Group, Handshakes, NextEpoch, PastEpochs, Standing, find_psks};
use crate::{
    GroupSecrets, MemberError, PrivateTree, PskStore, SecretTree, error::Result, open_group_info,
    psk_secret,
};

/// A KeyPackage with its private keys.
#[derive(Debug, Clone)]
pub struct Invitee {
    key_package: KeyPackage,
    suite: CipherSuite,
    init: HpkeKeyPair,
    leaf: HpkeKeyPair,
}

impl Invitee {
    /// Puts them together.
    ///
    /// # Errors
    /// [`MemberError::KeyMismatch`] if they do not belong together; [`MemberError::Crypto`] if the
    /// package's suite is not supported.
    pub fn new(key_package: KeyPackage, init: HpkeKeyPair, leaf: HpkeKeyPair) -> Result<Self> {
        let suite = CipherSuite::try_from(key_package.cipher_suite)?;
        let public = key_package.leaf_node.encryption_key.as_slice();
        if key_package.init_key.as_slice() != init.public() || public != leaf.public() {
            return Err(MemberError::KeyMismatch);
        }
        Ok(Self {
            key_package,
            suite,
            init,
            leaf,
        })
    }
}

impl Group {
    /// Joins a group. `nodes` is its ratchet tree, if the Welcome does not carry it; signatures in it
    /// are verified on up to `threads` threads.
    ///
    /// # Errors
    /// The clause that does not hold.
    pub fn join(
        welcome: &Welcome,
        invitee: &Invitee,
        nodes: Option<Vec<Option<Node>>>,
        psks: &dyn PskStore,
        threads: NonZeroUsize,
    ) -> Result<Self> {
        let (group, _) = Self::join_knowing(welcome, invitee, nodes, psks, threads)?;
        Ok(group)
    }

    /// Joins, and tells which PSKs the Welcome named.
    pub(super) fn join_knowing(
        welcome: &Welcome,
        invitee: &Invitee,
        nodes: Option<Vec<Option<Node>>>,
        psks: &dyn PskStore,
        threads: NonZeroUsize,
    ) -> Result<(Self, Vec<PreSharedKeyId>)> {
        let suite = invitee.suite;
        let told = GroupSecrets::open(suite, welcome, &invitee.key_package, &invitee.init)?;
        let joiner = told.joiner_secret();
        let found = find_psks(told.psks(), psks)?;
        let member = joiner.with_psks(suite, &psk_secret(suite, &found)?);
        let info = open_group_info(suite, welcome, &member)?;
        check_context(&info, suite, told.psks())?;
        let public = PublicGroup::from_group_info(&info, nodes, threads)?;
        let keys = private_keys(public.tree(), &info, invitee, told.path_secret())?;
        let next = NextEpoch::derive(&member, public.context())?;
        // RFC 9420 §12.4.3.1
        next.confirm(suite, public.context(), info.confirmation_tag.as_slice())?;
        let group = Self {
            messages: SecretTree::new(suite, public.tree().size(), next.encryption),
            secrets: next.secrets,
            public,
            keys,
            updates: BTreeMap::new(),
            past: BTreeMap::new(),
            past_epochs: PastEpochs::default(),
            standing: Standing::Member,
            handshakes: Handshakes::default(),
        };
        Ok((group, told.psks().to_vec()))
    }
}

fn check_context(info: &GroupInfo, suite: CipherSuite, psks: &[PreSharedKeyId]) -> Result<()> {
    // RFC 9420 §12.4.3.1: at most one PSK says from which group this one comes.
    if psks.iter().filter(|id| is_for_a_first_epoch(id)).count() > 1 {
        return Err(MemberError::WelcomePsks);
    }
    // RFC 9420 §12.4.3.1
    if info.group_context.cipher_suite != u16::from(suite) {
        return Err(MemberError::WrongSuite);
    }
    // RFC 9420 §11.2, §11.3: it is the first that the new group's creator invites to.
    if psks.iter().any(is_for_a_first_epoch) && info.group_context.epoch != 1 {
        return Err(MemberError::WelcomePsks);
    }
    Ok(())
}

/// Whether a PSK links a new group to the one that it comes from (RFC 9420 §8.6).
fn is_for_a_first_epoch(id: &PreSharedKeyId) -> bool {
    use ResumptionPskUsage::{Branch, Reinit};
    matches!(
        id.psk,
        Psk::Resumption {
            usage: Reinit | Branch,
            ..
        }
    )
}

fn private_keys(
    tree: &RatchetTree,
    info: &GroupInfo,
    invitee: &Invitee,
    path_secret: Option<Secret>,
) -> Result<PrivateTree> {
    // RFC 9420 §12.4.3.1: the leaf is the KeyPackage's.
    let leaf = tree
        .members()
        .find(|(_, leaf)| **leaf == invitee.key_package.leaf_node)
        .map(|(index, _)| index)
        .ok_or(MemberError::NotInvited)?;
    let mut keys = PrivateTree::new(leaf, invitee.leaf.clone());
    if let Some(path_secret) = path_secret {
        let at = NodeIndex::of_leaf(leaf);
        let path = tree.filtered_direct_path(info.signer);
        let mut path = path.into_iter();
        let (above_both, _) = path
            .find(|(_, beside)| beside.covers(at))
            .ok_or(MemberError::NotInPath)?;
        keys.learn(tree, info.signer, above_both, path_secret)?;
    }
    Ok(keys)
}
