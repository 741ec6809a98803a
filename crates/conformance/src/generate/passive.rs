//! A group of Conclave's members that somebody joins and follows.

use std::collections::HashMap;

use conclave_crypto::{CipherSuite, Secret, SigningKey, SystemRandomness};
use conclave_mls_member::{Committed, Group};
use conclave_mls_public::wire::{Extensions, MlsMessage, PreSharedKeyId, Proposal, Psk, encode};

use super::{client::Client, random};
use crate::vectors::shapes;

pub(super) fn passive_client(suite: CipherSuite) -> anyhow::Result<shapes::PassiveClient> {
    let (creator, joiner, third) = (
        Client::new(suite, "one")?,
        Client::new(suite, "two")?,
        Client::new(suite, "three")?,
    );
    let key = &creator.identity.key;
    let psk = shapes::ExternalPsk {
        psk_id: random(16)?,
        psk: random(32)?,
    };
    let name = Psk::External(psk.psk_id.to_vec().into());
    let psks = HashMap::from([(name.clone(), Secret::from(&*psk.psk))]);
    let inject = |nonce: &[u8]| {
        Proposal::PreSharedKey(PreSharedKeyId {
            psk: name.clone(),
            psk_nonce: nonce.into(),
        })
    };
    let mut group = creator.create()?;
    let nonce = random(suite.hash_len())?;
    let proposals = vec![
        Proposal::Add(Box::new(joiner.keys.package.clone())),
        inject(&nonce),
    ];
    let Committed {
        welcome, pending, ..
    } = group.commit(proposals, &psks, key, &mut SystemRandomness)?;
    group.merge(pending)?;
    let welcome = welcome.ok_or_else(|| anyhow::anyhow!("an Add gave no Welcome"))?;
    let initial = group.secrets().epoch_authenticator().as_bytes().into();
    let nonce = random(suite.hash_len())?;
    let histories = [
        vec![Proposal::Add(Box::new(third.keys.package))],
        vec![],
        vec![inject(&nonce)],
        vec![Proposal::Remove(2)],
    ];
    let mut epochs = Vec::new();
    for (index, proposals) in histories.into_iter().enumerate() {
        epochs.push(epoch(&mut group, &psks, key, proposals, index == 1)?);
    }
    Ok(shapes::PassiveClient {
        cipher_suite: suite.into(),
        external_psks: vec![psk],
        key_package: encode(&MlsMessage::KeyPackage(joiner.keys.package))?.into(),
        signature_priv: joiner.identity.private.as_bytes().into(),
        encryption_priv: joiner.keys.leaf.private().as_bytes().into(),
        init_priv: joiner.keys.init.private().as_bytes().into(),
        welcome: encode(&MlsMessage::Welcome(welcome))?.into(),
        ratchet_tree: None,
        initial_epoch_authenticator: initial,
        epochs,
    })
}

/// One epoch; its proposal may be sent first and committed by reference.
fn epoch(
    group: &mut Group,
    psks: &HashMap<Psk, Secret>,
    key: &SigningKey,
    proposals: Vec<Proposal>,
    by_reference: bool,
) -> anyhow::Result<shapes::PassiveEpoch> {
    let mut sent = Vec::new();
    if by_reference {
        let extensions = Proposal::GroupContextExtensions(Extensions::default());
        let message = group.propose(extensions, key, &mut SystemRandomness)?;
        sent.push(encode(&message)?.into());
    }
    let Committed {
        commit, pending, ..
    } = group.commit(proposals, psks, key, &mut SystemRandomness)?;
    group.merge(pending)?;
    Ok(shapes::PassiveEpoch {
        proposals: sent,
        commit: encode(&commit)?.into(),
        epoch_authenticator: group.secrets().epoch_authenticator().as_bytes().into(),
    })
}
