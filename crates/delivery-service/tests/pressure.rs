//! What the service does when it, or its client, can't keep up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{GROUP, Person, World, id, raw::Raw};
use conclave_rpc::{ErrorDetail, v1};
use rusqlite::Connection;
use tokio::task::JoinSet;
use tonic::{Code, Status};

/// Keeps the server from writing as long as it lives.
struct Jam(Connection);

impl Jam {
    fn new(world: &World) -> Self {
        let database = Connection::open(world.folder.path().join("conclave.db")).unwrap();
        database.execute_batch("BEGIN IMMEDIATE").unwrap();
        Self(database)
    }

    fn end(self) {
        self.0.execute_batch("ROLLBACK").unwrap();
    }
}

fn code_of(headers: &tonic::codegen::http::HeaderMap) -> Option<Code> {
    let code = headers.get("grpc-status")?.to_str().ok()?;
    Some(Code::from_bytes(code.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_s_own_deadline_is_kept() {
    let world = World::start().await;
    let alice = world.person("alice").await;
    let jam = Jam::new(&world);
    let mut raw = Raw::connect(world.address, 65_535).await;
    let started = Instant::now();
    let answer = raw
        .ask(
            "AcknowledgeMailbox",
            &alice.token,
            &[("grpc-timeout", "300m")],
            &v1::AcknowledgeMailboxRequest { up_to_cursor: 1 },
        )
        .await;
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(250), "{waited:?}");
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    let code = code_of(answer.headers());
    assert!(
        matches!(code, Some(Code::Cancelled | Code::DeadlineExceeded)),
        "{code:?}"
    );
    jam.end();
}

async fn acknowledge(mut by: Person) -> Result<(), Status> {
    let request = by.signed(v1::AcknowledgeMailboxRequest { up_to_cursor: 0 });
    by.rpc.acknowledge_mailbox(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_no_place_is_told_at_once_when_to_come_back() {
    const CONNECTIONS: u64 = 6;
    const EACH: usize = 220;
    // What waits or works at one moment.
    const PLACES: usize = 1024 + 64;
    let world = World::start().await;
    let mut asking = JoinSet::new();
    let jam = {
        let mut people = Vec::new();
        for number in 0..CONNECTIONS {
            let alice = Person::with(&world, &format!("p{number}"), 700 + number, 800 + number);
            people.push(alice.admitted_alone().await);
        }
        let jam = Jam::new(&world);
        for person in &people {
            for _ in 0..EACH {
                asking.spawn(acknowledge(person.twin()));
            }
        }
        jam
    };
    let started = Instant::now();
    let beyond = usize::try_from(CONNECTIONS).unwrap() * EACH - PLACES;
    for _ in 0..beyond {
        let refused = asking.join_next().await.unwrap().unwrap().unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        let detail = ErrorDetail::of(&refused);
        assert!(
            matches!(detail, Some(ErrorDetail::RateLimited(wait)) if wait.retry_after_millis >= 100)
        );
    }
    // The database is still jammed: nobody waited for it to be told.
    let waited = started.elapsed();
    assert!(waited < Duration::from_secs(4), "{waited:?}");
    jam.end();
    let mut served = 0;
    while let Some(answer) = asking.join_next().await {
        served += usize::from(answer.unwrap().is_ok());
    }
    assert_eq!(served, PLACES, "who found a place is served");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes more than a minute"]
async fn a_reader_who_stops_is_hung_up_on_and_the_others_read_on() {
    let world = World::start().await;
    let mut people = world.group(&["alice", "bob"]).await;
    let [alice, bob] = people.get_disjoint_mut([0, 1]).unwrap();
    for _ in 0..40 {
        alice.send(&"x".repeat(60_000)).await.unwrap();
    }
    let mut raw = Raw::connect(world.address, 65_535).await;
    let page = v1::ReadLogRequest {
        group_id: id(GROUP.as_bytes()),
        ..v1::ReadLogRequest::default()
    };
    let answer = raw.ask("ReadLog", &bob.token, &[], &page).await;
    assert!(answer.headers().get("grpc-status").is_none());
    assert!(raw.ends_within(Duration::from_secs(75)).await);
    drop(answer);
    assert!(bob.page(0, 0).await.unwrap().entries.len() > 20);
}
