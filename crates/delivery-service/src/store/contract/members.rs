//! Notices, invitations, external joins and deletions.

use std::collections::BTreeSet;

use conclave_protocol::{DeviceId, Sequence, UnixMillis};

use super::{
    super::{
        EpochChange, GroupDeletion, Invitation, Mail, NewEntry, NewInvitation, Notice, Notified,
        Range, Store, Take, Taken,
    },
    GROUP, NOW, UNCHANGED, adding, certify, commit, device, entry, found, package, publish,
    register, request,
};
use crate::{
    limits::{INVITATIONS_PER_GROUP_MAX, NOTICES_PER_DEVICE_MAX, TAKES_PER_REQUESTER_MAX},
    ordering::Verdict,
};

const LATER: UnixMillis = UnixMillis(NOW.0 + 1000);

fn notices(store: &dyn Store, number: u8) -> Vec<Notice> {
    let items = store.read_mailbox(device(number), 0, 999).unwrap();
    let notices = items.into_iter().filter_map(|item| match item.mail {
        Mail::Notice(notice) => Some(notice),
        Mail::Welcome(_) => None,
    });
    notices.collect()
}

fn intent(number: usize) -> Notice {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    Notice::Intent {
        group: GROUP,
        sender: device(1),
        request: conclave_protocol::RequestId::from_bytes(id),
        intent: b"intent".to_vec(),
    }
}

pub(super) fn notices_are_bounded_and_two_about_the_same_are_one(store: &dyn Store) {
    found(store, 2);
    let asked = Notice::InvitationAsked {
        group: GROUP,
        token_hash: [4; 32],
        asker: device(1),
        user: "user1@here".parse().unwrap(),
    };
    let approved = Notice::InvitationApproved {
        group: GROUP,
        token_hash: [4; 32],
    };
    let low = |stock, last_resort_used| Notice::KeyPackagesLow {
        stock,
        last_resort_used,
    };
    let notify = |notice: &Notice| store.notify(device(2), notice).unwrap();
    for notice in [
        &low(3, false),
        &asked,
        &intent(0),
        &approved,
        &asked,
        &low(0, true),
    ] {
        assert_eq!(notify(notice), Notified::Done);
    }
    // The later one counts, and stands where it came.
    let waiting = [intent(0), approved, asked, low(0, true)];
    assert_eq!(notices(store, 2), waiting);
    let first = store.read_mailbox(device(2), 0, 2).unwrap();
    assert!(matches!(first[0].mail, Mail::Welcome(_)));
    store
        .acknowledge_mailbox(device(2), first[1].cursor)
        .unwrap();
    assert_eq!(notices(store, 2), waiting[1..]);
    for number in 1..=NOTICES_PER_DEVICE_MAX - 3 {
        assert_eq!(notify(&intent(number)), Notified::Done);
    }
    assert_eq!(notify(&intent(9999)), Notified::Full);
    assert_eq!(notify(&intent(1)), Notified::Done, "in the place of itself");
    let nobody = store.notify(device(99), &intent(1)).unwrap();
    assert_eq!(nobody, Notified::NoSuchDevice);
}

