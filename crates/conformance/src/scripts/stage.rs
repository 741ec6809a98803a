//! What a play has on stage: the actors, what steps gave, and what is written down of it.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use base64::prelude::{BASE64_STANDARD as BASE64, Engine as _};
use conclave_crypto::{Random as _, SystemRandomness};
use serde::Serialize;

use super::{
    action::{Description, Extension},
    peer::Peer,
    record::Recorder,
};
use crate::{
    mls_client::{
        self, CreateKeyPackageRequest, FreeRequest, JoinGroupRequest, ProposalDescription,
    },
    vectors::hex::Hex,
};

/// Bytes of a group's id, and of a pre-shared key.
const ID_BYTES: usize = 16;

/// One performance, as it goes.
pub(super) struct Stage {
    pub(super) suite: u16,
    /// Other suites that everybody has.
    pub(super) other_suites: Vec<u16>,
    pub(super) encrypt: bool,
    pub(super) actors: BTreeMap<String, Actor>,
    pub(super) group_id: Vec<u8>,
    /// What each step gave that later ones refer to.
    pub(super) results: Vec<Given>,
    pub(super) transcript: Vec<Entry>,
    pub(super) recorder: Recorder,
    /// External signers in the group's list.
    pub(super) signers: u32,
}

/// Somebody in the script.
pub(super) struct Actor {
    pub(super) peer: Peer,
    pub(super) state: Option<u32>,
    pub(super) transaction: Option<u32>,
    /// As an external signer: its number, and its place in the group's list.
    pub(super) signer: Option<(u32, u32)>,
    /// All numbers that it was given, to be freed.
    numbers: Vec<u32>,
}

/// What came of a step.
#[derive(Clone)]
pub(super) enum Given {
    Nothing,
    KeyPackage(Vec<u8>),
    Psk(Psk),
    Proposal(Vec<u8>),
    Ciphertext {
        message: Vec<u8>,
        plaintext: String,
        authenticated_data: String,
    },
}

#[derive(Clone)]
pub(super) struct Psk {
    pub(super) name: Vec<u8>,
    pub(super) secret: Vec<u8>,
}

/// Something that a peer gave.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Entry {
    step: usize,
    actor: String,
    what: &'static str,
    value: Hex,
}

/// A commit with all that goes with it.
pub(super) struct Epoch<'a> {
    pub(super) proposals: &'a [Vec<u8>],
    pub(super) commit: &'a [u8],
}

impl Actor {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            peer,
            state: None,
            transaction: None,
            signer: None,
            numbers: Vec::new(),
        }
    }

    pub(super) fn state(&self) -> anyhow::Result<u32> {
        self.state.context("the actor is in no group")
    }

    pub(super) fn transaction(&self) -> anyhow::Result<u32> {
        self.transaction.context("the actor has no KeyPackage")
    }

    pub(super) fn enter(&mut self, state: u32) {
        self.state = Some(state);
        self.given(state);
    }

    pub(super) fn given(&mut self, number: u32) {
        if !self.numbers.contains(&number) {
            self.numbers.push(number);
        }
    }
}

impl Stage {
    pub(super) fn actor(&mut self, name: &str) -> anyhow::Result<&mut Actor> {
        self.actors.get_mut(name).context("an unknown actor")
    }

    /// Writes down what an actor gave in the step that is being played.
    pub(super) fn note(&mut self, actor: &str, what: &'static str, value: &[u8]) {
        let step = self.results.len();
        if !value.is_empty() {
            self.transcript.push(Entry {
                step,
                actor: actor.to_owned(),
                what,
                value: Hex::from(value.to_vec()),
            });
        }
    }

    pub(super) async fn key_package(&mut self, name: &str) -> anyhow::Result<Vec<u8>> {
        let request = CreateKeyPackageRequest {
            cipher_suite: self.suite.into(),
            identity: name.as_bytes().to_vec(),
        };
        let actor = self.actor(name)?;
        let made = actor.peer.client.create_key_package(request).await?;
        let made = made.into_inner();
        actor.transaction = Some(made.transaction_id);
        actor.given(made.transaction_id);
        self.note(name, "key_package", &made.key_package);
        let package = made.key_package.clone();
        self.recorder.invited(name, made);
        Ok(package)
    }

