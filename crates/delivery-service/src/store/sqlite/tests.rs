//! What only a file has to do.

use std::iter::repeat_n;

use conclave_protocol::{Epoch, ReportId, Sequence, UnixMillis};
use conclave_safety::{Act, Actor, Chain, Entry as AuditEntry, Measure, MeasureKind, Target};
use rusqlite::params_from_iter;

use super::{
    super::contract::{GROUP, all, device, found},
    OpenError, SqliteStore, invitations, log,
};
use crate::{ordering::Head, store::Store as _};

#[test]
fn a_database_comes_back_as_it_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let store = SqliteStore::open(&path).unwrap();
    found(&store, 2);
    let log = store.read_log(GROUP, all()).unwrap();
    // Not closed: as after `kill -9`.
    std::mem::forget(store);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.read_log(GROUP, all()).unwrap(), log);
    let (head, _) = store.access(GROUP, device(1)).unwrap().unwrap();
    let at = Sequence(1);
    assert_eq!(
        head,
        Head {
            epoch: Epoch(1),
            sequence: at,
            handshake: at
        }
    );
}

#[test]
fn only_a_database_of_ours_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.db");
    std::fs::write(&garbage, [b'x'; 5000]).unwrap();
    let opened = SqliteStore::open(&garbage);
    assert!(matches!(opened, Err(OpenError::Database(_))));

    let later = folder.path().join("later.db");
    drop(SqliteStore::open(&later).unwrap());
    let raw = rusqlite::Connection::open(&later).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    let opened = SqliteStore::open(&later);
    assert!(matches!(opened, Err(OpenError::Newer { found: 99, .. })));
}

/// What stood in a file before is still there, and counted, after an upgrade from each version.
#[test]
fn an_older_database_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(include_str!("schema_1.sql")).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    old.execute_batch(
        "INSERT INTO mls_group VALUES (x'07070707070707070707070707070707', x'01', x'02', 0, 2, 0);
         INSERT INTO log VALUES
             (x'07070707070707070707070707070707', 1, 0, 3, zeroblob(16), 5, x'aabb'),
             (x'07070707070707070707070707070707', 2, 0, 3, zeroblob(16), 6, x'cc');
         INSERT INTO mls_group VALUES (x'08', x'01', x'02', 0, 0, 0);",
    )
    .unwrap();
    drop(old);
    let store = SqliteStore::open(&path).unwrap();
    let log = store.read_log(GROUP, all()).unwrap();
    assert_eq!(log.len(), 2);
    let kept: Vec<u64> = rusqlite::Connection::open(&path)
        .unwrap()
        .prepare("SELECT kept_bytes FROM mls_group ORDER BY group_id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(kept, [3, 0]);
    drop(store);
    SqliteStore::open(&path).unwrap();
}

/// A group has many more messages than anything else: what is asked at each of them reads none of the others.
#[test]
fn what_is_no_message_is_found_without_reading_messages() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.db");
    drop(SqliteStore::open(&path).unwrap());
    let db = rusqlite::Connection::open(&path).unwrap();
    for (query, index) in [
        (
            log::SENDERS,
            "log_of_kind (group_id=? AND epoch=? AND kind=?)",
        ),
        (
            invitations::PROPOSALS,
            "log_of_kind (group_id=? AND epoch=? AND kind=?)",
        ),
        (log::WORDS, "log_words (group_id=? AND sequence<?)"),
    ] {
        let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let values = params_from_iter(repeat_n(2, plan.parameter_count()));
        let steps = plan.query_map(values, |step| step.get::<_, String>(3));
        let steps: Vec<String> = steps.unwrap().map(Result::unwrap).collect();
        let is_found = steps.iter().any(|step| step.contains(index));
        assert!(is_found, "{query}: {steps:?}");
    }
}

