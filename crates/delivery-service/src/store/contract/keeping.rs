//! What is kept for a time, and no longer.

use conclave_protocol::{Epoch, Sequence, UnixMillis};

use super::{
    super::{
        BlobBegun, BlobId, Effect, EpochChange, Expiry, NewBlob, NewEntry, Snapshot,
        StockedKeyPackage, Store,
    },
    GROUP, NOW, UNCHANGED, adding, all, commit, device, entry, found, package, publish, register,
    take,
};
use crate::ordering::Verdict;

/// Drops nothing.
const NOTHING: Expiry = Expiry {
    now: UnixMillis(0),
    log_before: UnixMillis(0),
    log_bytes_max: u64::MAX >> 1,
    requests_before: UnixMillis(0),
};

fn expire(store: &dyn Store, expiry: Expiry) {
    crate::retention::pass(store, &expiry, || false).unwrap();
}

fn places(store: &dyn Store) -> Vec<u64> {
    let log = store.read_log(GROUP, all()).unwrap();
    log.iter().map(|entry| entry.sequence.0).collect()
}

fn append(store: &dyn Store, entry: &NewEntry<'_>) {
    let verdict = store.append(entry).unwrap();
    assert!(matches!(verdict, Verdict::Accept(_)), "{verdict:?}");
}

pub(super) fn old_entries_go_and_nothing_that_is_needed(store: &dyn Store) {
    found(store, 1);
    for at in 1..=9 {
        let accepted = UnixMillis(u64::from(at) * 100);
        append(
            store,
            &NewEntry {
                accepted,
                ..entry(1, at, 0)
            },
        );
    }
    expire(store, NOTHING);
    assert_eq!(places(store).len(), 9);
    let log_before = UnixMillis(300);
    expire(
        store,
        Expiry {
            log_before,
            ..NOTHING
        },
    );
    assert_eq!(places(store), [3, 4, 5, 6, 7, 8, 9]);
    let size = b"message".len() as u64;
    let log_bytes_max = 3 * size + 1;
    expire(
        store,
        Expiry {
            log_bytes_max,
            ..NOTHING
        },
    );
    assert_eq!(places(store), [7, 8, 9]);

    // The order goes on, a retry of what is gone is still known, and the follower's state too.
    append(store, &commit(1, 100, 0, &UNCHANGED));
    let again = store.append(&entry(1, 1, 0)).unwrap();
    assert!(matches!(again, Verdict::AlreadyApplied(receipt) if receipt.sequence == Sequence(1)));
    let everything = Expiry {
        log_bytes_max: 0,
        ..NOTHING
    };
    let proposal = NewEntry {
        effect: Effect::Proposal { delta: b"leave" },
        ..entry(1, 101, 1)
    };
    append(store, &proposal);
    expire(store, everything);
    assert_eq!(places(store), [11], "a Proposal that waits is wanted");
    let deltas = || store.read_deltas(GROUP, all()).unwrap().len();
    assert_eq!(deltas(), 2, "no snapshot holds them yet");
    append(store, &commit(1, 102, 1, &UNCHANGED));
    expire(store, everything);
    assert_eq!(places(store), [0; 0]);
    assert_eq!(deltas(), 3);
    let snapshot = Snapshot {
        applied: Sequence(12),
        bytes: b"state".to_vec(),
    };
    store.put_snapshot(GROUP, &snapshot).unwrap();
    assert_eq!(deltas(), 0);
    append(store, &entry(1, 103, 2));
    assert_eq!(places(store), [13]);
}

pub(super) fn a_tree_is_kept_until_its_last_joiner_has_it(store: &dyn Store) {
    found(store, 3);
    let tree = |epoch| store.tree_part(GROUP, Epoch(epoch), 0).unwrap();
    let cursor = |number| store.read_mailbox(device(number), 0, 9).unwrap()[0].cursor;
    assert_eq!(store.tree_epoch(GROUP, &[6; 32]).unwrap(), Some(Epoch(1)));
    assert_eq!(store.tree_epoch(GROUP, &[5; 32]).unwrap(), None);
    store.acknowledge_mailbox(device(2), cursor(2)).unwrap();
    expire(store, NOTHING);
    assert!(tree(1).is_some(), "one joiner has not got it");
    store.acknowledge_mailbox(device(3), cursor(3)).unwrap();
    expire(store, NOTHING);
    assert_eq!(tree(1), None);
    assert_eq!(store.tree_epoch(GROUP, &[6; 32]).unwrap(), None);

    // A Welcome that nobody fetched goes with the log that it leads to.
    let change = EpochChange {
        removed: vec![device(2)],
        ..adding([device(2)].into_iter())
    };
    append(store, &commit(1, 1, 1, &change));
    expire(store, NOTHING);
    assert!(tree(2).is_some());
    let log_before = UnixMillis(NOW.0 + 1);
    expire(
        store,
        Expiry {
            log_before,
            ..NOTHING
        },
    );
    assert_eq!(tree(2), None);
    assert_eq!(store.read_mailbox(device(2), 0, 9).unwrap(), []);
}

