//! Every kind of entity through every codec that could carry it.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::Debug,
    time::{Duration, Instant},
};

use conclave_protocol::GroupRules;
use openmls::{prelude::LeafNodeParameters, schedule::PreSharedKeyId};
use openmls_traits::storage::{CURRENT_VERSION, Entity};
use rmp_serde::{Serializer, config::BytesMode};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Change,
    engine::tests::{ALICE, GROUP, Party, claims, now},
    storage::Kind,
};

const MEMBERS: u8 = 100;

/// One entity in one codec.
struct Measured {
    codec: &'static str,
    bytes: usize,
    round_trip: Duration,
}

thread_local! {
    static SEEN: RefCell<Option<BTreeMap<Kind, Vec<Measured>>>> = const { RefCell::new(None) };
}

/// Called with every entity that is written; does nothing but in the test below.
pub(crate) fn observe<E: Entity<CURRENT_VERSION>>(kind: Kind, entity: &E) {
    SEEN.with_borrow_mut(|seen| {
        let Some(seen) = seen else { return };
        let measured = measure(kind, entity);
        let largest = seen.entry(kind).or_default();
        if largest.is_empty() || largest[0].bytes <= measured[0].bytes {
            *largest = measured;
        }
    });
}

fn measure<E: Serialize + DeserializeOwned>(kind: Kind, entity: &E) -> Vec<Measured> {
    let mut all = Vec::new();
    all.push(measure_in("chosen", kind, entity, chosen, super::decode));
    all.push(measure_in(
        "named+bytes",
        kind,
        entity,
        named_bytes,
        from_rmp,
    ));
    all.push(measure_in(
        "named",
        kind,
        entity,
        rmp_serde::to_vec_named,
        from_rmp,
    ));
    all.push(measure_in(
        "unnamed",
        kind,
        entity,
        rmp_serde::to_vec,
        from_rmp,
    ));
    all.push(measure_in("CBOR", kind, entity, cbor, |bytes| {
        ciborium::from_reader(bytes)
    }));
    let json = measure_in("JSON", kind, entity, serde_json::to_vec, |bytes| {
        serde_json::from_slice(bytes)
    });
    all.push(json);
    all
}

/// Encodes, reads back, and holds that what was read is what was written.
fn measure_in<E, W: Debug, R: Debug>(
    codec: &'static str,
    kind: Kind,
    entity: &E,
    encode: impl Fn(&E) -> Result<Vec<u8>, W>,
    decode: impl Fn(&[u8]) -> Result<E, R>,
) -> Measured {
    let start = Instant::now();
    let bytes = encode(entity).unwrap();
    let back = decode(&bytes).unwrap_or_else(|error| panic!("{kind:?} in {codec}: {error:?}"));
    let round_trip = start.elapsed();
    // The Proposals of a pending Commit are in a hash map, which comes back in another order.
    assert!(
        sorted(&encode(&back).unwrap()) == sorted(&bytes),
        "{kind:?} in {codec} reads back as something else"
    );
    Measured {
        codec,
        bytes: bytes.len(),
        round_trip,
    }
}

fn sorted(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.sort_unstable();
    bytes
}

fn chosen<E: Serialize>(entity: &E) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let mut bytes = Vec::new();
    super::encode_into(&mut bytes, entity).map(|()| bytes)
}

fn named_bytes<E: Serialize>(entity: &E) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let mut bytes = Vec::new();
    let serializer = Serializer::new(&mut bytes).with_bytes(BytesMode::ForceIterables);
    entity.serialize(&mut serializer.with_struct_map())?;
    Ok(bytes)
}

fn from_rmp<E: DeserializeOwned>(bytes: &[u8]) -> Result<E, rmp_serde::decode::Error> {
    rmp_serde::from_slice(bytes)
}

fn cbor<E: Serialize>(entity: &E) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    ciborium::into_writer(entity, &mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

#[test]
fn every_entity_reads_back_as_it_was_written() {
    SEEN.set(Some(BTreeMap::new()));
    live();
    let seen = SEEN.take().unwrap();
    // OpenMLS's own types never write signature key pairs: the device's key is the caller's.
    let kinds: Vec<u8> = seen.keys().map(|kind| *kind as u8).collect();
    let all: Vec<u8> = (1..=19)
        .filter(|kind| *kind != Kind::SignatureKeyPair as u8)
        .collect();
    assert_eq!(kinds, all);
    print(&seen);
}

/// The life of a group in which an entity of every kind is written.
fn live() {
    let mut alice = Party::new(ALICE);
    alice.run(|engine, state| engine.create_group(state, GROUP, &GroupRules::default(), now()));
    let mut others: Vec<Party> = (2..=MEMBERS)
        .map(|device| Party::new(claims("others@example.org", device, 101)))
        .collect();
    let adds = others.iter_mut().map(Party::key_package).collect();
    let commit = alice.commit(Change::add(adds));
    let mut bob = others.swap_remove(0);
    bob.join(&alice, &commit);

    let message = bob.run(|engine, state| engine.encrypt(state, GROUP, b"hello", None));
    alice.run(|engine, state| engine.process(state, GROUP, &message, now()));
    let commit = bob.commit(Change::update());
    alice.run(|engine, state| engine.process(state, GROUP, &commit.commit, now()));
    let leave = bob.engine.leave(&bob.state, GROUP).unwrap();
    alice.run(|engine, state| engine.process(state, GROUP, &leave, now()));

    // What the engine never makes: an Update proposal, whose leaf and key are kept, and a PSK.
    alice.raw(|provider, group, signer| {
        let parameters = LeafNodeParameters::default();
        group
            .propose_self_update(provider, signer, parameters)
            .unwrap();
        let psk = PreSharedKeyId::external(b"id".to_vec(), b"nonce".to_vec());
        psk.store(provider, b"secret").unwrap();
    });
    alice.commit(Change::update());
}

#[expect(
    clippy::print_stdout,
    reason = "the measurements are the test's second purpose"
)]
fn print(seen: &BTreeMap<Kind, Vec<Measured>>) {
    let cells = |line: &dyn Fn(&Measured) -> String, all: &[Measured]| -> String {
        all.iter().map(|one| format!(" {} |", line(one))).collect()
    };
    let first = seen.values().next().unwrap();
    println!(
        "| {MEMBERS} members |{}",
        cells(&|one| one.codec.to_owned(), first)
    );
    println!("|---|{}", "---:|".repeat(first.len()));
    for (kind, all) in seen {
        println!("| {kind:?} |{}", cells(&|one| one.bytes.to_string(), all));
    }
    let tree = &seen[&Kind::Tree];
    println!(
        "| Tree, written and read |{}",
        cells(
            &|one| format!("{:.1} ms", one.round_trip.as_secs_f64() * 1e3),
            tree
        )
    );
}
