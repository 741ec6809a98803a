//! A revoked device can't come back: what members see to by themselves, should the service hand on what
//! it ought to refuse.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/table.rs"]
mod table;

use std::{slice, time::Duration};

use conclave_client::{
    EntryKind, GroupId, Role,
    session::{Call, Hint, Reply, Session},
};
use conclave_rpc::v1::{self, submit_request::Body};
use table::{Answer, Table};

const PHONE: usize = 0;
const BOB: usize = 1;
const TABLET: usize = 2;

fn with_tablet() -> (Table, GroupId) {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    table.link(PHONE, Session::link).unwrap();
    table.settle();
    table.assert_agreement(group, &[PHONE, BOB, TABLET]);
    (table, group)
}

/// The phone revokes the tablet, and says so to the service and to nobody else yet.
fn revoke_tablet(table: &mut Table) {
    let tablet = table.session(TABLET).device();
    table.session(PHONE).revoke(tablet).unwrap();
    let mut is_published = false;
    while !is_published {
        table.step(PHONE, |call, answer| {
            is_published |= matches!(call, Call::PublishDeviceList(_));
            answer
        });
    }
}

/// Says nothing of devices that were deleted.
fn hide_departures(answer: Answer) -> Answer {
    match answer {
        Ok(Reply::ReadLog(mut page)) => {
            page.departed_device_ids.clear();
            Ok(Reply::ReadLog(page))
        }
        other => other,
    }
}

/// What a service that takes the tablet's side would answer, where it gives the Commit a chance.
fn encourage(call: &Call, kept: &Answer, answer: Answer) -> Answer {
    match call {
        Call::CheckInstance(asked) => {
            let state = match asked.start_over {
                true => v1::InstanceState::Same,
                false => v1::InstanceState::Behind,
            };
            Ok(Reply::CheckInstance(v1::CheckInstanceResponse {
                state: state.into(),
                group_ids: Vec::new(),
            }))
        }
        Call::FetchDeviceLists(asked) => {
            let lists = asked.users.iter().map(|user| v1::UserDeviceList {
                user: user.clone(),
                ..v1::UserDeviceList::default()
            });
            Ok(Reply::FetchDeviceLists(v1::FetchDeviceListsResponse {
                users: lists.collect(),
            }))
        }
        Call::ReadMailbox(_) => Ok(Reply::ReadMailbox(v1::ReadMailboxResponse::default())),
        Call::PublishKeyPackages(_) => {
            let full = v1::PublishKeyPackagesResponse { stock: 32 };
            Ok(Reply::PublishKeyPackages(full))
        }
        Call::FetchGroupInfo(_) => {
            assert!(answer.is_err(), "the service gives it none");
            kept.clone()
        }
        _ => answer,
    }
}

/// The external Commit that the tablet makes of a GroupInfo it kept, which the service refuses.
fn commit_of(table: &mut Table, kept: &Answer) -> v1::CommitBundle {
    table.session(TABLET).hint(Hint::Connected).unwrap();
    let mut made = None;
    for _ in 0..100 {
        table.now = table.now.after(Duration::from_secs(1));
        table.step(TABLET, |call, answer| {
            if let Call::Submit(request) = call {
                assert!(answer.is_err(), "the service takes it");
                made.clone_from(&request.body);
            }
            encourage(call, kept, answer)
        });
        if let Some(Body::Commit(bundle)) = made {
            return bundle;
        }
    }
    panic!("the tablet makes no Commit");
}

