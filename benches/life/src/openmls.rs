//! OpenMLS as it comes: RustCrypto, and its memory storage or another one.

use std::collections::HashMap;

use anyhow::{Context as _, bail};
use openmls::prelude::{
    BasicCredential, Ciphersuite, CredentialWithKey, GroupId, KeyPackage, LeafNodeIndex,
    LeafNodeParameters, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn,
    MlsMessageIn, MlsMessageOut, ProcessedMessageContent, ProtocolVersion, RatchetTreeIn,
    StagedWelcome,
    tls_codec::{DeserializeBytes as _, Serialize as _},
};
use openmls_rust_crypto::{MemoryStorage, MemoryStorageError, RustCrypto};
use openmls_traits::{
    OpenMlsProvider,
    crypto::OpenMlsCrypto as _,
    signatures::{Signer, SignerError},
    storage::{CURRENT_VERSION, StorageProvider},
    types::SignatureScheme,
};

use crate::{Device, GROUP, Invitation, slice_of};

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;

/// A storage of OpenMLS's.
pub trait Storage {
    /// What it fails with.
    type Error: std::error::Error + Send + Sync + 'static;
    /// What OpenMLS asks of it.
    type Provider: StorageProvider<CURRENT_VERSION, Error = Self::Error>;

    /// For OpenMLS.
    fn provider(&self) -> &Self::Provider;

