mod outside;
mod parts;

use std::any::Any;

use anyhow::{Context as _, bail};
use conclave_crypto::{CipherSuite, Secret, SigningKey};
use openmls::{
    messages::{
        external_proposals::JoinProposal,
        proposals::{PreSharedKeyProposal, Proposal},
    },
    prelude::{
        BasicCredential, Capabilities, Ciphersuite, CredentialWithKey, Extensions, GroupId,
        HpkePrivateKey, KeyPackage, KeyPackageBundle, KeyPackageIn, LeafNodeIndex,
        LeafNodeParameters, MlsGroup, MlsGroupCreateConfig, MlsMessageBodyIn, MlsMessageIn,
        ProcessedMessageContent, RatchetTreeIn, StagedWelcome,
        tls_codec::{DeserializeBytes as _, Serialize as _},
    },
    schedule::PreSharedKeyId,
};
use openmls_memory_storage::MemoryStorage;
use openmls_traits::storage::StorageProvider as _;
use serde_json::json;

use super::{
    Branch, Change, Client, Committed, ExternalJoin, Form, Founded, Handshakes, Heard, PrivateKeys,
    Unsupported, identity::Identity, outside::group_info,
};
use crate::vectors::shapes;
pub(super) use outside::propose;
use parts::{
    BundleKeys, PAST_EPOCHS, Provider, RESUMPTION_PSKS, body, bytes, fresh, join_config,
    key_package, nonce, pending_tree, refusal, resumption_psk, wire_format,
};

/// Its Commits leave a ReInit out, and its Welcomes look for no key of another group.
const NO_REINIT: Unsupported = Unsupported("OpenMLS has no ReInit");

/// RFC 9420 §17.4 lets them propose PSKs and ReInit too.
const FEW_EXTERNAL: Unsupported =
    Unsupported("OpenMLS has external senders propose Add, Remove and GroupContextExtensions only");

/// Its Welcomes look for resumption keys only in an empty store.
const NO_BRANCH: Unsupported = Unsupported("OpenMLS has no subgroups");

struct OpenMls {
    provider: Provider,
    suite: Ciphersuite,
    key: SigningKey,
    private: Secret,
    identity: CredentialWithKey,
    /// Of the KeyPackage that was made last.
    keys: Option<PrivateKeys>,
    group: Option<MlsGroup>,
    handshakes: Handshakes,
}

pub(super) fn client(identity: &Identity) -> anyhow::Result<Box<dyn Client>> {
    Ok(Box::new(OpenMls::new(identity)?))
}

