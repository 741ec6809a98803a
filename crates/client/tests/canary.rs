//! What is said never reaches the service in the clear: not its memory, its files or its log. Sixteen random letters
//! stand in every kind of content, and are looked for as they are, in hex, in base64, and in pieces, so that no
//! framing hides them.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/scanner.rs"]
#[allow(dead_code)]
mod scanner;
#[path = "common/service_process.rs"]
mod service_process;

use std::{fs, hash::BuildHasher as _, path::Path};

use conclave_client::{Client, GroupId, Message, Planted, ProfileChange};
use scanner::Markers;
use service_process::ServiceProcess;

/// Started again by the tests below, as a process of its own.
#[test]
#[ignore = "a server for the tests beside it"]
fn serves() {
    service_process::serve();
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

/// Where the canaries are found.
fn found(service: &ServiceProcess, markers: &Markers) -> [Vec<&'static str>; 3] {
    [
        markers.found_in_stretches(service.memory()),
        markers.found_in(&service.data()),
        markers.found_in_bytes(&fs::read(service.log()).unwrap()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_said_is_found_at_the_service_and_a_planted_leak_is() {
    let folder = tempfile::tempdir().unwrap();
    let service = ServiceProcess::start(folder.path(), "serves");
    let (alice, bob) = people(folder.path(), &service.url()).await;
    let markers = Markers::default();
    let mut canaries = Canaries { markers };
    let group = say_everything(folder.path(), &alice, &bob, &mut canaries).await;
    // What the service does see, so that its memory and files are known to be looked at.
    let mut seen = Markers::default();
    seen.plant("a group's id", group.as_bytes());
    let nowhere = Vec::<&str>::new;
    let known = || vec!["a group's id"];
    assert_eq!(found(&service, &seen), [known(), known(), nowhere()]);
    let there = found(&service, &canaries.markers);
    assert_eq!(there, [nowhere(), nowhere(), nowhere()]);

    alice.plant(Planted::ContentInClear).await.unwrap();
    let leaked = canaries.hatch("a leak");
    alice.send(group, leaked.as_str()).await.unwrap();
    let leak = || vec!["a leak"];
    let there = found(&service, &canaries.markers);
    assert_eq!(there, [leak(), leak(), nowhere()]);
}
