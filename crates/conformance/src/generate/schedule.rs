use conclave_crypto::{CipherSuite, Secret};
use conclave_mls_member::{
    EncryptionSecret, EpochSecrets, InitSecret, JoinerSecret, MessageKey, RatchetKind, SecretTree,
    psk_secret, sender_data_keys,
};
use conclave_mls_public::{
    math::TreeSize,
    wire::{Extensions, GroupContext, MLS10, PreSharedKeyId, Psk, encode},
};

use super::random;
use crate::vectors::{hex::Hex, shapes};

/// Epochs of a key schedule.
const EPOCHS: u64 = 5;

/// Leaves and generations of a secret tree.
const LEAVES: u32 = 8;
const GENERATIONS: u32 = 4;

pub(super) fn key_schedule(suite: CipherSuite) -> anyhow::Result<shapes::KeySchedule> {
    let (group_id, initial) = (random(16)?, random(suite.hash_len())?);
    let mut init = InitSecret::from_secret(Secret::from(&*initial));
    let mut epochs = Vec::new();
    for number in 0..EPOCHS {
        let (entry, secrets) = epoch(suite, &group_id, number, &init)?;
        init = secrets.init().clone();
        epochs.push(entry);
    }
    Ok(shapes::KeySchedule {
        cipher_suite: suite.into(),
        group_id,
        initial_init_secret: initial,
        epochs,
    })
}

fn epoch(
    suite: CipherSuite,
    group_id: &[u8],
    number: u64,
    init: &InitSecret,
) -> anyhow::Result<(shapes::KeyScheduleEpoch, EpochSecrets)> {
    let fresh = || random(suite.hash_len());
    let (tree_hash, confirmed, commit, psk) = (fresh()?, fresh()?, fresh()?, fresh()?);
    let context = encode(&GroupContext {
        version: MLS10,
        cipher_suite: suite.into(),
        group_id: group_id.into(),
        epoch: number,
        tree_hash: tree_hash.to_vec().into(),
        confirmed_transcript_hash: confirmed.to_vec().into(),
        extensions: Extensions::default(),
    })?;
    let joiner = JoinerSecret::derive(suite, init, &Secret::from(&*commit), &context)?;
    let member = joiner.with_psks(suite, &Secret::from(&*psk));
    let (secrets, encryption) = member.epoch(&context)?;
    let (label, exporter_context) = (format!("label {number}"), fresh()?);
    let exported = secrets.export(&label, &exporter_context, suite.hash_len())?;
    let entry = shapes::KeyScheduleEpoch {
        tree_hash,
        commit_secret: commit,
        psk_secret: psk,
        confirmed_transcript_hash: confirmed,
        group_context: context.into(),
        joiner_secret: hex(joiner.secret()),
        welcome_secret: hex(&member.welcome_secret()?),
        init_secret: hex(secrets.init().secret()),
        sender_data_secret: hex(secrets.sender_data()),
        encryption_secret: hex(encryption.secret()),
        exporter_secret: hex(secrets.exporter()),
        epoch_authenticator: hex(secrets.epoch_authenticator()),
        external_secret: hex(secrets.external()),
        confirmation_key: hex(secrets.confirmation_key()),
        membership_key: hex(secrets.membership_key()),
        resumption_psk: hex(secrets.resumption_psk()),
        external_pub: secrets.external_key_pair()?.public().into(),
        exporter: shapes::Exporter {
            label,
            context: exporter_context,
            length: u16::try_from(suite.hash_len())?,
            secret: hex(&exported),
        },
    };
    Ok((entry, secrets))
}

pub(super) fn psk_secret_of_three(suite: CipherSuite) -> anyhow::Result<shapes::PskSecret> {
    let (mut psks, mut pairs) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let psk = shapes::Psk {
            psk_id: random(16)?,
            psk: random(32)?,
            psk_nonce: random(suite.hash_len())?,
        };
        let id = PreSharedKeyId {
            psk: Psk::External(psk.psk_id.to_vec().into()),
            psk_nonce: psk.psk_nonce.to_vec().into(),
        };
        pairs.push((id, Secret::from(&*psk.psk)));
        psks.push(psk);
    }
    Ok(shapes::PskSecret {
        cipher_suite: suite.into(),
        psks,
        psk_secret: hex(&psk_secret(suite, &pairs)?),
    })
}

pub(super) fn secret_tree(suite: CipherSuite) -> anyhow::Result<shapes::SecretTree> {
    let (bytes, ciphertext) = (random(suite.hash_len())?, random(100)?);
    let (key, nonce) = sender_data_keys(suite, &Secret::from(&*bytes), &ciphertext)?;
    let encryption_secret = random(suite.hash_len())?;
    let encryption = EncryptionSecret::from_secret(Secret::from(&*encryption_secret));
    let mut tree = SecretTree::new(suite, TreeSize::of_leaves(LEAVES)?, encryption);
    let mut leaf = |leaf| (0..GENERATIONS).map(|_| step(&mut tree, leaf)).collect();
    Ok(shapes::SecretTree {
        cipher_suite: suite.into(),
        sender_data: shapes::SenderData {
            sender_data_secret: bytes,
            ciphertext,
            key: hex(&key),
            nonce: hex(&nonce),
        },
        encryption_secret,
        leaves: (0..LEAVES).map(&mut leaf).collect::<anyhow::Result<_>>()?,
    })
}

fn step(tree: &mut SecretTree, leaf: u32) -> anyhow::Result<shapes::RatchetStep> {
    let (generation, handshake) = tree.next(leaf, RatchetKind::Handshake)?;
    let (_, application) = tree.next(leaf, RatchetKind::Application)?;
    let key = |key: &MessageKey| (hex(key.key()), hex(key.nonce()));
    let ((handshake_key, handshake_nonce), (application_key, application_nonce)) =
        (key(&handshake), key(&application));
    Ok(shapes::RatchetStep {
        generation,
        handshake_key,
        handshake_nonce,
        application_key,
        application_nonce,
    })
}

fn hex(secret: &Secret) -> Hex {
    secret.as_bytes().into()
}
