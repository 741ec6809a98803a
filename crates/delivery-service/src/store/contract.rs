//! What every store has to do. Each test runs on each backend.

mod devices;
mod instances;
mod keeping;
mod members;
mod model;

use std::{collections::BTreeSet, sync::Barrier, thread};

use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceClaims, DeviceId, Epoch, GroupId, RequestId, Sequence,
    SigningKey, UnixMillis, UserId, limits,
};

use super::{
    Delta, Effect, EntryKind, EpochChange, Identity, Mail, MemoryStore, NewEntry, NewGroup,
    NewWelcome, Page, Published, Range, Registered, Snapshot, SqliteStore, StockedKeyPackage,
    Store, Take, Taken,
};
use crate::ordering::{Submission, Verdict};
use devices::{
    a_user_has_only_so_many_devices, leaves_of_deleted_devices_wait_to_be_removed,
    only_the_newest_list_says_who_is_registered,
};
use instances::a_state_is_told_from_its_copies;
use keeping::{
    a_blob_is_there_once_it_is_whole_until_it_expires, a_device_s_old_records_go,
    a_tree_is_kept_until_its_last_joiner_has_it, old_entries_go_and_nothing_that_is_needed,
};
use members::{
    an_invitation_is_for_the_first_who_asks_once,
    notices_are_bounded_and_two_about_the_same_are_one, one_user_takes_only_so_many_of_a_device,
    what_is_deleted_is_gone_and_the_rest_stays, what_waits_in_an_epoch_is_given_to_who_comes_in,
};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
pub(super) const GROUP: GroupId = GroupId::from_bytes([7; 16]);

macro_rules! contract {
    ($($test:ident),* $(,)?) => {
        mod in_memory {
            $(#[test] fn $test() { super::$test(&super::MemoryStore::default()); })*
        }
        mod in_sqlite {
            $(#[test] fn $test() { super::$test(&super::TemporaryStore::new().store); })*
        }
    };
}

contract![
    the_first_identity_stays,
    names_and_devices_have_one_owner,
    a_registration_code_lets_one_device_in,
    a_state_is_told_from_its_copies,
    a_user_has_only_so_many_devices,
    only_the_newest_list_says_who_is_registered,
    leaves_of_deleted_devices_wait_to_be_removed,
    a_key_package_is_handed_out_once,
    a_stock_is_bounded_and_fresh,
    one_of_many_commits_wins_each_epoch,
    a_commit_brings_everything_or_nothing,
    deltas_last_until_the_snapshot_that_holds_them,
    pages_are_bounded,
    a_report_is_an_entry_that_changes_nothing,
    notices_are_bounded_and_two_about_the_same_are_one,
    an_invitation_is_for_the_first_who_asks_once,
    what_waits_in_an_epoch_is_given_to_who_comes_in,
    one_user_takes_only_so_many_of_a_device,
    what_is_deleted_is_gone_and_the_rest_stays,
    old_entries_go_and_nothing_that_is_needed,
    a_tree_is_kept_until_its_last_joiner_has_it,
    a_device_s_old_records_go,
    a_blob_is_there_once_it_is_whole_until_it_expires,
];

struct TemporaryStore {
    store: SqliteStore,
    _folder: tempfile::TempDir,
}

impl TemporaryStore {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            store: SqliteStore::open(&folder.path().join("test.db")).unwrap(),
            _folder: folder,
        }
    }
}

pub(crate) fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes([number; 16])
}

fn request(number: u8) -> RequestId {
    RequestId::from_bytes([number; 16])
}

fn certify(user: &str, number: u8, identity: u8) -> DeviceCertificate {
    let address = DeviceAddress {
        user: user.parse().unwrap(),
        device: device(number),
    };
    let key = SigningKey::from_seed(&[number; 32]).verifying_key();
    let claims = DeviceClaims::starting(address, key, NOW);
    DeviceCertificate::issue(claims, &SigningKey::from_seed(&[identity; 32]))
}

pub(crate) fn register(store: &dyn Store, users: u8) {
    for number in 1..=users {
        let certificate = certify(&format!("user{number}@here"), number, number + 100);
        assert_eq!(store.register(&certificate).unwrap(), Registered::Done);
    }
}

/// Registers devices 1 to `members`, all in the group from the start of epoch 1 on.
pub(super) fn found(store: &dyn Store, members: u8) {
    register(store, members);
    let group = NewGroup {
        group: GROUP,
        creator: device(1),
        body_hash: [0; 32],
        group_info: b"info",
        snapshot: b"state",
    };
    assert!(store.create_group(&group).unwrap());
    assert!(store.create_group(&group).unwrap(), "the same again");
    let other = NewGroup {
        body_hash: [1; 32],
        ..group
    };
    assert!(!store.create_group(&other).unwrap());
    if members > 1 {
        let change = adding((2..=members).map(device));
        let verdict = store.append(&commit(1, u8::MAX, 0, &change)).unwrap();
        assert_eq!(verdict, Verdict::Accept(Sequence(1)));
    }
}

