//! One script, played by one cast.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use anyhow::{Context as _, bail, ensure};
use base64::prelude::{BASE64_STANDARD as BASE64, Engine as _};
use conclave_mls_public::wire::{self, encode};

use super::{
    action::{Action, ByValue, Extension, ExternalJoin, FullCommit},
    report::Outcome,
};
use crate::{
    client::{Change, Client, Heard},
    engine::EngineName,
};

/// Why a script is not played.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotBuilt(&'static str);

pub(super) struct Play<'a> {
    suite: u16,
    cast: &'a [EngineName],
    actors: BTreeMap<String, Box<dyn Client>>,
    /// What each step gave that later ones refer to.
    results: Vec<Given>,
}

/// What came of a step.
enum Given {
    Nothing,
    KeyPackage(Vec<u8>),
    Psk(Vec<u8>),
    Proposal { by: String, message: Vec<u8> },
    Ciphertext { message: Vec<u8>, heard: Heard },
}

impl<'a> Play<'a> {
    pub(super) fn new(suite: u16, cast: &'a [EngineName]) -> Self {
        Self {
            suite,
            cast,
            actors: BTreeMap::new(),
            results: Vec::new(),
        }
    }

    pub(super) fn perform(mut self, actions: &[Action]) -> Outcome {
        let played = catch_unwind(AssertUnwindSafe(|| self.play(actions)));
        match played {
            Ok(Ok(())) => Outcome::Pass,
            Ok(Err(error)) => match error.downcast_ref::<NotBuilt>() {
                Some(NotBuilt(reason)) => Outcome::Skip(reason),
                None => Outcome::Fail(format!("{error:#}")),
            },
            Err(_) => Outcome::Fail("a client panicked".to_owned()),
        }
    }

    fn play(&mut self, actions: &[Action]) -> anyhow::Result<()> {
        if actions.iter().any(|action| matches!(action, Action::Other)) {
            bail!(NotBuilt(
                "ReInit, branching and external proposals are not built yet"
            ));
        }
        for (index, action) in actions.iter().enumerate() {
            let given = self.step(action);
            let given = given.with_context(|| format!("step {index}"))?;
            self.results.push(given);
        }
        Ok(())
    }

    fn step(&mut self, action: &Action) -> anyhow::Result<Given> {
        match action {
            Action::CreateGroup { actor, members } => self.create_group(actor, members),
            Action::CreateKeyPackage { actor } => {
                Ok(Given::KeyPackage(self.actor(actor)?.key_package()?))
            }
            Action::AddProposal { actor, key_package } => {
                let change = Change::Add(self.key_package(*key_package)?);
                self.propose(actor, &change)
            }
            Action::UpdateProposal { actor } => self.propose(actor, &Change::Update),
            Action::RemoveProposal { actor, removed } => {
                let change = Change::Remove(self.actor(removed)?.leaf()?);
                self.propose(actor, &change)
            }
            Action::ExternalPskProposal { actor, psk } => {
                let change = Change::ExternalPsk(self.psk(*psk)?);
                self.propose(actor, &change)
            }
            Action::ResumptionPskProposal { actor, epoch } => {
                self.propose(actor, &Change::ResumptionPsk(*epoch))
            }
            Action::GroupContextExtensionsProposal { actor, extensions } => {
                let change = Change::Extensions(encoded(extensions)?);
                self.propose(actor, &change)
            }
            Action::InstallExternalPsk { clients } => self.install_psk(clients),
            Action::FullCommit(commit) => self.full_commit(commit),
            Action::ExternalJoin(join) => self.external_join(join),
            Action::Protect {
                actor,
                authenticated_data,
                plaintext,
            } => self.protect(actor, authenticated_data, plaintext),
            Action::Unprotect { actor, ciphertext } => self.unprotect(actor, *ciphertext),
            Action::Other => bail!("an action that is not known"),
        }
    }

    /// The client of this name; who appears for the first time gets the next implementation.
    fn actor(&mut self, name: &str) -> anyhow::Result<&mut Box<dyn Client>> {
        if !self.actors.contains_key(name) {
            let engine = self.cast[self.actors.len() % self.cast.len()];
            let client = engine.client(name, self.suite)?;
            self.actors.insert(name.to_owned(), client);
        }
        self.actors.get_mut(name).context("an unknown actor")
    }

    fn create_group(&mut self, actor: &str, members: &[String]) -> anyhow::Result<Given> {
        self.actor(actor)?.create(b"scripted")?;
        if !members.is_empty() {
            let packages = members
                .iter()
                .map(|member| Ok(Change::Add(self.actor(member)?.key_package()?)));
            let adds = packages.collect::<anyhow::Result<Vec<_>>>()?;
            let made = self.actor(actor)?.commit(&adds)?;
            self.actor(actor)?.merge()?;
            self.welcome(members, made.welcome)?;
            self.agree(actor, members)?;
        }
        Ok(Given::Nothing)
    }

    fn propose(&mut self, by: &str, change: &Change) -> anyhow::Result<Given> {
        let message = self.actor(by)?.propose(change)?;
        let by = by.to_owned();
        Ok(Given::Proposal { by, message })
    }

    fn install_psk(&mut self, clients: &[String]) -> anyhow::Result<Given> {
        let name = format!("psk {}", self.results.len()).into_bytes();
        for client in clients {
            self.actor(client)?.store_psk(&name, b"from elsewhere")?;
        }
        Ok(Given::Psk(name))
    }

