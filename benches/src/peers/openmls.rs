//! OpenMLS as it comes: RustCrypto, and its memory storage.

use std::collections::HashMap;

use anyhow::{Context as _, bail};
use openmls::prelude::{
    BasicCredential, Ciphersuite, CredentialWithKey, GroupId, KeyPackage, LeafNodeIndex,
    LeafNodeParameters, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn,
    MlsMessageIn, MlsMessageOut, ProcessedMessageContent, ProtocolVersion, RatchetTreeIn,
    StagedWelcome,
    tls_codec::{DeserializeBytes as _, Serialize as _},
};
use openmls_rust_crypto::{OpenMlsRustCrypto, RustCrypto};
use openmls_traits::{
    OpenMlsProvider as _,
    crypto::OpenMlsCrypto as _,
    signatures::{Signer, SignerError},
    types::SignatureScheme,
};

use super::{Device, Invitation, slice_of};

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;

const GROUP: &[u8] = b"a group of many";

struct Openmls {
    provider: OpenMlsRustCrypto,
    key: Key,
    identity: CredentialWithKey,
    group: Option<MlsGroup>,
    /// What the storage held when it was asked last what was written: its counts are nowhere to be had.
    before: HashMap<Vec<u8>, Vec<u8>>,
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

pub(super) fn device(number: u32) -> anyhow::Result<Box<dyn Device>> {
    let crypto = RustCrypto::default();
    let (private, public) = crypto.signature_key_gen(SignatureScheme::ED25519)?;
    let name = format!("member{number}@example.org");
    Ok(Box::new(Openmls {
        provider: OpenMlsRustCrypto::default(),
        key: Key { crypto, private },
        identity: CredentialWithKey {
            credential: BasicCredential::new(name.into_bytes()).into(),
            signature_key: public.into(),
        },
        group: None,
        before: HashMap::new(),
    }))
}

fn bytes(message: &MlsMessageOut) -> anyhow::Result<Vec<u8>> {
    Ok(message.tls_serialize_detached()?)
}

fn body(bytes: &[u8]) -> anyhow::Result<MlsMessageBodyIn> {
    Ok(MlsMessageIn::tls_deserialize_exact_bytes(bytes)?.extract())
}

impl Openmls {
    fn parts(&mut self) -> anyhow::Result<(&mut MlsGroup, &OpenMlsRustCrypto, &Key)> {
        let group = self.group.as_mut().context("in no group")?;
        Ok((group, &self.provider, &self.key))
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

impl Device for Openmls {
    fn key_package(&mut self) -> anyhow::Result<Vec<u8>> {
        let identity = self.identity.clone();
        let bundle = KeyPackage::builder().build(SUITE, &self.provider, &self.key, identity)?;
        bytes(&bundle.into_key_package().into())
    }

    fn create(&mut self, packages: Vec<Vec<u8>>) -> anyhow::Result<Invitation> {
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
        self.invite(&packages)
    }

    fn add(&mut self, package: &[u8]) -> anyhow::Result<Invitation> {
        self.invite(&[package.to_vec()])
    }

    fn remove_last(&mut self, leaf: u32) -> anyhow::Result<Vec<u8>> {
        let (group, provider, key) = self.parts()?;
        let (commit, _, _) = group.remove_members(provider, key, &[LeafNodeIndex::new(leaf)])?;
        group.merge_pending_commit(provider)?;
        bytes(&commit)
    }

    fn update(&mut self) -> anyhow::Result<Vec<u8>> {
        let (group, provider, key) = self.parts()?;
        let bundle = group.self_update(provider, key, LeafNodeParameters::default())?;
        group.merge_pending_commit(provider)?;
        bytes(bundle.commit())
    }

    fn join(&mut self, invitation: &Invitation) -> anyhow::Result<()> {
        let MlsMessageBodyIn::Welcome(welcome) = body(&invitation.welcome)? else {
            bail!("no Welcome")
        };
        let config = MlsGroupJoinConfig::builder().build();
        let tree = RatchetTreeIn::tls_deserialize_exact_bytes(&invitation.tree)?;
        let joining = StagedWelcome::build_from_welcome(&self.provider, &config, welcome)?;
        let joined = joining.with_ratchet_tree(tree).build()?;
        self.group = Some(joined.into_group(&self.provider)?);
        Ok(())
    }

    fn send(&mut self, content: &[u8]) -> anyhow::Result<Vec<u8>> {
        let (group, provider, key) = self.parts()?;
        bytes(&group.create_message(provider, key, content)?)
    }

    fn receive(&mut self, message: &[u8]) -> anyhow::Result<()> {
        let (group, provider, _) = self.parts()?;
        let message = MlsMessageIn::tls_deserialize_exact_bytes(message)?;
        let message = message.try_into_protocol_message()?;
        let processed = group.process_message(provider, message)?;
        if let ProcessedMessageContent::StagedCommitMessage(commit) = processed.into_content() {
            group.merge_staged_commit(provider, *commit)?;
        }
        Ok(())
    }

    fn load(&mut self) -> anyhow::Result<()> {
        let loaded = MlsGroup::load(self.provider.storage(), &GroupId::from_slice(GROUP))?;
        self.group = Some(loaded.context("it is not there")?);
        Ok(())
    }

    fn written(&mut self) -> u64 {
        let values = self.provider.storage().values.read();
        let Ok(values) = values else { return 0 };
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
