//! Groups that come of a group: the one that it is begun anew as (RFC 9420 §11.2), and those of some of its
//! members (§11.3). Both are new groups whose first Commit mixes in a key of the old one, so that only its
//! members can follow.

use std::num::NonZeroUsize;

use conclave_crypto::{CipherSuite, HpkeKeyPair, Random, Secret, SigningKey};
use conclave_mls_public::wire::{
    Extensions, GroupContext, KeyPackage, LeafNode, Node, PreSharedKeyId, Proposal, Psk, ReInit,
    ResumptionPskUsage, Welcome,
};

use super::{CommitForm, Group, Invitee, Standing};
use crate::{MemberError, PskStore, error::Result};

/// Who begins a group: its first leaf, as for a KeyPackage, with the keys to it.
#[derive(Debug)]
pub struct Founder<'a> {
    /// The leaf, which is signed again.
    pub leaf_node: LeafNode,
    /// Its encryption key pair.
    pub pair: HpkeKeyPair,
    /// Its signature key.
    pub key: &'a SigningKey,
}

/// A new group, in its first epoch with all its members.
#[derive(Debug)]
pub struct Founded {
    /// Its creator's state.
    pub group: Group,
    /// For the others, if there are any.
    pub welcome: Option<Welcome>,
    /// The ratchet tree, if the Welcome lacks it.
    pub tree: Option<Vec<Option<Node>>>,
}

/// The key of the old group that goes into the new one, under its name (RFC 9420 §8.6).
struct Link {
    psk: Psk,
    secret: Secret,
}

impl PskStore for Link {
    fn find(&self, psk: &Psk) -> Option<Secret> {
        (*psk == self.psk).then(|| self.secret.clone())
    }
}

impl Group {
    /// What the group is to be begun anew with, once that has been committed.
    pub fn reinit(&self) -> Option<&ReInit> {
        match &self.standing {
            Standing::Reinitialized(reinit) => Some(reinit),
            Standing::Member | Standing::Removed => None,
        }
    }

    /// Begins the group anew as its last Commit says, with the clients of these KeyPackages: all other
    /// members, which is for the application to see to (RFC 9420 §11.2).
    ///
    /// # Errors
    /// [`MemberError::NotReinitialized`]; what [`create`](Self::create) and
    /// [`commit_as`](Self::commit_as) give.
    pub fn begin_successor(
        &self,
        founder: Founder<'_>,
        invited: Vec<KeyPackage>,
        form: CommitForm,
        random: &mut dyn Random,
    ) -> Result<Founded> {
        let reinit = self.reinit().ok_or(MemberError::NotReinitialized)?;
        let suite = CipherSuite::try_from(reinit.cipher_suite)?;
        let (id, extensions) = (reinit.group_id.as_slice(), reinit.extensions.clone());
        let link = self.link(ResumptionPskUsage::Reinit);
        found(
            (suite, id, extensions),
            founder,
            invited,
            &link,
            form,
            random,
        )
    }

    /// Joins the group that this one is begun anew as.
    ///
    /// # Errors
    /// [`MemberError::NotReinitialized`]; [`MemberError::NotASuccessor`] if it is another;
    /// what [`join`](Self::join) gives.
    pub fn join_successor(
        &self,
        welcome: &Welcome,
        invitee: &Invitee,
        nodes: Option<Vec<Option<Node>>>,
        threads: NonZeroUsize,
    ) -> Result<Self> {
        let reinit = self.reinit().ok_or(MemberError::NotReinitialized)?;
        let link = self.link(ResumptionPskUsage::Reinit);
        let (group, psks) = Self::join_knowing(welcome, invitee, nodes, &link, threads)?;
        // RFC 9420 §11.2; that it is in its epoch 1 is checked of every Welcome with such a key.
        match is_as_agreed(group.public.context(), reinit) && names(&psks, &link.psk) {
            true => Ok(group),
            false => Err(MemberError::NotASuccessor),
        }
    }

