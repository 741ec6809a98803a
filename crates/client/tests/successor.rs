//! A member whose Commit nobody can process does not end a group: it goes on without that member.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/table.rs"]
mod table;

use conclave_client::{
    EntryKind, Event, GroupId, Standing,
    session::{Call, Hint},
};
use table::Table;

/// The group that these seats go on in, which is the same for all.
fn successor(table: &mut Table, group: GroupId, seats: &[usize]) -> GroupId {
    let mut found = Vec::new();
    for seat in seats {
        let known = table.session(*seat).group(group).unwrap().unwrap();
        assert_eq!(known.standing, Standing::Ended, "{seat}");
        found.push(known.successor.unwrap());
    }
    found.dedup();
    assert_eq!(found.len(), 1);
    found[0]
}

fn spoil(table: &mut Table, seat: usize, group: GroupId) {
    table.session(seat).update(group).unwrap();
    table.spoils = Some(seat);
    while table.spoils.is_some() {
        assert!(table.step(seat, |_, answer| answer));
    }
}

#[test]
fn a_group_goes_on_without_whoever_spoils_it() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol", "mallory"]);
    table.send(1, group, "before");
    table.settle();
    table.has_streams = true;
    spoil(&mut table, 3, group);
    let late = table.send(1, group, "late");
    table.settle();

    let honest = [0, 1, 2];
    let next = successor(&mut table, group, &honest);
    table.assert_agreement(next, &honest);
    for seat in honest {
        let known = table.session(seat).group(next).unwrap().unwrap();
        assert_eq!(known.name.as_deref(), Some("club"));
        assert_eq!(table.texts(seat, group), ["before"]);
        assert_eq!(table.texts(seat, next), ["late"]);
        let told = Event::Continued {
            from: group,
            to: next,
        };
        assert!(table.seats[seat].events.contains(&told));
        let mallory = table.session(3).user().clone();
        let history = table.history(seat, group);
        let reports = |kind: &EntryKind| *kind == EntryKind::Reported(mallory.clone());
        assert!(history.iter().filter(|it| reports(&it.kind)).count() >= 2);
        let last = EntryKind::Continued {
            to: next,
            without: Some(mallory.clone()),
        };
        assert_eq!(history.last().unwrap().kind, last);
        assert_eq!(table.resyncs(seat), 0, "{seat}");
    }
    assert!(table.session(1).outcome(late).unwrap().unwrap().is_ok());
    let left = table.session(3).group(group).unwrap().unwrap();
    assert_eq!((left.standing, left.successor), (Standing::Ended, None));
    assert!(table.session(3).group(next).unwrap().is_none());
    table.assert_all_heard(next, &honest);
}

#[test]
fn who_was_away_comes_to_the_same_group() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol", "mallory", "dave"]);
    table.has_streams = true;
    let dave = table.seats.pop().unwrap();
    spoil(&mut table, 3, group);
    table.settle();
    table.seats.push(dave);
    let late = table.send(4, group, "late");
    table.settle();
    let honest = [0, 1, 2, 4];
    let next = successor(&mut table, group, &honest);
    table.assert_agreement(next, &honest);
    assert!(table.session(4).outcome(late).unwrap().unwrap().is_ok());
    assert_eq!(table.texts(0, next), ["late"]);
    table.assert_all_heard(next, &honest);
}

