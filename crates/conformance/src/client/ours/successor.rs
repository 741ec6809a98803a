//! The groups that come of a group.

use std::{num::NonZeroUsize, sync::Arc};

use anyhow::Context as _;
use conclave_crypto::{CipherSuite, SystemRandomness};
use conclave_mls_member::Founder;
use conclave_mls_public::wire::{KeyPackage, MlsMessage, decode, encode};

use super::{Ours, commit_form, encoded_tree, fresh_leaf, key_package, welcome, welcome_message};
use crate::client::{Branch, Client, Form, Founded, identity::Identity};

impl Ours {
    /// The same name, in the suite of the group that follows.
    fn next_identity(&self) -> anyhow::Result<Arc<Identity>> {
        let reinit = self.group()?.reinit();
        let suite = reinit.context("no ReInit was committed")?.cipher_suite;
        let suite = CipherSuite::try_from(suite)?;
        self.names.identity(suite, &self.identity.name)
    }

    pub(super) fn package_for_successor(&mut self) -> anyhow::Result<Vec<u8>> {
        let keys = self.next_identity()?.key_package()?;
        let package = keys.package.clone();
        self.keys = Some(keys);
        Ok(encode(&MlsMessage::KeyPackage(package))?)
    }

    pub(super) fn found_successor(
        &mut self,
        packages: &[Vec<u8>],
        form: Form,
    ) -> anyhow::Result<Founded> {
        let identity = self.next_identity()?;
        let (form, random) = (commit_form(form), &mut SystemRandomness);
        let (founder, invited) = (founder(&identity)?, key_packages(packages)?);
        let made = self
            .group()?
            .begin_successor(founder, invited, form, random)?;
        self.identity = identity;
        self.enter(made.group);
        Ok(Founded {
            welcome: welcome_message(made.welcome)?,
            tree: encoded_tree(made.tree)?,
        })
    }

    pub(super) fn enter_successor(
        &mut self,
        message: &[u8],
        tree: Option<&[u8]>,
    ) -> anyhow::Result<()> {
        let (welcome, invitee) = (welcome(message)?, self.invitee()?);
        let (nodes, threads) = (tree.map(decode).transpose()?, NonZeroUsize::MIN);
        let old = self.group()?;
        let group = old.join_successor(&welcome, &invitee, nodes, threads)?;
        self.identity = self.next_identity()?;
        self.enter(group);
        Ok(())
    }

    pub(super) fn found_branch(
        &mut self,
        branch: &Branch,
    ) -> anyhow::Result<(Box<dyn Client>, Founded)> {
        let founder = founder(&self.identity)?;
        let place = (branch.group_id.as_slice(), decode(&branch.extensions)?);
        let (form, random) = (commit_form(branch.form), &mut SystemRandomness);
        let invited = key_packages(&branch.packages)?;
        let made = self
            .group()?
            .branch(place, founder, invited, form, random)?;
        let mut there = self.beside();
        there.enter(made.group);
        let founded = Founded {
            welcome: welcome_message(made.welcome)?,
            tree: encoded_tree(made.tree)?,
        };
        Ok((Box::new(there), founded))
    }

    pub(super) fn enter_branch(
        &mut self,
        mut invitee: Self,
        message: &[u8],
        tree: Option<&[u8]>,
    ) -> anyhow::Result<Box<dyn Client>> {
        let (welcome, nodes) = (welcome(message)?, tree.map(decode).transpose()?);
        let (package, threads) = (invitee.invitee()?, NonZeroUsize::MIN);
        let group = self.group()?;
        let group = group.join_branch(&welcome, &package, nodes, threads)?;
        invitee.handshakes = self.handshakes;
        invitee.enter(group);
        Ok(Box::new(invitee))
    }

    /// The same client, in no group yet.
    fn beside(&self) -> Self {
        Self {
            psks: self.psks.clone(),
            handshakes: self.handshakes,
            ..Self::new(Arc::clone(&self.identity), &self.names)
        }
    }
}

fn founder(identity: &Identity) -> anyhow::Result<Founder<'_>> {
    let (leaf_node, pair) = fresh_leaf(identity)?;
    Ok(Founder {
        leaf_node,
        pair,
        key: &identity.key,
    })
}

fn key_packages(messages: &[Vec<u8>]) -> anyhow::Result<Vec<KeyPackage>> {
    messages
        .iter()
        .map(|message| key_package(message))
        .collect()
}
