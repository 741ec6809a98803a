use anyhow::{Context as _, bail};
use conclave_crypto::{CipherSuite, Crypto, Random as _, Secret, SigningKey, SystemRandomness};
use openmls::{
    prelude::{
        BasicCredential, Capabilities, Ciphersuite, CredentialWithKey, Extensions, GroupId,
        HpkePrivateKey, KeyPackage, KeyPackageBundle, KeyPackageIn, LeafNodeIndex,
        LeafNodeParameters, MIXED_CIPHERTEXT_WIRE_FORMAT_POLICY,
        MIXED_PLAINTEXT_WIRE_FORMAT_POLICY, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig,
        MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, OpenMlsProvider, ProcessedMessageContent,
        ProtocolVersion, RatchetTreeIn, StagedWelcome,
        tls_codec::{DeserializeBytes as _, Serialize as _},
    },
    schedule::{PreSharedKeyId, psk::ResumptionPskUsage},
};
use openmls_memory_storage::MemoryStorage;
use openmls_traits::storage::StorageProvider as _;
use serde_json::json;

use super::{Change, Client, Committed, Heard, identity::Identity};
use crate::vectors::shapes;

/// Epochs whose resumption PSK is kept: as many as our own crate does.
const RESUMPTION_PSKS: usize = 64;

/// Epochs whose messages can still be read: the official scripts go back one.
const PAST_EPOCHS: usize = 2;

/// Our cryptography and a store in memory.
#[derive(Default)]
pub(crate) struct Provider {
    crypto: Crypto,
    storage: MemoryStorage,
}

impl OpenMlsProvider for Provider {
    type CryptoProvider = Crypto;
    type RandProvider = Crypto;
    type StorageProvider = MemoryStorage;

    fn storage(&self) -> &MemoryStorage {
        &self.storage
    }

    fn crypto(&self) -> &Crypto {
        &self.crypto
    }

    fn rand(&self) -> &Crypto {
        &self.crypto
    }
}

struct OpenMls {
    provider: Provider,
    suite: Ciphersuite,
    key: SigningKey,
    identity: CredentialWithKey,
    group: Option<MlsGroup>,
}

pub(super) fn client(name: &str, suite: u16) -> anyhow::Result<Box<dyn Client>> {
    let identity = Identity::new(CipherSuite::try_from(suite)?, name)?;
    Ok(Box::new(OpenMls::new(identity)?))
}

pub(super) fn passive(vector: &shapes::PassiveClient) -> anyhow::Result<Box<dyn Client>> {
    let suite = CipherSuite::try_from(vector.cipher_suite)?;
    let identity = Identity::of(suite, "", Secret::from(&*vector.signature_priv))?;
    let mut client = OpenMls::new(identity)?;
    let MlsMessageBodyIn::KeyPackage(package) = body(&vector.key_package)? else {
        bail!("no KeyPackage")
    };
    client.store_key_package(&package, vector)?;
    for psk in &vector.external_psks {
        client.store_psk(&psk.psk_id, &psk.psk)?;
    }
    Ok(Box::new(client))
}

impl OpenMls {
    fn new(identity: Identity) -> anyhow::Result<Self> {
        Ok(Self {
            provider: Provider::default(),
            suite: u16::from(identity.suite).try_into()?,
            identity: CredentialWithKey {
                credential: BasicCredential::new(identity.name.into_bytes()).into(),
                signature_key: identity.key.public().into(),
            },
            key: identity.key,
            group: None,
        })
    }

    /// OpenMLS makes its own KeyPackages and takes none with their keys from outside, except from its
    /// storage: so they are written there, in the form in which it would have written them.
    fn store_key_package(
        &self,
        package: &KeyPackageIn,
        vector: &shapes::PassiveClient,
    ) -> anyhow::Result<()> {
        let private = |bytes: &[u8]| HpkePrivateKey::from(bytes.to_vec());
        let bundle: KeyPackageBundle = serde_json::from_value(json!({
            "key_package": package,
            "private_init_key": private(&vector.init_priv),
            "private_encryption_key": { "key": private(&vector.encryption_priv) },
        }))?;
        let reference = bundle.key_package().hash_ref(&self.provider.crypto)?;
        let storage = &self.provider.storage;
        Ok(storage.write_key_package(&reference, &bundle)?)
    }

    /// By default OpenMLS lists suites 1 to 3 only.
    fn capabilities(&self) -> Capabilities {
        Capabilities::builder()
            .ciphersuites(vec![self.suite])
            .build()
    }

    fn group(&self) -> anyhow::Result<&MlsGroup> {
        self.group.as_ref().context("in no group")
    }

