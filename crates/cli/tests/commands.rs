//! The binary as a person uses it: two homes, a server of its own, and the mistakes that people make.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{Person, Server, club, complains, conclave};
use serde_json::Value;

#[test]
fn two_people_chat() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("server"), &[]);
    let alice = Person::new(&folder, "alice", &server.url);
    let bob = Person::new(&folder, "bob", &server.url);

    alice.says(&["group", "create", "club"]);
    alice.says(&["group", "add", "club", "bob"]);
    alice.says(&["send", "club", "hello"]);
    assert!(bob.says(&["read", "club"]).contains("alice: hello"));
    bob.says(&["send", "club", "hello yourself"]);
    let read = alice.json(&["read", "club"]);
    assert_eq!(read.last().unwrap()["text"], "hello yourself");
    assert_eq!(read.last().unwrap()["author"], "bob@localhost");

    let groups = bob.json(&["group", "list"]);
    assert_eq!(
        (groups.len(), &groups[0]["name"]),
        (1, &Value::from("club"))
    );
    assert_eq!(alice.json(&["group", "members", "club"]).len(), 2);
    assert_eq!(alice.json(&["whoami"])[0]["user"], "alice@localhost");
    alice.says(&["group", "update", "club"]);
    bob.says(&["group", "leave", "club"]);
    alice.says(&["read", "club"]);
    assert_eq!(alice.json(&["group", "members", "club"]).len(), 1);
    bob.says(&["read", "club"]);
    complains(
        &bob.run(&["send", "club", "still here?"]),
        &["no longer a member"],
    );
}

#[test]
fn an_owner_says_who_may_do_what() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, alice, bob) = club(&folder);
    let open = alice.says(&["group", "permissions", "club"]);
    assert!(open.contains("everyone may send"), "{open}");
    alice.says(&["group", "permissions", "club", "--send", "admins"]);
    let permissions = bob.json(&["group", "permissions", "club"]);
    assert_eq!(permissions[0]["send"], "admins");
    complains(
        &bob.run(&["send", "club", "hello"]),
        &["do not let this user send", "group permissions"],
    );
    complains(
        &bob.run(&["group", "role", "club", "bob", "admin"]),
        &["only an owner"],
    );
    alice.says(&["group", "role", "club", "bob", "admin"]);
    bob.says(&["send", "club", "hello"]);
    let read = alice.says(&["read", "club"]);
    assert!(read.contains("alice has it that bob is an admin"), "{read}");
    assert!(read.contains("admins may send"), "{read}");
    let members = bob.json(&["group", "members", "club"]);
    let roles: Vec<_> = members.iter().map(|it| it["role"].clone()).collect();
    assert_eq!(roles, ["owner", "admin"]);
    assert!(
        bob.says(&["group", "members", "club"])
            .contains("bob (you) (admin)")
    );

    complains(
        &alice.run(&["group", "leave", "club"]),
        &["last owner", "--hand-over-to"],
    );
    alice.says(&["group", "leave", "club", "--hand-over-to", "bob"]);
    bob.says(&["read", "club"]);
    let members = bob.json(&["group", "members", "club"]);
    assert_eq!(
        (members.len(), &members[0]["role"]),
        (1, &Value::from("owner"))
    );
}

#[test]
fn a_group_has_a_profile_and_a_time_after_which_messages_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (server, alice, bob) = club(&folder);
    let described = alice.says(&["group", "describe", "club", "--text", "a book a month"]);
    assert_eq!(described, "club\na book a month\n");
    let picture = folder.path().join("club.png");
    let pixels: Vec<u8> = (0..50_000_u32).map(|at| (at % 251) as u8).collect();
    std::fs::write(&picture, &pixels).unwrap();
    alice.says(&["group", "picture", "club", picture.to_str().unwrap()]);
    alice.says(&["group", "describe", "club", "--name", "readers"]);
    alice.says(&["group", "expiry", "readers", "1h"]);
    let known = bob.json(&["group", "describe", "readers"]);
    assert_eq!(known[0]["description"], "a book a month");
    assert_eq!(known[0]["expires_after_seconds"], 3600);
    let saved = folder.path().join("saved.png");
    let save = [
        "group",
        "picture",
        "readers",
        "--save",
        saved.to_str().unwrap(),
    ];
    bob.says(&save);
    assert_eq!(std::fs::read(&saved).unwrap(), pixels);
    bob.says(&["send", "readers", "soon gone"]);
    let read = alice.json(&["read", "readers"]);
    assert!(read.last().unwrap()["expires_millis"].is_u64());
    let read = bob.says(&["read", "readers"]);
    assert!(read.contains("alice calls this group readers"), "{read}");
    assert!(read.contains("messages are gone after 1h"), "{read}");
    assert!(
        bob.says(&["group", "expiry", "readers", "off"])
            .contains("messages stay")
    );

    // Whoever comes later hears it all, and sees the picture.
    std::fs::remove_file(&saved).unwrap();
    let carol = Person::new(&folder, "carol", &server.url);
    bob.says(&["group", "add", "readers", "carol"]);
    carol.says(&save);
    assert_eq!(std::fs::read(&saved).unwrap(), pixels);
    std::fs::write(&picture, vec![7; 600 * 1024]).unwrap();
    complains(
        &alice.run(&["group", "picture", "readers", picture.to_str().unwrap()]),
        &["512 KiB"],
    );
}