fn adding(joiners: impl Iterator<Item = DeviceId>) -> EpochChange<'static> {
    EpochChange {
        group_info: b"next",
        removed: Vec::new(),
        welcome: Some(NewWelcome {
            added_by: "user1@here/device".into(),
            shared: b"shared".to_vec(),
            joiners: joiners.map(|id| (id, id.as_bytes().to_vec())).collect(),
            tree_hash: [6; 32],
            tree: vec![5; limits::CHUNK_BYTES + 1],
        }),
    }
}

pub(super) const UNCHANGED: EpochChange<'static> = EpochChange {
    group_info: b"next",
    removed: Vec::new(),
    welcome: None,
};

pub(super) fn entry(sender: u8, number: u8, epoch: u64) -> NewEntry<'static> {
    NewEntry {
        group: GROUP,
        sender: device(sender),
        request: request(number),
        submission: Submission {
            body_hash: [number; 32],
            epoch: Epoch(epoch),
            basis: None,
            joins: false,
        },
        accepted: NOW,
        message: b"message",
        effect: Effect::Application,
    }
}

fn commit<'a>(sender: u8, number: u8, epoch: u64, change: &'a EpochChange<'a>) -> NewEntry<'a> {
    NewEntry {
        effect: Effect::Commit {
            delta: b"delta",
            change,
        },
        ..entry(sender, number, epoch)
    }
}

pub(super) fn all() -> Page {
    Page {
        after: Sequence(0),
        up_to: Sequence(u64::MAX >> 1),
        entries: usize::from(u16::MAX),
        bytes: usize::MAX >> 1,
    }
}

fn the_first_identity_stays(store: &dyn Store) {
    let of = |byte: u8| Identity {
        server_name: format!("name{byte}"),
        secret: [byte; 32],
    };
    for byte in [1, 2] {
        assert!(store.identity(&of(byte)).unwrap() == of(1));
    }
}

fn names_and_devices_have_one_owner(store: &dyn Store) {
    let register = |certificate| store.register(&certificate).unwrap();
    assert_eq!(register(certify("alice@here", 1, 9)), Registered::Done);
    assert_eq!(register(certify("alice@here", 1, 9)), Registered::Done);
    assert_eq!(register(certify("alice@here", 2, 9)), Registered::Done);
    assert_eq!(register(certify("alice@here", 3, 8)), Registered::NameTaken);
    assert_eq!(register(certify("bob@here", 1, 8)), Registered::DeviceTaken);
    // Nothing of what was refused has stayed.
    assert_eq!(store.device(device(3)).unwrap(), None);
    assert_eq!(register(certify("bob@here", 3, 7)), Registered::Done);
    let known = store.device(device(1)).unwrap().unwrap();
    assert!(known.is_of(&certify("alice@here", 1, 9)));
}

fn a_registration_code_lets_one_device_in(store: &dyn Store) {
    let (code, late) = ([1; 32], [2; 32]);
    let put = |code, expires, now| {
        let (expires, now) = (UnixMillis(expires), UnixMillis(now));
        store.put_registration_code(code, expires, now).unwrap();
    };
    put(&code, 100, 0);
    put(&late, 50, 0);
    let register = |certificate, code, now| {
        store
            .register_with_code(&certificate, code, UnixMillis(now))
            .unwrap()
    };
    let alice = || certify("alice@here", 1, 9);
    assert_eq!(register(alice(), &[3; 32], 60), Registered::CodeRefused);
    assert_eq!(register(alice(), &late, 60), Registered::CodeRefused);
    assert_eq!(store.device(device(1)).unwrap(), None);
    assert_eq!(register(alice(), &code, 60), Registered::Done);
    // The same again is no second use, and a refusal for another reason is none either.
    assert_eq!(register(alice(), &code, 60), Registered::Done);
    let bob = || certify("bob@here", 2, 8);
    assert_eq!(register(bob(), &code, 60), Registered::CodeRefused);
    put(&code, 200, 100);
    let impostor = certify("alice@here", 3, 7);
    assert_eq!(register(impostor, &code, 200), Registered::NameTaken);
    assert_eq!(register(bob(), &code, 200), Registered::Done);
}

fn package(number: u8) -> StockedKeyPackage {
    StockedKeyPackage {
        reference: vec![number],
        expires_seconds: 1000,
        message: vec![number; 9],
    }
}

fn publish(store: &dyn Store, packages: &[StockedKeyPackage]) -> Published {
    let published = store.publish_key_packages(device(1), packages, None, UnixMillis(0));
    published.unwrap()
}