pub(super) fn an_invitation_is_for_the_first_who_asks_once(store: &dyn Store) {
    found(store, 1);
    for number in [2, 3] {
        let certificate = certify(&format!("user{number}@here"), number, number + 100);
        store.register(&certificate).unwrap();
    }
    let hash = [7; 32];
    let new = NewInvitation {
        group: GROUP,
        token_hash: &hash,
        inviter: device(1),
        expires: LATER,
    };
    let redeem = |number, now| {
        store
            .redeem_invitation(GROUP, &hash, device(number), now)
            .unwrap()
    };
    let approve = |number, now| {
        let approved = store.approve_invitation(GROUP, &hash, device(number), b"word", now);
        approved.unwrap()
    };
    let may_join = |number, now| {
        let entrance = store.entrance(GROUP, device(number), now).unwrap().unwrap();
        assert_eq!(
            entrance.approval.is_some(),
            entrance.may_join && number != 1
        );
        entrance.may_join
    };
    assert_eq!(redeem(2, NOW), None);
    assert!(store.create_invitation(&new, NOW).unwrap());
    assert!(
        store.create_invitation(&new, NOW).unwrap(),
        "the same again"
    );
    assert!(!approve(2, NOW), "nobody asked");
    assert_eq!(redeem(2, UnixMillis(LATER.0 + 1)), None, "it has expired");
    let asked = Invitation {
        inviter: device(1),
        asker: Some(device(2)),
        approved: false,
    };
    assert_eq!(redeem(2, NOW), Some(asked));
    assert_eq!(redeem(3, NOW), Some(asked), "not for the second");
    assert!(!approve(3, NOW) && !may_join(2, NOW));
    assert!(approve(2, NOW) && may_join(2, NOW) && !may_join(3, NOW));
    assert!(!may_join(2, UnixMillis(LATER.0 + 1)), "it has expired");
    assert!(may_join(1, NOW), "a member comes back without one");

    let unchanged = UNCHANGED;
    let mut joining = commit(2, 1, 0, &unchanged);
    joining.submission.joins = true;
    let verdict = store.append(&joining).unwrap();
    assert_eq!(verdict, Verdict::Accept(Sequence(1)));
    assert_eq!(redeem(2, NOW), None, "it was good once");
    let change = EpochChange {
        removed: vec![device(2)],
        ..UNCHANGED
    };
    store.append(&commit(1, 2, 1, &change)).unwrap();
    let mut again = commit(2, 3, 2, &unchanged);
    again.submission.joins = true;
    assert_eq!(store.append(&again).unwrap(), Verdict::NotMember);
    let (_, ranges) = store.access(GROUP, device(2)).unwrap().unwrap();
    let range = Range {
        from: Sequence(1),
        to: Some(Sequence(2)),
    };
    assert_eq!(ranges, [range]);
    assert_eq!(store.memberships(device(2)).unwrap(), []);
    invitations_are_bounded(store, new);
}

fn invitations_are_bounded(store: &dyn Store, new: NewInvitation<'_>) {
    for number in 0..INVITATIONS_PER_GROUP_MAX {
        let mut token_hash = [1; 32];
        token_hash[..8].copy_from_slice(&number.to_be_bytes());
        let new = NewInvitation {
            token_hash: &token_hash,
            ..new
        };
        assert!(store.create_invitation(&new, NOW).unwrap());
    }
    assert!(!store.create_invitation(&new, NOW).unwrap(), "too many");
    let later = UnixMillis(LATER.0 + 1);
    assert!(
        store.create_invitation(&new, later).unwrap(),
        "the others expired"
    );
}

pub(super) fn what_waits_in_an_epoch_is_given_to_who_comes_in(store: &dyn Store) {
    found(store, 2);
    let entrance = |number| store.entrance(GROUP, device(number), NOW).unwrap().unwrap();
    assert_eq!(
        (entrance(1).group_info, entrance(1).proposals),
        (b"next".to_vec(), vec![])
    );
    let proposal = NewEntry {
        effect: super::super::Effect::Proposal { delta: b"leave" },
        ..entry(2, 2, 1)
    };
    store.append(&proposal).unwrap();
    store.append(&entry(1, 3, 1)).unwrap();
    assert_eq!(entrance(1).proposals, [b"message"]);
    assert_eq!(entrance(1).head.sequence, Sequence(3));
    // Another device of a member's user may come in, and the range that it had ends there.
    store.register(&certify("user1@here", 9, 101)).unwrap();
    assert!(entrance(9).may_join);
    let change = EpochChange {
        removed: vec![device(1)],
        ..UNCHANGED
    };
    let mut back = commit(1, 4, 1, &change);
    back.submission.joins = true;
    store.append(&back).unwrap();
    assert_eq!(entrance(1).proposals, Vec::<Vec<u8>>::new());
    let (_, ranges) = store.access(GROUP, device(1)).unwrap().unwrap();
    let places: Vec<_> = ranges
        .iter()
        .map(|range| (range.from.0, range.to))
        .collect();
    assert_eq!(places, [(1, Some(Sequence(4))), (4, None)]);
    assert_eq!(store.memberships(device(1)).unwrap(), [GROUP]);
}

