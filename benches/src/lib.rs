//! What the benchmarks share: one forged history, and the three followers that are fed with it.
//!
//! A benchmark that can't set up has nothing to measure, so everything here panics where it fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    num::NonZeroUsize,
    time::{SystemTime, UNIX_EPOCH},
};

use conclave_crypto::{AwsLcCrypto, CipherSuite, SystemRandomness};
use conclave_mls_public::{
    PublicGroup,
    forge::World,
    wire::{GroupInfo, MlsMessage, Node, decode, encode},
};
use mls_rs::{
    MlsMessage as TheirMessage,
    external_client::{ExternalClient, ExternalGroup, builder::MlsConfig},
    group::ExportedTree,
    identity::basic::BasicIdentityProvider,
};
use mls_rs_crypto_awslc::AwsLcCryptoProvider;
use openmls::{
    group::{ProposalStore, PublicGroup as OpenMlsGroup},
    prelude::{MlsMessageBodyIn, MlsMessageIn, RatchetTreeIn, tls_codec::DeserializeBytes as _},
};
use openmls_memory_storage::MemoryStorage;

/// A group of many members, one Commit of it, and what a follower begins with.
#[derive(Debug)]
pub struct Scene {
    /// The GroupInfo, without the tree.
    pub info: GroupInfo,
    /// The tree.
    pub nodes: Vec<Option<Node>>,
    /// A member's Commit that renews its path.
    pub commit: Vec<u8>,
}

impl Scene {
    /// A group in which no node is blank.
    pub fn new(members: u32) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let suite = CipherSuite::X25519Aes128Sha256Ed25519;
        let mut world = World::new(suite, members, now.as_secs(), SystemRandomness).unwrap();
        let info = world
            .group_info(0, world.group().context().clone())
            .unwrap();
        let nodes = world.group().tree().to_nodes();
        let made = world.commit(members / 2, 0, &[], true).unwrap();
        Self {
            info,
            nodes,
            commit: encode(&MlsMessage::PublicMessage(made)).unwrap(),
        }
    }
}

/// Our follower, with the whole tree validated on this many threads.
pub fn ours(scene: &Scene, nodes: Vec<Option<Node>>, threads: NonZeroUsize) -> PublicGroup {
    PublicGroup::from_group_info(&scene.info, Some(nodes), threads).unwrap()
}

/// Checks the Commit with our follower, and leaves the group as it was.
pub fn ours_check(group: &mut PublicGroup, commit: &[u8]) {
    let MlsMessage::PublicMessage(message) = decode(commit).unwrap() else {
        panic!("no PublicMessage");
    };
    let content = group.open(message).unwrap();
    drop(group.stage(&content).unwrap());
}

/// OpenMLS's follower.
pub fn openmls(scene: &Scene, nodes: &[u8]) -> OpenMlsGroup {
    let info = encode(&MlsMessage::GroupInfo(scene.info.clone())).unwrap();
    let info = MlsMessageIn::tls_deserialize_exact_bytes(&info).unwrap();
    let MlsMessageBodyIn::GroupInfo(info) = info.extract() else {
        panic!("no GroupInfo");
    };
    let nodes = RatchetTreeIn::tls_deserialize_exact_bytes(nodes).unwrap();
    let (storage, proposals) = (MemoryStorage::default(), ProposalStore::new());
    let made = OpenMlsGroup::from_external(&AwsLcCrypto, &storage, nodes, info, proposals);
    made.unwrap().0
}

/// Checks the Commit with OpenMLS's follower, and leaves the group as it was.
pub fn openmls_check(group: &OpenMlsGroup, commit: &[u8]) {
    let message = MlsMessageIn::tls_deserialize_exact_bytes(commit).unwrap();
    let message = message.try_into_protocol_message().unwrap();
    drop(group.process_message(&AwsLcCrypto, message).unwrap());
}

/// mls-rs's follower.
pub fn mls_rs(scene: &Scene, nodes: &[u8]) -> ExternalGroup<impl MlsConfig> {
    let info = encode(&MlsMessage::GroupInfo(scene.info.clone())).unwrap();
    ExternalClient::builder()
        .identity_provider(BasicIdentityProvider::new())
        .crypto_provider(AwsLcCryptoProvider::new())
        .build()
        .observe_group(
            TheirMessage::from_bytes(&info).unwrap(),
            Some(ExportedTree::from_bytes(nodes).unwrap()),
            None,
        )
        .unwrap()
}

/// Checks and applies the Commit with mls-rs's follower, which can do only both at once.
pub fn mls_rs_apply<C: MlsConfig + Clone>(group: &mut ExternalGroup<C>, commit: &[u8]) {
    let message = TheirMessage::from_bytes(commit).unwrap();
    drop(group.process_incoming_message(message).unwrap());
}