    /// Begins a group of some of this one's members (RFC 9420 §11.3), in its suite.
    ///
    /// # Errors
    /// [`MemberError::NotASubgroup`] if a KeyPackage is not of a member; what
    /// [`create`](Self::create) and [`commit_as`](Self::commit_as) give.
    pub fn branch(
        &self,
        (group_id, extensions): (&[u8], Extensions),
        founder: Founder<'_>,
        invited: Vec<KeyPackage>,
        form: CommitForm,
        random: &mut dyn Random,
    ) -> Result<Founded> {
        self.check_standing()?;
        let mut leaves = invited.iter().map(|package| &package.leaf_node);
        if !leaves.all(|leaf| self.has_member_like(leaf)) {
            return Err(MemberError::NotASubgroup);
        }
        let link = self.link(ResumptionPskUsage::Branch);
        let place = (self.suite(), group_id, extensions);
        found(place, founder, invited, &link, form, random)
    }

    /// Joins a group of some of this one's members. Members are alike if their credentials are equal;
    /// what more it takes is for the application.
    ///
    /// # Errors
    /// [`MemberError::NotASubgroup`]; what [`join`](Self::join) gives.
    pub fn join_branch(
        &self,
        welcome: &Welcome,
        invitee: &Invitee,
        nodes: Option<Vec<Option<Node>>>,
        threads: NonZeroUsize,
    ) -> Result<Self> {
        self.check_standing()?;
        let link = self.link(ResumptionPskUsage::Branch);
        let (group, psks) = Self::join_knowing(welcome, invitee, nodes, &link, threads)?;
        let (old, new) = (self.public.context(), group.public.context());
        let mut members = group.public.tree().members();
        // RFC 9420 §11.3
        let is_subgroup = (new.version, new.cipher_suite) == (old.version, old.cipher_suite)
            && members.all(|(_, leaf)| self.has_member_like(leaf))
            && names(&psks, &link.psk);
        drop(members);
        match is_subgroup {
            true => Ok(group),
            false => Err(MemberError::NotASubgroup),
        }
    }

    fn link(&self, usage: ResumptionPskUsage) -> Link {
        let context = self.public.context();
        Link {
            psk: Psk::Resumption {
                usage,
                psk_group_id: context.group_id.clone(),
                psk_epoch: context.epoch,
            },
            secret: self.secrets.resumption_psk().clone(),
        }
    }

    fn has_member_like(&self, leaf: &LeafNode) -> bool {
        let mut members = self.public.tree().members();
        members.any(|(_, member)| member.credential == leaf.credential)
    }
}

fn found(
    (suite, group_id, extensions): (CipherSuite, &[u8], Extensions),
    founder: Founder<'_>,
    invited: Vec<KeyPackage>,
    link: &Link,
    form: CommitForm,
    random: &mut dyn Random,
) -> Result<Founded> {
    let Founder {
        leaf_node,
        pair,
        key,
    } = founder;
    let mut group = Group::create(suite, group_id, extensions, leaf_node, pair, key, random)?;
    let mut psk_nonce = vec![0; suite.hash_len()];
    random.fill(&mut psk_nonce)?;
    let link_id = PreSharedKeyId {
        psk: link.psk.clone(),
        psk_nonce: psk_nonce.into(),
    };
    let adds = invited.into_iter().map(Box::new).map(Proposal::Add);
    let proposals = adds.chain([Proposal::PreSharedKey(link_id)]).collect();
    let made = group.commit_as(form, proposals, link, key, random)?;
    group.merge(made.pending)?;
    Ok(Founded {
        group,
        welcome: made.welcome,
        tree: made.tree,
    })
}

/// RFC 9420 §11.2
fn is_as_agreed(context: &GroupContext, reinit: &ReInit) -> bool {
    context.version == reinit.version
        && context.cipher_suite == reinit.cipher_suite
        && context.group_id == reinit.group_id
        && context.extensions == reinit.extensions
}

fn names(psks: &[PreSharedKeyId], link: &Psk) -> bool {
    psks.iter().any(|id| id.psk == *link)
}
