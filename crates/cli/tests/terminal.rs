//! `conclave chat` as people use it: tmux is the terminal, somebody types, and what stands on the
//! screen is looked at.
//!
//! Without tmux nothing is tested, and a line says so; where `CI=true` it has to be there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod common;
mod tmux;

use std::time::Duration;

use common::{Person, Server, complains};
use tmux::{Screen, is_there};

#[test]
fn two_people_meet_and_talk() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("server"), &[]);
    let alice = Screen::open(&folder.path().join("alice"), 80, 24, &[]);
    let bob = Screen::open(&folder.path().join("bob"), 80, 24, &[]);
    for (screen, name) in [(&alice, "alice"), (&bob, "bob")] {
        screen.sees("Server      http://127.0.0.1:4400");
        screen.key("C-u");
        screen.types(&server.url);
        screen.key("Enter");
        screen.enters(name);
        screen.sees("Passphrase");
        // Bob leaves it empty.
        if name == "alice" {
            screen.enters("sesame");
            screen.sees("Once more");
            screen.sees("******");
            screen.types("sesame");
        }
        screen.key("Enter");
        screen.sees("You are in no group yet.");
        screen.sees("online");
    }

    alice.enters("/create club");
    alice.sees("created club");
    alice.enters("/add bob");
    alice.sees("2 members");
    bob.sees("▸ club");
    alice.enters("hello bob");
    bob.sees("alice   hello bob");
    bob.types("h");
    alice.sees("bob is typing");
    bob.enters("ello yourself 日本語 🎉");
    alice.sees("bob     hello yourself 日本語 🎉");

    alice.enters("/react 👍");
    bob.sees("👍 1");
    bob.key("Up");
    bob.key("Up");
    bob.sees("#");
    bob.key("Enter");
    bob.sees("answering alice: hello bob");
    bob.enters("so early?");
    alice.sees("↳ alice: hello bob");
    bob.enters("/edit so late?");
    alice.sees("so late?");
    alice.sees("edited");

    alice.enters("/search yourself");
    alice.sees("1 found: yourself");
    alice.key("Escape");
    alice.enters("/members");
    alice.sees("not compared yet");
    alice.key("Escape");

    for (columns, lines) in [(40, 12), (120, 40), (30, 8), (80, 24)] {
        alice.resize(columns, lines);
        alice.sees("so late?");
        assert_eq!(alice.shown().lines().count(), usize::from(lines));
    }
    alice.enters("/quit");
    alice.sees("ended with 0");
    assert!(
        !alice.shown().contains("club"),
        "the terminal is given back"
    );
    let locked = Person {
        home: folder.path().join("alice"),
    };
    complains(&locked.run(&["whoami"]), &["locked"]);
}

#[test]
fn files_go_with_messages() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("server"), &[]);
    let (alice, bob) = in_club(&folder, &server.url);
    let plan = folder.path().join("the plan.txt");
    std::fs::write(&plan, "at seven").unwrap();
    let beginning = folder.path().join("the pl");
    alice.types(&format!("/attach {}", beginning.display()));
    alice.key("Tab");
    alice.sees("the plan.txt");
    alice.key("Enter");
    bob.sees("[file: the plan.txt, 8 B]");
    let saved = folder.path().join("saved.txt");
    bob.enters(&format!("/save {}", saved.display()));
    bob.sees(&format!("saved {}", saved.display()));
    assert_eq!(std::fs::read_to_string(saved).unwrap(), "at seven");
}

#[test]
fn nobody_waits_for_a_slow_or_lost_server() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let server = Server::start(&data, &[]);
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let slow = tmux::SlowLink::to(&address, Duration::from_millis(400));
    let alice = Person::new(&folder, "alice", &slow.url());
    let bob = Person::new(&folder, "bob", &server.url);
    alice.says(&["group", "create", "club"]);
    alice.says(&["group", "add", "club", "bob"]);
    bob.says(&["group", "list"]);
    let alice = Screen::open(&alice.home, 80, 24, &[]);
    let bob = Screen::open(&bob.home, 80, 24, &[]);
    alice.sees("online");
    bob.sees("online");

    // Over the slow link what is typed shows at once, and is on its way for a while.
    alice.enters("over a slow link");
    alice.sees("…     alice   over a slow link");
    alice.types("typed meanwhile");
    alice.sees("› typed meanwhile");
    bob.sees("alice   over a slow link");
    alice.sees_no_more("…     alice");
    alice.key("C-c");

    drop(server);
    bob.sees("no connection");
    bob.enters("said while it was away");
    bob.sees("waits for the server");
    bob.sees("1 to send");
    let server = Server::start(&data, &["--listen", &address]);
    bob.sees("online");
    bob.sees_no_more("waits for the server");
    alice.sees("bob     said while it was away");
    drop(server);
}

