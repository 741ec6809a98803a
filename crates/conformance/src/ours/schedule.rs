//! Secrets of an epoch: key schedule, PSKs, transcript hashes, secret tree.

use anyhow::{Context as _, ensure};
use conclave_crypto::Secret;
use conclave_mls_member::{
    EncryptionSecret, EpochSecrets, InitSecret, JoinerSecret, MessageKey, RatchetKind, SecretTree,
    psk_secret, sender_data_keys,
};
use conclave_mls_public::{
    math::TreeSize,
    transcript::{confirmed_transcript_hash, interim_transcript_hash},
    wire::{
        AuthenticatedContent, Extensions, GroupContext, MLS10, PreSharedKeyId, Psk, decode, encode,
    },
};

use super::suite;
use crate::vectors::{hex::Hex, same, shapes};

pub(super) fn key_schedule(vector: &shapes::KeySchedule) -> anyhow::Result<()> {
    let mut init = InitSecret::from_secret(Secret::from(&*vector.initial_init_secret));
    for (number, epoch) in (0..).zip(&vector.epochs) {
        init = key_schedule_epoch(vector, number, epoch, &init)
            .with_context(|| format!("epoch {number}"))?;
    }
    Ok(())
}

fn key_schedule_epoch(
    vector: &shapes::KeySchedule,
    number: u64,
    epoch: &shapes::KeyScheduleEpoch,
    init: &InitSecret,
) -> anyhow::Result<InitSecret> {
    let suite = suite(vector.cipher_suite)?;
    let context = encode(&GroupContext {
        version: MLS10,
        cipher_suite: vector.cipher_suite,
        group_id: vector.group_id.to_vec().into(),
        epoch: number,
        tree_hash: epoch.tree_hash.to_vec().into(),
        confirmed_transcript_hash: epoch.confirmed_transcript_hash.to_vec().into(),
        extensions: Extensions::default(),
    })?;
    same("group_context", &context, &epoch.group_context)?;
    let commit_secret = Secret::from(&*epoch.commit_secret);
    let joiner = JoinerSecret::derive(suite, init, &commit_secret, &context)?;
    let member = joiner.with_psks(suite, &Secret::from(&*epoch.psk_secret));
    let (secrets, encryption) = member.epoch(&context)?;
    same(
        "joiner_secret",
        joiner.secret().as_bytes(),
        &epoch.joiner_secret,
    )?;
    let welcome_secret = member.welcome_secret()?;
    same(
        "welcome_secret",
        welcome_secret.as_bytes(),
        &epoch.welcome_secret,
    )?;
    same(
        "encryption_secret",
        encryption.secret().as_bytes(),
        &epoch.encryption_secret,
    )?;
    same(
        "external_pub",
        secrets.external_key_pair()?.public(),
        &epoch.external_pub,
    )?;
    let exporter = &epoch.exporter;
    let exported = secrets.export(&exporter.label, &exporter.context, exporter.length.into())?;
    same("the exported secret", exported.as_bytes(), &exporter.secret)?;
    for (what, got, expected) in derived(&secrets, epoch) {
        same(what, got.as_bytes(), expected)?;
    }
    Ok(secrets.init().clone())
}

