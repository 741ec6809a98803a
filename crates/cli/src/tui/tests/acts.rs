//! What comes of keys and news.

use conclave_client::{Report, ReportCategory, WaitingId};

use super::*;
use crate::tui::event::{Done, Load, Progress};

fn long(count: u64) -> Vec<Entry> {
    (1..=count)
        .map(|at| said(at, "bob", &format!("message {at}")))
        .collect()
}

fn sent(effects: &[Effect]) -> Vec<String> {
    let messages = effects.iter().filter_map(|effect| match effect {
        Effect::Send { message, .. } => Some(message.body().to_owned()),
        _ => None,
    });
    messages.collect()
}

#[test]
fn what_is_typed_is_sent_and_shown_until_the_log_has_it() {
    let mut played = Played::in_club(80, 24, long(3));
    played.enters("hello");
    assert_eq!(sent(&played.effects()), ["hello"]);
    played.must_show("…     alice   hello");
    played.take(Event::Outgoing(group(1), 0, Progress::Landed(Sequence(4))));
    // Until it has been read from the log it does not vanish, and then it is there once.
    played.must_show("hello");
    let mut entries = long(3);
    entries.push(said(4, "alice", "hello"));
    played.take(Event::History(
        group(1),
        Span::Again(Sequence(0), 103),
        entries,
    ));
    let screen = played.screen().join("\n");
    assert_eq!(screen.matches("hello").count(), 1, "{screen}");
    assert!(
        played
            .effects()
            .contains(&Effect::MarkRead(group(1), Sequence(4)))
    );
}

#[test]
fn without_a_connection_messages_wait_and_are_settled_with_the_next() {
    let mut played = Played::in_club(80, 24, long(1));
    played.take(Event::News(News::Disconnected));
    played.must_show("no connection");
    played.enters("later");
    let kept = Progress::Kept(WaitingId(1));
    played.take(Event::Outgoing(group(1), 0, kept));
    let is_settled = |effect: &Effect| matches!(effect, Effect::Settle { local: 0, .. });
    assert!(!played.effects().iter().any(is_settled));
    played.must_show("waits for the server");
    played.take(Event::News(News::CaughtUp));
    assert_eq!(
        played.effects().iter().filter(|it| is_settled(it)).count(),
        1
    );
    played.take(Event::News(News::Entry(said(9, "alice", "later"))));
    assert_eq!(
        played.effects().iter().filter(|it| is_settled(it)).count(),
        0
    );
}

#[test]
fn history_is_read_in_pages_and_nothing_moves_while_more_comes() {
    let all = long(1000);
    let mut played = Played::in_club(80, 24, all[900..].to_vec());
    let mut asked = Vec::new();
    for _ in 0..40 {
        played.press(KeyCode::PageUp);
        for effect in played.effects() {
            if let Effect::Load(Load::History(_, Span::Before(at))) = effect {
                asked.push(at.0);
                let at = usize::try_from(at.0).unwrap() - 1;
                let page = all[at.saturating_sub(100)..at].to_vec();
                let before = played.screen();
                let span = Span::Before(Sequence(u64::try_from(at).unwrap() + 1));
                played.take(Event::History(group(1), span, page));
                assert_eq!(played.screen()[1..20], before[1..20]);
            }
        }
    }
    assert!(
        asked.len() >= 5 && asked.is_sorted_by(|a, b| a > b),
        "{asked:?}"
    );
    let before = played.screen();
    played.take(Event::News(News::Entry(said(1001, "bob", "news"))));
    assert_eq!(played.screen()[1..20], before[1..20]);
    played.must_show("Esc goes to the end");
    let marks = |it: &Effect| matches!(it, Effect::MarkRead(..));
    assert!(!played.effects().iter().any(marks), "it was not seen");
    assert!(played.chat().room().unwrap().window.entries().len() <= 300);
}

#[test]
fn commands_are_about_the_chosen_message() {
    let mut played = Played::in_club(80, 24, long(5));
    played.press(KeyCode::Up);
    played.press(KeyCode::Up);
    played.must_show("#4");
    played.enters("/react 👍");
    let react = |at| Action::React {
        group: group(1),
        message: id(at),
        mark: "👍".to_owned(),
        withdraw: false,
    };
    assert_eq!(played.actions(), [react(4)]);
    played.enters("/react #2 👍");
    assert_eq!(played.actions(), [react(2)]);
    played.press(KeyCode::Esc);
    played.enters("/react 👍");
    assert_eq!(played.actions(), [react(5)]);
    // Enter on a message begins an answer.
    played.press(KeyCode::Up);
    played.press(KeyCode::Enter);
    played.must_show("answering bob: message 5");
    played.enters("yes");
    let effects = played.effects();
    let Some(Effect::Send { message, .. }) = effects.last() else {
        panic!("{effects:?}");
    };
    assert_eq!(message.replies_to(), Some(id(5)));
    played.enters("/edit mine");
    played.must_show("there is no such message");
}

