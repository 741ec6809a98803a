//! What the engine refuses, tried by members who use OpenMLS without the engine's manners.

mod author;
mod external;
mod refusals;
mod roles;

use std::time::SystemTime;

use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceClaims, DeviceId, GroupId, GroupRules, SigningKey,
    UnixMillis,
};
use openmls::prelude::{
    Credential, CredentialWithKey, Extensions, LeafNode, MlsGroup, MlsMessageOut,
};

use super::{Engine, Provider, encode, load, mls_group_id};
use crate::{
    Change, Device, Effects, EngineError, KeyPackage, MemoryState, PreparedCommit, Processed,
    State, StateError, WriteSet, certificates, device::DeviceSigner, profile,
};

pub(crate) const GROUP: GroupId = GroupId::from_bytes([1; 16]);

pub(crate) fn now() -> UnixMillis {
    UnixMillis::from(SystemTime::now())
}

/// What makes up a device's certificate; each number is the seed of a key or the bytes of an id.
#[derive(Clone, Copy)]
pub(crate) struct Claims {
    pub(crate) user: &'static str,
    pub(crate) device: u8,
    pub(crate) key: u8,
    pub(crate) identity: u8,
}

pub(crate) const ALICE: Claims = claims("alice@example.org", 1, 100);
pub(crate) const BOB: Claims = claims("bob@example.org", 2, 101);
pub(crate) const CAROL: Claims = claims("carol@example.org", 3, 102);

/// A device whose key is seeded like its id.
pub(crate) const fn claims(user: &'static str, device: u8, identity: u8) -> Claims {
    Claims {
        user,
        device,
        key: device,
        identity,
    }
}

impl Claims {
    pub(crate) fn key(self) -> SigningKey {
        SigningKey::from_seed(&[self.key; 32])
    }

    pub(crate) fn certificate(self) -> DeviceCertificate {
        self.certificate_at(now())
    }

    pub(crate) fn certificate_at(self, now: UnixMillis) -> DeviceCertificate {
        let address = DeviceAddress {
            user: self.user.parse().unwrap(),
            device: DeviceId::from_bytes([self.device; 16]),
        };
        let claims = DeviceClaims::starting(address, self.key().verifying_key(), now);
        DeviceCertificate::issue(claims, &SigningKey::from_seed(&[self.identity; 32]))
    }

    pub(crate) fn credential(self) -> Credential {
        certificates::credential(&self.certificate())
    }
}

/// A device with its state.
pub(crate) struct Party {
    pub(crate) engine: Engine,
    pub(crate) state: MemoryState,
}

impl Party {
    pub(crate) fn new(claims: Claims) -> Self {
        Self {
            engine: Engine::new(Device::new(claims.certificate(), claims.key()).unwrap()),
            state: MemoryState::default(),
        }
    }

    /// Runs an operation that succeeds, and applies its writes.
    pub(crate) fn run<T>(
        &mut self,
        operation: impl FnOnce(&Engine, &dyn State) -> Result<Effects<T>, EngineError>,
    ) -> T {
        let effects = operation(&self.engine, &self.state).unwrap();
        self.state.apply(effects.writes);
        effects.value
    }

    pub(crate) fn key_package(&mut self) -> KeyPackage {
        let made = self.run(|engine, state| engine.key_packages(state, 1, now()));
        KeyPackage::from_bytes(&made[0], now()).unwrap()
    }

    /// Commits, and takes it as accepted.
    pub(crate) fn commit(&mut self, change: Change) -> PreparedCommit {
        let commit = self.run(|engine, state| engine.commit(state, GROUP, change, now()));
        self.run(|engine, state| engine.merge_pending(state, GROUP));
        commit
    }

    pub(crate) fn join(&mut self, by: &Self, commit: &PreparedCommit) {
        let tree = by.engine.ratchet_tree(&by.state, GROUP).unwrap();
        let welcome = commit.welcome.as_ref().unwrap();
        self.run(|engine, state| engine.join(state, welcome, &tree));
    }

    pub(crate) fn process(&self, message: &[u8]) -> Result<Effects<Processed>, EngineError> {
        self.engine.process(&self.state, GROUP, message, now())
    }

