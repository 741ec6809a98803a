//! Logs: one order, and all or nothing.

use std::{sync::Barrier, thread};

use conclave_protocol::{Epoch, RequestId, Sequence, limits};

use super::{
    super::{Delta, Effect, EntryKind, EpochChange, Mail, NewEntry, Page, Range, Snapshot, Store},
    GROUP, UNCHANGED, adding, all, commit, device, entry, found,
};
use crate::ordering::Verdict;

pub(super) fn one_of_many_commits_wins_each_epoch(store: &dyn Store) {
    const WRITERS: u8 = 64;
    const EPOCHS: u64 = 200;
    let of_message = |number: u8| {
        let mut id = [number; 16];
        id[0] = 0;
        RequestId::from_bytes(id)
    };
    found(store, WRITERS);
    let barrier = Barrier::new(usize::from(WRITERS));
    let wins: usize = thread::scope(|scope| {
        let writers: Vec<_> = (1..=WRITERS)
            .map(|writer| {
                let (barrier, of_message) = (&barrier, &of_message);
                scope.spawn(move || {
                    let race = |epoch: u64| {
                        barrier.wait();
                        let number = u8::try_from(epoch).unwrap();
                        let message = store.append(&NewEntry {
                            request: of_message(number),
                            ..entry(writer, number, epoch)
                        });
                        let verdict = store.append(&commit(writer, number, epoch, &UNCHANGED));
                        // The next epoch's race begins when this one's is over for all.
                        barrier.wait();
                        assert!(matches!(
                            message.unwrap(),
                            Verdict::Accept(_) | Verdict::WrongEpoch(_)
                        ));
                        match verdict.unwrap() {
                            Verdict::Accept(_) => true,
                            Verdict::WrongEpoch(head) => {
                                assert_eq!(head.epoch, Epoch(epoch + 1));
                                false
                            }
                            other => panic!("{other:?}"),
                        }
                    };
                    (1..=EPOCHS).filter(|epoch| race(*epoch)).count()
                })
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .sum()
    });
    assert_eq!(wins as u64, EPOCHS);
    check_log(store, Epoch(EPOCHS + 1));
}

/// A log has no gap, and one Commit in each epoch, which is its last entry.
pub(in crate::store) fn check_log(store: &dyn Store, current: Epoch) {
    let log = store.read_log(GROUP, all()).unwrap();
    let mut epoch = Epoch(0);
    for (at, entry) in (1..).zip(&log) {
        assert_eq!((entry.sequence, entry.epoch), (Sequence(at), epoch));
        if entry.kind == EntryKind::Commit {
            epoch = epoch.next();
        }
    }
    let (head, _) = store.access(GROUP, device(1)).unwrap().unwrap();
    assert_eq!((head.epoch, head.sequence.0), (epoch, log.len() as u64));
    assert_eq!(epoch, current);
}

pub(super) fn a_commit_brings_everything_or_nothing(store: &dyn Store) {
    found(store, 3);
    let ranges = |number| store.access(GROUP, device(number)).unwrap().unwrap().1;
    let joined = Range {
        from: Sequence(1),
        to: None,
    };
    for number in 1..=3 {
        assert_eq!(ranges(number), [joined]);
    }
    let waiting = store.read_mailbox(device(2), 0, 9).unwrap();
    assert_eq!(waiting.len(), 1);
    let Mail::Welcome(welcome) = &waiting[0].mail else {
        panic!("{waiting:?}");
    };
    assert_eq!((welcome.group, welcome.epoch), (GROUP, Epoch(1)));
    assert_eq!(welcome.secrets, device(2).as_bytes());
    assert_eq!(welcome.shared, b"shared");
    let part = |part| store.tree_part(GROUP, Epoch(1), part).unwrap();
    assert_eq!(part(0).unwrap().bytes.len(), limits::CHUNK_BYTES);
    assert_eq!(part(1).unwrap().bytes, [5]);
    let total = part(0).unwrap().total_bytes;
    assert_eq!(total, limits::CHUNK_BYTES as u64 + 1);
    assert_eq!(part(2), None);

    // A Commit that loses leaves no trace of what it brought.
    let lost = adding([device(2)].into_iter());
    let verdict = store.append(&commit(1, 1, 0, &lost)).unwrap();
    assert!(matches!(verdict, Verdict::WrongEpoch(_)));
    assert_eq!(store.read_mailbox(device(2), 0, 9).unwrap(), waiting);

    // A removed device keeps its past, and opens a new range when it comes back.
    let removal = EpochChange {
        removed: vec![device(2)],
        ..UNCHANGED
    };
    let verdict = store.append(&commit(1, 2, 1, &removal)).unwrap();
    assert_eq!(verdict, Verdict::Accept(Sequence(2)));
    let verdict = store.append(&entry(2, 3, 2)).unwrap();
    assert_eq!(verdict, Verdict::NotMember);
    let back = adding([device(2)].into_iter());
    store.append(&commit(1, 4, 2, &back)).unwrap();
    let past = Range {
        from: Sequence(1),
        to: Some(Sequence(2)),
    };
    let present = Range {
        from: Sequence(3),
        to: None,
    };
    assert_eq!(ranges(2), [past, present]);

    // Cursors rise, also over what was acknowledged.
    let items = store.read_mailbox(device(2), 0, 9).unwrap();
    assert!(items[0].cursor < items[1].cursor);
    store
        .acknowledge_mailbox(device(2), items[1].cursor)
        .unwrap();
    assert_eq!(store.read_mailbox(device(2), 0, 9).unwrap(), []);
    let again = EpochChange {
        removed: vec![device(2)],
        ..adding([device(2)].into_iter())
    };
    store.append(&commit(1, 5, 3, &again)).unwrap();
    let later = store.read_mailbox(device(2), 0, 9).unwrap();
    assert!(later[0].cursor > items[1].cursor);
}

pub(super) fn deltas_last_until_the_snapshot_that_holds_them(store: &dyn Store) {
    found(store, 2);
    store.append(&entry(1, 1, 1)).unwrap();
    let proposal = NewEntry {
        effect: Effect::Proposal { delta: b"leave" },
        ..entry(2, 2, 1)
    };
    store.append(&proposal).unwrap();
    let (head, _) = store.access(GROUP, device(1)).unwrap().unwrap();
    assert_eq!((head.sequence, head.handshake), (Sequence(3), Sequence(3)));
    let delta = |sequence, bytes: &[u8]| Delta {
        sequence: Sequence(sequence),
        bytes: bytes.to_vec(),
    };
    let deltas = || store.read_deltas(GROUP, all()).unwrap();
    assert_eq!(deltas(), [delta(1, b"delta"), delta(3, b"leave")]);
    let snapshot = |applied, bytes: &[u8]| Snapshot {
        applied: Sequence(applied),
        bytes: bytes.to_vec(),
    };
    store.put_snapshot(GROUP, &snapshot(1, b"one")).unwrap();
    store.put_snapshot(GROUP, &snapshot(0, b"old")).unwrap();
    assert_eq!(store.snapshot(GROUP).unwrap(), Some(snapshot(1, b"one")));
    assert_eq!(deltas(), [delta(3, b"leave")]);
}

pub(super) fn reports_and_votes_are_entries_that_change_nothing(store: &dyn Store) {
    found(store, 3);
    let senders = |kind| store.senders(GROUP, kind).unwrap();
    for number in [3, 2] {
        let report = NewEntry {
            effect: Effect::Report,
            ..entry(number, number, 1)
        };
        store.append(&report).unwrap();
    }
    let vote = NewEntry {
        effect: Effect::Vote,
        ..entry(2, 9, 1)
    };
    store.append(&vote).unwrap();
    assert_eq!(senders(EntryKind::Report), [device(3), device(2)]);
    assert_eq!(senders(EntryKind::Vote), [device(2)]);
    let (head, _) = store.access(GROUP, device(1)).unwrap().unwrap();
    let head = (head.epoch, head.sequence, head.handshake);
    assert_eq!(head, (Epoch(1), Sequence(4), Sequence(1)));
    let log = store.read_log(GROUP, all()).unwrap();
    let kinds = [log[2].kind, log[3].kind];
    assert_eq!(kinds, [EntryKind::Report, EntryKind::Vote]);
    let words = |up_to, limit| store.words(GROUP, Sequence(up_to), limit).unwrap();
    assert_eq!(words(9, 9), log[1..], "all but the Commit");
    assert_eq!(
        (words(3, 9), words(9, 1)),
        (log[1..3].to_vec(), log[3..].to_vec())
    );
    store.append(&commit(1, 8, 1, &UNCHANGED)).unwrap();
    for kind in kinds {
        assert_eq!(senders(kind), [], "another epoch");
    }
}

pub(super) fn pages_are_bounded(store: &dyn Store) {
    found(store, 1);
    for number in 1..=9 {
        store.append(&entry(1, number, 0)).unwrap();
    }
    let places = |page: Page| {
        let log = store.read_log(GROUP, page).unwrap();
        log.iter().map(|entry| entry.sequence.0).collect::<Vec<_>>()
    };
    let size = b"message".len();
    let page = Page {
        after: Sequence(2),
        up_to: Sequence(7),
        ..all()
    };
    assert_eq!(places(page), [3, 4, 5, 6, 7]);
    assert_eq!(places(Page { entries: 2, ..page }), [3, 4]);
    let bytes = 3 * size;
    assert_eq!(places(Page { bytes, ..page }), [3, 4, 5]);
    assert_eq!(places(Page { bytes: 1, ..page }), [3]);
}