#[test]
fn who_is_added_while_votes_are_cast_comes_along() {
    let names = ["alice", "bob", "carol", "dave", "erin", "mallory"];
    let (mut table, group) = Table::with(&names);
    let frank = table.sit_down("frank");
    table.settle();
    table.has_streams = true;
    // Too few can't process it, and come back.
    let away: Vec<_> = table.seats.drain(2..5).collect();
    spoil(&mut table, 2, group);
    table.settle();
    table.seats.splice(2..2, away);
    assert_eq!(table.resyncs(0), 1);
    // When enough can't, and somebody has voted, one who came back adds somebody.
    let mut votes = 0;
    while votes == 0 {
        let mut has_stepped = false;
        for seat in 0..5 {
            has_stepped |= table.step(seat, |call, answer| {
                votes += usize::from(matches!(call, Call::VoteForSuccessor(_)));
                answer
            });
        }
        if !has_stepped {
            table.now = table.now.after(std::time::Duration::from_millis(100));
            for seat in &mut table.seats {
                seat.session.hint(Hint::Connected).unwrap();
            }
        }
    }
    let user = table.session(frank).user().clone();
    table.session(0).add(group, &[user]).unwrap();
    table.settle();
    let honest = [0, 1, 2, 3, 4, frank];
    let known = table.session(frank).group(group).unwrap();
    let was_there = known.is_some();
    let next = successor(&mut table, group, &honest[..if was_there { 6 } else { 5 }]);
    table.assert_agreement(next, &honest);
    table.assert_all_heard(next, &honest);
}

#[test]
fn who_was_restored_comes_to_the_same_group() {
    for reads_first in [false, true] {
        let (mut table, group) = Table::with(&["alice", "bob", "carol", "mallory", "dave"]);
        let backup = table.copy(4);
        table.has_streams = true;
        if reads_first {
            spoil(&mut table, 3, group);
            table.settle();
        } else {
            let dave = table.seats.pop().unwrap();
            spoil(&mut table, 3, group);
            table.settle();
            table.seats.push(dave);
        }
        table.replace(4, backup);
        let late = table.send(4, group, "late");
        table.settle();
        let honest = [0, 1, 2, 4];
        let next = successor(&mut table, group, &honest);
        table.assert_agreement(next, &honest);
        assert!(table.session(4).outcome(late).unwrap().unwrap().is_ok());
        for seat in honest {
            assert_eq!(table.texts(seat, next), ["late"], "{seat}");
        }
        table.assert_all_heard(next, &honest);
    }
}

#[test]
fn where_the_first_to_report_is_gone_the_next_one_makes_the_group() {
    let (mut table, group) = Table::with(&["bob", "carol", "dave", "mallory", "alice"]);
    table.has_streams = true;
    spoil(&mut table, 3, group);
    let mut has_reported = false;
    while !has_reported {
        let reports = |call: &Call, answer| {
            has_reported = matches!(call, Call::ReportCommit(_));
            answer
        };
        assert!(table.step(4, reports));
    }
    let alice = table.seats.pop().unwrap();
    table.settle();
    let next = successor(&mut table, group, &[0, 1, 2]);
    table.seats.push(alice);
    table.settle();
    let honest = [0, 1, 2, 4];
    assert_eq!(successor(&mut table, group, &honest), next);
    table.assert_agreement(next, &honest);
    table.assert_all_heard(next, &honest);
}

#[test]
fn too_few_who_report_change_nothing() {
    let (mut table, group) = Table::with(&["alice", "mallory", "carol", "dave", "erin"]);
    table.has_streams = true;
    let away: Vec<_> = table.seats.drain(3..).collect();
    spoil(&mut table, 1, group);
    // Two of four can't process it and say so: they come back, and the author is still there.
    table.settle();
    for seat in [0, 2] {
        assert_eq!(table.resyncs(seat), 1);
        let known = table.session(seat).group(group).unwrap().unwrap();
        assert_eq!((known.standing, known.successor), (Standing::Member, None));
        let told = table.history(seat, group);
        let reported = |it: &EntryKind| matches!(it, EntryKind::Reported(_));
        assert!(told.iter().any(|entry| reported(&entry.kind)));
    }
    table.send(0, group, "we go on");
    table.settle();
    assert_eq!(table.texts(2, group), ["we go on"]);
    // When the others come and can't process it either, that is most of them.
    table.seats.extend(away);
    table.settle();
    let honest = [0, 2, 3, 4];
    let next = successor(&mut table, group, &honest);
    table.assert_agreement(next, &honest);
    table.assert_all_heard(next, &honest);
    assert_eq!(table.texts(2, group), ["we go on"]);
}
