//! What every store has to do. Each test runs on each backend.

mod devices;
mod franks;
mod instances;
mod keeping;
mod log;
mod members;
mod model;
mod moderation;
mod people;

use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceClaims, DeviceId, Epoch, GroupId, RequestId, Sequence,
    SigningKey, UnixMillis, UserId, limits,
};

use super::{
    Effect, EpochChange, MemoryStore, NewEntry, NewGroup, NewWelcome, Page, Published, Registered,
    SqliteStore, StockedKeyPackage, Store, Take, Taken,
};
use crate::ordering::{Submission, Verdict};
use devices::{
    a_user_has_only_so_many_devices, leaves_of_deleted_devices_wait_to_be_removed,
    only_the_newest_list_says_who_is_registered,
};
use franks::each_stamped_message_is_proved_by_its_frank;
use instances::a_state_is_told_from_its_copies;
use keeping::{
    a_blob_is_there_once_it_is_whole_until_it_expires, a_device_s_old_records_go,
    a_tree_is_kept_until_its_last_joiner_has_it, old_entries_go_and_nothing_that_is_needed,
};
use log::{
    a_commit_brings_everything_or_nothing, deltas_last_until_the_snapshot_that_holds_them,
    one_of_many_commits_wins_each_epoch, pages_are_bounded,
    reports_and_votes_are_entries_that_change_nothing,
};
use members::{
    an_invitation_is_for_the_first_who_asks_once,
    notices_are_bounded_and_two_about_the_same_are_one, one_user_takes_only_so_many_of_a_device,
    what_is_deleted_is_gone_and_the_rest_stays, what_waits_in_an_epoch_is_given_to_who_comes_in,
};
use moderation::{
    a_message_is_reported_once_by_each, a_request_of_a_moderator_is_known_again,
    open_reports_are_bounded_and_decided_ones_go_in_time,
    the_audit_log_has_no_gaps_and_tells_whom_it_is_about,
    what_a_deleted_device_read_its_user_may_report, what_was_done_about_a_report_is_found_by_it,
};
use people::{
    a_key_package_is_handed_out_once, a_registration_code_lets_one_user_in,
    a_stock_is_bounded_and_fresh, names_and_devices_have_one_owner, the_first_identity_stays,
};

pub(super) use log::check_log;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
pub(crate) const GROUP: GroupId = GroupId::from_bytes([7; 16]);

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
    a_registration_code_lets_one_user_in,
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
    each_stamped_message_is_proved_by_its_frank,
    reports_and_votes_are_entries_that_change_nothing,
    notices_are_bounded_and_two_about_the_same_are_one,
    an_invitation_is_for_the_first_who_asks_once,
    what_waits_in_an_epoch_is_given_to_who_comes_in,
    one_user_takes_only_so_many_of_a_device,
    what_is_deleted_is_gone_and_the_rest_stays,
    old_entries_go_and_nothing_that_is_needed,
    a_tree_is_kept_until_its_last_joiner_has_it,
    a_device_s_old_records_go,
    a_blob_is_there_once_it_is_whole_until_it_expires,
    a_message_is_reported_once_by_each,
    open_reports_are_bounded_and_decided_ones_go_in_time,
    the_audit_log_has_no_gaps_and_tells_whom_it_is_about,
    what_was_done_about_a_report_is_found_by_it,
    a_request_of_a_moderator_is_known_again,
    what_a_deleted_device_read_its_user_may_report,
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
pub(crate) fn found(store: &dyn Store, members: u8) {
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

pub(crate) fn entry(sender: u8, number: u8, epoch: u64) -> NewEntry<'static> {
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
        stamp: None,
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
