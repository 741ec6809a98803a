//! A member that only listens.

use anyhow::Context as _;

use crate::{
    client::Client,
    engine::EngineName,
    vectors::{same, shapes},
};

/// Joins and follows; in every epoch the authenticator must be the one given.
pub(crate) fn check(engine: EngineName, vector: &shapes::PassiveClient) -> anyhow::Result<()> {
    let mut client = engine.passive(vector)?;
    client
        .join(&vector.welcome, vector.ratchet_tree.as_deref())
        .context("joining")?;
    authenticator(&*client, &vector.initial_epoch_authenticator)?;
    for (index, epoch) in vector.epochs.iter().enumerate() {
        let context = || format!("epoch {index} after joining");
        for message in epoch.proposals.iter().chain([&epoch.commit]) {
            client.receive(message).with_context(context)?;
        }
        authenticator(&*client, &epoch.epoch_authenticator).with_context(context)?;
    }
    Ok(())
}

fn authenticator(client: &dyn Client, expected: &[u8]) -> anyhow::Result<()> {
    let authenticator = client.epoch_authenticator()?;
    same("the epoch authenticator", &authenticator, expected)
}
