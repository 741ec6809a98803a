//! What stands on the screen.

use std::path::PathBuf;

use super::*;
use crate::tui::{
    event::Refusal,
    guide::{Field, Guide},
};

fn talk() -> Vec<Entry> {
    let mut entries = vec![
        said(1, "bob", "hello everybody"),
        said(2, "alice", "hello bob"),
        said(
            3,
            "bob",
            "shall we meet at seven, or is that too early for those who work?",
        ),
    ];
    if let EntryKind::Message(posted) = &mut entries[1].kind {
        posted.answers = Some(Sequence(1));
        for name in ["bob", "alice"] {
            posted.reactions.push(conclave_client::Reaction {
                user: user(name),
                text: "👍".to_owned(),
            });
        }
    }
    entries
}

#[test]
fn a_screen_of_80_by_24() {
    let played = Played::in_club(80, 24, talk());
    let screen = played.screen();
    let expected = "\
Groups             │club · 2 members
▸ club             │
                   │
                   │
                   │
                   │
                   │
                   │
                   │
                   │
                   │
                   │
                   │Only the members of this group can read what is said here.
                   │── Tuesday, 14 November ────────────────────────────────────
                   │22:14 bob     hello everybody
                   │22:15 alice   ↳ bob: hello everybody
                   │              hello bob
                   │              👍 2
                   │22:16 bob     shall we meet at seven, or is that too early
                   │              for those who work?
                   │────────────────────────────────────────────────────────────
                   │›
 ● online · epoch 7                                                  alice@here
 F1 help  Tab complete  ^N/^P groups  PgUp back  Up choose  ^C end";
    assert_eq!(screen.join("\n"), expected);
}

#[test]
fn a_screen_of_40_by_10_has_what_is_needed_most() {
    let played = Played::in_club(40, 10, talk());
    let expected = "\
club · 2 members
22:15 alice   ↳ bob: hello everybody
              hello bob
              👍 2
22:16 bob     shall we meet at seven, or
              is that too early for
              those who work?
────────────────────────────────────────
›
 ● online · epoch 7          alice@here";
    let screen = played.screen().join("\n");
    assert!(screen.starts_with("club · 2 members\n"), "{screen}");
    assert!(screen.contains("those who work?"), "{screen}");
    assert_eq!(screen.lines().count(), expected.lines().count());
}

#[test]
fn whatever_its_size_a_screen_is_drawn() {
    let mut played = Played::in_club(80, 24, talk());
    for text in [
        "",
        "/",
        "a long line that goes on and on and on and on until the end 日本語",
    ] {
        played.types(text);
        for columns in [1, 2, 10, 19, 20, 39, 59, 60, 61, 200] {
            for lines in [1, 2, 4, 5, 6, 7, 8, 9, 50] {
                played.take(Event::Resized(columns, lines));
                assert_eq!(played.screen().len(), usize::from(lines));
                for key in [
                    KeyCode::Up,
                    KeyCode::PageUp,
                    KeyCode::F(1),
                    KeyCode::PageDown,
                ] {
                    played.press(key);
                    played.screen();
                }
                played.press(KeyCode::Esc);
            }
        }
    }
}

