//! What lies on the disk: nothing that a copy of the folder tells without its passphrase.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/scanner.rs"]
mod scanner;

use std::fs;

use common::World;
use conclave_client::{Client, ClientError, Home, HomeState, Message, Passphrase, ProfileChange};
use scanner::Markers;

const TEXT: &str = "Meet me at the old lighthouse";
const ANSWER: &str = "Bring the brass telescope";
const EDITED: &str = "Forget what I said of Thursday";
const GROUP: &str = "Conspiracy of gardeners";
const TOPIC: &str = "Tulips, and who is to plant them";
const FILE_NAME: &str = "floor-plan-of-the-museum.pdf";
const PASSPHRASE: &str = "eleven purple elephants";

/// Homes of two people who said all that, and what was planted in the first of them.
async fn planted(world: &World) -> (Client, Home, Markers) {
    let passphrase: Passphrase = PASSPHRASE.parse().unwrap();
    let home = Home::at(world.home("maximiliana")).locked_by(passphrase);
    let alice = Client::register(&home, "maximiliana", &world.url())
        .await
        .unwrap();
    let bob = world.person("bartholomew").await;
    let group = alice.create_group(GROUP).await.unwrap();
    alice.add(group, &[bob.user().clone()]).await.unwrap();
    let said = alice.send(group, TEXT).await.unwrap();
    let file = world.folder.path().join(FILE_NAME);
    fs::write(&file, TEXT.repeat(1000)).unwrap();
    let attachment = alice
        .upload(group, &file, "text/plain", |_| {})
        .await
        .unwrap();
    let with_file = Message::text(EDITED).attach(attachment.clone());
    alice.send(group, with_file).await.unwrap();
    let change = ProfileChange::default().description(TOPIC);
    alice.describe(group, change).await.unwrap();
    alice
        .set_picture(group, &file, "image/png", |_| {})
        .await
        .unwrap();
    let profile = alice.profile(group).await.unwrap().unwrap();
    let picture = profile.picture.unwrap();
    bob.sync().await.unwrap();
    bob.send(group, ANSWER).await.unwrap();
    alice.sync().await.unwrap();
    assert!(said.sequence.0 > 0);

    let phrase = alice.recovery_phrase().await.unwrap();
    let identity = bip39::Mnemonic::parse_normalized(&phrase.words().join(" ")).unwrap();
    let mut markers = Markers::default();
    for (name, marker) in [
        ("text", TEXT.as_bytes()),
        ("answer", ANSWER.as_bytes()),
        ("text beside a file", EDITED.as_bytes()),
        ("group", GROUP.as_bytes()),
        ("own name", b"maximiliana"),
        ("other name", b"bartholomew"),
        ("file name", FILE_NAME.as_bytes()),
        ("file key", attachment.key.as_bytes()),
        ("file hash", &attachment.content_hash),
        ("identity key", &identity.to_entropy_array().0[..32]),
        ("description", TOPIC.as_bytes()),
        ("picture key", picture.key.as_bytes()),
        ("group id", group.as_bytes()),
        ("schema", b"CREATE TABLE"),
        ("table", b"outbox_by_group"),
    ] {
        markers.plant(name, marker);
    }
    markers.plant("passphrase", PASSPHRASE.as_bytes());
    (alice, home, markers)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_copy_of_a_home_tells_nothing_without_its_passphrase() {
    let world = World::start().await;
    let (alice, home, markers) = planted(&world).await;
    let folder = home.folder();
    // As it lies there while a program runs, and as one leaves it that is killed.
    let log = fs::metadata(folder.join("client.db-wal")).unwrap();
    assert!(log.len() > 10_000, "the write-ahead log is looked into too");
    let nothing: [&str; 0] = [];
    assert_eq!(markers.found_in(folder), nothing);
    let stolen = tempfile::tempdir().unwrap();
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), stolen.path().join(file.file_name())).unwrap();
    }
    drop(alice);
    assert_eq!(markers.found_in(folder), nothing);

    assert!(matches!(Client::open(folder), Err(ClientError::Locked)));
    let wrong = Home::at(stolen.path()).locked_by("eleven purple elephant".parse().unwrap());
    let refused = Client::open(&wrong);
    assert!(matches!(refused, Err(ClientError::WrongPassphrase)));
    let right = Home::at(stolen.path()).locked_by(PASSPHRASE.parse().unwrap());
    let copy = Client::open(&right).unwrap();
    let group = copy.group_named(GROUP).await.unwrap();
    let texts = common::texts(&copy, group.id).await;
    assert_eq!(texts, [TEXT, EDITED, ANSWER]);
}

/// So the test above could fail: the very pages that it looked at, decrypted.
#[tokio::test(flavor = "multi_thread")]
async fn without_encryption_everything_planted_is_found() {
    let world = World::start().await;
    let (alice, home, markers) = planted(&world).await;
    home.set_passphrase(None).unwrap();
    assert!(markers.found_in(home.folder()).is_empty());
    let mut expected = vec![
        "answer",
        "description",
        "file hash",
        "file key",
        "file name",
        "group",
        "group id",
        "identity key",
        "other name",
        "own name",
        "picture key",
        "schema",
        "table",
        "text",
        "text beside a file",
    ];
    expected.sort_unstable();
    let decrypted = common::decrypted(home.folder());
    assert_eq!(markers.found_in_bytes(&decrypted), expected);
    drop(alice);
}

/// `homes/schema-12` is what the last version wrote that did not encrypt.
#[tokio::test]
async fn the_home_of_an_earlier_program_opens_with_all_that_was_said_and_is_encrypted_then() {
    const OLD: &str = "written before homes were encrypted";
    let folder = tempfile::tempdir().unwrap();
    let written = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/homes/schema-12/client.db"
    );
    fs::copy(written, folder.path().join("client.db")).unwrap();
    let mut markers = Markers::default();
    markers.plant("text", OLD.as_bytes());
    assert_eq!(markers.found_in(folder.path()), ["text"]);

    let home = Home::at(folder.path());
    assert_eq!(home.state().unwrap(), HomeState::Open);
    let home = home.locked_by(PASSPHRASE.parse().unwrap());
    for _ in 0..2 {
        let alice = Client::open(&home).unwrap();
        assert_eq!(alice.user().as_str(), "alice@localhost");
        let club = alice.group_named("club").await.unwrap();
        assert_eq!(
            common::texts(&alice, club.id).await,
            [OLD, "and read after"]
        );
        assert_eq!(alice.members(club.id).await.unwrap().len(), 2);
        assert_eq!(alice.search("written", None, 10).await.unwrap().len(), 1);
        alice
            .safety_number(&alice.user_named("bob").unwrap())
            .await
            .unwrap();
        assert_eq!(alice.epoch(club.id).await.unwrap().0, 1);
    }
    assert_eq!(home.state().unwrap(), HomeState::Locked);
    assert!(markers.found_in(folder.path()).is_empty());
}
