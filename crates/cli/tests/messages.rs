//! What a person says and does about what others say, with the binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{Person, Server, complains};

#[test]
fn messages_are_answered_edited_marked_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("server"), &[]);
    let alice = Person::new(&folder, "alice", &server.url);
    let bob = Person::new(&folder, "bob", &server.url);
    alice.says(&["group", "create", "club"]);
    alice.says(&["group", "add", "club", "bob"]);

    let sent = &alice.json(&["send", "club", "when?"])[0];
    let question = sent["sequence"].to_string();
    let answer = bob.json(&["send", "club", "at 7", "--reply-to", &question]);
    let answer = answer[0]["sequence"].to_string();
    bob.says(&["edit", "club", &answer, "at 8"]);
    let named = format!("#{answer}");
    alice.says(&["react", "club", &named, "👍"]);
    let said = alice.says(&["read", "club"]);
    let line = format!("#{answer} bob: (to #{question}) at 8 (edited)\n       👍 alice");
    assert!(said.contains(&line), "{said}");
    let id = sent["id"].as_str().unwrap();
    let read = bob.json(&["read", "club"]);
    let shown = |kind: &str| read.iter().filter(|it| it["kind"] == kind).count();
    assert_eq!(shown("message"), 2, "{read:?}");
    assert_eq!(read.last().unwrap()["reply_to"], id);
    assert_eq!(
        read.last().unwrap()["reactions"][0]["user"],
        "alice@localhost"
    );

    complains(
        &bob.run(&["delete", "club", &question]),
        &["only who wrote"],
    );
    complains(
        &bob.run(&["edit", "club", "999", "x"]),
        &["no such message", "read"],
    );
    alice.says(&["delete", "club", &id[..10]]);
    alice.says(&["react", "club", &answer, "👍", "--withdraw"]);
    alice.says(&["send", "club", "for a moment", "--expires", "1s"]);
    let said = bob.says(&["read", "club"]);
    assert!(
        said.contains(&format!("#{question} alice: (deleted)")),
        "{said}"
    );
    assert!(!said.contains('👍') && !said.contains("when?"), "{said}");
    std::thread::sleep(Duration::from_millis(1100));
    assert!(!bob.says(&["read", "club"]).contains("for a moment"));
}