    /// Does with the group what OpenMLS lets one do. Nothing is kept.
    pub(crate) fn raw<T>(
        &self,
        act: impl FnOnce(&Provider<'_>, &mut MlsGroup, &DeviceSigner<'_>) -> T,
    ) -> T {
        self.engine
            .look(&self.state, |provider| {
                let mut group = load(provider, GROUP)?;
                Ok(act(provider, &mut group, &self.engine.signer()))
            })
            .unwrap()
    }
}

/// Alice's group with Bob in it.
pub(crate) fn alice_and_bob() -> (Party, Party) {
    let (mut alice, mut bob) = (Party::new(ALICE), Party::new(BOB));
    let open = GroupRules::default();
    alice.run(|engine, state| engine.create_group(state, GROUP, &open, now()));
    let commit = alice.commit(Change::add(vec![bob.key_package()]));
    bob.join(&alice, &commit);
    (alice, bob)
}

/// A KeyPackage by OpenMLS alone, with this credential for this key.
pub(crate) fn raw_key_package(
    key: &SigningKey,
    credential: Credential,
) -> openmls::prelude::KeyPackage {
    raw_key_package_with(key, credential, profile::leaf_extensions().unwrap())
}

pub(crate) fn raw_key_package_with(
    key: &SigningKey,
    credential: Credential,
    leaf_extensions: Extensions<LeafNode>,
) -> openmls::prelude::KeyPackage {
    let device = Device::new(ALICE.certificate(), ALICE.key()).unwrap();
    let state = MemoryState::default();
    let key = key.clone();
    Engine::new(device)
        .look(&state, |provider| {
            let credential_with_key = CredentialWithKey {
                credential,
                signature_key: key.verifying_key().as_bytes().as_slice().into(),
            };
            let bundle = openmls::prelude::KeyPackage::builder()
                .key_package_lifetime(profile::lifetime(now()))
                .leaf_node_capabilities(profile::capabilities())
                .leaf_node_extensions(leaf_extensions)
                .build(
                    profile::SUITE,
                    provider,
                    &DeviceSigner(&key),
                    credential_with_key,
                );
            Ok(bundle.unwrap().into_key_package())
        })
        .unwrap()
}

pub(crate) fn bytes(message: impl Into<MlsMessageOut>) -> Vec<u8> {
    encode(&message.into()).unwrap()
}

/// A state whose store is broken.
struct Broken;

impl State for Broken {
    fn read(&self, _: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Err(StateError::new("the disk is gone"))
    }
}

#[test]
fn a_broken_store_is_named_as_the_reason() {
    let party = Party::new(ALICE);
    let results = [
        party.engine.epoch(&Broken, GROUP).map(drop),
        party
            .engine
            .create_group(&Broken, GROUP, &GroupRules::default(), now())
            .map(drop),
        party.engine.process(&Broken, GROUP, &[], now()).map(drop),
    ];
    assert!(matches!(results[0], Err(EngineError::State(_))));
    assert!(matches!(results[1], Err(EngineError::State(_))));
    assert!(matches!(results[2], Err(EngineError::Malformed)));
}

#[test]
fn a_corrupt_state_is_named_as_that() {
    let (alice, _) = alice_and_bob();
    let mut found = 0;
    for (key, _) in alice.state.iter() {
        let mut state = alice.state.clone();
        let mut writes = WriteSet::default();
        writes.put(key.to_vec(), vec![0xC1]);
        state.apply(writes);
        match alice.engine.commit(&state, GROUP, Change::update(), now()) {
            Err(EngineError::Corrupt) => found += 1,
            Err(error) => panic!("{error}"),
            Ok(_) => (),
        }
    }
    // All but the private keys of the epoch, which are read when a Commit comes in.
    assert_eq!(found, alice.state.iter().count() - 1);
}

#[test]
fn a_deleted_group_leaves_nothing_behind() {
    let (mut alice, mut bob) = alice_and_bob();
    let mut early = bob.state.clone();
    early.apply(bob.engine.delete_group(&early, GROUP).unwrap().writes);
    assert!(early.is_empty());

    let commit = alice.commit(Change::remove(vec![DeviceId::from_bytes([BOB.device; 16])]));
    bob.run(|engine, state| engine.process(state, GROUP, &commit.commit, now()));
    assert!(matches!(
        bob.engine.encrypt(&bob.state, GROUP, b"x", None),
        Err(EngineError::Evicted)
    ));
    bob.run(|engine, state| engine.delete_group(state, GROUP));
    assert!(bob.state.is_empty());
}
