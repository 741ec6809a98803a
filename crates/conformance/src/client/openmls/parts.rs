//! OpenMLS's provider, settings and forms.

use anyhow::{Context as _, bail};
use conclave_crypto::{Crypto, Random as _, SystemRandomness};
use openmls::{
    prelude::{
        HpkePrivateKey, KeyPackage, MIXED_CIPHERTEXT_WIRE_FORMAT_POLICY,
        MIXED_PLAINTEXT_WIRE_FORMAT_POLICY, MlsGroup, MlsGroupJoinConfig, MlsMessageBodyIn,
        MlsMessageIn, MlsMessageOut, OpenMlsProvider, ProcessMessageError, ProtocolVersion,
        WireFormatPolicy,
        tls_codec::{DeserializeBytes as _, Serialize as _},
    },
    schedule::{PreSharedKeyId, psk::ResumptionPskUsage},
};
use openmls_memory_storage::MemoryStorage;
use serde::Deserialize;

use super::FEW_EXTERNAL;
use crate::client::Handshakes;

/// Epochs whose resumption PSK is kept: as many as our own crate does.
pub(super) const RESUMPTION_PSKS: usize = 64;

/// Epochs whose messages can still be read: the official scripts go back one.
pub(super) const PAST_EPOCHS: usize = 2;

/// Our cryptography and a store in memory.
#[derive(Default)]
pub(super) struct Provider {
    pub(super) crypto: Crypto,
    pub(super) storage: MemoryStorage,
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

/// The private keys of a KeyPackage, as OpenMLS writes them into its storage: its API shows only one.
#[derive(Deserialize)]
pub(super) struct BundleKeys {
    pub(super) private_init_key: HpkePrivateKey,
    pub(super) private_encryption_key: EncryptionKey,
}

#[derive(Deserialize)]
pub(super) struct EncryptionKey {
    pub(super) key: HpkePrivateKey,
}

pub(super) fn join_config(handshakes: Handshakes) -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .number_of_resumption_psks(RESUMPTION_PSKS)
        .max_past_epochs(PAST_EPOCHS)
        .wire_format_policy(wire_format(handshakes))
        .use_ratchet_tree_extension(true)
        .build()
}

pub(super) fn wire_format(handshakes: Handshakes) -> WireFormatPolicy {
    match handshakes {
        Handshakes::Public => MIXED_PLAINTEXT_WIRE_FORMAT_POLICY,
        Handshakes::Private => MIXED_CIPHERTEXT_WIRE_FORMAT_POLICY,
    }
}

pub(super) fn body(bytes: &[u8]) -> anyhow::Result<MlsMessageBodyIn> {
    Ok(MlsMessageIn::tls_deserialize_exact_bytes(bytes)
        .context("not an MLSMessage")?
        .extract())
}

pub(super) fn bytes(message: &MlsMessageOut) -> anyhow::Result<Vec<u8>> {
    Ok(message.tls_serialize_detached()?)
}

pub(super) fn key_package(bytes: &[u8], crypto: &Crypto) -> anyhow::Result<KeyPackage> {
    match body(bytes)? {
        MlsMessageBodyIn::KeyPackage(package) => {
            Ok(package.validate(crypto, ProtocolVersion::Mls10)?)
        }
        _ => bail!("no KeyPackage"),
    }
}

pub(super) fn nonce(group: &MlsGroup) -> anyhow::Result<Vec<u8>> {
    fresh(group.ciphersuite().hash_length())
}

pub(super) fn fresh(len: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    SystemRandomness.fill(&mut bytes)?;
    Ok(bytes)
}

/// The tree as the Commit that waits will leave it.
pub(super) fn pending_tree(group: &MlsGroup, provider: &Provider) -> anyhow::Result<Vec<u8>> {
    let pending = group.pending_commit().context("no Commit waits")?;
    let tree = pending.export_ratchet_tree(&provider.crypto, group.export_ratchet_tree())?;
    let tree = tree.context("the Commit leaves no tree")?;
    Ok(tree.tls_serialize_detached()?)
}

pub(super) fn resumption_psk(group: &MlsGroup, epoch: u64) -> anyhow::Result<PreSharedKeyId> {
    let (usage, id) = (ResumptionPskUsage::Application, group.group_id().clone());
    Ok(PreSharedKeyId::resumption(
        usage,
        id,
        epoch.into(),
        nonce(group)?,
    ))
}

/// Why a message is not taken in.
pub(super) fn refusal<E: std::error::Error + Send + Sync + 'static>(
    error: ProcessMessageError<E>,
) -> anyhow::Error {
    match error {
        ProcessMessageError::UnsupportedProposalType => FEW_EXTERNAL.into(),
        other => other.into(),
    }
}
