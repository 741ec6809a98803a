//! What is said never reaches the service in the clear: not its memory, its files, its log or its
//! metrics. Sixteen random letters
//! stand in every kind of content, and are looked for as they are, in hex, in base64, and in pieces, so that no
//! framing hides them.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/memory.rs"]
mod memory;
#[path = "../../delivery-service/tests/common/process.rs"]
#[allow(dead_code)]
mod process;
#[path = "common/scanner.rs"]
#[allow(dead_code)]
mod scanner;

use std::{
    fs,
    future::poll_fn,
    hash::BuildHasher as _,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
};

use conclave_client::{Client, GroupId, Message, Planted, ProfileChange};
use conclave_delivery_service::Config;
use memory::memory;
use process::ServerProcess;
use scanner::Markers;
use tonic::{
    body::Body,
    codegen::{Service as _, http::Request},
    transport::Channel,
};

/// Started again by the tests below, as a process of its own. All that can be logged is, and all numbers are shown.
#[test]
#[ignore = "a server for the tests beside it"]
fn serves() {
    serve(false);
}

/// The same with a leak.
#[test]
#[ignore = "a server for the tests beside it"]
fn serves_and_names_paths() {
    serve(true);
}

fn serve(names_paths: bool) {
    process::serve(|config| {
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
            .init();
        Config {
            metrics: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            names_paths,
            ..config
        }
    });
}

/// Sixteen letters that nobody has seen before.
fn drawn() -> String {
    let mut letters = String::new();
    for _ in 0..16 {
        let random = std::hash::RandomState::new().hash_one(letters.len());
        letters.push(char::from(b'a' + u8::try_from(random % 26).unwrap()));
    }
    letters
}

struct Canaries {
    markers: Markers,
}

impl Canaries {
    fn hatch(&mut self, name: &'static str) -> String {
        let letters = drawn();
        self.markers.plant(name, letters.as_bytes());
        letters
    }
}

async fn people(folder: &Path, url: &str) -> (Client, Client) {
    let register = |name: &'static str| Client::register(folder.join(name), name, url);
    (
        register("alice").await.unwrap(),
        register("bob").await.unwrap(),
    )
}

/// Says something of every kind, each with a canary in it.
async fn say_everything(
    folder: &Path,
    alice: &Client,
    bob: &Client,
    canaries: &mut Canaries,
) -> GroupId {
    let group = alice
        .create_group(&canaries.hatch("a group's name"))
        .await
        .unwrap();
    alice.add(group, &[bob.user().clone()]).await.unwrap();
    let text = canaries.hatch("a text");
    alice.send(group, text.as_str()).await.unwrap();
    bob.sync().await.unwrap();
    let history = bob
        .history(group, conclave_client::Sequence(0), 100)
        .await
        .unwrap();
    let said = history.iter().find_map(|entry| entry.message()).unwrap().id;
    bob.react(group, said, &canaries.hatch("a reaction"))
        .await
        .unwrap();
    alice
        .edit(group, said, &canaries.hatch("an edit"))
        .await
        .unwrap();
    let answer = Message::text(canaries.hatch("an answer")).reply_to(said);
    bob.send(group, answer).await.unwrap();

    let file = folder.join(canaries.hatch("a file's name"));
    fs::write(&file, canaries.hatch("a file").repeat(20_000)).unwrap();
    let kind = format!("text/{}", canaries.hatch("a file's type"));
    let attachment = alice.upload(group, &file, &kind, |_| {}).await.unwrap();
    canaries
        .markers
        .plant("a file's key", attachment.key.as_bytes());
    let beside = Message::text(canaries.hatch("a text beside a file"));
    alice.send(group, beside.attach(attachment)).await.unwrap();
    let about = ProfileChange::default().description(canaries.hatch("a description"));
    alice.describe(group, about).await.unwrap();
    let picture = folder.join("picture");
    fs::write(&picture, canaries.hatch("a picture").repeat(1_000)).unwrap();
    alice
        .set_picture(group, &picture, "image/png", |_| {})
        .await
        .unwrap();
    alice.delete(group, said).await.unwrap();
    bob.sync().await.unwrap();
    group
}

