//! A tree that many were added to is filled by those who are online, until it is good enough.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/table.rs"]
mod table;

use std::time::Duration;

use conclave_client::UserId;
use table::Table;

/// Many enough for a large Commit.
const GUESTS: usize = 230;

#[test]
fn one_of_those_who_are_online_fills_the_tree_and_the_others_let_it_be() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    for number in 0..GUESTS {
        table.sit_down(&format!("guest{number}"));
    }
    table.settle();
    let guests: Vec<UserId> = table.seats[3..]
        .iter()
        .map(|seat| seat.session.user().clone())
        .collect();
    // Three of them are online who stand side by side, and one at the tree's other end.
    table.seats.swap(3, GUESTS + 2);
    table.seats.truncate(4);
    table.has_streams = true;
    table.session(0).add(group, &guests).unwrap();
    for _ in 0..60 {
        table.settle();
        table.now = table.now.after(Duration::from_secs(10));
    }
    // Two Commits added them. One of the three, and the one, made the next ones small for all.
    let epoch = table.session(0).epoch(group).unwrap();
    assert!((3..=4).contains(&epoch.0));
    for seat in 1..4 {
        assert_eq!(table.session(seat).epoch(group).unwrap(), epoch);
    }
    table.send(1, group, "all is well");
    table.settle();
    for seat in 0..4 {
        assert_eq!(table.texts(seat, group), ["all is well"]);
    }
}
