//! Reports, as moderators, the person whom they are about, and a court see them at the command line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;

use common::{Person, Server, complains, conclave};
use serde_json::Value;
use tempfile::TempDir;

/// Plays the story of a report, and gives where everything was kept and what was told.
fn played() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let told = conclave()
        .args(["demo", "--story", "report", "--keep"])
        .arg(folder.path().join("story"))
        .output()
        .unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{text}");
    (folder, text)
}

fn verified(file: &Path, more: &[&str]) -> (bool, Value) {
    let run = conclave()
        .args(["--json", "verify-report"])
        .arg(file)
        .args(more)
        .output()
        .unwrap();
    let found = serde_json::from_slice(&run.stdout).unwrap_or(Value::Null);
    (run.status.success(), found)
}

#[test]
fn a_report_is_shown_decided_and_proved() {
    let (folder, told) = played();
    let story = folder.path().join("story");
    assert!(!told.contains("FAILED"), "{told}");

    let (holds, found) = verified(&story.join("case.json"), &[]);
    assert!(holds && found["holds"] == true, "{found}");
    let case: Value =
        serde_json::from_slice(&std::fs::read(story.join("case.json")).unwrap()).unwrap();
    let key = case["case"]["operator_key"].as_str().unwrap();
    assert!(verified(&story.join("case.json"), &["--operator-key", key]).0);
    assert!(
        !verified(
            &story.join("case.json"),
            &["--operator-key", &"0".repeat(64)]
        )
        .0
    );
    assert!(!verified(&story.join("changed.json"), &[]).0);
    assert!(!verified(&story.join("missing.json"), &[]).0);

    let address = told.split_once("http://").unwrap().1;
    let address = address.split_once(". ").unwrap().0;
    let data = story.join("server");
    let _server = Server::start(&data, &["--listen", address]);
    let home = |name: &str| Person {
        home: story.join("people").join(name),
    };
    let (carol, dave, mallory) = (home("carol"), home("dave"), home("mallory"));

    let listed = carol.says(&["moderate", "list"]);
    assert!(listed.contains("nothing waits"), "{listed}");
    let listed = carol.says(&["moderate", "list", "--all"]);
    assert!(
        listed.contains("#1") && listed.contains("a message of mallory, as threat"),
        "{listed}"
    );
    let shown = carol.says(&["moderate", "show", "1"]);
    for words in [
        "PROVED:",
        "I know where you live.",
        "NOT PROVED:",
        "He means it.",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let refused = mallory.run(&["moderate", "list"]);
    assert!(!refused.status.success());
    let standing = mallory.says(&["account", "standing"]);
    assert!(
        standing.contains("suspension until") && standing.contains("rejected"),
        "{standing}"
    );
    let decision = mallory.json(&["account", "standing"])[0]["decision"].to_string();
    let again = mallory.run(&["appeal", &decision, "please"]);
    assert!(!again.status.success(), "a decision is appealed once");

    carol.says(&["moderate", "appoint", "alice", "viewer"]);
    home("alice").says(&["moderate", "list", "--all"]);
    carol.says(&["moderate", "lift", &decision, "--reason", "enough"]);
    let audit = dave.says(&["moderate", "audit"]);
    let lifted = format!("lifted decision {decision}");
    let appointed = "made alice@localhost a viewer";
    for words in ["suspended mallory@localhost until", &lifted, appointed] {
        assert!(audit.contains(words), "{words}: {audit}");
    }
    mallory.says(&["send", "club", "I am sorry."]);
}

#[test]
fn whoever_reads_a_message_reports_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("server"), &["--moderator", "carol"]);
    let [alice, bob, carol] =
        ["alice", "bob", "carol"].map(|name| Person::new(&folder, name, &server.url));
    alice.says(&["group", "create", "club"]);
    alice.says(&["group", "add", "club", "bob"]);
    for text in ["good morning", "something bad", "good night"] {
        alice.says(&["send", "club", text]);
    }
    let read = bob.json(&["read", "club"]);
    let place = |text: &str| {
        let said = read.iter().find(|it| it["text"] == text).unwrap();
        assert_eq!(said["reportable"], true);
        said["sequence"].to_string()
    };
    let bad = place("something bad");
    let report = [
        "report",
        "club",
        &bad,
        "--as",
        "harassment",
        "--around",
        "1",
    ];
    let reported = bob.json(&[&report[..], &["--comment", "Every day."]].concat());
    assert_eq!(reported[0]["category"], "harassment");
    assert_eq!(reported[0]["messages"][0].to_string(), bad);

    let listed = carol.says(&["moderate", "list"]);
    assert!(listed.contains("alice, as harassment"), "{listed}");
    let shown = carol.says(&["moderate", "show", "1"]);
    for words in ["good morning", "something bad", "good night", "Every day."] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    complains(&bob.run(&report), &["replayed"]);
    complains(&bob.run(&["report", "club", "999"]), &["no such message"]);
    // What else was said there, nobody has shown.
    let morning = place("good morning");
    let alone = bob.json(&["report", "club", &morning]);
    assert_eq!(alone[0]["category"], "other");
    let shown = carol.says(&["moderate", "show", "2"]);
    assert!(
        shown.contains("good morning") && !shown.contains("bad"),
        "{shown}"
    );
}
