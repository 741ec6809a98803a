//! mls-rs with its AWS-LC provider, by its public API.

use anyhow::{Context as _, ensure};
use mls_rs::{
    CipherSuiteProvider, Client, CryptoProvider, Group, MlsMessage,
    client_builder::MlsConfig,
    group::ExportedTree,
    identity::basic::BasicIdentityProvider,
    mls_rs_codec::{MlsEncode as _, byte_vec},
    psk::ExternalPskId,
    storage_provider::{KeyPackageData, in_memory::InMemoryKeyPackageStorage},
};
use mls_rs_crypto_awslc::AwsLcCryptoProvider;

use crate::{
    engine::Engine,
    vectors::{Kind, Vector, hex::Hex, same, shapes},
};

pub(crate) struct MlsRs;

impl Engine for MlsRs {
    fn skips(&self, kind: Kind) -> Option<&'static str> {
        match kind {
            Kind::PassiveClient | Kind::Deserialization => None,
            Kind::Messages => Some("the public API decodes only MLSMessage and the tree"),
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
        AwsLcCryptoProvider::new()
            .cipher_suite_provider(suite.into())
            .is_some()
    }

    fn check(&self, vector: &Vector) -> anyhow::Result<()> {
        match vector {
            Vector::PassiveClient(vector) => passive_client(vector),
            Vector::Deserialization(vector) => deserialization(vector),
            _ => anyhow::bail!("this kind is skipped"),
        }
    }
}

fn deserialization(vector: &shapes::Deserialization) -> anyhow::Result<()> {
    let bytes = [&*vector.vlbytes_header, &vec![0; vector.length as usize]].concat();
    let mut rest = &*bytes;
    let read: Vec<u8> = byte_vec::mls_decode(&mut rest)?;
    ensure!(
        read.len() == vector.length as usize && rest.is_empty(),
        "the length"
    );
    Ok(())
}

fn passive_client(vector: &shapes::PassiveClient) -> anyhow::Result<()> {
    let mut group = join(vector)?;
    authenticator(&group, &vector.initial_epoch_authenticator)?;
    for epoch in &vector.epochs {
        for message in epoch.proposals.iter().chain([&epoch.commit]) {
            group.process_incoming_message(MlsMessage::from_bytes(message)?)?;
        }
        authenticator(&group, &epoch.epoch_authenticator)?;
    }
    Ok(())
}

fn join(vector: &shapes::PassiveClient) -> anyhow::Result<Group<impl MlsConfig + use<>>> {
    let crypto = AwsLcCryptoProvider::new();
    let suite = crypto
        .cipher_suite_provider(vector.cipher_suite.into())
        .context("the suite is missing")?;
    let message = MlsMessage::from_bytes(&vector.key_package)?;
    let reference = message
        .key_package_reference(&suite)?
        .context("no KeyPackage")?;
    let key_package = message.into_key_package().context("no KeyPackage")?;
    let store = InMemoryKeyPackageStorage::new();
    let data = KeyPackageData::new(
        key_package.mls_encode_to_vec()?,
        vector.init_priv.to_vec().into(),
        vector.encryption_priv.to_vec().into(),
        u64::MAX,
    );
    store.insert(reference.to_vec(), data);
    let mut builder = Client::builder()
        .crypto_provider(crypto)
        .identity_provider(BasicIdentityProvider::new())
        .key_package_repo(store)
        .signing_identity(
            key_package.signing_identity().clone(),
            vector.signature_priv.to_vec().into(),
            suite.cipher_suite(),
        );
    for psk in &vector.external_psks {
        builder = builder.psk(
            ExternalPskId::new(psk.psk_id.to_vec()),
            psk.psk.to_vec().into(),
        );
    }
    let tree = vector
        .ratchet_tree
        .as_deref()
        .map(ExportedTree::from_bytes)
        .transpose()?;
    let welcome = MlsMessage::from_bytes(&vector.welcome)?;
    Ok(builder.build().join_group(tree, &welcome, None)?.0)
}

fn authenticator(group: &Group<impl MlsConfig>, expected: &Hex) -> anyhow::Result<()> {
    same(
        "epoch authenticator",
        &group.epoch_authenticator()?,
        expected,
    )
}
