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

use conclave_client::{
    GroupId,
    session::{Database, Hint},
};
use rusqlite::Connection;
use table::Table;

/// Bytes that may be written for one of many messages that are read together.
const BYTES_A_MESSAGE_MAX: u64 = 4096;

/// What a page takes in the write-ahead log, with its header.
const FRAME_BYTES: f64 = 4096.0 + 24.0;

/// Pages that may be written for a message that is sent alone: three to keep its bytes, five when it is read in the
/// log, and what the tables grow by.
const PAGES_SENT_MAX: f64 = 10.0;

/// Pages that may be written for one that is read alone.
const PAGES_READ_MAX: f64 = 6.0;

const MESSAGES: usize = 400;

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

    let (sent, together) = talk(&mut table, group, [&alices, &bobs], false);
    let (_, alone) = talk(&mut table, group, [&alices, &bobs], true);
    println!(
        "pages for a message sent {sent:.1}, read alone {alone:.1}, with others {together:.2}"
    );
    assert!(sent <= PAGES_SENT_MAX);
    assert!(alone <= PAGES_READ_MAX);
    assert!(together * FRAME_BYTES <= BYTES_A_MESSAGE_MAX as f64);
}

/// Alice says something many times. Gives the pages that she writes for it each time, and those that Bob does, who
/// reads it at once or in the end.
fn talk(table: &mut Table, group: GroupId, homes: [&Path; 2], is_live: bool) -> (f64, f64) {
    let before = homes.map(written);
    let said = table.texts(1, group).len();
    for number in 0..MESSAGES {
        let text = format!("message {number}");
        let intent = table.session(0).send(group, text.as_str()).unwrap();
        while table.step(0, |_, answer| answer) {}
        let outcome = table.session(0).take_outcome(intent).unwrap();
        assert!(outcome.unwrap().is_ok());
        if is_live {
            table.session(1).hint(Hint::Group(group)).unwrap();
            while table.step(1, |_, answer| answer) {}
        }
    }
    let alice = written(homes[0]) - before[0];
    table.settle();
    let bob = written(homes[1]) - before[1];
    assert_eq!(table.texts(1, group).len(), said + MESSAGES);
    [alice, bob]
        .map(|bytes| bytes as f64 / FRAME_BYTES / MESSAGES as f64)
        .into()
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