#[test]
fn a_list_of_users_is_added_and_who_can_t_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("server"), &[]);
    let alice = Person::new(&folder, "alice", &server.url);
    let names = ["bob", "carol", "dave"];
    let people = names.map(|name| Person::new(&folder, name, &server.url));
    alice.says(&["group", "create", "club"]);
    alice.says(&["group", "add", "club", "bob"]);
    let list = folder.path().join("list.txt");
    std::fs::write(
        &list,
        "# the club\nbob\ncarol\nnobody\n\n dave@localhost \n",
    )
    .unwrap();
    let run = alice.run(&[
        "group",
        "add",
        "club",
        "--from",
        list.to_str().unwrap(),
        "--json",
    ]);
    complains(&run, &["could not be added", "nobody: no such user"]);
    let told: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(
        told["added"],
        serde_json::json!(["carol@localhost", "dave@localhost"])
    );
    assert_eq!(told["present"], serde_json::json!(["bob@localhost"]));
    assert_eq!(told["failed"][0]["user"], "nobody@localhost");
    assert_eq!(alice.json(&["group", "members", "club"]).len(), 4);
    // All of them know what it is called.
    for person in &people {
        person.says(&["read", "club"]);
    }
}

#[test]
fn reading_follows_what_comes() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, alice, bob) = club(&folder);
    let mut tail = conclave()
        .arg("--home")
        .arg(&bob.home)
        .args(["read", "club", "--follow", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    alice.says(&["send", "club", "live"]);
    let found = lines
        .by_ref()
        .any(|line| line.unwrap().contains("\"live\""));
    assert!(found);
    // Another program on the same home is no obstacle.
    bob.says(&["send", "club", "from the other terminal"]);
    let found = lines
        .by_ref()
        .any(|line| line.unwrap().contains("other terminal"));
    assert!(found);
    tail.kill().unwrap();
    tail.wait().unwrap();
}

#[test]
fn mistakes_get_a_sentence_and_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let server = Server::start(&data, &[]);
    let alice = Person::new(&folder, "alice", &server.url);
    let nobody = Person {
        home: folder.path().join("nobody"),
    };

    complains(
        &alice.run(&["send", "nope", "x"]),
        &["no group \"nope\"", "group list"],
    );
    complains(&nobody.run(&["read", "club"]), &["no account", "register"]);
    complains(&nobody.run(&["group", "list"]), &["no account"]);
    let register = |name: &str, url: &str| nobody.run(&["register", name, "--server", url]);
    complains(
        &register("alice", &server.url),
        &["alice is already taken", "another name"],
    );
    complains(&register("Alice B", &server.url), &["a-z"]);
    complains(
        &register("bob", "http://127.0.0.1:9"),
        &["127.0.0.1:9", "can't be reached"],
    );
    complains(&register("bob", "nonsense"), &["nonsense", "http://"]);
    complains(
        &alice.run(&["register", "other", "--server", &server.url]),
        &["already holds the account of alice@localhost", "--home"],
    );
    alice.says(&["group", "create", "club"]);
    complains(
        &alice.run(&["group", "add", "club", "zoe"]),
        &["no such user", "zoe"],
    );
    complains(
        &alice.run(&["group", "remove", "club", "zoe"]),
        &["not a member", "zoe"],
    );

    let second = |args: &[&str]| conclave().arg("serve").args(args).output().unwrap();
    let in_use = data.to_str().unwrap();
    complains(
        &second(&["--listen", "127.0.0.1:0", "--data", in_use]),
        &["use"],
    );
    let other = folder.path().join("other");
    let other = other.to_str().unwrap();
    complains(
        &second(&["--listen", "0.0.0.0:0", "--data", other]),
        &["--insecure"],
    );
    let busy = server.url.trim_start_matches("http://");
    complains(&second(&["--listen", busy, "--data", other]), &["listen"]);
}

