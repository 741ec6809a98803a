//! What only members can check, spoilt by somebody who has all keys for it: clients of the three
//! implementations must refuse the same, and go on as if nothing had been.

mod commit;
mod successor;
mod welcome;

use std::panic::{AssertUnwindSafe, catch_unwind};

use conclave_crypto::{CipherSuite, SystemRandomness};
use conclave_mls_member::{Committed, Group};
use conclave_mls_public::wire::{
    Bytes, Extensions, KeyPackage, MlsMessage, PreSharedKeyId, Proposal, Psk, Welcome, decode,
};

use super::{
    Client,
    identity::{Identity, Keys},
};
use crate::engine::EngineName;

/// A group that our own crates made, with somebody of whom we have the keys at leaf 1, and then a
/// client of each implementation.
struct Scene {
    creator: Identity,
    spy: Keys,
    group: Group,
    welcome: Welcome,
    packages: Vec<KeyPackage>,
    clients: Vec<Box<dyn Client>>,
}

impl Scene {
    fn new(suite: CipherSuite) -> Self {
        let creator = Identity::new(suite, "creator").unwrap();
        let spy = Identity::new(suite, "spy").unwrap().key_package().unwrap();
        let mut clients: Vec<_> = EngineName::ALL
            .map(|engine| engine.client(engine.name(), suite.into()).unwrap())
            .into();
        let mut packages = vec![spy.package.clone()];
        packages.extend(clients.iter_mut().map(|client| key_package(&mut **client)));
        let mut group = alone(&creator);
        let adds = packages.iter().cloned().map(Box::new).map(Proposal::Add);
        let none = std::collections::HashMap::new();
        let made = group.commit(adds.collect(), &none, &creator.key, &mut SystemRandomness);
        let Committed {
            welcome, pending, ..
        } = made.unwrap();
        group.merge(pending).unwrap();
        Self {
            creator,
            spy,
            group,
            welcome: welcome.unwrap(),
            packages,
            clients,
        }
    }

    fn authenticator(&self) -> &[u8] {
        self.group.secrets().epoch_authenticator().as_bytes()
    }
}

fn alone(creator: &Identity) -> Group {
    let pair = creator.suite.generate_key_pair(&mut SystemRandomness);
    let pair = pair.unwrap();
    let leaf = creator.leaf_node(&pair).unwrap();
    let (suite, key) = (creator.suite, &creator.key);
    let none = Extensions::default();
    Group::create(suite, b"lies", none, leaf, pair, key, &mut SystemRandomness).unwrap()
}

fn key_package(client: &mut dyn Client) -> KeyPackage {
    match decode(&client.key_package().unwrap()).unwrap() {
        MlsMessage::KeyPackage(package) => package,
        _ => panic!("no KeyPackage"),
    }
}

/// A panic is a refusal that is not meant.
fn verdict<T>(attempt: impl FnOnce() -> anyhow::Result<T>) -> Result<(), String> {
    match catch_unwind(AssertUnwindSafe(attempt)) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(_) => Err("panicked".to_owned()),
    }
}

/// Who does otherwise than it should, but for those who are known to, in some suite at least.
fn surprises(
    what: &str,
    should_hold: bool,
    known: &[EngineName],
    verdicts: &[Result<(), String>],
) -> Vec<String> {
    let all = EngineName::ALL.iter().zip(verdicts);
    let surprising =
        all.filter(|(engine, verdict)| verdict.is_ok() != should_hold && !known.contains(engine));
    surprising
        .map(|(engine, verdict)| format!("{what}, {engine:?}: {verdict:?}"))
        .collect()
}

fn flip(bytes: &mut Bytes) {
    let mut flipped = bytes.as_slice().to_vec();
    if let Some(first) = flipped.first_mut() {
        *first ^= 1;
    }
    *bytes = flipped.into();
}

/// A pre-shared key that nobody has.
fn unknown_psk(nonce_len: usize) -> PreSharedKeyId {
    PreSharedKeyId {
        psk: Psk::External(b"nobody's".to_vec().into()),
        psk_nonce: vec![1; nonce_len].into(),
    }
}
