//! Several devices of one user, from the terminal: linked, revoked, lost and replaced.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{io::Write as _, process::Stdio};

use common::{Person, Server, club, complains, conclave};
use serde_json::Value;

#[test]
fn a_second_device_is_linked_by_codes_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let (server, alice, bob) = club(&folder);
    bob.says(&["read", "club"]);

    let tablet = Person {
        home: folder.path().join("tablet"),
    };
    let first = |value: Vec<Value>, key: &str| value[0][key].as_str().unwrap().to_owned();
    let code = first(tablet.json(&["device", "code"]), "code");
    let answer = first(alice.json(&["device", "link", &code]), "answer");
    let join = ["device", "join", &answer, "--server", &server.url];
    complains(
        &bob.run(&["device", "link", &answer]),
        &["no code", "conclave device code"],
    );
    assert!(tablet.says(&join).contains("a device of alice@localhost"));
    // The first device lets it in with its next command.
    alice.says(&["group", "list"]);
    tablet.says(&["send", "club", "from the tablet"]);
    assert!(
        bob.says(&["read", "club"])
            .contains("alice: from the tablet")
    );
    let digits = alice.says(&["verify", "bob"]);
    assert_eq!(tablet.says(&["verify", "bob"]), digits);
    assert_eq!(bob.says(&["verify", "alice"]), digits);
    let roster = ["group", "fingerprint", "club"];
    assert_eq!(alice.says(&roster), bob.says(&roster));

    let devices = alice.json(&["device", "list"]);
    assert_eq!(devices.len(), 2);
    let other = devices.iter().find(|it| it["this"] == false).unwrap();
    let id = other["device"].as_str().unwrap();
    complains(&alice.run(&["device", "revoke", "zz"]), &["device list"]);
    alice.says(&["device", "revoke", &id[..8]]);
    let members = bob.json(&["group", "members", "club"]);
    let of_alice = members.iter().find(|it| it["user"] == "alice@localhost");
    assert_eq!(of_alice.unwrap()["devices"].as_array().unwrap().len(), 1);
    assert!(!tablet.run(&["send", "club", "still here"]).status.success());
}

#[test]
fn a_phrase_that_was_written_down_brings_a_user_back_and_the_lost_device_is_out() {
    let folder = tempfile::tempdir().unwrap();
    let (server, alice, bob) = club(&folder);
    bob.says(&["read", "club"]);
    let shown = alice.run(&["recovery", "show"]);
    assert!(String::from_utf8_lossy(&shown.stderr).contains("whoever has these words"));
    let phrase = String::from_utf8(shown.stdout).unwrap();
    assert!(phrase.starts_with(" 1. ") && phrase.lines().count() == 6);

    let laptop = Person {
        home: folder.path().join("laptop"),
    };
    let recover = |name: &str, phrase: &str| {
        let mut command = conclave();
        command.arg("--home").arg(&laptop.home);
        command.args(["recover", name, "--revoke-others", "--server", &server.url]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(phrase.as_bytes()).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    };
    complains(&recover("alice", "correct horse"), &["no recovery phrase"]);
    complains(
        &recover("bob", &phrase),
        &["not the recovery phrase of bob"],
    );
    let back = recover("alice", &phrase);
    let said = String::from_utf8_lossy(&back.stdout);
    assert!(said.contains("a device of alice@localhost"), "{said}");
    assert_eq!(laptop.json(&["device", "list"]).len(), 1);

    let club = laptop.json(&["group", "list"])[0]["group"].clone();
    let club = club.as_str().unwrap();
    laptop.says(&["send", club, "it is me"]);
    assert!(bob.says(&["read", "club"]).contains("alice: it is me"));
    bob.says(&["send", "club", "welcome back"]);
    assert!(laptop.says(&["read", club]).contains("bob: welcome back"));
    assert!(!alice.run(&["send", "club", "still here"]).status.success());
    let digits = bob.says(&["verify", "alice"]);
    assert_eq!(laptop.says(&["verify", "bob"]), digits, "the same identity");
}

#[test]
fn a_device_with_the_identity_key_revokes_the_first_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("server"), &[]);
    let alice = Person::new(&folder, "alice", &server.url);
    let tablet = Person {
        home: folder.path().join("tablet"),
    };
    let first = |value: Vec<Value>, key: &str| value[0][key].as_str().unwrap().to_owned();
    let code = first(tablet.json(&["device", "code"]), "code");
    assert!(
        tablet
            .says(&["device", "code", "--qr"])
            .contains('\u{2588}')
    );
    let link = ["device", "link", &code, "--hand-over-identity"];
    let answer = first(alice.json(&link), "answer");
    tablet.says(&["device", "join", &answer, "--server", &server.url]);
    let phrase = |person: &Person| first(person.json(&["recovery", "show"]), "phrase");
    assert_eq!(phrase(&tablet), phrase(&alice));
    let devices = tablet.json(&["device", "list"]);
    let phone = devices.iter().find(|it| it["this"] == false).unwrap();
    tablet.says(&["device", "revoke", phone["device"].as_str().unwrap()]);
    assert!(!alice.run(&["group", "create", "mine"]).status.success());
}

