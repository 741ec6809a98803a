//! OpenMLS with Conclave's provider, by its public API.

use anyhow::{Context as _, bail, ensure};
use conclave_crypto::Crypto;
use openmls::{
    prelude::{
        Ciphersuite, HpkePrivateKey, KeyPackageBundle, KeyPackageIn,
        MIXED_CIPHERTEXT_WIRE_FORMAT_POLICY, MlsGroup, MlsGroupJoinConfig, MlsMessageBodyIn,
        MlsMessageIn, OpenMlsCrypto as _, OpenMlsProvider, ProcessedMessageContent, RatchetTreeIn,
        StagedWelcome,
        tls_codec::{DeserializeBytes as _, VLBytes},
    },
    schedule::PreSharedKeyId,
};
use openmls_memory_storage::MemoryStorage;
use openmls_traits::storage::StorageProvider as _;
use serde_json::json;

use crate::{
    engine::Engine,
    vectors::{Kind, Vector, same, shapes},
};

pub(crate) struct OpenMls;

impl Engine for OpenMls {
    fn skips(&self, kind: Kind) -> Option<&'static str> {
        match kind {
            Kind::PassiveClient | Kind::Deserialization => None,
            Kind::Messages => Some("the public API does not decode GroupSecrets and Commit"),
            Kind::PartialSyntax
            | Kind::PartialProofs
            | Kind::PartialTree
            | Kind::PartialSender
            | Kind::PartialWelcome
            | Kind::PartialCommit => Some("the library has no Partial MLS"),
            _ => Some("the public API does not reach what the vector tests"),
        }
    }

    fn supports(&self, suite: u16) -> bool {
        Ciphersuite::try_from(suite).is_ok_and(|suite| Crypto::default().supports(suite).is_ok())
    }

    fn excuse(&self, error: &anyhow::Error) -> Option<&'static str> {
        let is_over = format!("{error:#}").contains("Lifetime is in the past");
        is_over.then_some(
            "KeyPackages in it have expired, which the library checks against today's clock",
        )
    }

    fn check(&self, vector: &Vector) -> anyhow::Result<()> {
        match vector {
            Vector::PassiveClient(vector) => passive_client(vector),
            Vector::Deserialization(vector) => deserialization(vector),
            _ => bail!("this kind is skipped"),
        }
    }
}

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

fn deserialization(vector: &shapes::Deserialization) -> anyhow::Result<()> {
    let bytes = [&*vector.vlbytes_header, &vec![0; vector.length as usize]].concat();
    let read = VLBytes::tls_deserialize_exact_bytes(&bytes)?;
    ensure!(
        read.as_slice().len() == vector.length as usize,
        "the length"
    );
    Ok(())
}

fn passive_client(vector: &shapes::PassiveClient) -> anyhow::Result<()> {
    let provider = Provider::default();
    let mut group = join(&provider, vector)?;
    let expected = &vector.initial_epoch_authenticator;
    same(
        "epoch authenticator",
        group.epoch_authenticator().as_slice(),
        expected,
    )?;
    for epoch in &vector.epochs {
        for message in epoch.proposals.iter().chain([&epoch.commit]) {
            process(&provider, &mut group, message)?;
        }
        let authenticator = group.epoch_authenticator();
        same(
            "epoch authenticator",
            authenticator.as_slice(),
            &epoch.epoch_authenticator,
        )?;
    }
    Ok(())
}

fn join(provider: &Provider, vector: &shapes::PassiveClient) -> anyhow::Result<MlsGroup> {
    let MlsMessageBodyIn::KeyPackage(key_package) = message(&vector.key_package)? else {
        bail!("no KeyPackage")
    };
    store_key_package(provider, &key_package, vector)?;
    for psk in &vector.external_psks {
        PreSharedKeyId::external(psk.psk_id.to_vec(), Vec::new()).store(provider, &psk.psk)?;
    }
    let MlsMessageBodyIn::Welcome(welcome) = message(&vector.welcome)? else {
        bail!("no Welcome")
    };
    let config = MlsGroupJoinConfig::builder()
        .number_of_resumption_psks(64)
        .wire_format_policy(MIXED_CIPHERTEXT_WIRE_FORMAT_POLICY)
        .build();
    let mut joining =
        StagedWelcome::build_from_welcome(provider, &config, welcome)?.skip_lifetime_validation();
    if let Some(tree) = &vector.ratchet_tree {
        joining = joining.with_ratchet_tree(RatchetTreeIn::tls_deserialize_exact_bytes(tree)?);
    }
    Ok(joining.build()?.into_group(provider)?)
}

/// OpenMLS makes its own KeyPackages and takes none with their keys from outside, except from its
/// storage: so they are written there, in the form in which it would have written them.
fn store_key_package(
    provider: &Provider,
    key_package: &KeyPackageIn,
    vector: &shapes::PassiveClient,
) -> anyhow::Result<()> {
    let private = |bytes: &[u8]| HpkePrivateKey::from(bytes.to_vec());
    let bundle: KeyPackageBundle = serde_json::from_value(json!({
        "key_package": key_package,
        "private_init_key": private(&vector.init_priv),
        "private_encryption_key": { "key": private(&vector.encryption_priv) },
    }))?;
    let reference = bundle.key_package().hash_ref(&provider.crypto)?;
    Ok(provider.storage.write_key_package(&reference, &bundle)?)
}

fn process(provider: &Provider, group: &mut MlsGroup, bytes: &[u8]) -> anyhow::Result<()> {
    let message = MlsMessageIn::tls_deserialize_exact_bytes(bytes)?.try_into_protocol_message()?;
    match group.process_message(provider, message)?.into_content() {
        ProcessedMessageContent::ProposalMessage(proposal)
        | ProcessedMessageContent::ExternalJoinProposalMessage(proposal) => {
            group.store_pending_proposal(&provider.storage, *proposal)?;
        }
        ProcessedMessageContent::StagedCommitMessage(commit) => {
            group.merge_staged_commit(provider, *commit)?;
        }
        _ => bail!("neither a proposal nor a Commit"),
    }
    Ok(())
}

fn message(bytes: &[u8]) -> anyhow::Result<MlsMessageBodyIn> {
    Ok(MlsMessageIn::tls_deserialize_exact_bytes(bytes)
        .context("not an MLSMessage")?
        .extract())
}
