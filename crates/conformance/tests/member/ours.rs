use std::{
    collections::HashMap,
    num::NonZeroUsize,
    time::{Duration, SystemTime},
};

use conclave_crypto::{CipherSuite, HpkeKeyPair, Secret, SigningKey, SystemRandomness};
use conclave_mls_member::{Group, Invitee, PendingCommit, Received};
use conclave_mls_public::wire::{
    Capabilities, Credential, Extensions, KeyPackage, LeafNode, LeafNodeSource, Lifetime, MLS10,
    MlsMessage, Proposal, Psk, decode, encode,
};

use super::{Client, EXPORTED_BYTES, LABEL};

pub(crate) struct Ours {
    name: String,
    suite: CipherSuite,
    key: SigningKey,
    invitee: Option<Invitee>,
    group: Option<Group>,
    pending: Option<PendingCommit>,
}

impl Ours {
    pub(crate) fn boxed(name: String, suite: u16) -> Box<dyn Client> {
        let suite = CipherSuite::try_from(suite).unwrap();
        Box::new(Self {
            name,
            suite,
            key: SigningKey::generate(suite, &mut SystemRandomness).unwrap(),
            invitee: None,
            group: None,
            pending: None,
        })
    }

    fn leaf_node(&self, pair: &HpkeKeyPair) -> LeafNode {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
        LeafNode {
            encryption_key: pair.public().into(),
            signature_key: self.key.public().into(),
            credential: Credential::Basic(self.name.as_bytes().into()),
            capabilities: Capabilities {
                versions: vec![MLS10],
                cipher_suites: vec![self.suite.into()],
                credentials: vec![1],
                ..Capabilities::default()
            },
            leaf_node_source: LeafNodeSource::KeyPackage(Lifetime {
                not_before: (now - Duration::from_hours(1)).as_secs(),
                not_after: (now + Duration::from_hours(24)).as_secs(),
            }),
            extensions: Extensions::default(),
            signature: Vec::new().into(),
        }
    }

    fn pair(&self) -> HpkeKeyPair {
        self.suite.generate_key_pair(&mut SystemRandomness).unwrap()
    }

    fn group(&mut self) -> &mut Group {
        self.group.as_mut().unwrap()
    }
}

fn no_psks() -> HashMap<Psk, Secret> {
    HashMap::new()
}

impl Client for Ours {
    fn create(&mut self) {
        let pair = self.pair();
        let leaf = self.leaf_node(&pair);
        let group = Group::create(
            self.suite,
            b"history",
            Extensions::default(),
            leaf,
            pair,
            &self.key,
            &mut SystemRandomness,
        );
        self.group = Some(group.unwrap());
    }

    fn key_package(&mut self) -> Vec<u8> {
        let (init, pair) = (self.pair(), self.pair());
        let mut leaf_node = self.leaf_node(&pair);
        leaf_node.sign(&self.key, None).unwrap();
        let mut package = KeyPackage {
            version: MLS10,
            cipher_suite: self.suite.into(),
            init_key: init.public().into(),
            leaf_node,
            extensions: Extensions::default(),
            signature: Vec::new().into(),
        };
        package.sign(&self.key).unwrap();
        self.invitee = Some(Invitee::new(package.clone(), init, pair).unwrap());
        encode(&MlsMessage::KeyPackage(package)).unwrap()
    }

    fn join(&mut self, welcome: &[u8]) {
        let MlsMessage::Welcome(welcome) = decode(welcome).unwrap() else {
            panic!("no Welcome")
        };
        let invitee = self.invitee.take().unwrap();
        let group = Group::join(&welcome, &invitee, None, &no_psks(), NonZeroUsize::MIN);
        self.group = Some(group.unwrap());
    }

    fn join_externally(&mut self, group_info: &[u8]) -> Vec<u8> {
        let MlsMessage::GroupInfo(info) = decode(group_info).unwrap() else {
            panic!("no GroupInfo")
        };
        let leaf = self.leaf_node(&self.pair());
        let joined = Group::join_externally(
            &info,
            None,
            leaf,
            None,
            &self.key,
            NonZeroUsize::MIN,
            &mut SystemRandomness,
        );
        let (commit, group) = joined.unwrap();
        self.group = Some(group);
        encode(&commit).unwrap()
    }

    fn group_info(&mut self) -> Vec<u8> {
        let info = self.group.as_ref().unwrap().group_info(&self.key).unwrap();
        encode(&MlsMessage::GroupInfo(info)).unwrap()
    }

    fn commit(&mut self, add: Option<&[u8]>, remove: Option<u32>) -> (Vec<u8>, Option<Vec<u8>>) {
        let add = add.map(|package| match decode(package).unwrap() {
            MlsMessage::KeyPackage(package) => Proposal::Add(Box::new(package)),
            _ => panic!("no KeyPackage"),
        });
        let proposals = add
            .into_iter()
            .chain(remove.map(Proposal::Remove))
            .collect();
        let (group, key) = (self.group.as_mut().unwrap(), &self.key);
        let made = group
            .commit(proposals, &no_psks(), key, &mut SystemRandomness)
            .unwrap();
        self.pending = Some(made.pending);
        let welcome = made.welcome.map(MlsMessage::Welcome);
        let welcome = welcome.map(|welcome| encode(&welcome).unwrap());
        (encode(&made.commit).unwrap(), welcome)
    }

    fn merge(&mut self) {
        let pending = self.pending.take().unwrap();
        self.group().merge(pending).unwrap();
    }

    fn propose_update(&mut self) -> Vec<u8> {
        let (group, key) = (self.group.as_mut().unwrap(), &self.key);
        let message = group.propose_update(key, &mut SystemRandomness).unwrap();
        encode(&MlsMessage::PublicMessage(message)).unwrap()
    }

    fn propose_remove(&mut self, leaf: u32) -> Vec<u8> {
        let (group, key) = (self.group.as_mut().unwrap(), &self.key);
        let message = group.propose(Proposal::Remove(leaf), key).unwrap();
        encode(&MlsMessage::PublicMessage(message)).unwrap()
    }

    fn receive(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let message = decode(message).unwrap();
        match self.group().receive(message, &no_psks()).unwrap() {
            Received::Application { data, .. } => Some(data),
            Received::Proposal(_) | Received::Commit(_) | Received::Removed => None,
        }
    }

    fn encrypt(&mut self, data: &[u8]) -> Vec<u8> {
        let (group, key) = (self.group.as_mut().unwrap(), &self.key);
        let message = group.encrypt(data, 32, key, &mut SystemRandomness).unwrap();
        encode(&MlsMessage::PrivateMessage(message)).unwrap()
    }

    fn leaf(&self) -> u32 {
        self.group.as_ref().unwrap().leaf()
    }

    fn secrets(&self) -> (Vec<u8>, Vec<u8>) {
        let secrets = self.group.as_ref().unwrap().secrets();
        let exported = secrets.export(LABEL, b"context", EXPORTED_BYTES).unwrap();
        let authenticator = secrets.epoch_authenticator().as_bytes().to_vec();
        (authenticator, exported.as_bytes().to_vec())
    }
}