    fn parts(&mut self) -> anyhow::Result<(&mut MlsGroup, &Provider, &SigningKey)> {
        let group = self.group.as_mut().context("in no group")?;
        Ok((group, &self.provider, &self.key))
    }
}

/// Handshakes in PrivateMessages, so that the others read those too.
fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .number_of_resumption_psks(RESUMPTION_PSKS)
        .max_past_epochs(PAST_EPOCHS)
        .wire_format_policy(MIXED_CIPHERTEXT_WIRE_FORMAT_POLICY)
        .use_ratchet_tree_extension(true)
        .build()
}

fn body(bytes: &[u8]) -> anyhow::Result<MlsMessageBodyIn> {
    Ok(MlsMessageIn::tls_deserialize_exact_bytes(bytes)
        .context("not an MLSMessage")?
        .extract())
}

fn bytes(message: &MlsMessageOut) -> anyhow::Result<Vec<u8>> {
    Ok(message.tls_serialize_detached()?)
}

fn key_package(bytes: &[u8], crypto: &Crypto) -> anyhow::Result<KeyPackage> {
    match body(bytes)? {
        MlsMessageBodyIn::KeyPackage(package) => {
            Ok(package.validate(crypto, ProtocolVersion::Mls10)?)
        }
        _ => bail!("no KeyPackage"),
    }
}

fn nonce(group: &MlsGroup) -> anyhow::Result<Vec<u8>> {
    let mut nonce = vec![0; group.ciphersuite().hash_length()];
    SystemRandomness.fill(&mut nonce)?;
    Ok(nonce)
}

fn resumption_psk(group: &MlsGroup, epoch: u64) -> anyhow::Result<PreSharedKeyId> {
    let (usage, id) = (ResumptionPskUsage::Application, group.group_id().clone());
    Ok(PreSharedKeyId::resumption(
        usage,
        id,
        epoch.into(),
        nonce(group)?,
    ))
}