#[test]
fn an_external_commit_of_a_kept_groupinfo_is_refused_by_members_too() {
    let (mut table, group) = with_tablet();
    let group_id = group.as_bytes().to_vec().into();
    let kept = table.ask(
        TABLET,
        &Call::FetchGroupInfo(v1::FetchGroupInfoRequest { group_id }),
    );
    assert!(kept.is_ok());
    revoke_tablet(&mut table);
    let commit = commit_of(&mut table, &kept).commit;
    let tablet = table.session(TABLET).device();

    // Bob has met Alice's newest list, as by adding her somewhere.
    let (now, alice) = (table.now, table.session(PHONE).user().clone());
    let (met, _) = table.session(BOB).create_group("met", now).unwrap();
    table.session(BOB).add(met, &[alice]).unwrap();
    while table.step(BOB, |_, answer| hide_departures(answer)) {}

    // The service lies: the Commit is in the log.
    let epoch = table.session(BOB).epoch(group).unwrap();
    let accepted_millis = table.now.0;
    let mut seen = 0;
    table.session(BOB).hint(Hint::Connected).unwrap();
    for _ in 0..100 {
        table.now = table.now.after(Duration::from_secs(1));
        table.step(BOB, |call, answer| match (call, hide_departures(answer)) {
            (Call::ReadLog(asked), Ok(Reply::ReadLog(mut page)))
                if page.entries.is_empty() && asked.group_id[..] == group.as_bytes()[..] =>
            {
                seen += 1;
                page.readable_sequence = asked.after_sequence + 1;
                page.entries.push(v1::LogEntry {
                    sequence: asked.after_sequence + 1,
                    epoch: page.current_epoch,
                    accepted_millis,
                    sender_device_id: tablet.as_bytes().to_vec().into(),
                    kind: v1::EntryKind::Commit.into(),
                    message: commit.clone(),
                    ..v1::LogEntry::default()
                });
                Ok(Reply::ReadLog(page))
            }
            (_, answer) => answer,
        });
    }
    assert!(
        seen > 1,
        "read again with the newest list, and refused again"
    );
    assert_eq!(table.session(BOB).epoch(group).unwrap(), epoch);

    // With the true log all goes on, and the tablet is put out.
    table.seats.truncate(TABLET);
    table.settle();
    table.assert_agreement(group, &[PHONE, BOB]);
    table.assert_all_heard(group, &[PHONE, BOB]);
}

#[test]
fn a_kept_certificate_adds_nobody_whatever_the_service_hands_out() {
    let (mut table, _) = with_tablet();
    let alice = table.session(PHONE).user().clone();
    let ask = v1::TakeKeyPackagesRequest {
        request_id: vec![7; 16].into(),
        users: vec![alice.to_string()],
    };
    let Ok(Reply::TakeKeyPackages(kept)) = table.ask(BOB, &Call::TakeKeyPackages(ask)) else {
        panic!("no KeyPackages");
    };
    revoke_tablet(&mut table);
    table.seats.truncate(TABLET);
    // What Bob asked for before is taken to be the newest for a while.
    table.now = table.now.after(Duration::from_mins(2));
    table.settle();
    let now = table.now;
    let (group, _) = table.session(BOB).create_group("new", now).unwrap();
    table
        .session(BOB)
        .add(group, slice::from_ref(&alice))
        .unwrap();
    let mut lies = 0;
    table.settle_with(|seat, call, answer| {
        if let (BOB, Call::TakeKeyPackages(_)) = (seat, call) {
            lies += 1;
            return Ok(Reply::TakeKeyPackages(kept.clone()));
        }
        answer
    });
    assert_eq!((kept.users[0].key_packages.len(), lies), (2, 1));
    table.assert_agreement(group, &[PHONE, BOB]);
}

#[test]
fn who_joins_puts_out_a_device_that_no_newest_list_names() {
    let (mut table, club) = with_tablet();
    let alice = table.session(PHONE).user().clone();
    // Devices of an owner are for owners to put out.
    let bob = table.session(BOB).user().clone();
    for (user, role) in [(&bob, Role::Owner), (&alice, Role::Member)] {
        table.session(PHONE).set_role(club, user, role).unwrap();
        table.settle();
    }
    table.session(PHONE).leave(club).unwrap();
    table.settle();
    table.assert_agreement(club, &[BOB, TABLET]);
    let tablet = table.session(TABLET).device();
    table.session(PHONE).revoke(tablet).unwrap();
    table.seats.truncate(TABLET);
    // The service does not tell of it, and Bob has no reason to ask.
    let hides = |_: usize, _: &Call, answer: Answer| hide_departures(answer);
    let carol = table.sit_down("carol");
    table.settle_with(hides);
    assert_eq!(table.session(BOB).members(club).unwrap().len(), 2);

    // Carol knows Alice, and then comes to where the tablet still is.
    let now = table.now;
    let (met, _) = table.session(carol).create_group("met", now).unwrap();
    table.session(carol).add(met, &[alice]).unwrap();
    table.settle_with(hides);
    let user = table.session(carol).user().clone();
    table.session(BOB).add(club, &[user]).unwrap();
    table.settle_with(hides);
    table.assert_agreement(club, &[BOB, carol]);
    let history = table.history(carol, club).into_iter();
    let expelled = |kind: &EntryKind| matches!(kind, EntryKind::Expelled(of) if of.len() == 1);
    assert_eq!(history.filter(|it| expelled(&it.kind)).count(), 1);
    table.assert_all_heard(club, &[BOB, carol]);
}