fn take(store: &dyn Store, taker: u8, number: u8, usable_until_seconds: u64) -> Vec<Vec<u8>> {
    let user: UserId = "user1@here".parse().unwrap();
    let take = Take {
        taker: device(taker),
        request: request(number),
        user: &user,
        usable_until_seconds,
        now: NOW,
    };
    match store.take_key_packages(&take).unwrap() {
        Taken::Packages { packages, .. } => packages,
        other => panic!("{other:?}"),
    }
}

fn a_key_package_is_handed_out_once(store: &dyn Store) {
    register(store, 1);
    let stock: Vec<_> = (0..32).map(package).collect();
    assert_eq!(publish(store, &stock), Published::Stock(32));
    let barrier = Barrier::new(8);
    let taken: Vec<Vec<u8>> = thread::scope(|scope| {
        let takers: Vec<_> = (0..8)
            .map(|taker| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    let once = (0..5).flat_map(|number| take(store, taker, number, 0));
                    once.collect::<Vec<_>>()
                })
            })
            .collect();
        let taken = takers.into_iter().flat_map(|taker| taker.join().unwrap());
        taken.collect()
    });
    assert_eq!(taken.len(), 32, "eight takers ask for forty");
    assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 32);

    // Asking again under the same id takes nothing more, and publishing again brings nothing back.
    let again = take(store, 0, 0, 0);
    assert!(again.iter().all(|message| taken.contains(message)));
    assert_eq!(publish(store, &stock), Published::Stock(0));
    assert!(take(store, 9, 0, 0).is_empty());

    let last = StockedKeyPackage {
        message: b"last".to_vec(),
        ..package(99)
    };
    let published = store.publish_key_packages(device(1), &[], Some(&last), UnixMillis(0));
    assert_eq!(published.unwrap(), Published::Stock(0));
    for number in [0, 1] {
        assert_eq!(take(store, 9, number, 0), [b"last"]);
    }
    assert!(take(store, 9, 2, 1001).is_empty(), "it lives too short");
    assert_eq!(publish(store, &[package(50)]), Published::Stock(1));
    assert_eq!(take(store, 9, 3, 0), [package(50).message]);
    assert_eq!(take(store, 9, 1, 0), [b"last"], "as before");
    let unknown: UserId = "nobody@here".parse().unwrap();
    let take = Take {
        taker: device(1),
        request: request(1),
        user: &unknown,
        usable_until_seconds: 0,
        now: NOW,
    };
    assert_eq!(store.take_key_packages(&take).unwrap(), Taken::UnknownUser);
}

fn a_stock_is_bounded_and_fresh(store: &dyn Store) {
    register(store, 1);
    let most = u8::try_from(limits::KEY_PACKAGES_MAX).unwrap();
    let stock: Vec<_> = (1..most).map(package).collect();
    assert_eq!(
        publish(store, &stock),
        Published::Stock(usize::from(most) - 1)
    );
    let two = [package(201), package(202)];
    assert_eq!(publish(store, &two), Published::Full);
    let twice = [package(201), package(201)];
    assert_eq!(publish(store, &twice), Published::Stock(usize::from(most)));
    assert!(take(store, 1, 1, 1001).is_empty(), "all live too short");
    let late = StockedKeyPackage {
        expires_seconds: 5000,
        ..package(203)
    };
    let now = UnixMillis(2_000_000);
    let published = store.publish_key_packages(device(1), std::slice::from_ref(&late), None, now);
    assert_eq!(
        published.unwrap(),
        Published::Stock(1),
        "the others expired"
    );
    assert_eq!(take(store, 1, 2, 1001), [late.message]);
}

fn one_of_many_commits_wins_each_epoch(store: &dyn Store) {
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
pub(super) fn check_log(store: &dyn Store, current: Epoch) {
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

fn a_commit_brings_everything_or_nothing(store: &dyn Store) {
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

fn deltas_last_until_the_snapshot_that_holds_them(store: &dyn Store) {
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

fn a_report_is_an_entry_that_changes_nothing(store: &dyn Store) {
    found(store, 3);
    let reporters = || store.reporters(GROUP).unwrap();
    for number in [3, 2] {
        let report = NewEntry {
            effect: Effect::Report,
            ..entry(number, number, 1)
        };
        store.append(&report).unwrap();
    }
    assert_eq!(reporters(), [device(3), device(2)]);
    let (head, _) = store.access(GROUP, device(1)).unwrap().unwrap();
    let head = (head.epoch, head.sequence, head.handshake);
    assert_eq!(head, (Epoch(1), Sequence(3), Sequence(1)));
    let log = store.read_log(GROUP, all()).unwrap();
    assert_eq!(log[2].kind, EntryKind::Report);
    store.append(&commit(1, 9, 1, &UNCHANGED)).unwrap();
    assert_eq!(reporters(), [], "another epoch");
}

fn pages_are_bounded(store: &dyn Store) {
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
