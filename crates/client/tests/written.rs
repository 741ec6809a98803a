//! What talking costs to write, page by page, and that whoever dies at it loses nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

#[path = "common/table.rs"]
mod table;

use std::{path::Path, sync::atomic::Ordering};

use conclave_client::session::Database;
use rusqlite::Connection;
use table::Table;

/// Bytes that may be written for one of many messages that are read together.
const BYTES_A_MESSAGE_MAX: u64 = 4096;

const MESSAGES: u64 = 400;

#[test]
fn whoever_dies_while_talking_loses_nothing_and_uses_no_key_twice() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    let mut said = Vec::new();
    for number in 0..150_usize {
        for (seat, its) in table.seats.iter().enumerate() {
            let commits = (number * 7 + seat * 5) % 23;
            its.fuse.store(commits as i64, Ordering::Relaxed);
        }
        let (speaker, text) = (number % 2, format!("message {number}"));
        while table.session(speaker).send(group, text.as_str()).is_err() {
            table.crash(speaker);
        }
        said.push(text);
        // What waits in two outboxes is sent in any order.
        table.settle();
    }
    for seat in &table.seats {
        seat.fuse.store(i64::MAX, Ordering::Relaxed);
    }
    table.settle();
    for seat in 0..3 {
        assert_eq!(table.texts(seat, group), said);
    }
    table.assert_agreement(group, &[0, 1, 2]);
}

#[test]
fn a_message_is_few_pages() {
    let folder = tempfile::tempdir().unwrap();
    let (alices, bobs) = (folder.path().join("alice"), folder.path().join("bob"));
    let mut table = Table::empty();
    table.sit_down_with("alice", on_disk(&alices));
    table.sit_down_with("bob", on_disk(&bobs));
    let group = table.found();

    let (alice_before, bob_before) = (written(&alices), written(&bobs));
    for number in 0..MESSAGES {
        let text = format!("message {number}");
        table.session(0).send(group, text.as_str()).unwrap();
        while table.step(0, |_, answer| answer) {}
    }
    let alice = (written(&alices) - alice_before) / MESSAGES;
    table.settle();
    let bob = (written(&bobs) - bob_before) / MESSAGES;
    println!("bytes of pages: {alice} for a message sent, {bob} for one of {MESSAGES} received");
    assert_eq!(table.texts(1, group).len() as u64, MESSAGES);
    assert!(bob <= BYTES_A_MESSAGE_MAX);
}

/// A database whose write-ahead log is never emptied: it shows each page that was written.
fn on_disk(path: &Path) -> Database {
    let connection = Connection::open(path).unwrap();
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .unwrap();
    connection
        .pragma_update(None, "wal_autocheckpoint", 0)
        .unwrap();
    connection.try_into().unwrap()
}

fn written(path: &Path) -> u64 {
    let log = format!("{}-wal", path.display());
    std::fs::metadata(log).unwrap().len()
}
