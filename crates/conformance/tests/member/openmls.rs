use conclave_crypto::{CipherSuite, Crypto, SigningKey, SystemRandomness};
use openmls::prelude::{
    BasicCredential, Capabilities, Ciphersuite, CredentialWithKey, GroupId, KeyPackage,
    LeafNodeIndex, LeafNodeParameters, MIXED_CIPHERTEXT_WIRE_FORMAT_POLICY,
    MIXED_PLAINTEXT_WIRE_FORMAT_POLICY, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig,
    MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, OpenMlsProvider, ProcessedMessageContent,
    ProtocolVersion, StagedWelcome,
    tls_codec::{DeserializeBytes as _, Serialize as _},
};
use openmls_memory_storage::MemoryStorage;

use super::{Client, EXPORTED_BYTES, LABEL};

#[derive(Default)]
struct Provider {
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

pub(crate) struct OpenMls {
    provider: Provider,
    suite: Ciphersuite,
    key: SigningKey,
    identity: CredentialWithKey,
    group: Option<MlsGroup>,
}

impl OpenMls {
    pub(crate) fn boxed(name: String, suite: u16) -> Box<dyn Client> {
        let ours = CipherSuite::try_from(suite).unwrap();
        let suite = Ciphersuite::try_from(suite).unwrap();
        let key = SigningKey::generate(ours, &mut SystemRandomness).unwrap();
        let identity = CredentialWithKey {
            credential: BasicCredential::new(name.into_bytes()).into(),
            signature_key: key.public().into(),
        };
        Box::new(Self {
            provider: Provider::default(),
            suite,
            key,
            identity,
            group: None,
        })
    }

    /// By default OpenMLS lists suites 1 to 3 only.
    fn capabilities(&self) -> Capabilities {
        Capabilities::builder()
            .ciphersuites(vec![self.suite])
            .build()
    }

    fn parts(&mut self) -> (&mut MlsGroup, &Provider, &SigningKey) {
        (self.group.as_mut().unwrap(), &self.provider, &self.key)
    }
}

/// Handshakes in PrivateMessages, so that the others read those too.
fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(MIXED_CIPHERTEXT_WIRE_FORMAT_POLICY)
        .use_ratchet_tree_extension(true)
        .build()
}

fn body(bytes: &[u8]) -> MlsMessageBodyIn {
    MlsMessageIn::tls_deserialize_exact_bytes(bytes)
        .unwrap()
        .extract()
}

fn bytes(message: &MlsMessageOut) -> Vec<u8> {
    message.tls_serialize_detached().unwrap()
}

