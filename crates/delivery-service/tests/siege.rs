//! A live server process under hostile requests: it goes on, stays small, answers each with a proper
//! status, and serves others meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod common;
#[path = "siege/enemy.rs"]
mod enemy;

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use common::{
    GROUP, Person, World, id,
    process::{ServerProcess, serve},
};
use conclave_delivery_service::{Config, RateLimits};
use conclave_rpc::v1;
use enemy::{Enemy, Loot, Random};
use hmac::{Hmac, Mac as _};
use prost::Message as _;
use tokio::task::JoinSet;

/// What the server's program has too: see there.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How many enemies there are at a time. Each waits for its answer.
const ENEMIES: u64 = 48;

/// How many times as many there are at first.
const STORM: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_outlives_thousands_of_hostile_requests() {
    siege(6_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes many minutes: the long form, see docs/testing.md"]
async fn a_server_outlives_a_million_hostile_requests() {
    let requests = std::env::var("CONCLAVE_SIEGE_REQUESTS");
    siege(requests.map_or(1_000_000, |count| count.parse().unwrap())).await;
}

#[test]
#[ignore = "is the server of the others"]
fn server() {
    serve(|config| Config {
        rates: RateLimits::unlimited(),
        ..config
    });
}

async fn siege(requests: u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut process = ServerProcess::start(folder.path(), "server");
    let world = World::at(folder, process.address);
    let mut people = world.group(&["alice", "bob"]).await;
    let loot = Arc::new(loot(&world, &mut people[0]).await);
    let (over, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let chat = tokio::spawn(chat(people, Arc::clone(&over)));

    let begun = Instant::now();
    let attack = |enemies: Range<u64>, until| {
        let sent = Arc::clone(&sent);
        let loot = Arc::clone(&loot);
        let enemy = |seed| Enemy {
            random: Random(seed),
            address: process.address,
            channel: world.channel(),
            loot: Arc::clone(&loot),
            answers: BTreeMap::new(),
        };
        let enemies = enemies.map(|seed| enemy(seed).attack(until, Arc::clone(&sent)));
        enemies.collect::<JoinSet<_>>()
    };
    // The service starts threads as it needs them, up to a bound. With many at once all of them are
    // there before anything is compared.
    let storm = attack(ENEMIES..STORM * ENEMIES, requests / 5);
    let mut all = storm.join_all().await;
    let enemies = attack(0..ENEMIES, requests);
    while sent.load(Ordering::Relaxed) < requests / 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let warm_bytes = process.resident_bytes();
    all.extend(enemies.join_all().await);
    let answers = total(all);
    let took = begun.elapsed();
    let end_bytes = process.resident_bytes();
    over.store(true, Ordering::Relaxed);
    let mut waits = chat.await.unwrap();
    waits.sort_unstable();
    println!(
        "{requests} hostile requests in {took:?}: memory {} KiB after a quarter, {} KiB at the end; \
         {} messages of others meanwhile, median {:?}, slowest {:?}; answers {answers:?}",
        warm_bytes >> 10,
        end_bytes >> 10,
        waits.len(),
        waits[waits.len() / 2],
        waits[waits.len() - 1],
    );
    assert!(process.is_alive(), "the server crashed");
    let unanswered = answers.keys().any(|answer| answer.starts_with("none"));
    assert!(!unanswered, "some got no proper answer");
    // In the short form the allocator has hardly begun to reuse what it has.
    let share = if requests >= 100_000 { 10 } else { 2 };
    assert!(end_bytes <= warm_bytes + warm_bytes / share, "memory grew");
}

fn total(enemies: Vec<BTreeMap<String, u64>>) -> BTreeMap<String, u64> {
    let mut total = BTreeMap::new();
    for (answer, count) in enemies.into_iter().flatten() {
        *total.entry(answer).or_insert(0) += count;
    }
    total
}

/// Two people who go on talking; how long each message took from one to the other.
async fn chat(mut people: Vec<Person>, over: Arc<AtomicBool>) -> Vec<Duration> {
    let [alice, bob] = people.get_disjoint_mut([0, 1]).unwrap();
    bob.read().await.unwrap();
    let mut waits = Vec::new();
    while waits.len() < 5 || !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let text = format!("message {}", waits.len());
        alice.send(&text).await.unwrap();
        assert_eq!(bob.read().await.unwrap(), [text]);
        waits.push(begun.elapsed());
        if waits.len() % 1000 == 0 {
            // Tokens last a quarter of an hour.
            alice.sign_in().await;
            bob.sign_in().await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    waits
}

async fn loot(world: &World, alice: &mut Person) -> Loot {
    let enemy = world.person("enemy").await;
    let group_id = || id(GROUP.as_bytes());
    let sent = alice.encrypt("overheard");
    let submit = v1::SubmitRequest {
        group_id: group_id(),
        request_id: id(&[9; 16]),
        body: Some(sent.clone()),
    };
    alice
        .rpc
        .submit(alice.signed(submit.clone()))
        .await
        .unwrap();
    let challenge = alice.challenge().await;
    let answer = v1::AuthenticateRequest {
        challenge: challenge.to_bytes().into(),
        signature: challenge.answer(&alice.key).to_vec().into(),
    };
    alice.rpc.authenticate(answer.clone()).await.unwrap();
    let register = v1::RegisterRequest {
        certificate: alice.engine.device().certificate().to_bytes().into(),
        proof_of_possession: alice
            .possession("localhost")
            .prove(&alice.key)
            .to_vec()
            .into(),
        registration_code: String::new(),
    };
    let prepared = alice.prepare(conclave_engine::Change::update());
    alice.discard();
    let commit = v1::SubmitRequest {
        request_id: id(&[8; 16]),
        body: Some(common::bundle(&prepared)),
        ..submit.clone()
    };
    let read = v1::ReadLogRequest {
        group_id: group_id(),
        ..v1::ReadLogRequest::default()
    };
    let valid = vec![
        ("Submit", submit.encode_to_vec()),
        ("Submit", commit.encode_to_vec()),
        ("Authenticate", answer.encode_to_vec()),
        ("Register", register.encode_to_vec()),
        ("ReadLog", read.encode_to_vec()),
    ];
    Loot {
        expired: expired(world, &enemy.token),
        token: enemy.token,
        valid,
    }
}

/// A token of the server's own making whose time is over: only its secret can make one.
fn expired(world: &World, token: &str) -> String {
    let path = world.folder.path().join("data/conclave.db");
    let database = rusqlite::Connection::open(path).unwrap();
    let secret: Vec<u8> = database
        .query_row("SELECT secret FROM identity", [], |row| row.get(0))
        .unwrap();
    let byte = |at: usize| u8::from_str_radix(&token[2 * at..2 * at + 2], 16).unwrap();
    let mut claims: Vec<u8> = (0..40).map(byte).collect();
    claims[32..].copy_from_slice(&1u64.to_be_bytes());
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&secret).unwrap();
    mac.update(b"token\0");
    mac.update(&claims);
    claims.extend(mac.finalize().into_bytes());
    claims.iter().map(|byte| format!("{byte:02x}")).collect()
}