#[test]
fn what_can_not_be_taken_back_is_asked_again() {
    let mut played = Played::in_club(80, 24, long(1));
    played.enters("/leave");
    played.must_show("Leave club ?");
    played.press(KeyCode::Esc);
    assert_eq!(played.actions(), []);
    played.enters("/leave");
    played.press(KeyCode::Enter);
    assert_eq!(played.actions(), [Action::Leave(group(1))]);
    // So is what others get to see.
    played.enters("/report threat since Monday");
    played.must_show("as threat ?");
    played.press(KeyCode::Enter);
    let report = Report {
        messages: vec![Sequence(1)],
        around: 0,
        category: ReportCategory::Threat,
        comment: "since Monday".to_owned(),
    };
    assert_eq!(played.actions(), [Action::Report(group(1), report)]);
    played.enters("/report nonsense");
    played.must_show("write it as /report");
}

#[test]
fn words_are_completed() {
    let mut played = Played::in_club(80, 24, long(1));
    played.types("/mem");
    played.must_show("show who is here");
    played.press(KeyCode::Tab);
    assert_eq!(played.chat().draft().text(), "/members ");
    played.control('c');
    played.types("hello @b");
    played.press(KeyCode::Tab);
    assert_eq!(played.chat().draft().text(), "hello @bob ");
    played.press(KeyCode::Enter);
    let effects = played.effects();
    let named = effects.iter().find_map(|effect| match effect {
        Effect::Send { message, .. } => Some(message.mentions()[0].user.clone()),
        _ => None,
    });
    assert_eq!(named, Some(user("bob")));
    played.types("/attach some/fi");
    played.press(KeyCode::Tab);
    let files = Effect::Load(Load::Files("some/fi".to_owned()));
    assert!(played.effects().contains(&files));
    let names = ["some/file one", "some/file two"]
        .map(str::to_owned)
        .to_vec();
    played.take(Event::Files("some/fi".to_owned(), names));
    played.press(KeyCode::Tab);
    played.press(KeyCode::Tab);
    assert_eq!(played.chat().draft().text(), "/attach some/file two");
}

#[test]
fn groups_are_gone_through_each_with_its_draft_and_its_count() {
    let mut played = Played::in_club(80, 24, long(1));
    let states = vec![club(1, "club", 0), club(2, "work", 3)];
    played.take(Event::Groups(states, Vec::new()));
    played.must_show("work           3");
    played.types("half a sen");
    played.control('n');
    assert!(!played.shows("half a sen"));
    assert_eq!(played.chat().open, Some(group(2)));
    let mut entry = said(5, "bob", "from work");
    entry.group = group(2);
    let span = Span::Last;
    played.take(Event::History(group(2), span, vec![entry]));
    played.must_show("── new ");
    assert!(
        played
            .effects()
            .contains(&Effect::MarkRead(group(2), Sequence(5)))
    );
    played.control('p');
    played.must_show("half a sen");
}

#[test]
fn the_terminal_rings_for_those_who_look_elsewhere_and_did_not_mute() {
    let mut played = Played::in_club(80, 24, long(1));
    played.take(Event::News(News::Entry(said(2, "bob", "hey"))));
    assert!(!played.effects().contains(&Effect::Ring));
    played.take(Event::Focus(false));
    played.take(Event::News(News::Entry(said(3, "bob", "hey"))));
    assert!(played.effects().contains(&Effect::Ring));
    played.take(Event::News(News::Entry(said(4, "alice", "mine"))));
    assert!(!played.effects().contains(&Effect::Ring));
    let mut muted = club(1, "club", 0);
    muted.is_muted = true;
    played.take(Event::Groups(vec![muted], Vec::new()));
    played.take(Event::News(News::Entry(said(5, "bob", "hey"))));
    assert!(!played.effects().contains(&Effect::Ring));
}

#[test]
fn who_types_is_shown_for_a_moment() {
    let mut played = Played::in_club(80, 24, long(1));
    let typing = News::Typing {
        group: group(1),
        user: user("bob"),
    };
    played.take(Event::News(typing));
    played.must_show("bob is typing");
    let later = UnixMillis(played.model.now.0 + 6_000);
    played.take_at(Event::Tick, later);
    assert!(!played.shows("bob is typing"));
    played.types("hello");
    let typed = |it: &&Effect| matches!(it, Effect::Typing(_));
    assert_eq!(played.effects().iter().filter(typed).count(), 1);
}

#[test]
fn what_is_found_is_gone_to() {
    let mut played = Played::in_club(80, 24, long(3));
    played.enters("/search lunch");
    let search = Action::Search("lunch".to_owned(), Some(group(1)));
    assert_eq!(played.actions(), [search]);
    let found = vec![said(2, "bob", "lunch?"), said(1, "bob", "lunch!")];
    played.take(Event::Done(Done::Found("lunch".to_owned(), found)));
    played.must_show("2 found: lunch");
    played.press(KeyCode::Down);
    played.press(KeyCode::Enter);
    let around = Load::History(group(1), Span::Around(Sequence(1)));
    assert_eq!(played.effects(), [Effect::Load(around)]);
    let around = Span::Around(Sequence(1));
    played.take(Event::History(group(1), around, long(3)));
    assert_eq!(played.chat().room().unwrap().selected, Some(Sequence(1)));
}