/// What the service shows of what it counts.
fn metrics(service: &ServerProcess) -> Vec<u8> {
    let mut stream = TcpStream::connect(service.metrics()).unwrap();
    let ask = b"GET /metrics HTTP/1.1\r\nhost: metrics\r\n\r\n";
    stream.write_all(ask).unwrap();
    let mut shown = Vec::new();
    stream.read_to_end(&mut shown).unwrap();
    assert!(shown.ends_with(b"# EOF\n"));
    shown
}

/// Where the canaries are found: in memory, files, log and metrics.
fn found(service: &ServerProcess, markers: &Markers) -> [Vec<&'static str>; 4] {
    [
        markers.found_in_stretches(memory(service.id())),
        markers.found_in(&service.data()),
        markers.found_in_bytes(&service.log()),
        markers.found_in_bytes(&metrics(service)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_said_is_found_at_the_service_and_a_planted_leak_is() {
    let folder = tempfile::tempdir().unwrap();
    let service = folder.path().join("service");
    fs::create_dir(&service).unwrap();
    let service = ServerProcess::start(&service, "serves");
    let url = format!("http://{}", service.address);
    let (alice, bob) = people(folder.path(), &url).await;
    let markers = Markers::default();
    let mut canaries = Canaries { markers };
    let group = say_everything(folder.path(), &alice, &bob, &mut canaries).await;
    // What the service does see, so that its memory and files are known to be looked at.
    let mut seen = Markers::default();
    seen.plant("a group's id", group.as_bytes());
    let nowhere = Vec::<&str>::new;
    let known = || vec!["a group's id"];
    let there = found(&service, &seen);
    assert_eq!(there, [known(), known(), nowhere(), nowhere()]);
    let there = found(&service, &canaries.markers);
    assert_eq!(there, [nowhere(), nowhere(), nowhere(), nowhere()]);

    alice.plant(Planted::ContentInClear).await.unwrap();
    let leaked = canaries.hatch("a leak");
    alice.send(group, leaked.as_str()).await.unwrap();
    let leak = || vec!["a leak"];
    let there = found(&service, &canaries.markers);
    assert_eq!(there, [leak(), leak(), nowhere(), nowhere()]);
}

/// Asks for something that there is not, without a token.
async fn ask_for(service: &ServerProcess, method: &str) {
    let url = format!("http://{}", service.address);
    let path = format!("{url}/conclave.delivery.v1.DeliveryService/{method}");
    let channel = Channel::from_shared(url).unwrap();
    let mut channel = channel.connect().await.unwrap();
    poll_fn(|context| channel.poll_ready(context))
        .await
        .unwrap();
    let request = Request::post(path).body(Body::empty()).unwrap();
    channel.call(request).await.unwrap();
}

/// The metrics tell of what is asked for by names that the program has, and of who asks by none. Where somebody's words
/// became a name, this would find them.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_s_words_or_names_are_in_the_metrics_and_a_planted_leak_is() {
    for (test, leaks) in [("serves", false), ("serves_and_names_paths", true)] {
        let folder = tempfile::tempdir().unwrap();
        let service = ServerProcess::start(folder.path(), test);
        let markers = Markers::default();
        let mut canaries = Canaries { markers };
        let name = canaries.hatch("a user's name");
        let url = format!("http://{}", service.address);
        let home = folder.path().join("home");
        let client = Client::register(home, &name, &url).await.unwrap();
        let group = client.create_group("club").await.unwrap();
        client.send(group, "hello").await.unwrap();
        canaries.markers.plant("a group", group.as_bytes());
        canaries
            .markers
            .plant("a group in the open", group.to_string().as_bytes());
        let method = canaries.hatch("a path");
        ask_for(&service, &method).await;
        let shown = metrics(&service);
        let found = canaries.markers.found_in_bytes(&shown);
        let expected: &[&str] = if leaks { &["a path"] } else { &[] };
        assert_eq!(found, expected);
        let shown = String::from_utf8(shown).unwrap();
        for counted in [
            "conclave_log_entries_total",
            "conclave_refusals_total{reason=\"unauthenticated\"} 1",
            "Submit\",code=\"OK\"}",
            "conclave_store_commit_writes_sum",
            "conclave_connections ",
        ] {
            assert!(shown.contains(counted), "{counted}\n{shown}");
        }
    }
}