impl Client for OpenMls {
    fn create(&mut self, group_id: &[u8]) -> anyhow::Result<()> {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(self.suite)
            .number_of_resumption_psks(RESUMPTION_PSKS)
            .max_past_epochs(PAST_EPOCHS)
            .capabilities(self.capabilities())
            .wire_format_policy(MIXED_PLAINTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .build();
        self.group = Some(MlsGroup::new_with_group_id(
            &self.provider,
            &self.key,
            &config,
            GroupId::from_slice(group_id),
            self.identity.clone(),
        )?);
        Ok(())
    }

    fn store_psk(&mut self, name: &[u8], secret: &[u8]) -> anyhow::Result<()> {
        // The nonce is no part of what is stored.
        let name = PreSharedKeyId::external(name.to_vec(), Vec::new());
        Ok(name.store(&self.provider, secret)?)
    }

    fn key_package(&mut self) -> anyhow::Result<Vec<u8>> {
        let (provider, identity) = (&self.provider, self.identity.clone());
        let bundle = KeyPackage::builder()
            .leaf_node_capabilities(self.capabilities())
            .build(self.suite, provider, &self.key, identity)?;
        bytes(&bundle.key_package().clone().into())
    }

    fn join(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> anyhow::Result<()> {
        let MlsMessageBodyIn::Welcome(welcome) = body(welcome)? else {
            bail!("no Welcome")
        };
        let mut joining =
            StagedWelcome::build_from_welcome(&self.provider, &join_config(), welcome)?
                .skip_lifetime_validation();
        if let Some(tree) = tree {
            let tree = RatchetTreeIn::tls_deserialize_exact_bytes(tree)?;
            joining = joining.with_ratchet_tree(tree);
        }
        self.group = Some(joining.build()?.into_group(&self.provider)?);
        Ok(())
    }

    /// OpenMLS removes an older leaf of the same signature key without being asked.
    fn join_externally(&mut self, group_info: &[u8], _: bool) -> anyhow::Result<Vec<u8>> {
        let MlsMessageBodyIn::GroupInfo(info) = body(group_info)? else {
            bail!("no GroupInfo")
        };
        let leaf = LeafNodeParameters::builder()
            .with_capabilities(self.capabilities())
            .build();
        let crypto = &self.provider.crypto;
        let (group, messages) = MlsGroup::external_commit_builder()
            .with_config(join_config())
            .build_group(&self.provider, info, self.identity.clone())?
            .leaf_node_parameters(leaf)
            .load_psks(&self.provider.storage)?
            .build(crypto, crypto, &self.key, |_| true)?
            .finalize(&self.provider)?;
        self.group = Some(group);
        bytes(&messages.into_commit())
    }

    fn group_info(&mut self) -> anyhow::Result<Vec<u8>> {
        let (group, provider, key) = self.parts()?;
        bytes(&group.export_group_info(&provider.crypto, key, true)?)
    }

    fn propose(&mut self, change: &Change) -> anyhow::Result<Vec<u8>> {
        let (group, provider, key) = self.parts()?;
        let (message, _) = match change {
            Change::Add(package) => {
                let package = key_package(package, &provider.crypto)?;
                group.propose_add_member(provider, key, &package)?
            }
            Change::Remove(leaf) => {
                group.propose_remove_member(provider, key, LeafNodeIndex::new(*leaf))?
            }
            Change::Update => {
                group.propose_self_update(provider, key, LeafNodeParameters::default())?
            }
            Change::ExternalPsk(name) => {
                let psk = PreSharedKeyId::external(name.clone(), nonce(group)?);
                group.propose_pre_shared_key(provider, key, psk)?
            }
            Change::ResumptionPsk(epoch) => {
                let psk = resumption_psk(group, *epoch)?;
                group.propose_pre_shared_key(provider, key, psk)?
            }
            Change::Extensions(list) => {
                let list = Extensions::tls_deserialize_exact_bytes(list)?;
                group.propose_group_context_extensions(provider, list, key)?
            }
        };
        bytes(&message)
    }

    fn commit(&mut self, changes: &[Change]) -> anyhow::Result<Committed> {
        let (group, provider, key) = self.parts()?;
        let (mut adds, mut removals, mut extensions) = (Vec::new(), Vec::new(), None);
        for change in changes {
            match change {
                Change::Add(package) => adds.push(key_package(package, &provider.crypto)?),
                Change::Remove(leaf) => removals.push(LeafNodeIndex::new(*leaf)),
                Change::Update => bail!("an Update by value"),
                Change::ExternalPsk(name) => {
                    let psk = PreSharedKeyId::external(name.clone(), nonce(group)?);
                    group.propose_pre_shared_key_by_value(provider, key, psk)?;
                }
                Change::ResumptionPsk(epoch) => {
                    let psk = resumption_psk(group, *epoch)?;
                    group.propose_pre_shared_key_by_value(provider, key, psk)?;
                }
                Change::Extensions(list) => {
                    extensions = Some(Extensions::tls_deserialize_exact_bytes(list)?);
                }
            }
        }
        let mut builder = group.commit_builder();
        if let Some(extensions) = extensions {
            builder = builder.propose_group_context_extensions(extensions)?;
        }
        let made = builder
            .consume_proposal_store(true)
            .force_self_update(true)
            .propose_adds(adds)
            .propose_removals(removals)
            .load_psks(&provider.storage)?
            .build(&provider.crypto, &provider.crypto, key, |_| true)?
            .stage_commit(provider)?;
        let (commit, welcome, _) = made.into_messages();
        Ok(Committed {
            commit: bytes(&commit)?,
            welcome: welcome.as_ref().map(bytes).transpose()?,
        })
    }

    fn merge(&mut self) -> anyhow::Result<()> {
        let (group, provider, _) = self.parts()?;
        Ok(group.merge_pending_commit(provider)?)
    }

    fn receive(&mut self, message: &[u8]) -> anyhow::Result<Option<Heard>> {
        let message = MlsMessageIn::tls_deserialize_exact_bytes(message)?;
        let (group, provider, _) = self.parts()?;
        let processed = group.process_message(provider, message.try_into_protocol_message()?)?;
        let authenticated_data = processed.aad().to_vec();
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => {
                return Ok(Some(Heard {
                    data: message.into_bytes(),
                    authenticated_data,
                }));
            }
            ProcessedMessageContent::StagedCommitMessage(commit) => {
                group.merge_staged_commit(provider, *commit)?;
            }
            ProcessedMessageContent::ProposalMessage(proposal)
            | ProcessedMessageContent::ExternalJoinProposalMessage(proposal) => {
                group.store_pending_proposal(&provider.storage, *proposal)?;
            }
            _ => bail!("a message of no expected kind"),
        }
        Ok(None)
    }

    fn encrypt(&mut self, data: &[u8], authenticated_data: &[u8]) -> anyhow::Result<Vec<u8>> {
        let (group, provider, key) = self.parts()?;
        group.set_aad(authenticated_data.to_vec());
        bytes(&group.create_message(provider, key, data)?)
    }

    fn leaf(&self) -> anyhow::Result<u32> {
        Ok(self.group()?.own_leaf_index().u32())
    }

    fn epoch_authenticator(&self) -> anyhow::Result<Vec<u8>> {
        Ok(self.group()?.epoch_authenticator().as_slice().to_vec())
    }

    fn export(&self, label: &str, context: &[u8], len: usize) -> anyhow::Result<Vec<u8>> {
        let crypto = &self.provider.crypto;
        Ok(self.group()?.export_secret(crypto, label, context, len)?)
    }
}
