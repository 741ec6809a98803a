//! Device lists, and what is left of devices that are no more.

use std::collections::BTreeSet;

use conclave_protocol::{DeviceList, Sequence, SigningKey, limits::DEVICES_PER_USER_MAX};

use super::{
    super::{Effect, EpochChange, Going, Listed, NewEntry, Registered, Store},
    GROUP, NOW, UNCHANGED, adding, certify, commit, device, entry, found, package, publish,
    register, take,
};
use crate::ordering::Verdict;

/// User 1's list, which the key of `identity` signs.
pub(super) fn list(version: u64, devices: &[u8], identity: u8) -> DeviceList {
    let key = |number| SigningKey::from_seed(&[number; 32]);
    let listed = devices
        .iter()
        .map(|number| (device(*number), key(*number).verifying_key()));
    let user = "user1@here".parse().unwrap();
    DeviceList::issue(user, version, listed, &key(identity)).unwrap()
}

/// The devices that a list that counts ended, by their numbers.
fn ended(listed: Listed) -> Vec<u8> {
    match listed {
        Listed::Done(departure) => {
            let numbers = departure.devices.iter().map(|id| id.as_bytes()[0]);
            numbers.collect()
        }
        other => panic!("{other:?}"),
    }
}

pub(super) fn only_the_newest_list_says_who_is_registered(store: &dyn Store) {
    let put = |list: &DeviceList| store.put_device_list(list).unwrap();
    assert_eq!(put(&list(1, &[1], 101)), Listed::UnknownUser);
    register(store, 2);
    let of_user_1 = |number| store.register(&certify("user1@here", number, 101)).unwrap();
    assert_eq!(of_user_1(8), Registered::Done);
    assert_eq!(put(&list(1, &[1], 99)), Listed::UnknownUser, "another key");
    let user = "user1@here".parse().unwrap();
    assert_eq!(store.device_list(&user).unwrap(), None);

    // Devices 1, 8 and one to come; then 8 is revoked.
    let first = list(3, &[1, 8, 9], 101);
    assert_eq!(ended(put(&first)), [0; 0]);
    assert_eq!(ended(put(&first)), [0; 0], "the same again");
    assert_eq!(put(&list(3, &[1], 101)), Listed::Stale(3));
    assert_eq!(put(&list(2, &[1], 101)), Listed::Stale(3));
    assert_eq!(store.device_list(&user).unwrap(), Some(first.to_bytes()));
    assert_eq!(of_user_1(9), Registered::Done);
    assert_eq!(of_user_1(7), Registered::Unlisted);
    publish(store, &[package(1)]);
    assert_eq!(ended(put(&list(4, &[1, 7], 101))), [8, 9]);
    for number in [8, 9] {
        assert_eq!(store.device(device(number)).unwrap(), None);
        assert_eq!(of_user_1(number), Registered::Unlisted);
    }
    assert_eq!(of_user_1(7), Registered::Done);
    assert_eq!(take(store, 2, 1, 0).len(), 1, "the others stay as they are");

    // A list names keys, not only ids.
    let other_key = SigningKey::from_seed(&[55; 32]).verifying_key();
    let identity = SigningKey::from_seed(&[101; 32]);
    let renamed = DeviceList::issue(user.clone(), 5, [(device(1), other_key)], &identity);
    assert_eq!(ended(put(&renamed.unwrap())), [1, 7]);
    assert_eq!(of_user_1(1), Registered::Unlisted);
    // With its user a list is gone.
    store.delete_user(&user).unwrap();
    assert_eq!(store.device_list(&user).unwrap(), None);
    assert_eq!(of_user_1(1), Registered::Done);
}

pub(super) fn a_user_has_only_so_many_devices(store: &dyn Store) {
    let most = u8::try_from(DEVICES_PER_USER_MAX).unwrap();
    let of_user = |number| store.register(&certify("user@here", number, 200)).unwrap();
    for number in 1..=most {
        assert_eq!(of_user(number), Registered::Done);
    }
    assert_eq!(of_user(most + 1), Registered::TooMany);
    assert_eq!(of_user(most), Registered::Done, "the same again");
    store.delete_device(device(1)).unwrap();
    assert_eq!(of_user(most + 1), Registered::Done);
}

pub(super) fn leaves_of_deleted_devices_wait_to_be_removed(store: &dyn Store) {
    found(store, 4);
    let going = || store.going(GROUP).unwrap();
    let departed = |numbers: &[u8]| Going {
        leaving: Vec::new(),
        departed: numbers.iter().map(|number| device(*number)).collect(),
    };
    assert_eq!(going(), Going::default());
    let groups = store.delete_device(device(3)).unwrap().groups;
    assert_eq!(groups, BTreeSet::from([GROUP]));
    store.delete_device(device(2)).unwrap();
    assert_eq!(going(), departed(&[2, 3]));

    // Another device of the same user comes in, until the leaf is gone; no user of that name does.
    store.register(&certify("user2@here", 9, 102)).unwrap();
    store.register(&certify("user3@here", 8, 103)).unwrap();
    let may_join = |number| {
        let entrance = store.entrance(GROUP, device(number), NOW).unwrap();
        entrance.unwrap().may_join
    };
    assert!(may_join(9) && may_join(8));
    let groups_of = |user: &str| store.groups_of_user(&user.parse().unwrap()).unwrap();
    assert_eq!(
        groups_of("user2@here"),
        [GROUP],
        "by the leaf of a deleted one"
    );
    assert_eq!(groups_of("user1@here"), [GROUP]);
    store.delete_user(&"user3@here".parse().unwrap()).unwrap();
    store.register(&certify("user3@here", 8, 55)).unwrap();
    assert!(!may_join(8), "another person of that name");
    assert_eq!(groups_of("user3@here"), []);
    assert_eq!(going(), departed(&[2, 3]));

    let removal = |number| EpochChange {
        removed: vec![device(number)],
        ..UNCHANGED
    };
    store.append(&commit(1, 1, 1, &removal(2))).unwrap();
    assert_eq!(going(), departed(&[3]));
    assert!(!may_join(9), "nobody of theirs is there");
    assert_eq!(groups_of("user2@here"), []);

    // A device that is deleted between the check of the Commit that adds it and its acceptance.
    let late = adding([device(99)].into_iter());
    store.append(&commit(1, 2, 2, &late)).unwrap();
    assert_eq!(going(), departed(&[3, 99]));
    let proposal = NewEntry {
        effect: Effect::Proposal { delta: b"leave" },
        ..entry(4, 3, 3)
    };
    store.append(&proposal).unwrap();
    assert_eq!(going().leaving, [device(4)]);
    let verdict = store.append(&commit(1, 4, 3, &removal(4))).unwrap();
    assert_eq!(verdict, Verdict::Accept(Sequence(5)));
    assert_eq!(
        going(),
        departed(&[3, 99]),
        "a new epoch, and nobody is leaving"
    );
}
