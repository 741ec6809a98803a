//! The groups that come of a group.

use std::sync::Arc;

use anyhow::Context as _;
use mls_rs::{
    ExtensionList, Group, MlsMessage,
    client_builder::MlsConfig,
    error::MlsError,
    group::{CommitEffect, CommitMessageDescription, ReinitClient},
    mls_rs_codec::MlsEncode as _,
};

use super::{MlsRs, exported_tree, messages, signing};
use crate::client::{Branch, Client, Form, Founded, Unsupported, identity::Identity};

/// RFC 9420 §11.3 leaves the subgroup's extensions to its creator.
const SAME_EXTENSIONS: Unsupported =
    Unsupported("mls-rs gives a subgroup the extensions of its group, and joins no other");

impl<C: MlsConfig + 'static> MlsRs<C> {
    /// Remembers the suite that the group is to be begun anew with, if this Commit ended it.
    pub(super) fn note_end(&mut self, commit: &CommitMessageDescription) {
        if let CommitEffect::ReInit(reinit) = &commit.effect {
            self.successor_suite = Some(reinit.proposal.new_cipher_suite().into());
        }
    }

    /// The same name, in the suite of the group that follows.
    fn next_identity(&self) -> anyhow::Result<Arc<Identity>> {
        let suite = self.successor_suite.context("no ReInit was committed")?;
        self.names.identity(suite.try_into()?, &self.identity.name)
    }

    fn reinit_client(&self, identity: &Identity) -> anyhow::Result<ReinitClient<C>> {
        let (who, secret) = signing(identity);
        let ended = self.group()?.clone();
        Ok(ended.get_reinit_client(Some(secret), Some(who))?)
    }

    pub(super) fn package_for_successor(&mut self) -> anyhow::Result<Vec<u8>> {
        let (identity, known) = (self.next_identity()?, self.package_names());
        let package = self.reinit_client(&identity)?.generate_key_package(None)?;
        self.remember_package(&known);
        Ok(package.to_bytes()?)
    }

    pub(super) fn found_successor(
        &mut self,
        packages: &[Vec<u8>],
        form: Form,
    ) -> anyhow::Result<Founded> {
        let (identity, packages) = (self.next_identity()?, messages(packages)?);
        self.stores.rules.set_form(form);
        let client = self.reinit_client(&identity)?;
        let (group, welcomes) = client.commit(packages, ExtensionList::default(), None)?;
        let founded = founded(&group, &welcomes, form)?;
        (self.identity, self.group) = (identity, Some(group));
        Ok(founded)
    }

    pub(super) fn enter_successor(
        &mut self,
        welcome: &[u8],
        tree: Option<&[u8]>,
    ) -> anyhow::Result<()> {
        let (identity, welcome) = (self.next_identity()?, MlsMessage::from_bytes(welcome)?);
        let client = self.reinit_client(&identity)?;
        let (group, _) = client.join(&welcome, exported_tree(tree)?, None)?;
        (self.identity, self.group) = (identity, Some(group));
        Ok(())
    }

    pub(super) fn found_branch(
        &mut self,
        branch: &Branch,
    ) -> anyhow::Result<(Box<dyn Client>, Founded)> {
        if self.extensions()? != branch.extensions {
            return Err(SAME_EXTENSIONS.into());
        }
        self.stores.rules.set_form(branch.form);
        let (id, packages) = (branch.group_id.clone(), messages(&branch.packages)?);
        let (group, welcomes) = self.group()?.branch(id, packages, None)?;
        let founded = founded(&group, &welcomes, branch.form)?;
        Ok((Box::new(self.beside(group)), founded))
    }

    pub(super) fn enter_branch(
        &mut self,
        invitee: &Self,
        welcome: &[u8],
        tree: Option<&[u8]>,
    ) -> anyhow::Result<Box<dyn Client>> {
        // The group looks for the KeyPackage in its own client's store.
        for (name, data) in invitee.stores.packages.key_packages() {
            self.stores.packages.insert(name, data);
        }
        let welcome = MlsMessage::from_bytes(welcome)?;
        let joined = self
            .group()?
            .join_subgroup(&welcome, exported_tree(tree)?, None);
        match joined {
            Ok((group, _)) => Ok(Box::new(self.beside(group))),
            Err(MlsError::ReInitExtensionsMismatch) => Err(SAME_EXTENSIONS.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// The same client in another group.
    fn beside(&self, group: Group<C>) -> Self {
        Self {
            names: self.names.clone(),
            identity: Arc::clone(&self.identity),
            client: self.client.clone(),
            stores: self.stores.clone(),
            package: None,
            successor_suite: None,
            group: Some(group),
        }
    }
}

fn founded<C: MlsConfig>(
    group: &Group<C>,
    welcomes: &[MlsMessage],
    form: Form,
) -> anyhow::Result<Founded> {
    let tree = (!form.tree).then(|| group.export_tree().mls_encode_to_vec());
    let welcome = welcomes.first().map(MlsMessage::to_bytes);
    Ok(Founded {
        welcome: welcome.transpose()?,
        tree: tree.transpose()?,
    })
}