/// What moderators did before there was an index of it is found by the report that it is about.
#[test]
fn the_audit_log_of_an_older_database_is_found_by_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.db");
    drop(SqliteStore::open(&path).unwrap());
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch("DROP TABLE audit_about; DROP INDEX log_of_kind")
        .unwrap();
    old.pragma_update(None, "user_version", 10).unwrap();
    let report = ReportId::from_bytes([0xab; 16]);
    let measure = Measure {
        kind: MeasureKind::Warning,
        target: Target {
            user: "mallory@here".parse().unwrap(),
            device: None,
        },
        until_millis: UnixMillis(1),
    };
    let reason = String::from("no");
    let (decision, other) = (3, ReportId::from_bytes([1; 16]));
    let mut chain = Chain::default();
    for act in [
        Act::Shown { report },
        Act::Shown { report: other },
        Act::Decided {
            report,
            measure,
            reason: reason.clone(),
        },
        Act::Lifted { decision, reason },
    ] {
        let number = chain.entries() + 1;
        let (at_millis, by) = (UnixMillis(1), Actor::Operator);
        let chained = chain.link(&AuditEntry {
            number,
            at_millis,
            by,
            act,
        });
        chain.follow(&chained).unwrap();
        let row = (chained.number, chained.entry, chained.hash);
        old.execute("INSERT INTO audit VALUES (?, ?, ?)", row)
            .unwrap();
    }
    drop(old);
    let store = SqliteStore::open(&path).unwrap();
    let numbers = |report| {
        let found = store.audit_about(report, 0, 9).unwrap();
        found.iter().map(|it| it.number).collect::<Vec<_>>()
    };
    assert_eq!((numbers(report), numbers(other)), (vec![1, 3, 4], vec![2]));
}

/// The file that the child of the crash test writes to.
const CRASH_FILE: &str = "CONCLAVE_CRASH_FILE";

/// What that child says once it writes.
const BEGUN: &str = "begun";

/// Killed at any moment, a store has all that it had acknowledged, once, in one order.
#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    found(&SqliteStore::open(&path).unwrap(), 4);
    let mut acknowledged = std::collections::BTreeSet::new();
    for round in 0..crash_rounds() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture"])
            .arg("store::sqlite::tests::crash_child")
            .env(CRASH_FILE, &path)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        // At a moment that has nothing to do with what the child has said last.
        let delay = std::time::Duration::from_micros(1000 + 7919 * round % 40_000);
        let (begun, begins) = std::sync::mpsc::channel();
        let killer = std::thread::spawn(move || {
            // A child that ends before it begins is over too.
            let _ = begins.recv();
            std::thread::sleep(std::time::Duration::from_millis(40) + delay);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in std::io::BufRead::lines(std::io::BufReader::new(stdout)) {
            let line = line.unwrap();
            if line.ends_with(BEGUN) {
                begun.send(()).unwrap();
            }
            let Some(numbers) = line.strip_prefix("acknowledged ") else {
                continue;
            };
            // The last line may have been cut.
            let mut numbers = numbers.split(' ').map(str::parse::<u64>);
            if let (Some(Ok(at)), Some(Ok(sender)), Some(Ok(_)), Some(Ok(0))) = (
                numbers.next(),
                numbers.next(),
                numbers.next(),
                numbers.next(),
            ) {
                assert!(acknowledged.insert((at, sender)), "a place was given twice");
            }
        }
        drop(begun);
        killer.join().unwrap();
        let store = SqliteStore::open(&path).unwrap();
        let epoch = store.access(GROUP, device(1)).unwrap().unwrap().0.epoch;
        super::super::contract::check_log(&store, epoch);
        let log = store.read_log(GROUP, all()).unwrap();
        for (at, sender) in &acknowledged {
            let entry = &log[usize::try_from(at - 1).unwrap()];
            assert_eq!(u64::from(entry.sender.as_bytes()[0]), *sender);
        }
    }
    assert!(!acknowledged.is_empty());
}

fn crash_rounds() -> u64 {
    let rounds = std::env::var("CONCLAVE_CRASH_ROUNDS").ok();
    rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(8)
}

/// Writes until it is killed.
#[test]
#[ignore = "the child of the crash test"]
#[allow(clippy::print_stdout)]
fn crash_child() {
    let Some(path) = std::env::var_os(CRASH_FILE) else {
        return;
    };
    let store = SqliteStore::open(std::path::Path::new(&path)).unwrap();
    let started = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    println!("{BEGUN}");
    std::thread::scope(|scope| {
        for sender in 1..=4u8 {
            let store = &store;
            scope.spawn(move || {
                for number in 0u32.. {
                    let epoch = store.access(GROUP, device(1)).unwrap().unwrap().0.epoch;
                    let mut entry = super::super::contract::entry(sender, 0, epoch.0);
                    let change = super::super::contract::UNCHANGED;
                    if number % 8 == 0 {
                        entry.effect = super::super::Effect::Commit {
                            delta: b"delta",
                            change: &change,
                        };
                    }
                    let mut id = started.to_be_bytes();
                    id[..4].copy_from_slice(&number.to_be_bytes());
                    entry.request = conclave_protocol::RequestId::from_bytes(id);
                    if let crate::ordering::Verdict::Accept(at) = store.append(&entry).unwrap() {
                        println!("acknowledged {} {sender} {number} 0", at.0);
                    }
                }
            });
        }
    });
}
