//! A member that only listens.

use std::{collections::HashMap, num::NonZeroUsize};

use anyhow::{Context as _, bail};
use conclave_crypto::Secret;
use conclave_mls_member::{Group, Invitee};
use conclave_mls_public::wire::{MlsMessage, Psk, decode};

use super::suite;
use crate::vectors::{hex::Hex, same, shapes};

pub(super) fn passive_client(vector: &shapes::PassiveClient) -> anyhow::Result<()> {
    let psks = vector.external_psks.iter().map(|psk| {
        let name = Psk::External(psk.psk_id.to_vec().into());
        (name, Secret::from(&*psk.psk))
    });
    let psks: HashMap<_, _> = psks.collect();
    let mut group = join(vector, &psks).context("joining")?;
    authenticator(&group, &vector.initial_epoch_authenticator)?;
    for (index, epoch) in vector.epochs.iter().enumerate() {
        let context = || format!("epoch {index} after joining");
        for message in epoch.proposals.iter().chain([&epoch.commit]) {
            group
                .receive(decode(message)?, &psks)
                .with_context(context)?;
        }
        authenticator(&group, &epoch.epoch_authenticator).with_context(context)?;
    }
    Ok(())
}

fn join(vector: &shapes::PassiveClient, psks: &HashMap<Psk, Secret>) -> anyhow::Result<Group> {
    let suite = suite(vector.cipher_suite)?;
    let (MlsMessage::KeyPackage(key_package), MlsMessage::Welcome(welcome)) =
        (decode(&vector.key_package)?, decode(&vector.welcome)?)
    else {
        bail!("no KeyPackage or no Welcome")
    };
    let init = suite.key_pair(&vector.init_priv)?;
    let leaf = suite.key_pair(&vector.encryption_priv)?;
    let invitee = Invitee::new(key_package, init, leaf)?;
    let nodes = vector.ratchet_tree.as_deref().map(decode).transpose()?;
    Ok(Group::join(
        &welcome,
        &invitee,
        nodes,
        psks,
        NonZeroUsize::MIN,
    )?)
}

fn authenticator(group: &Group, expected: &Hex) -> anyhow::Result<()> {
    let authenticator = group.secrets().epoch_authenticator();
    same(
        "the epoch authenticator",
        authenticator.as_bytes(),
        expected,
    )
}