pub(super) fn passive(vector: &shapes::PassiveClient) -> anyhow::Result<Box<dyn Client>> {
    let suite = CipherSuite::try_from(vector.cipher_suite)?;
    let identity = Identity::of(suite, &[], Secret::from(&*vector.signature_priv))?;
    let mut client = OpenMls::new(&identity)?;
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
    fn new(identity: &Identity) -> anyhow::Result<Self> {
        Ok(Self {
            provider: Provider::default(),
            suite: u16::from(identity.suite).try_into()?,
            identity: CredentialWithKey {
                credential: BasicCredential::new(identity.name.clone()).into(),
                signature_key: identity.key.public().into(),
            },
            key: SigningKey::from_bytes(identity.suite, identity.private.as_bytes())?,
            private: identity.private.clone(),
            keys: None,
            group: None,
            handshakes: Handshakes::default(),
        })
    }

    fn new_package(&mut self) -> anyhow::Result<KeyPackage> {
        let (provider, identity) = (&self.provider, self.identity.clone());
        let bundle = KeyPackage::builder()
            .leaf_node_capabilities(self.capabilities())
            .build(self.suite, provider, &self.key, identity)?;
        let private: BundleKeys = serde_json::from_value(serde_json::to_value(&bundle)?)?;
        self.keys = Some(PrivateKeys {
            init: private.private_init_key.to_vec(),
            encryption: private.private_encryption_key.key.to_vec(),
            signature: self.private.as_bytes().to_vec(),
        });
        Ok(bundle.into_key_package())
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

impl Client for OpenMls {
    fn set_handshakes(&mut self, handshakes: Handshakes) -> anyhow::Result<()> {
        self.handshakes = handshakes;
        if let Some(group) = &mut self.group {
            group.set_configuration(&self.provider.storage, &join_config(handshakes))?;
        }
        Ok(())
    }

    fn create(&mut self, group_id: &[u8]) -> anyhow::Result<()> {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(self.suite)
            .number_of_resumption_psks(RESUMPTION_PSKS)
            .max_past_epochs(PAST_EPOCHS)
            .capabilities(self.capabilities())
            .wire_format_policy(wire_format(self.handshakes))
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
        bytes(&self.new_package()?.into())
    }

    fn private_keys(&self) -> anyhow::Result<PrivateKeys> {
        self.keys.clone().context("no KeyPackage was made")
    }

    fn join(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> anyhow::Result<()> {
        let MlsMessageBodyIn::Welcome(welcome) = body(welcome)? else {
            bail!("no Welcome")
        };
        let config = join_config(self.handshakes);
        let mut joining = StagedWelcome::build_from_welcome(&self.provider, &config, welcome)?
            .skip_lifetime_validation();
        if let Some(tree) = tree {
            let tree = RatchetTreeIn::tls_deserialize_exact_bytes(tree)?;
            joining = joining.with_ratchet_tree(tree);
        }
        self.group = Some(joining.build()?.into_group(&self.provider)?);
        Ok(())
    }

    /// OpenMLS removes an older leaf of the same signature key without being asked.
    fn join_externally(
        &mut self,
        group_info: &[u8],
        how: &ExternalJoin,
    ) -> anyhow::Result<Vec<u8>> {
        let MlsMessageBodyIn::GroupInfo(info) = body(group_info)? else {
            bail!("no GroupInfo")
        };
        let leaf = LeafNodeParameters::builder()
            .with_capabilities(self.capabilities())
            .build();
        let psks = how.psks.iter().map(|name| {
            let nonce = fresh(self.suite.hash_length())?;
            let id = PreSharedKeyId::external(name.clone(), nonce);
            Ok(PreSharedKeyProposal::new(id))
        });
        let psks = psks.collect::<anyhow::Result<Vec<_>>>()?;
        let crypto = &self.provider.crypto;
        let mut builder =
            MlsGroup::external_commit_builder().with_config(join_config(self.handshakes));
        if let Some(tree) = &how.tree {
            builder = builder.with_ratchet_tree(RatchetTreeIn::tls_deserialize_exact_bytes(tree)?);
        }
        let (group, messages) = builder
            .build_group(&self.provider, info, self.identity.clone())?
            .leaf_node_parameters(leaf)
            .add_psk_proposals(psks)
            .load_psks(&self.provider.storage)?
            .build(crypto, crypto, &self.key, |_| true)?
            .finalize(&self.provider)?;
        self.group = Some(group);
        bytes(&messages.into_commit())
    }

    fn propose_joining(&mut self, info: &[u8]) -> anyhow::Result<Vec<u8>> {
        let context = group_info(info)?.group_context;
        let (package, id) = (
            self.new_package()?,
            GroupId::from_slice(context.group_id.as_slice()),
        );
        let epoch = context.epoch.into();
        let proposal = JoinProposal::new::<MemoryStorage>(package, id, epoch, &self.key)?;
        bytes(&proposal)
    }

    fn group_info(&mut self, with_tree: bool) -> anyhow::Result<Vec<u8>> {
        let (group, provider, key) = self.parts()?;
        bytes(&group.export_group_info(&provider.crypto, key, with_tree)?)
    }

    fn tree(&self) -> anyhow::Result<Vec<u8>> {
        Ok(self
            .group()?
            .export_ratchet_tree()
            .tls_serialize_detached()?)
    }

    fn extensions(&self) -> anyhow::Result<Vec<u8>> {
        Ok(self.group()?.extensions().tls_serialize_detached()?)
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
            Change::ReInit(_) => bail!(NO_REINIT),
        };
        bytes(&message)
    }

    fn commit_as(&mut self, changes: &[Change], form: Form) -> anyhow::Result<Committed> {
        let (group, provider, key) = self.parts()?;
        let mut waiting = group.pending_proposals();
        // OpenMLS would leave it out of its Commit without a word.
        if waiting.any(|one| matches!(one.proposal(), Proposal::ReInit(_))) {
            bail!(NO_REINIT);
        }
        drop(waiting);
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
                Change::ReInit(_) => bail!(NO_REINIT),
            }
        }
        let mut builder = group.commit_builder();
        if let Some(extensions) = extensions {
            builder = builder.propose_group_context_extensions(extensions)?;
        }
        let made = builder
            .consume_proposal_store(true)
            .force_self_update(form.path)
            .propose_adds(adds)
            .propose_removals(removals)
            .load_psks(&provider.storage)?
            .create_group_info(true)
            .use_ratchet_tree_extension(form.tree)
            .build(&provider.crypto, &provider.crypto, key, |_| true)?
            .stage_commit(provider)?;
        let (commit, welcome, _) = made.into_messages();
        let tree = (!form.tree).then(|| pending_tree(group, provider));
        Ok(Committed {
            commit: bytes(&commit)?,
            welcome: welcome.as_ref().map(bytes).transpose()?,
            tree: tree.transpose()?,
        })
    }

    fn merge(&mut self) -> anyhow::Result<()> {
        let (group, provider, _) = self.parts()?;
        Ok(group.merge_pending_commit(provider)?)
    }

    fn receive(&mut self, message: &[u8]) -> anyhow::Result<Option<Heard>> {
        let message = MlsMessageIn::tls_deserialize_exact_bytes(message)?;
        let (group, provider, _) = self.parts()?;
        let processed = group
            .process_message(provider, message.try_into_protocol_message()?)
            .map_err(refusal)?;
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

    fn prepare_successor(&mut self) -> anyhow::Result<Vec<u8>> {
        bail!(NO_REINIT)
    }

    fn begin_successor(&mut self, _: &[Vec<u8>], _: Form) -> anyhow::Result<Founded> {
        bail!(NO_REINIT)
    }

    fn join_successor(&mut self, _: &[u8], _: Option<&[u8]>) -> anyhow::Result<()> {
        bail!(NO_REINIT)
    }

    fn branch(&mut self, _: &Branch) -> anyhow::Result<(Box<dyn Client>, Founded)> {
        bail!(NO_BRANCH)
    }

    fn join_branch(
        &mut self,
        _: Box<dyn Client>,
        _: &[u8],
        _: Option<&[u8]>,
    ) -> anyhow::Result<Box<dyn Client>> {
        bail!(NO_BRANCH)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
