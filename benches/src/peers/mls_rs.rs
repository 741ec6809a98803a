//! mls-rs, which writes its state into a storage in memory after each step.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, anyhow};
use conclave_benches_life::{Device, GROUP, Invitation, slice_of};
use mls_rs::{
    CipherSuite, CipherSuiteProvider as _, Client, CryptoProvider, ExtensionList, Group,
    GroupStateStorage, MlsMessage,
    client_builder::MlsConfig,
    group::{
        ExportedTree,
        mls_rules::{CommitOptions, DefaultMlsRules},
    },
    identity::{
        SigningIdentity,
        basic::{BasicCredential, BasicIdentityProvider},
    },
    storage_provider::in_memory::InMemoryGroupStateStorage,
};
use mls_rs_core::group::{EpochRecord, GroupState};
use mls_rs_crypto_awslc::AwsLcCryptoProvider;
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use zeroize::Zeroizing;

struct MlsRs<C: MlsConfig> {
    client: Client<C>,
    group: Option<Group<C>>,
    storage: Counted,
}

/// Their storage in memory, with a count of what it is given.
#[derive(Clone, Default)]
struct Counted {
    inner: InMemoryGroupStateStorage,
    written: Arc<AtomicU64>,
}

impl GroupStateStorage for Counted {
    type Error = Infallible;

    fn state(&self, group: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        self.inner.state(group)
    }

    fn epoch(&self, group: &[u8], epoch: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        self.inner.epoch(group, epoch)
    }

    fn write(
        &mut self,
        state: GroupState,
        inserts: Vec<EpochRecord>,
        updates: Vec<EpochRecord>,
    ) -> Result<(), Infallible> {
        let epochs = inserts.iter().chain(&updates).map(|epoch| epoch.data.len());
        let bytes = state.data.len() + epochs.sum::<usize>();
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
        self.inner.write(state, inserts, updates)
    }

    fn max_epoch_id(&self, group: &[u8]) -> Result<Option<u64>, Infallible> {
        self.inner.max_epoch_id(group)
    }
}

pub(super) fn on_aws_lc(number: u32) -> anyhow::Result<Box<dyn Device>> {
    device(number, AwsLcCryptoProvider::new())
}

pub(super) fn on_rustcrypto(number: u32) -> anyhow::Result<Box<dyn Device>> {
    device(number, RustCryptoProvider::new())
}

fn device(
    number: u32,
    crypto: impl CryptoProvider + Clone + 'static,
) -> anyhow::Result<Box<dyn Device>> {
    let suite = CipherSuite::CURVE25519_AES128;
    let provider = crypto
        .cipher_suite_provider(suite)
        .context("no such suite")?;
    let keys = provider.signature_key_generate();
    let (secret, public) = keys.map_err(|error| anyhow!("no key: {error:?}"))?;
    let name = format!("member{number}@example.org").into_bytes();
    let who = SigningIdentity::new(BasicCredential::new(name).into_credential(), public);
    let storage = Counted::default();
    let options = CommitOptions::new()
        .with_ratchet_tree_extension(false)
        .with_single_welcome_message(true);
    let client = Client::builder()
        .crypto_provider(crypto)
        .identity_provider(BasicIdentityProvider::new())
        .group_state_storage(storage.clone())
        .mls_rules(DefaultMlsRules::new().with_commit_options(options))
        .signing_identity(who, secret, suite)
        .build();
    Ok(Box::new(MlsRs {
        client,
        group: None,
        storage,
    }))
}

impl<C: MlsConfig> MlsRs<C> {
    fn group(&mut self) -> anyhow::Result<&mut Group<C>> {
        self.group.as_mut().context("in no group")
    }

    fn invite(&mut self, packages: &[Vec<u8>]) -> anyhow::Result<Invitation> {
        let group = self.group()?;
        let mut builder = group.commit_builder();
        for package in packages {
            builder = builder.add_member(MlsMessage::from_bytes(package)?)?;
        }
        let made = builder.build()?;
        group.apply_pending_commit()?;
        group.write_to_storage()?;
        let welcome = made.welcome_messages.first().context("nobody was added")?;
        let (commit, welcome) = (made.commit_message.to_bytes()?, welcome.to_bytes()?);
        let tree = made.ratchet_tree.context("no tree")?.to_bytes()?;
        Ok(Invitation {
            commit_bytes: commit.len(),
            welcome_bytes: welcome.len(),
            slice_bytes: slice_of(&welcome)?,
            commit,
            welcome,
            tree,
        })
    }

    fn merged(&mut self, commit: &MlsMessage) -> anyhow::Result<Vec<u8>> {
        let group = self.group()?;
        group.apply_pending_commit()?;
        group.write_to_storage()?;
        Ok(commit.to_bytes()?)
    }
}

impl<C: MlsConfig> Device for MlsRs<C> {
    fn key_package(&mut self) -> anyhow::Result<Vec<u8>> {
        let none = ExtensionList::default();
        let package = self
            .client
            .generate_key_package_message(none.clone(), none, None)?;
        Ok(package.to_bytes()?)
    }

    fn create(&mut self, packages: Vec<Vec<u8>>) -> anyhow::Result<Invitation> {
        let (id, none) = (GROUP.to_vec(), ExtensionList::default());
        let group = self
            .client
            .create_group_with_id(id, none.clone(), none, None)?;
        self.group = Some(group);
        self.invite(&packages)
    }

    fn add(&mut self, package: &[u8]) -> anyhow::Result<Invitation> {
        self.invite(&[package.to_vec()])
    }

    fn remove_last(&mut self, leaf: u32) -> anyhow::Result<Vec<u8>> {
        let made = self
            .group()?
            .commit_builder()
            .remove_member(leaf)?
            .build()?;
        self.merged(&made.commit_message)
    }

    fn update(&mut self) -> anyhow::Result<Vec<u8>> {
        let made = self.group()?.commit(Vec::new())?;
        self.merged(&made.commit_message)
    }

    fn join(&mut self, invitation: &Invitation) -> anyhow::Result<()> {
        let welcome = MlsMessage::from_bytes(&invitation.welcome)?;
        let tree = ExportedTree::from_bytes(&invitation.tree)?;
        let (mut group, _) = self.client.join_group(Some(tree), &welcome, None)?;
        group.write_to_storage()?;
        self.group = Some(group);
        Ok(())
    }

    fn send(&mut self, content: &[u8]) -> anyhow::Result<Vec<u8>> {
        let group = self.group()?;
        let message = group.encrypt_application_message(content, Vec::new())?;
        group.write_to_storage()?;
        Ok(message.to_bytes()?)
    }

    fn receive(&mut self, message: &[u8]) -> anyhow::Result<()> {
        let group = self.group()?;
        group.process_incoming_message(MlsMessage::from_bytes(message)?)?;
        group.write_to_storage()?;
        Ok(())
    }

    fn load(&mut self) -> anyhow::Result<()> {
        self.group = None;
        self.group = Some(self.client.load_group(GROUP)?);
        Ok(())
    }

    fn written(&mut self) -> u64 {
        self.storage.written.swap(0, Ordering::Relaxed)
    }
}