impl Client for OpenMls {
    fn create(&mut self) {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(self.suite)
            .capabilities(self.capabilities())
            .wire_format_policy(MIXED_PLAINTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .build();
        let group = MlsGroup::new_with_group_id(
            &self.provider,
            &self.key,
            &config,
            GroupId::from_slice(b"history"),
            self.identity.clone(),
        );
        self.group = Some(group.unwrap());
    }

    fn key_package(&mut self) -> Vec<u8> {
        let (provider, identity) = (&self.provider, self.identity.clone());
        let bundle = KeyPackage::builder()
            .leaf_node_capabilities(self.capabilities())
            .build(self.suite, provider, &self.key, identity);
        bytes(&MlsMessageOut::from(bundle.unwrap().key_package().clone()))
    }

    fn join(&mut self, welcome: &[u8]) {
        let MlsMessageBodyIn::Welcome(welcome) = body(welcome) else {
            panic!("no Welcome")
        };
        let staged = StagedWelcome::new_from_welcome(&self.provider, &join_config(), welcome, None);
        self.group = Some(staged.unwrap().into_group(&self.provider).unwrap());
    }

    fn join_externally(&mut self, group_info: &[u8]) -> Vec<u8> {
        let MlsMessageBodyIn::GroupInfo(info) = body(group_info) else {
            panic!("no GroupInfo")
        };
        let leaf = LeafNodeParameters::builder()
            .with_capabilities(self.capabilities())
            .build();
        let (group, messages) = MlsGroup::external_commit_builder()
            .with_config(join_config())
            .build_group(&self.provider, info, self.identity.clone())
            .unwrap()
            .leaf_node_parameters(leaf)
            .load_psks(&self.provider.storage)
            .unwrap()
            .build(
                &self.provider.crypto,
                &self.provider.crypto,
                &self.key,
                |_| true,
            )
            .unwrap()
            .finalize(&self.provider)
            .unwrap();
        self.group = Some(group);
        bytes(&messages.into_commit())
    }

    fn group_info(&mut self) -> Vec<u8> {
        let (group, provider, key) = self.parts();
        bytes(
            &group
                .export_group_info(&provider.crypto, key, true)
                .unwrap(),
        )
    }

    fn commit(&mut self, add: Option<&[u8]>, remove: Option<u32>) -> (Vec<u8>, Option<Vec<u8>>) {
        let (group, provider, key) = self.parts();
        let package = add.map(|package| match body(package) {
            MlsMessageBodyIn::KeyPackage(package) => package
                .validate(&provider.crypto, ProtocolVersion::Mls10)
                .unwrap(),
            _ => panic!("no KeyPackage"),
        });
        let made = group
            .commit_builder()
            .consume_proposal_store(true)
            .force_self_update(true)
            .propose_adds(package)
            .propose_removals(remove.map(LeafNodeIndex::new))
            .load_psks(&provider.storage)
            .unwrap()
            .build(&provider.crypto, &provider.crypto, key, |_| true)
            .unwrap()
            .stage_commit(provider)
            .unwrap();
        let (commit, welcome, _) = made.into_messages();
        (bytes(&commit), welcome.as_ref().map(bytes))
    }

    fn merge(&mut self) {
        let (group, provider, _) = self.parts();
        group.merge_pending_commit(provider).unwrap();
    }

    fn propose_update(&mut self) -> Vec<u8> {
        let (group, provider, key) = self.parts();
        let leaf = LeafNodeParameters::default();
        bytes(&group.propose_self_update(provider, key, leaf).unwrap().0)
    }

    fn propose_remove(&mut self, leaf: u32) -> Vec<u8> {
        let (group, provider, key) = self.parts();
        let leaf = LeafNodeIndex::new(leaf);
        bytes(&group.propose_remove_member(provider, key, leaf).unwrap().0)
    }

    fn receive(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let message = MlsMessageIn::tls_deserialize_exact_bytes(message).unwrap();
        let (group, provider, _) = self.parts();
        let message = message.try_into_protocol_message().unwrap();
        match group
            .process_message(provider, message)
            .unwrap()
            .into_content()
        {
            ProcessedMessageContent::ApplicationMessage(message) => Some(message.into_bytes()),
            ProcessedMessageContent::StagedCommitMessage(commit) => {
                group.merge_staged_commit(provider, *commit).unwrap();
                None
            }
            ProcessedMessageContent::ProposalMessage(proposal) => {
                group
                    .store_pending_proposal(&provider.storage, *proposal)
                    .unwrap();
                None
            }
            _ => panic!("a message of no expected kind"),
        }
    }

    fn encrypt(&mut self, data: &[u8]) -> Vec<u8> {
        let (group, provider, key) = self.parts();
        bytes(&group.create_message(provider, key, data).unwrap())
    }

    fn leaf(&self) -> u32 {
        self.group.as_ref().unwrap().own_leaf_index().u32()
    }

    fn secrets(&self) -> (Vec<u8>, Vec<u8>) {
        let group = self.group.as_ref().unwrap();
        let crypto = &self.provider.crypto;
        let exported = group.export_secret(crypto, LABEL, b"context", EXPORTED_BYTES);
        let authenticator = group.epoch_authenticator().as_slice().to_vec();
        (authenticator, exported.unwrap().to_vec())
    }
}
