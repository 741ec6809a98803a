//! What the benchmarks share: groups of any size that all three implementations take for real.
//!
//! [`Scene`] is a group for followers, in which nobody has a secret. [`Members`] is one with a few
//! real members in it, each of another implementation. Both have all their nodes filled.

pub mod bare;
pub mod full_tree;
pub mod peers;
pub mod report;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use conclave_conformance::{Change, Client, EngineName};
use conclave_crypto::{CipherSuite, Random as _, Secret, SystemRandomness};
use conclave_mls_member::{GroupSecrets, JoinerSecret, psk_secret, seal_group_info};
use conclave_mls_public::{
    forge::World,
    wire::{
        Bytes, Extensions, GroupContext, GroupInfo, KeyPackage, MlsMessage, Welcome, decode, encode,
    },
};

/// The suite that is measured: the one that Conclave's groups have.
pub const SUITE: CipherSuite = CipherSuite::X25519Aes128Sha256Ed25519;

/// A group of many members, some Commits of it, and what a follower begins with.
#[derive(Debug)]
pub struct Scene {
    /// The GroupInfo as a message, without the tree.
    pub info: Vec<u8>,
    /// The tree.
    pub tree: Vec<u8>,
    /// Commits of different members, one after the other, each of which renews a path.
    pub commits: Vec<Vec<u8>>,
}

/// A group of many members, of which one is ours and makes Commits, and others follow.
pub struct Members {
    committer: Box<dyn Client>,
    /// Those who follow, in the order in which they were asked for.
    pub others: Vec<Box<dyn Client>>,
    welcome: Vec<u8>,
    tree: Vec<u8>,
}

impl Scene {
    /// A group of `members`.
    ///
    /// # Errors
    /// Without randomness.
    pub fn new(members: u32, commits: u32) -> anyhow::Result<Self> {
        let mut world = world(members)?;
        let info = world.group_info(0, world.group().context().clone())?;
        let tree = encode(&world.group().tree().to_nodes())?;
        let mut messages = Vec::new();
        for number in 0..commits {
            // Spread over the tree; coprime to most sizes, so that hardly anybody commits twice.
            let sender = number.wrapping_mul(7919) % members;
            let commit = world.commit(sender, 0, &[], true)?;
            messages.push(encode(&MlsMessage::PublicMessage(commit.clone()))?);
            world.follow(commit)?;
        }
        Ok(Self {
            info: encode(&MlsMessage::GroupInfo(info))?,
            tree,
            commits: messages,
        })
    }
}

impl Members {
    /// A group of `members` and the real ones, of these implementations, who have not joined yet.
    ///
    /// # Errors
    /// Without randomness.
    pub fn new(members: u32, others: &[EngineName]) -> anyhow::Result<Self> {
        let world = world(members)?;
        let mut committer = EngineName::Ours.client("committer", SUITE.into())?;
        let mut packages = vec![key_package(&mut *committer)?];
        let mut clients = Vec::new();
        for engine in others {
            let mut client = engine.client(engine.name(), SUITE.into())?;
            packages.push(key_package(&mut *client)?);
            clients.push(client);
        }
        let (welcome, tree) = invite(&world, &packages)?;
        Ok(Self {
            committer,
            others: clients,
            welcome: encode(&MlsMessage::Welcome(welcome))?,
            tree,
        })
    }

    /// Has one of the others join.
    ///
    /// # Errors
    /// If it refuses, or there is none.
    pub fn join(&mut self, other: usize) -> anyhow::Result<()> {
        let client = self.others.get_mut(other).context("no such member")?;
        client.join(&self.welcome, Some(&self.tree))
    }

    /// Commits, each of which renews the committer's path: it joins with the first call.
    ///
    /// # Errors
    /// If our own crates refuse the group.
    pub fn commits(&mut self, count: usize) -> anyhow::Result<Vec<Vec<u8>>> {
        self.committer.join(&self.welcome, Some(&self.tree))?;
        let none: &[Change] = &[];
        let mut commits = Vec::new();
        for _ in 0..count {
            commits.push(self.committer.commit(none)?.commit);
            self.committer.merge()?;
        }
        Ok(commits)
    }
}

fn world(members: u32) -> anyhow::Result<World<SystemRandomness>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(World::new(SUITE, members, now.as_secs(), SystemRandomness)?)
}

fn key_package(client: &mut dyn Client) -> anyhow::Result<KeyPackage> {
    match decode(&client.key_package()?)? {
        MlsMessage::KeyPackage(package) => Ok(package),
        _ => bail!("no KeyPackage"),
    }
}

/// Adds these to a forged group, which thereby gets secrets: a Welcome to it, and its tree.
fn invite(
    world: &World<SystemRandomness>,
    packages: &[KeyPackage],
) -> anyhow::Result<(Welcome, Vec<u8>)> {
    let mut tree = world.group().tree().clone();
    for package in packages {
        tree.add_leaf(package.leaf_node.clone())?;
    }
    let context = GroupContext {
        tree_hash: tree.tree_hash().into(),
        ..world.group().context().clone()
    };
    let joiner = JoinerSecret::from_welcome(random()?.into());
    let member = joiner.with_psks(SUITE, &psk_secret(SUITE, &[])?);
    let (secrets, _) = member.epoch(&encode(&context)?)?;
    let confirmed = context.confirmed_transcript_hash.as_slice();
    let tag = SUITE.mac(secrets.confirmation_key().as_bytes(), confirmed);
    let mut info = GroupInfo {
        confirmation_tag: tag.as_bytes().into(),
        group_context: context,
        extensions: Extensions::default(),
        signer: 0,
        signature: Vec::new().into(),
    };
    world.sign_info(&mut info)?;
    let sealed = seal_group_info(SUITE, &info, &member)?;
    let told = GroupSecrets::new(&joiner, None::<&Secret>, Vec::new());
    let secrets = packages
        .iter()
        .map(|package| told.seal(SUITE, package, &sealed, &mut SystemRandomness));
    let welcome = Welcome {
        cipher_suite: SUITE.into(),
        secrets: secrets.collect::<Result<_, _>>()?,
        encrypted_group_info: Bytes::from(sealed),
    };
    Ok((welcome, encode(&tree.to_nodes())?))
}

fn random() -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![0; SUITE.hash_len()];
    SystemRandomness.fill(&mut bytes)?;
    Ok(bytes)
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Members(..)")
    }
}