    pub(super) async fn join(
        &mut self,
        name: &str,
        welcome: &[u8],
        tree: &[u8],
    ) -> anyhow::Result<Vec<u8>> {
        let encrypt_handshake = self.encrypt;
        let actor = self.actor(name)?;
        let request = JoinGroupRequest {
            transaction_id: actor.transaction()?,
            welcome: welcome.to_vec(),
            encrypt_handshake,
            identity: name.as_bytes().to_vec(),
            ratchet_tree: tree.to_vec(),
        };
        let joined = actor.peer.client.join_group(request).await?.into_inner();
        actor.enter(joined.state_id);
        let authenticator = joined.epoch_authenticator;
        self.recorder
            .joined(name, self.suite, welcome, tree, &authenticator);
        Ok(authenticator)
    }

    /// That everybody has the same authenticator.
    pub(super) fn agree(&mut self, all: &[(String, Vec<u8>)]) -> anyhow::Result<()> {
        let Some((first, expected)) = all.first() else {
            return Ok(());
        };
        for (name, authenticator) in all {
            ensure!(
                authenticator == expected,
                "{first} and {name} are not in one epoch"
            );
        }
        self.note(first, "epoch_authenticator", expected);
        Ok(())
    }

    pub(super) fn given_package(&self, step: usize) -> anyhow::Result<Vec<u8>> {
        match self.results.get(step) {
            Some(Given::KeyPackage(package)) => Ok(package.clone()),
            _ => bail!("step {step} gave no KeyPackage"),
        }
    }

    pub(super) fn given_psk(&self, step: usize) -> anyhow::Result<Psk> {
        match self.results.get(step) {
            Some(Given::Psk(psk)) => Ok(psk.clone()),
            _ => bail!("step {step} gave no PSK"),
        }
    }

    pub(super) fn given_proposals(&self, steps: &[usize]) -> anyhow::Result<Vec<Vec<u8>>> {
        let one = |step: &usize| match self.results.get(*step) {
            Some(Given::Proposal(message)) => Ok(message.clone()),
            _ => bail!("step {step} gave no proposal"),
        };
        steps.iter().map(one).collect()
    }

    /// The id and suite of the group that follows a ReInit.
    pub(super) fn successor(
        &self,
        new_id: bool,
        new_suite: bool,
    ) -> anyhow::Result<(Vec<u8>, u16)> {
        let id = match new_id {
            true => random_id()?,
            false => self.group_id.clone(),
        };
        let suite = match new_suite {
            true => *self.other_suites.first().ok_or(NoOtherSuite)?,
            false => self.suite,
        };
        Ok((id, suite))
    }

    pub(super) fn describe(&self, what: &Description) -> anyhow::Result<ProposalDescription> {
        let mut described = ProposalDescription::default();
        let mut kind = |name: &str| described.proposal_type = name.as_bytes().to_vec();
        match what {
            Description::Add { key_package } => {
                kind("add");
                described.key_package = self.given_package(*key_package)?;
            }
            Description::Remove { removed } => {
                kind("remove");
                described.removed_id = removed.as_bytes().to_vec();
            }
            Description::ExternalPsk { psk } => {
                kind("externalPSK");
                described.psk_id = self.given_psk(*psk)?.name;
            }
            Description::ResumptionPsk { epoch } => {
                kind("resumptionPSK");
                described.epoch_id = *epoch;
            }
            Description::GroupContextExtensions { extensions } => {
                kind("groupContextExtensions");
                described.extensions = decoded(extensions)?;
            }
            Description::ReInit {
                change_group_id,
                change_ciphersuite,
                extensions,
            } => {
                kind("reinit");
                let (id, suite) = self.successor(*change_group_id, *change_ciphersuite)?;
                (described.group_id, described.cipher_suite) = (id, suite.into());
                described.extensions = decoded(extensions)?;
            }
        }
        Ok(described)
    }

    /// Frees all that the peers keep for this play; whoever has no such call keeps it.
    pub(super) async fn clear(&mut self) {
        for actor in self.actors.values_mut() {
            for state_id in actor.numbers.drain(..) {
                let _ = actor.peer.client.free(FreeRequest { state_id }).await;
            }
        }
    }
}

/// A script that changes the suite needs two.
#[derive(Debug, thiserror::Error)]
#[error("there is no other suite that all have")]
pub(super) struct NoOtherSuite;

pub(super) fn random_id() -> anyhow::Result<Vec<u8>> {
    let mut id = vec![0; ID_BYTES];
    SystemRandomness.fill(&mut id)?;
    Ok(id)
}

pub(super) fn decoded(extensions: &[Extension]) -> anyhow::Result<Vec<mls_client::Extension>> {
    let one = |extension: &Extension| -> anyhow::Result<_> {
        Ok(mls_client::Extension {
            extension_type: extension.extension_type.into(),
            extension_data: BASE64.decode(&extension.extension_data)?,
        })
    };
    extensions.iter().map(one).collect()
}