#[test]
fn nothing_that_others_say_or_are_called_drives_the_terminal() {
    let hostile = "\u{1b}[2J\u{1b}]52;c;eA==\u{7}\u{9b}31m\u{202e}x\r\n22:15 alice: me";
    let mut entries = vec![said(1, "bob", hostile)];
    entries.push(Entry {
        kind: EntryKind::Named(hostile.to_owned()),
        ..said(2, "bob", "")
    });
    if let EntryKind::Message(posted) = &mut entries[0].kind {
        posted.reactions.push(conclave_client::Reaction {
            user: user("bob"),
            text: hostile.to_owned(),
        });
    }
    let mut played = Played::in_club(80, 24, entries.clone());
    played.take(Event::Groups(
        vec![club(1, hostile, 2), club(2, hostile, 2)],
        Vec::new(),
    ));
    played.take(Event::Failed(hostile.to_owned()));
    played.take(Event::Paste(hostile.to_owned()));
    let check = |played: &Played| {
        for line in played.screen() {
            let is_bad = |c: char| c.is_control() || crate::output::is_bidi_control(c);
            assert!(!line.chars().any(is_bad), "{line:?}");
        }
    };
    check(&played);
    played.take(Event::Done(crate::tui::event::Done::Found(
        hostile.to_owned(),
        entries,
    )));
    check(&played);
    played.take(Event::Done(crate::tui::event::Done::Page(
        hostile.to_owned(),
        vec![hostile.to_owned()],
    )));
    check(&played);
    played.press(KeyCode::Esc);
    // A second line stands below the first, and does not pass for another person's.
    let screen = played.screen();
    let line = screen
        .iter()
        .find(|line| line.contains("22:15 alice: me") && !line.contains("31m"))
        .unwrap();
    assert!(line.contains("│              22:15 alice: me"), "{line}");
}

#[test]
fn wide_characters_take_their_columns() {
    let text = "日本語で話しましょう 👨‍👩‍👧‍👦 ".repeat(4);
    let played = Played::in_club(60, 16, vec![said(1, "bob", &text)]);
    for line in played.screen() {
        assert!(width(&line) <= 60, "{line:?}");
    }
    played.must_show("日本語");
}

#[test]
fn what_waits_and_what_failed_is_shown_with_its_reason() {
    let mut played = Played::in_club(80, 24, talk());
    played.enters("on its way");
    played.enters("and this");
    let waits = crate::tui::event::Progress::Waits;
    played.take(Event::Outgoing(group(1), 0, waits));
    let failed = crate::tui::event::Progress::Failed("you were removed".to_owned());
    played.take(Event::Outgoing(group(1), 1, failed));
    played.must_show("on its way");
    played.must_show("waits for the server");
    played.must_show("not sent: you were removed; /retry or /drop");
    played.must_show("1 not sent, 1 to send");
    played.enters("/drop");
    assert!(!played.shows("and this"));
}

#[test]
fn the_first_run_asks_and_says_what_is_wrong() {
    let mut played = Played::alone(80, 24);
    let mut guide = Guide::new(PathBuf::from("/home/alice/.conclave"), "", "");
    guide.ask_for_passphrase();
    played.model.stage = Stage::Guide(Box::new(guide));
    played.must_show("http://127.0.0.1:4400");
    played.must_show("/home/alice/.conclave");
    played.press(KeyCode::Enter);
    assert_eq!(played.effects(), []);
    played.enters("alice");
    assert_eq!(played.effects(), []);
    played.enters("sesame");
    assert!(!played.shows("sesame"));
    played.must_show("******");
    played.enters("sesamee");
    assert_eq!(played.effects(), []);
    played.must_show("these two are not the same");
    played.enters("sesame");
    let register = |code: Option<&str>| Effect::Register {
        server: "http://127.0.0.1:4400".to_owned(),
        name: "alice".to_owned(),
        code: code.map(str::to_owned),
        passphrase: "sesame".parse().ok(),
    };
    assert_eq!(played.effects(), [register(None)]);
    played.must_show("Registering");
    played.take(Event::NotRegistered(Refusal {
        text: "the server asks for a registration code".to_owned(),
        about: Some(Field::Code),
    }));
    played.must_show("asks for a registration code");
    played.must_show("Code");
    played.enters("abc-def");
    assert_eq!(played.effects(), [register(Some("abc-def"))]);
    for (columns, lines) in [(40, 10), (20, 5), (30, 8)] {
        played.take(Event::Resized(columns, lines));
        played.must_show("Name");
    }
    played.take(Event::Opened(user("alice")));
    played.take(Event::Resized(80, 24));
    played.take(Event::Groups(Vec::new(), Vec::new()));
    played.must_show("/create NAME");
    played.must_show("Others add you as alice@here");
}