#[test]
fn it_works_without_colour_and_says_where_it_can_not() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("server"), &[]);
    let home = Person::new(&folder, "alice", &server.url).home;
    let coloured = Screen::open(&home, 80, 24, &[]);
    coloured.sees("online");
    assert!(tmux::has_colour(&coloured.shown_with_escapes()));
    let plain = Screen::open(&home, 80, 24, &[("NO_COLOR", "1")]);
    plain.sees("online");
    assert!(!tmux::has_colour(&plain.shown_with_escapes()));
    let dumb = Screen::open(&home, 80, 24, &[("TERM", "dumb")]);
    dumb.sees("TERM=dumb");
    dumb.sees("ended with 1");
}

#[test]
fn the_terminal_is_given_back_when_the_program_is_told_to_end() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("server"), &[]);
    let home = Person::new(&folder, "alice", &server.url).home;
    for signal in ["TERM", "HUP", "INT"] {
        let screen = Screen::open(&home, 80, 24, &[]);
        screen.sees("online");
        screen.signal(signal);
        screen.sees("ended with 0");
        assert!(!screen.shown().contains("online"));
        // What is typed shows again.
        screen.types("echo back");
        screen.sees("echo back");
    }
}

/// Alice and bob at their terminals, in a group.
fn in_club(folder: &tempfile::TempDir, url: &str) -> (Screen, Screen) {
    let alice = Person::new(folder, "alice", url);
    let bob = Person::new(folder, "bob", url);
    alice.says(&["group", "create", "club"]);
    alice.says(&["group", "add", "club", "bob"]);
    let screens = (
        Screen::open(&alice.home, 80, 24, &[]),
        Screen::open(&bob.home, 80, 24, &[]),
    );
    screens.0.sees("2 members");
    screens.1.sees("2 members");
    screens
}

/// Prints the screens that `docs/chat.md` and the README show: `cargo test -p conclave-cli --test
/// terminal -- --ignored --nocapture`.
#[test]
#[ignore = "prints screens for the guide"]
fn screens_for_the_guide() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("server"), &[]);
    let first = Screen::open(&folder.path().join("alice"), 80, 24, &[]);
    first.sees("Server");
    print("first", &first);
    drop(first);
    let people = ["alice", "bob", "carol"].map(|name| Person::new(&folder, name, &server.url));
    let [alice, bob, carol] = &people;
    for (group, member) in [("climbing", "bob"), ("choir", "carol")] {
        alice.says(&["group", "create", group]);
        alice.says(&["group", "add", group, member]);
    }
    alice.says(&["group", "add", "climbing", "carol"]);
    bob.says(&[
        "send",
        "climbing",
        "The hall opens at seven tomorrow. Who comes?",
    ]);
    carol.says(&["send", "climbing", "I do! 🧗 Shall I bring the long rope?"]);
    alice.says(&["receipts", "on"]);
    carol.says(&["receipts", "on"]);
    let screen = Screen::open(&alice.home, 80, 24, &[]);
    screen.sees("▸ c");
    screen.enters("/go climbing");
    screen.sees("long rope");
    screen.key("Up");
    screen.key("Enter");
    screen.enters("Yes, please. And the red one is worn, so leave that at home.");
    bob.says(&["read", "climbing"]);
    let read = carol.json(&["read", "climbing"]);
    let rope = read
        .iter()
        .find(|it| it["author"] == "carol@localhost" && it["kind"] == "message");
    let rope = rope.unwrap()["sequence"].to_string();
    bob.says(&["react", "climbing", &rope, "👍"]);
    carol.says(&["react", "climbing", &rope, "👍"]);
    carol.says(&["send", "choir", "We sing on Friday, not on Thursday"]);
    screen.sees("👍 2");
    screen.sees("choir          1");
    screen.types("See you @c");
    screen.key("Tab");
    screen.sees("See you @carol");
    print("chat", &screen);
    screen.resize(40, 12);
    screen.sees("See you @carol");
    print("narrow", &screen);
    drop(server);
}

fn print(name: &str, screen: &Screen) {
    println!("== {name}\n{}", screen.shown());
}