#[test]
fn a_new_device_gets_what_was_said_before_unless_its_user_says_no() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("server"), &[]);
    let phone = Person::new(&folder, "alice", &server.url);
    let bob = Person::new(&folder, "bob", &server.url);
    phone.says(&["group", "create", "club"]);
    phone.says(&["group", "add", "club", "bob"]);
    for number in 0..30 {
        phone.says(&["send", "club", &format!("before {number}")]);
    }
    bob.says(&["react", "club", "5", "+1"]);
    let mut heard = Vec::new();
    for (name, extra) in [("tablet", &[][..]), ("laptop", &["--no-history"])] {
        let device = Person {
            home: folder.path().join(name),
        };
        let code = device.says(&["device", "code"]);
        let code = code.lines().next().unwrap();
        let answer = phone.says(&[&["device", "link", code], extra].concat());
        let answer = answer.lines().next().unwrap();
        device.says(&["device", "join", answer, "--server", &server.url]);
        phone.says(&["device", "history"]);
        device.says(&["group", "list"]);
        phone.says(&["device", "history"]);
        device.says(&["device", "history"]);
        let read = device.json(&["read", "club"]);
        let said = |it: &&Value| {
            it["text"]
                .as_str()
                .is_some_and(|it| it.starts_with("before"))
        };
        heard.push(read.iter().filter(said).count());
        let mut all = read.iter().filter(said);
        let can_report = |it: &Value| it["reportable"] == true;
        assert!(all.all(can_report), "{name}");
        let is_marked = |it: &Value| it["reactions"][0]["user"] == "bob@localhost";
        assert_eq!(read.iter().any(is_marked), name == "tablet");
    }
    assert_eq!(heard, [30, 0]);
    // To others there is nothing to be seen of it.
    let read = bob.json(&["read", "club"]);
    assert!(!read.iter().any(|it| it["kind"] == "unknown"));
}

#[test]
fn who_lost_the_key_too_registers_anew_and_is_accepted_by_digits() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let server = Server::start(&data, &[]);
    let address = server.url.trim_start_matches("http://").to_owned();
    let alice = Person::new(&folder, "alice", &server.url);
    let bob = Person::new(&folder, "bob", &server.url);
    bob.says(&["group", "create", "club"]);
    bob.says(&["group", "add", "club", "alice"]);
    let before = bob.says(&["verify", "alice"]);

    let delete = |user: &str| {
        let data = data.to_str().unwrap();
        alice.run(&["admin", "delete-user", user, "--data", data])
    };
    complains(&delete("alice@localhost"), &["use"]);
    drop(server);
    complains(&delete("zoe@localhost"), &["no user zoe"]);
    assert!(delete("alice@localhost").status.success());
    let server = Server::start(&data, &["--listen", &address]);
    std::fs::remove_dir_all(&alice.home).unwrap();
    let alice = Person::new(&folder, "alice", &server.url);

    bob.says(&["group", "create", "new"]);
    // Her device is gone from the server, so Bob's asks for her list, which is under another key.
    bob.says(&["group", "list"]);
    complains(
        &bob.run(&["group", "add", "new", "alice"]),
        &["identity key of alice", "conclave verify"],
    );
    let shown = bob.json(&["verify", "alice"]).remove(0);
    assert_eq!(shown["digits"], before.trim());
    let digits = shown["new_digits"].as_str().unwrap();
    let accept = |digits: &str| bob.run(&["verify", "alice", "--accept-new-key", digits]);
    complains(&accept(before.trim()), &["not the digits"]);
    assert!(accept(digits).status.success());
    // The key before is out of the group where it was.
    assert_eq!(bob.json(&["group", "members", "club"]).len(), 1);
    bob.says(&["group", "add", "club", "alice"]);
    bob.says(&["send", "club", "hello again"]);
    assert!(alice.says(&["read", "club"]).contains("bob: hello again"));
    assert_eq!(alice.says(&["verify", "bob"]).trim(), digits);
}