/// Each secret that `DeriveSecret` gives, with what it should be.
#[rustfmt::skip]
fn derived<'a>(
    secrets: &'a EpochSecrets,
    epoch: &'a shapes::KeyScheduleEpoch,
) -> [(&'static str, &'a Secret, &'a Hex); 8] {
    [
        ("init_secret", secrets.init().secret(), &epoch.init_secret),
        ("sender_data_secret", secrets.sender_data(), &epoch.sender_data_secret),
        ("exporter_secret", secrets.exporter(), &epoch.exporter_secret),
        ("epoch_authenticator", secrets.epoch_authenticator(), &epoch.epoch_authenticator),
        ("external_secret", secrets.external(), &epoch.external_secret),
        ("confirmation_key", secrets.confirmation_key(), &epoch.confirmation_key),
        ("membership_key", secrets.membership_key(), &epoch.membership_key),
        ("resumption_psk", secrets.resumption_psk(), &epoch.resumption_psk),
    ]
}

pub(super) fn psks(vector: &shapes::PskSecret) -> anyhow::Result<()> {
    let psk = |psk: &shapes::Psk| {
        let id = PreSharedKeyId {
            psk: Psk::External(psk.psk_id.to_vec().into()),
            psk_nonce: psk.psk_nonce.to_vec().into(),
        };
        (id, Secret::from(&*psk.psk))
    };
    let psks: Vec<_> = vector.psks.iter().map(psk).collect();
    let secret = psk_secret(suite(vector.cipher_suite)?, &psks)?;
    same("psk_secret", secret.as_bytes(), &vector.psk_secret)
}

pub(super) fn transcript_hashes(vector: &shapes::TranscriptHashes) -> anyhow::Result<()> {
    let suite = suite(vector.cipher_suite)?;
    let commit: AuthenticatedContent = decode(&vector.authenticated_content)?;
    let before = &vector.interim_transcript_hash_before;
    let confirmed = confirmed_transcript_hash(suite, before, &commit)?;
    same(
        "confirmed",
        confirmed.as_bytes(),
        &vector.confirmed_transcript_hash_after,
    )?;
    let tag = commit
        .auth
        .confirmation_tag
        .context("the Commit has no confirmation tag")?;
    suite.verify_mac(
        &vector.confirmation_key,
        confirmed.as_bytes(),
        tag.as_slice(),
    )?;
    let interim = interim_transcript_hash(suite, confirmed.as_bytes(), &tag)?;
    same(
        "interim",
        interim.as_bytes(),
        &vector.interim_transcript_hash_after,
    )
}

pub(super) fn secret_tree(vector: &shapes::SecretTree) -> anyhow::Result<()> {
    let suite = suite(vector.cipher_suite)?;
    let sender = &vector.sender_data;
    let secret = Secret::from(&*sender.sender_data_secret);
    let (key, nonce) = sender_data_keys(suite, &secret, &sender.ciphertext)?;
    same("the sender data key", key.as_bytes(), &sender.key)?;
    same("the sender data nonce", nonce.as_bytes(), &sender.nonce)?;
    let leaves = u32::try_from(vector.leaves.len())?;
    let encryption = EncryptionSecret::from_secret(Secret::from(&*vector.encryption_secret));
    let mut tree = SecretTree::new(suite, TreeSize::of_leaves(leaves)?, encryption);
    // From the right and from the last generation, so that skipped keys are kept and found again.
    for (leaf, steps) in (0..leaves).zip(&vector.leaves).rev() {
        for step in steps.iter().rev() {
            ratchet_step(&mut tree, leaf, step)
                .with_context(|| format!("leaf {leaf}, generation {}", step.generation))?;
        }
    }
    Ok(())
}

fn ratchet_step(
    tree: &mut SecretTree,
    leaf: u32,
    step: &shapes::RatchetStep,
) -> anyhow::Result<()> {
    let mut take = |kind| {
        let copy = |key: &MessageKey| Ok(key.clone());
        tree.with_key(leaf, kind, step.generation, copy)
    };
    let (handshake, application) = (
        take(RatchetKind::Handshake)?,
        take(RatchetKind::Application)?,
    );
    same(
        "handshake_key",
        handshake.key().as_bytes(),
        &step.handshake_key,
    )?;
    same(
        "handshake_nonce",
        handshake.nonce().as_bytes(),
        &step.handshake_nonce,
    )?;
    same(
        "application_key",
        application.key().as_bytes(),
        &step.application_key,
    )?;
    same(
        "application_nonce",
        application.nonce().as_bytes(),
        &step.application_nonce,
    )?;
    ensure!(
        take(RatchetKind::Handshake).is_err(),
        "a key was given out twice"
    );
    Ok(())
}