    /// A step begins, all of whose writes belong together.
    ///
    /// # Errors
    /// Those of the storage.
    fn begin(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    /// It ends, and is to be kept.
    ///
    /// # Errors
    /// Those of the storage.
    fn end(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    /// See [`Device::written`].
    fn written(&mut self) -> u64;

    /// See [`Device::counts_writes`].
    fn counts_writes(&self) -> bool;
}

struct Openmls<S> {
    provider: Provider<S>,
    key: Key,
    identity: CredentialWithKey,
    group: Option<MlsGroup>,
}

struct Provider<S> {
    crypto: RustCrypto,
    storage: S,
}

impl<S: Storage> OpenMlsProvider for Provider<S> {
    type CryptoProvider = RustCrypto;
    type RandProvider = RustCrypto;
    type StorageProvider = S::Provider;

    fn storage(&self) -> &Self::StorageProvider {
        self.storage.provider()
    }

    fn crypto(&self) -> &Self::CryptoProvider {
        &self.crypto
    }

    fn rand(&self) -> &Self::RandProvider {
        &self.crypto
    }
}

/// OpenMLS's own, of JSON.
#[derive(Default)]
struct Memory {
    storage: MemoryStorage,
    /// What it held when it was asked last what was written: its counts are nowhere to be had.
    before: HashMap<Vec<u8>, Vec<u8>>,
}

impl Storage for Memory {
    type Error = MemoryStorageError;
    type Provider = MemoryStorage;

    fn provider(&self) -> &MemoryStorage {
        &self.storage
    }

    fn written(&mut self) -> u64 {
        let Ok(values) = self.storage.values.read() else {
            return 0;
        };
        let changed = values
            .iter()
            .filter(|(key, value)| self.before.get(*key) != Some(*value));
        let written = changed
            .map(|(key, value)| (key.len() + value.len()) as u64)
            .sum();
        self.before.clone_from(&values);
        written
    }

    fn counts_writes(&self) -> bool {
        false
    }
}

/// A signature key, used by the same cryptography as everything else.
struct Key {
    crypto: RustCrypto,
    private: Vec<u8>,
}

impl Signer for Key {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.crypto
            .sign(SignatureScheme::ED25519, payload, &self.private)
            .map_err(SignerError::CryptoError)
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// A device that keeps everything in memory.
///
/// # Errors
/// Without randomness.
pub fn in_memory(number: u32) -> anyhow::Result<Box<dyn Device>> {
    device(number, Memory::default())
}

/// A device on some storage; each number is another user.
///
/// # Errors
/// Without randomness.
pub fn device(number: u32, storage: impl Storage + 'static) -> anyhow::Result<Box<dyn Device>> {
    let crypto = RustCrypto::default();
    let (private, public) = crypto.signature_key_gen(SignatureScheme::ED25519)?;
    let name = format!("member{number}@example.org");
    Ok(Box::new(Openmls {
        provider: Provider {
            crypto: RustCrypto::default(),
            storage,
        },
        key: Key { crypto, private },
        identity: CredentialWithKey {
            credential: BasicCredential::new(name.into_bytes()).into(),
            signature_key: public.into(),
        },
        group: None,
    }))
}

fn bytes(message: &MlsMessageOut) -> anyhow::Result<Vec<u8>> {
    Ok(message.tls_serialize_detached()?)
}

fn body(bytes: &[u8]) -> anyhow::Result<MlsMessageBodyIn> {
    Ok(MlsMessageIn::tls_deserialize_exact_bytes(bytes)?.extract())
}

impl<S: Storage> Openmls<S> {
    fn parts(&mut self) -> anyhow::Result<(&mut MlsGroup, &Provider<S>, &Key)> {
        let group = self.group.as_mut().context("in no group")?;
        Ok((group, &self.provider, &self.key))
    }

    /// Does something, and keeps all of it at once. A failure ends the whole program, and needs no undoing.
    fn step<T>(&mut self, work: impl FnOnce(&mut Self) -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.provider.storage.begin()?;
        let outcome = work(self)?;
        self.provider.storage.end()?;
        Ok(outcome)
    }

    fn new_group(&mut self) -> anyhow::Result<()> {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .use_ratchet_tree_extension(false)
            .build();
        self.group = Some(MlsGroup::new_with_group_id(
            &self.provider,
            &self.key,
            &config,
            GroupId::from_slice(GROUP),
            self.identity.clone(),
        )?);
        Ok(())
    }

    fn invite(&mut self, packages: &[Vec<u8>]) -> anyhow::Result<Invitation> {
        let (group, provider, key) = self.parts()?;
        let mut checked = Vec::new();
        for package in packages {
            let MlsMessageBodyIn::KeyPackage(package) = body(package)? else {
                bail!("no KeyPackage")
            };
            checked.push(package.validate(provider.crypto(), ProtocolVersion::Mls10)?);
        }
        let (commit, welcome, _) = group.add_members_without_update(provider, key, &checked)?;
        group.merge_pending_commit(provider)?;
        let (commit, welcome) = (bytes(&commit)?, bytes(&welcome)?);
        let slice_bytes = slice_of(&welcome)?;
        Ok(Invitation {
            commit_bytes: commit.len(),
            welcome_bytes: welcome.len(),
            slice_bytes,
            tree: group.export_ratchet_tree().tls_serialize_detached()?,
            commit,
            welcome,
        })
    }
}

impl<S: Storage> Device for Openmls<S> {
    fn key_package(&mut self) -> anyhow::Result<Vec<u8>> {
        self.step(|it| {
            let identity = it.identity.clone();
            let bundle = KeyPackage::builder().build(SUITE, &it.provider, &it.key, identity)?;
            bytes(&bundle.into_key_package().into())
        })
    }

    fn create(&mut self, packages: Vec<Vec<u8>>) -> anyhow::Result<Invitation> {
        self.step(|it| {
            it.new_group()?;
            it.invite(&packages)
        })
    }

    fn add(&mut self, package: &[u8]) -> anyhow::Result<Invitation> {
        self.step(|it| it.invite(&[package.to_vec()]))
    }

    fn remove_last(&mut self, leaf: u32) -> anyhow::Result<Vec<u8>> {
        self.step(|it| {
            let (group, provider, key) = it.parts()?;
            let (commit, _, _) =
                group.remove_members(provider, key, &[LeafNodeIndex::new(leaf)])?;
            group.merge_pending_commit(provider)?;
            bytes(&commit)
        })
    }

    fn update(&mut self) -> anyhow::Result<Vec<u8>> {
        self.step(|it| {
            let (group, provider, key) = it.parts()?;
            let bundle = group.self_update(provider, key, LeafNodeParameters::default())?;
            group.merge_pending_commit(provider)?;
            bytes(bundle.commit())
        })
    }

    fn join(&mut self, invitation: &Invitation) -> anyhow::Result<()> {
        self.step(|it| {
            let MlsMessageBodyIn::Welcome(welcome) = body(&invitation.welcome)? else {
                bail!("no Welcome")
            };
            let config = MlsGroupJoinConfig::builder().build();
            let tree = RatchetTreeIn::tls_deserialize_exact_bytes(&invitation.tree)?;
            let joining = StagedWelcome::build_from_welcome(&it.provider, &config, welcome)?;
            let joined = joining.with_ratchet_tree(tree).build()?;
            it.group = Some(joined.into_group(&it.provider)?);
            Ok(())
        })
    }

    fn send(&mut self, content: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.step(|it| {
            let (group, provider, key) = it.parts()?;
            bytes(&group.create_message(provider, key, content)?)
        })
    }

    fn receive(&mut self, message: &[u8]) -> anyhow::Result<()> {
        self.step(|it| {
            let (group, provider, _) = it.parts()?;
            let message = MlsMessageIn::tls_deserialize_exact_bytes(message)?;
            let message = message.try_into_protocol_message()?;
            let processed = group.process_message(provider, message)?;
            if let ProcessedMessageContent::StagedCommitMessage(commit) = processed.into_content() {
                group.merge_staged_commit(provider, *commit)?;
            }
            Ok(())
        })
    }

    fn load(&mut self) -> anyhow::Result<()> {
        let loaded = MlsGroup::load(self.provider.storage(), &GroupId::from_slice(GROUP))?;
        self.group = Some(loaded.context("it is not there")?);
        Ok(())
    }

    fn written(&mut self) -> u64 {
        self.provider.storage.written()
    }

    fn counts_writes(&self) -> bool {
        self.provider.storage.counts_writes()
    }
}