#[test]
fn garbage_in_a_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let server = Server::start(&data, &[]);
    let alice = Person::new(&folder, "alice", &server.url);
    drop(server);
    let garbage = vec![0x5a; 8192];
    std::fs::write(alice.home.join("client.db"), &garbage).unwrap();
    complains(&alice.run(&["group", "list"]), &["database"]);
    for file in std::fs::read_dir(&data).unwrap() {
        std::fs::write(file.unwrap().path(), &garbage).unwrap();
    }
    let output = conclave()
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(&data)
        .output()
        .unwrap();
    complains(&output, &["database"]);
}

#[test]
fn what_was_said_to_a_dead_server_goes_out_later() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let server = Server::start(&data, &[]);
    let address = server.url.trim_start_matches("http://").to_owned();
    let alice = Person::new(&folder, "alice", &server.url);
    alice.says(&["group", "create", "club"]);
    drop(server);
    complains(
        &alice.run(&["send", "club", "kept"]),
        &["can't be reached", "is kept"],
    );
    let _server = Server::start(&data, &["--listen", &address]);
    assert!(alice.says(&["read", "club"]).contains("alice: kept"));
}

#[test]
fn a_backup_is_restored_as_the_manual_says() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let server = Server::start(&data, &[]);
    let address = server.url.trim_start_matches("http://").to_owned();
    let alice = Person::new(&folder, "alice", &server.url);
    let bob = Person::new(&folder, "bob", &server.url);
    alice.says(&["group", "create", "club"]);
    alice.says(&["group", "add", "club", "bob"]);
    alice.says(&["send", "club", "before"]);
    let copy = folder.path().join("copy.db");
    let back_up = |data: &Path| {
        conclave()
            .args(["admin", "backup", "--json", "--data"])
            .arg(data)
            .arg("--to")
            .arg(&copy)
            .output()
            .unwrap()
    };
    complains(&back_up(&folder.path().join("none")), &["no server's data"]);
    let made = back_up(&data);
    assert!(made.status.success(), "while the server runs");
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(made["bytes"], copy.metadata().unwrap().len());
    complains(&back_up(&data), &["copy.db", "new file"]);

    drop(server);
    let restored = folder.path().join("restored");
    std::fs::create_dir(&restored).unwrap();
    std::fs::copy(&copy, restored.join("conclave.db")).unwrap();
    let _server = Server::start(&restored, &["--listen", &address]);
    assert!(bob.says(&["read", "club"]).contains("alice: before"));
    bob.says(&["send", "club", "after"]);
    assert!(alice.says(&["read", "club"]).contains("bob: after"));
}

#[test]
fn an_operator_sets_limits_and_how_long_things_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let server = Server::start(
        &data,
        &[
            "--listen=127.0.0.1:0",
            "--rate=user-groups=1/h,2",
            "--rate=user-messages=50/s,900",
            "--keep-days=7",
            "--keep-mib=100",
            "--attachment-days=90",
            "--attachment-mib=0",
        ],
    );
    let alice = Person::new(&folder, "alice", &server.url);
    let create = |name: &str| alice.run(&["group", "create", name]);
    assert!(create("one").status.success());
    assert!(create("two").status.success());
    complains(&create("three"), &["asks to wait"]);
    for (wrong, part) in [
        ("--rate=user-groups=1/d,2", "20/s,600"),
        ("--rate=nonsense=1/h,2", "user-groups"),
        ("--rate=user-groups", "NAME=RATE"),
        ("--keep-days=29", "28"),
    ] {
        let output = conclave().args(["serve", wrong]).output().unwrap();
        complains(&output, &[part]);
    }
}

#[cfg(unix)]
#[test]
fn the_server_stops_cleanly_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(&folder.path().join("server"), &[]);
    let pid = server.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let started = Instant::now();
    let status = loop {
        if let Some(status) = server.child.try_wait().unwrap() {
            break status;
        }
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "it does not stop"
        );
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{status}");
}

#[test]
fn the_demo_holds() {
    let output = conclave()
        .args(["demo", "--members", "3"])
        .output()
        .unwrap();
    let story = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{story}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(story.contains("checks hold"), "{story}");
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = conclave().args(["completions", shell]).output().unwrap();
        let script = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && script.contains("register"),
            "{shell}"
        );
    }
}