    fn full_commit(&mut self, commit: &FullCommit) -> anyhow::Result<Given> {
        if commit.external_tree {
            bail!(NotBuilt("a tree beside the Welcome is not built yet"));
        }
        let changes = commit.by_value.iter().map(|value| self.change(value));
        let changes = changes.collect::<anyhow::Result<Vec<_>>>()?;
        let everybody = || commit.members.iter().chain([&commit.actor]);
        for index in &commit.by_reference {
            let Some(Given::Proposal { by, message }) = self.results.get(*index) else {
                bail!("step {index} gave no proposal")
            };
            let (by, message) = (by.clone(), message.clone());
            for member in everybody().filter(|member| **member != by) {
                self.actor(member)?.receive(&message)?;
            }
        }
        let made = self.actor(&commit.actor)?.commit(&changes)?;
        for member in &commit.members {
            let received = self.actor(member)?.receive(&made.commit);
            received.with_context(|| format!("the Commit, at {member}"))?;
        }
        self.actor(&commit.actor)?.merge()?;
        self.welcome(&commit.joiners, made.welcome)?;
        let others: Vec<_> = [&commit.members[..], &commit.joiners[..]].concat();
        self.agree(&commit.actor, &others)?;
        Ok(Given::Nothing)
    }

    fn external_join(&mut self, join: &ExternalJoin) -> anyhow::Result<Given> {
        if join.external_tree {
            bail!(NotBuilt("a tree beside the GroupInfo is not built yet"));
        }
        if !join.psks.is_empty() {
            bail!(NotBuilt("PSKs in external Commits are not built yet"));
        }
        let info = self.actor(&join.actor)?.group_info()?;
        let joiner = self.actor(&join.joiner)?;
        let commit = joiner.join_externally(&info, join.remove_prior)?;
        let others: Vec<_> = [&join.members[..], std::slice::from_ref(&join.actor)].concat();
        for member in &others {
            self.actor(member)?.receive(&commit)?;
        }
        self.agree(&join.joiner, &others)?;
        Ok(Given::Nothing)
    }

    fn protect(&mut self, actor: &str, aad: &str, text: &str) -> anyhow::Result<Given> {
        let heard = Heard {
            data: text.as_bytes().to_vec(),
            authenticated_data: aad.as_bytes().to_vec(),
        };
        let client = self.actor(actor)?;
        let message = client.encrypt(&heard.data, &heard.authenticated_data)?;
        Ok(Given::Ciphertext { message, heard })
    }

    fn unprotect(&mut self, actor: &str, step: usize) -> anyhow::Result<Given> {
        let Some(Given::Ciphertext { message, heard }) = self.results.get(step) else {
            bail!("step {step} gave no ciphertext")
        };
        let (message, expected) = (message.clone(), heard.clone());
        let heard = self.actor(actor)?.receive(&message)?;
        ensure!(heard == Some(expected), "something else was heard");
        Ok(Given::Nothing)
    }

    fn change(&mut self, value: &ByValue) -> anyhow::Result<Change> {
        Ok(match value {
            ByValue::Add { key_package } => Change::Add(self.key_package(*key_package)?),
            ByValue::Remove { removed } => Change::Remove(self.actor(removed)?.leaf()?),
            ByValue::ExternalPsk { psk } => Change::ExternalPsk(self.psk(*psk)?),
            ByValue::ResumptionPsk { epoch } => Change::ResumptionPsk(*epoch),
            ByValue::GroupContextExtensions { extensions } => {
                Change::Extensions(encoded(extensions)?)
            }
        })
    }

    fn key_package(&self, step: usize) -> anyhow::Result<Vec<u8>> {
        match self.results.get(step) {
            Some(Given::KeyPackage(package)) => Ok(package.clone()),
            _ => bail!("step {step} gave no KeyPackage"),
        }
    }

    fn psk(&self, step: usize) -> anyhow::Result<Vec<u8>> {
        match self.results.get(step) {
            Some(Given::Psk(name)) => Ok(name.clone()),
            _ => bail!("step {step} gave no PSK"),
        }
    }

    fn welcome(&mut self, joiners: &[String], welcome: Option<Vec<u8>>) -> anyhow::Result<()> {
        if joiners.is_empty() {
            return Ok(());
        }
        let welcome = welcome.context("an Add gave no Welcome")?;
        for joiner in joiners {
            let joined = self.actor(joiner)?.join(&welcome, None);
            joined.with_context(|| format!("the Welcome, at {joiner}"))?;
        }
        Ok(())
    }

    /// That all are in one epoch.
    fn agree(&mut self, one: &str, others: &[String]) -> anyhow::Result<()> {
        let expected = self.actor(one)?.epoch_authenticator()?;
        for other in others {
            let authenticator = self.actor(other)?.epoch_authenticator()?;
            ensure!(
                authenticator == expected,
                "{one} and {other} are not in one epoch"
            );
        }
        Ok(())
    }
}

fn encoded(extensions: &[Extension]) -> anyhow::Result<Vec<u8>> {
    let one = |extension: &Extension| -> anyhow::Result<wire::Extension> {
        Ok(wire::Extension {
            extension_type: wire::ExtensionType(extension.extension_type),
            extension_data: BASE64.decode(&extension.extension_data)?.into(),
        })
    };
    let list = extensions.iter().map(one).collect::<anyhow::Result<_>>()?;
    Ok(encode(&wire::Extensions(list))?)
}
