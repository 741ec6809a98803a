//! How far people have read, what they look for, and what they do not want to hear.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/table.rs"]
mod table;

use std::time::Duration;

use conclave_client::{Entry, Event, GroupId, Message, Sequence};
use table::Table;

fn found(table: &mut Table, seat: usize, query: &str) -> Vec<String> {
    let entries = table.session(seat).search(query, None, 10).unwrap();
    entries
        .iter()
        .filter_map(Entry::text)
        .map(str::to_owned)
        .collect()
}

fn say(table: &mut Table, seat: usize, group: GroupId, message: impl Into<Message>) -> Entry {
    table.session(seat).send(group, message).unwrap();
    table.settle();
    table.history(seat, group).pop().unwrap()
}

#[test]
fn receipts_are_few_and_only_from_who_wants_to_send_them() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    for number in 0..5 {
        say(&mut table, 0, group, format!("line {number}"));
    }
    assert_eq!(table.session(1).unread(group).unwrap().count, 5);
    let last = table.history(0, group).pop().unwrap().sequence;
    let now = table.now;
    table.session(2).mark_read(group, last, now).unwrap();
    table.settle();
    assert!(table.session(0).receipts(group).unwrap().is_empty());

    table.session(1).send_receipts(true).unwrap();
    let log_end = |table: &mut Table| table.session(0).group(group).unwrap().unwrap().cursor.0;
    let before = log_end(&mut table);
    let first = Sequence(last.0 - 4);
    let now = table.now;
    table.session(1).mark_read(group, first, now).unwrap();
    table.step(1, |_, answer| answer);
    for at in first.0..=last.0 {
        let now = table.now;
        table
            .session(1)
            .mark_read(group, Sequence(at), now)
            .unwrap();
        while table.step(1, |_, answer| answer) {}
        table.now = table.now.after(Duration::from_millis(10));
    }
    table.settle();
    assert!(
        log_end(&mut table) - before <= 2,
        "one at once, and one for the rest"
    );
    let bob = table.session(1).user().clone();
    for seat in [0, 2] {
        let receipts = table.session(seat).receipts(group).unwrap();
        let of_bob = receipts.iter().find(|it| it.user == bob).unwrap();
        assert!(
            of_bob.read == last && of_bob.delivered >= last,
            "{of_bob:?}"
        );
        let mut events = table.seats[seat].events.iter();
        assert!(events.any(|it| matches!(it, Event::Receipt { read, .. } if *read == last)));
    }
    assert_eq!(table.session(1).unread(group).unwrap().count, 0);
    // An earlier place takes nothing back, and nobody has read what is not there.
    let now = table.now;
    table.session(1).mark_read(group, first, now).unwrap();
    table
        .session(1)
        .mark_read(group, Sequence(u64::MAX), now)
        .unwrap();
    table.settle();
    let end = log_end(&mut table);
    let receipts = table.session(0).receipts(group).unwrap();
    assert!(
        receipts
            .iter()
            .all(|it| it.read.0 <= end && it.delivered.0 <= end)
    );
}

#[test]
fn messages_are_found_by_the_words_that_they_have_now() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    say(&mut table, 0, group, "The Étude is at seven, not eight");
    let edited = say(&mut table, 0, group, "nothing about music");
    let deleted = say(&mut table, 1, group, "seven secrets");
    let brief = Message::text("seven minutes").expires_after(Duration::from_secs(60));
    say(&mut table, 1, group, brief);
    assert_eq!(found(&mut table, 0, "SEVEN").len(), 3);
    assert_eq!(found(&mut table, 0, "étude eig").len(), 1);
    assert!(
        found(&mut table, 0, "eig étude").is_empty(),
        "only the last may be a beginning"
    );
    assert!(found(&mut table, 0, " ,. ").is_empty());

    let id = |entry: &Entry| entry.message().unwrap().id;
    table
        .session(0)
        .edit(group, id(&edited), "seventh symphony")
        .unwrap();
    table.session(1).delete(group, id(&deleted)).unwrap();
    table.settle();
    let later = table.now.after(Duration::from_secs(100));
    table.session(0).expire(later).unwrap();
    assert!(found(&mut table, 0, "music").is_empty());
    let texts = found(&mut table, 0, "seven");
    assert_eq!(
        texts,
        ["seventh symphony", "The Étude is at seven, not eight"]
    );
}

#[test]
fn history_is_read_forwards_and_backwards_in_pages() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    for number in 0..23 {
        table.send(0, group, &number.to_string());
    }
    table.settle();
    let all = table.history(1, group);
    let (mut forwards, mut after) = (Vec::new(), Sequence(0));
    let (mut backwards, mut before) = (Vec::new(), Sequence(u64::MAX));
    for _ in 0..10 {
        let session = table.session(1);
        let page = session.history(group, after, 5).unwrap();
        after = page.last().map_or(after, |entry| entry.sequence);
        forwards.extend(page);
        let mut page = session.history_before(group, before, 5).unwrap();
        before = page.first().map_or(before, |entry| entry.sequence);
        page.extend(std::mem::take(&mut backwards));
        backwards = page;
    }
    assert_eq!(forwards, all);
    assert_eq!(backwards, all);
}

#[test]
fn blocked_users_are_kept_and_not_shown() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    let carol = table.session(2).user().clone();
    say(&mut table, 2, group, "before");
    table.session(0).block(&carol, true).unwrap();
    let told = table.seats[0].events.len();
    let spam = say(&mut table, 2, group, "spam spam");
    table
        .session(1)
        .react(group, spam.message().unwrap().id, "👎", false)
        .unwrap();
    table.settle();
    assert!(table.texts(0, group).is_empty());
    assert!(found(&mut table, 0, "spam").is_empty());
    assert_eq!(table.session(0).unread(group).unwrap().count, 0);
    assert_eq!(
        table.seats[0].events.len(),
        told,
        "{:?}",
        table.seats[0].events
    );
    assert_eq!(table.texts(1, group), ["before", "spam spam"]);
    table.session(0).block(&carol, false).unwrap();
    assert_eq!(table.texts(0, group), ["before", "spam spam"]);
    let reactions = table.history(0, group).pop().unwrap();
    assert_eq!(reactions.message().unwrap().reactions.len(), 1);
}