pub(super) fn a_device_s_old_records_go(store: &dyn Store) {
    found(store, 1);
    append(store, &entry(1, 1, 0));
    let late = StockedKeyPackage {
        expires_seconds: 5000,
        ..package(2)
    };
    publish(store, &[package(1), late.clone()]);
    let now = UnixMillis(1_001_000);
    expire(store, Expiry { now, ..NOTHING });
    assert_eq!(take(store, 1, 1, 0), [late.message], "the other expired");
    let requests_before = UnixMillis(NOW.0 + 1);
    expire(
        store,
        Expiry {
            requests_before,
            ..NOTHING
        },
    );
    assert_eq!(
        store.append(&entry(1, 1, 0)).unwrap(),
        Verdict::Accept(Sequence(2)),
        "nobody retries for so long"
    );
    assert!(take(store, 1, 1, 0).is_empty(), "nor this");
}

fn begin(store: &dyn Store, uploader: u8, content: u8, total_bytes: u64) -> BlobBegun {
    let new = NewBlob {
        group: GROUP,
        uploader: device(uploader),
        content_hash: [content; 32],
        total_bytes,
        quota_bytes: 100,
        expires: UnixMillis(1000),
    };
    store.begin_blob(&new).unwrap()
}

fn upload(store: &dyn Store, uploader: u8, content: u8, expires: u64) -> BlobId {
    let BlobBegun::Upload(id) = begin(store, uploader, content, 20) else {
        panic!("refused");
    };
    for part in 0..2 {
        assert!(store.put_blob_part(id, part, &[content; 10]).unwrap());
    }
    let expires = UnixMillis(expires);
    assert!(store.finish_blob(id, device(uploader), expires).unwrap());
    id
}

pub(super) fn a_blob_is_there_once_it_is_whole_until_it_expires(store: &dyn Store) {
    found(store, 2);
    register(store, 3);
    let find = |content| store.blob(GROUP, &[content; 32], UnixMillis(1500)).unwrap();
    assert_eq!(begin(store, 3, 1, 20), BlobBegun::NotMember);
    assert_eq!(begin(store, 1, 1, 101), BlobBegun::OverQuota);
    let BlobBegun::Upload(open) = begin(store, 1, 1, 20) else {
        panic!("refused");
    };
    assert!(store.put_blob_part(open, 0, b"half").unwrap());
    assert_eq!(find(1), None, "not whole");

    let id = upload(store, 1, 2, 2000);
    let blob = find(2).unwrap();
    assert_eq!((blob.id, blob.total_bytes), (id, 20));
    assert_eq!(blob.places, [Sequence(2); 2], "after the first Commit");
    assert_eq!(store.blob_part(id, 1).unwrap().unwrap(), [2; 10]);
    assert_eq!(store.blob_part(id, 2).unwrap(), None);
    assert!(!store.put_blob_part(id, 2, b"more").unwrap());
    assert_eq!(begin(store, 1, 3, 61), BlobBegun::OverQuota);
    assert!(matches!(begin(store, 2, 3, 61), BlobBegun::Upload(_)));

    // Again, by another member, later: those who joined since read it too.
    append(store, &entry(1, 1, 1));
    upload(store, 2, 2, 1800);
    let again = find(2).unwrap();
    assert_eq!(again.id, id);
    assert_eq!(again.places, [Sequence(2), Sequence(3)]);

    // What was not finished goes first, and its space is free again.
    let now = UnixMillis(1000);
    expire(store, Expiry { now, ..NOTHING });
    assert!(!store.put_blob_part(open, 1, b"half").unwrap());
    assert!(!store.finish_blob(open, device(1), NOW).unwrap());
    assert!(find(2).is_some());
    assert!(matches!(begin(store, 1, 3, 80), BlobBegun::Upload(_)));
    assert_eq!(store.blob(GROUP, &[2; 32], UnixMillis(2000)).unwrap(), None);
    let now = UnixMillis(2000);
    expire(store, Expiry { now, ..NOTHING });
    assert_eq!(store.blob_part(id, 0).unwrap(), None);

    // A member that is removed in the middle does not finish.
    let BlobBegun::Upload(late) = begin(store, 2, 4, 20) else {
        panic!("refused");
    };
    let removal = EpochChange {
        removed: vec![device(2)],
        ..UNCHANGED
    };
    append(store, &commit(1, 2, 1, &removal));
    assert!(!store.finish_blob(late, device(2), NOW).unwrap());
}
