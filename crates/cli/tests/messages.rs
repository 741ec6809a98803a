//! What a person says and does about what others say, with the binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{Person, Server, club, complains};

#[test]
fn messages_are_answered_edited_marked_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, alice, bob) = club(&folder);

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

#[test]
fn files_are_sent_and_saved() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, alice, bob) = club(&folder);
    let file = folder.path().join("plan.txt");
    let bytes: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&file, &bytes).unwrap();

    let path = file.to_str().unwrap();
    let sent = alice.json(&["send", "club", "the plan", "--attach", path]);
    let place = sent[0]["sequence"].to_string();
    let line = format!("#{place} alice: the plan [file 1: plan.txt, 2.67 MiB]");
    let said = bob.says(&["read", "club"]);
    assert!(said.contains(&line), "{said}");
    let saved = folder.path().join("saved.txt");
    let to = saved.to_str().unwrap();
    bob.says(&["download", "club", &place, "--to", to]);
    assert_eq!(std::fs::read(&saved).unwrap(), bytes);
    complains(
        &bob.run(&["download", "club", &place, "--to", to]),
        &["already", "--to"],
    );
    complains(
        &bob.run(&["download", "club", &place, "--number", "2"]),
        &["1 attachments"],
    );
    complains(&alice.run(&["send", "club"]), &["TEXT"]);
}

#[test]
fn people_come_in_by_invitation_and_everything_ends() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("server"), &[]);
    let alice = Person::new(&folder, "alice", &server.url);
    let bob = Person::new(&folder, "bob", &server.url);
    alice.says(&["group", "create", "club"]);
    let made = alice.json(&["invite", "create", "club"]);
    let invitation = made[0]["invitation"].as_str().unwrap();
    complains(
        &bob.run(&["invite", "redeem", &invitation[..30]]),
        &["no invitation"],
    );
    complains(
        &alice.run(&["invite", "approve", "club", "bob"]),
        &["does not ask", "invite list"],
    );
    assert!(
        bob.says(&["invite", "redeem", invitation])
            .contains("asked")
    );
    assert!(alice.says(&["invite", "list"]).contains("bob asks"));
    alice.says(&["invite", "approve", "club", "bob"]);
    assert_eq!(bob.json(&["group", "list"]).len(), 1);
    // Who let somebody in says what the group is called.
    let said = alice.says(&["read", "club"]);
    assert!(said.contains("* bob joined"), "{said}");
    assert_eq!(bob.json(&["group", "list"])[0]["name"], "club");
    bob.says(&["send", "club", "thanks"]);
    assert!(alice.says(&["read", "club"]).contains("bob: thanks"));

    complains(&alice.run(&["group", "delete", "club"]), &["refused"]);
    complains(
        &bob.run(&["account", "delete", "alice"]),
        &["bob@localhost"],
    );
    bob.says(&["account", "delete", "bob"]);
    complains(&bob.run(&["read", "club"]), &["no account"]);
    alice.says(&["group", "remove", "club", "bob"]);
    alice.says(&["group", "delete", "club"]);
    assert_eq!(alice.json(&["group", "list"])[0]["standing"], "ended");
    assert!(alice.says(&["read", "club"]).contains("bob: thanks"));
}

#[test]
fn what_was_said_is_found_counted_written_out_and_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, alice, bob) = club(&folder);
    alice.says(&["send", "club", "the garden gate is green"]);
    alice.says(&["send", "club", "nothing else"]);
    bob.says(&["mute", "club"]);
    let listed = bob.says(&["group", "list"]);
    assert!(listed.contains("2 new  (muted)"), "{listed}");
    assert!(bob.says(&["receipts", "on"]).contains("are sent"));
    bob.says(&["read", "club"]);
    assert_eq!(bob.json(&["group", "list"])[0]["unread"], 0);
    assert_eq!(bob.json(&["search", "gar gate"]).len(), 0);
    assert_eq!(
        bob.json(&["search", "gate gar", "--group", "club"]).len(),
        1
    );

    let to = folder.path().join("club.jsonl");
    let to = to.to_str().unwrap();
    bob.says(&["export", "club", "--to", to]);
    let written = std::fs::read_to_string(to).unwrap();
    let texts = written.lines().map(|line| {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        entry["text"].as_str().unwrap_or_default().to_owned()
    });
    assert!(texts.into_iter().any(|text| text == "nothing else"));
    // What was exported can be shown to others, with its proof.
    assert!(written.contains("\"evidence\":\"01"));
    complains(&bob.run(&["export", "club", "--to", to]), &["club.jsonl"]);
    bob.says(&["block", "alice"]);
    assert!(!bob.says(&["read", "club"]).contains("garden"));
    assert!(bob.says(&["search", "garden"]).contains("nothing found"));
    bob.says(&["block", "alice", "--undo"]);
    assert!(bob.says(&["read", "club"]).contains("garden"));
}