pub(super) fn one_user_takes_only_so_many_of_a_device(store: &dyn Store) {
    register(store, 2);
    store.register(&certify("user2@here", 9, 102)).unwrap();
    let stock: Vec<_> = (0..100).map(package).collect();
    publish(store, &stock);
    let user = "user1@here".parse().unwrap();
    let take = |taker: u8, number: u8, now| {
        let take = Take {
            taker: device(taker),
            request: request(number),
            user: &user,
            usable_until_seconds: 0,
            now,
        };
        store.take_key_packages(&take).unwrap()
    };
    let most = u8::try_from(TAKES_PER_REQUESTER_MAX).unwrap();
    for number in 0..most {
        // Two devices of one user count together.
        let at = UnixMillis(NOW.0 + u64::from(number));
        let taken = take([2, 9][usize::from(number % 2)], number, at);
        assert!(matches!(taken, Taken::Packages { packages, .. } if packages.len() == 1));
    }
    let at = UnixMillis(NOW.0 + 100);
    let again = NOW.after(crate::limits::TAKES_WINDOW);
    assert_eq!(take(9, most, at), Taken::TooMany(again));
    assert!(
        matches!(take(2, 0, NOW), Taken::Packages { .. }),
        "what it took before"
    );
    assert!(
        matches!(take(1, 0, NOW), Taken::Packages { .. }),
        "somebody else"
    );
    let later = NOW.after(crate::limits::TAKES_WINDOW);
    assert!(matches!(take(9, most, later), Taken::Packages { .. }));
    assert_eq!(notices(store, 1), [], "the stock is not low");
    for number in 0..60 {
        take(
            1,
            number,
            NOW.after(crate::limits::TAKES_WINDOW * (u32::from(number) + 2)),
        );
    }
    let low = Notice::KeyPackagesLow {
        stock: 15,
        last_resort_used: false,
    };
    assert_eq!(notices(store, 1), [low]);
}

pub(super) fn what_is_deleted_is_gone_and_the_rest_stays(store: &dyn Store) {
    found(store, 3);
    store.register(&certify("user2@here", 9, 102)).unwrap();
    publish(store, &[package(1)]);
    store.notify(device(1), &intent(1)).unwrap();
    let others = || {
        let (head, ranges) = store.access(GROUP, device(3)).unwrap().unwrap();
        (head, ranges, store.read_mailbox(device(3), 0, 9).unwrap())
    };
    let before = others();
    let departure = store.delete_device(device(1)).unwrap();
    assert_eq!(departure.groups, BTreeSet::from([GROUP]));
    let again = store.delete_device(device(1)).unwrap();
    assert_eq!((again.devices, again.groups.len()), (vec![device(1)], 0));
    assert_eq!(store.device(device(1)).unwrap(), None);
    assert!(
        store
            .identity_key(&"user1@here".parse().unwrap())
            .unwrap()
            .is_some()
    );
    assert_eq!(store.append(&entry(1, 1, 1)).unwrap(), Verdict::NotMember);
    assert_eq!(store.read_mailbox(device(1), 0, 9).unwrap(), []);

    let gone = store.delete_user(&"user2@here".parse().unwrap()).unwrap();
    assert_eq!(gone.devices, [device(2), device(9)]);
    assert_eq!(
        store.identity_key(&"user2@here".parse().unwrap()).unwrap(),
        None
    );
    assert_eq!(others(), before);
    // The name is free again, for another key too.
    let registered = store.register(&certify("user2@here", 2, 55)).unwrap();
    assert_eq!(registered, super::Registered::Done);

    let delete = |number: u8| store.delete_group(GROUP, device(number)).unwrap();
    assert_eq!(delete(2), GroupDeletion::NotMember);
    let back = adding([device(2)].into_iter());
    store.append(&commit(3, 2, 1, &back)).unwrap();
    assert_eq!(delete(3), GroupDeletion::NotAlone);
    let removal = EpochChange {
        removed: vec![device(2)],
        ..UNCHANGED
    };
    store.append(&commit(3, 3, 2, &removal)).unwrap();
    assert_eq!(delete(3), GroupDeletion::Done);
    assert_eq!(delete(3), GroupDeletion::Unknown);
    let of = |device: DeviceId| store.read_mailbox(device, 0, 9).unwrap();
    assert_eq!((of(device(2)), of(device(3))), (vec![], vec![]));
    assert!(store.read_log(GROUP, super::all()).unwrap().is_empty());
    assert_eq!(store.snapshot(GROUP).unwrap(), None);
}
