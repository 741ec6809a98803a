//! A user's devices: linking another one, and revoking it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/table.rs"]
mod table;

use conclave_client::{
    ClientError, EntryKind, GroupId, Registration,
    session::{Call, Database, Rejection, Session, State},
};
use table::Table;

const PHONE: usize = 0;
const BOB: usize = 1;

fn at() -> Registration {
    Registration::at("http://here")
}

/// Alice's phone, Bob, and a tablet that the phone has linked.
fn with_tablet() -> (Table, GroupId, usize) {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    table.send(BOB, group, "before");
    table.settle();
    let tablet = link(&mut table, PHONE);
    table.settle();
    (table, group, tablet)
}

fn link(table: &mut Table, old: usize) -> usize {
    table.link(old, Session::link).unwrap()
}

#[test]
fn a_linked_device_comes_into_all_groups_and_new_ones() {
    let (mut table, group, tablet) = with_tablet();
    table.assert_agreement(group, &[PHONE, BOB, tablet]);
    table.assert_all_heard(group, &[PHONE, BOB, tablet]);
    assert!(!table.texts(tablet, group).contains(&"before".to_owned()));
    let name = table.session(tablet).group(group).unwrap().unwrap().name;
    assert_eq!(name.as_deref(), Some("club"));
    assert_eq!(table.session(PHONE).devices().unwrap().len(), 2);

    // Who adds the user later adds both.
    let now = table.now;
    let (other, _) = table.session(BOB).create_group("other", now).unwrap();
    let alice = table.session(PHONE).user().clone();
    table.session(BOB).add(other, &[alice]).unwrap();
    table.settle();
    table.assert_agreement(other, &[PHONE, BOB, tablet]);
    // The tablet can't certify.
    let code = Session::begin_link(&Database::in_memory().unwrap(), &table.seed()).unwrap();
    let refused = table.session(tablet).link(&code, now);
    assert!(matches!(refused, Err(ClientError::NoIdentityKey)));
}

#[test]
fn linking_survives_the_end_of_either_program() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    let tablet = link(&mut table, PHONE);
    for step in 0..24 {
        table.crash(if step % 2 == 0 { PHONE } else { tablet });
        for seat in [PHONE, tablet] {
            table.step(seat, |_, answer| answer);
        }
        table.now = table.now.after(std::time::Duration::from_millis(100));
    }
    table.settle();
    table.assert_agreement(group, &[PHONE, BOB, tablet]);
    table.assert_all_heard(group, &[PHONE, BOB, tablet]);
}

#[test]
fn a_revoked_device_is_gone_and_stays_gone() {
    let (mut table, group, tablet) = with_tablet();
    let device = table.session(tablet).device();
    let backup = table.copy(tablet);
    table.session(PHONE).revoke(device).unwrap();
    assert!(matches!(
        table.session(PHONE).revoke(device),
        Err(ClientError::UnknownDevice)
    ));
    // It is offline meanwhile.
    table.seats.truncate(tablet);
    table.settle();
    table.assert_agreement(group, &[PHONE, BOB]);
    assert_eq!(table.session(PHONE).devices().unwrap().len(), 1);

    // Neither what it kept nor its certificate brings it back.
    let seat = table.seat(backup);
    table.seats.push(seat);
    for _ in 0..40 {
        table.step(tablet, |_, answer| answer);
        table.now = table.now.after(std::time::Duration::from_secs(60));
    }
    assert_ne!(
        table.session(tablet).state(group).unwrap(),
        Some(State::Operational)
    );
    table.seats.truncate(tablet);
    table.settle();
    table.assert_agreement(group, &[PHONE, BOB]);
    table.assert_all_heard(group, &[PHONE, BOB]);
    let removed = table.history(BOB, group).into_iter();
    assert!(removed.filter(|it| it.kind == EntryKind::Rejoined).count() == 0);
}

#[test]
fn others_remove_a_revoked_device_from_groups_that_the_revoker_is_not_in() {
    let (mut table, _, tablet) = with_tablet();
    let (phone, device) = (
        table.session(PHONE).device(),
        table.session(tablet).device(),
    );
    // In a group of Bob's: whose owner Alice is, he could not put out a device of hers.
    let now = table.now;
    let (group, _) = table.session(BOB).create_group("bob's", now).unwrap();
    let alice = table.session(PHONE).user().clone();
    table.session(BOB).add(group, &[alice]).unwrap();
    table.settle();
    // The phone leaves the club; the tablet stays.
    table.session(PHONE).leave(group).unwrap();
    table.settle();
    table.assert_agreement(group, &[BOB, tablet]);
    assert_ne!(phone, device);
    table.session(PHONE).revoke(device).unwrap();
    table.seats.truncate(tablet);
    table.settle();
    table.assert_agreement(group, &[BOB]);
}

#[test]
fn who_left_and_fell_behind_comes_back_only_to_leave() {
    let (mut table, group, tablet) = with_tablet();
    table.session(PHONE).leave(group).unwrap();
    for number in 0..30 {
        table.send(BOB, group, &number.to_string());
    }
    let (mut has_left, mut is_late) = (false, true);
    table.settle_with(|seat, call, answer| {
        if seat != PHONE {
            return answer;
        }
        match call {
            Call::Submit(_) => has_left = true,
            // What follows its wish to leave is gone before it could be read.
            Call::ReadLog(_) if has_left && is_late => return Err(Rejection::TooLate),
            Call::FetchGroupInfo(_) => is_late = false,
            _ => {}
        }
        answer
    });
    assert_eq!(table.resyncs(PHONE), 1);
    table.assert_agreement(group, &[BOB, tablet]);
    assert_eq!(
        table.session(PHONE).state(group).unwrap(),
        Some(State::Removed)
    );
}

#[test]
fn what_is_given_up_keeps_its_reason() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    let nobody = "nobody@here".parse().unwrap();
    let intents = table.session(0).add(group, &[nobody]).unwrap();
    table.settle();
    let given_up = table.session(0).given_up(group).unwrap();
    assert_eq!(given_up.len(), 1);
    assert!(given_up[0].0 == intents[0] && given_up[0].1.contains("nobody"));
    table.session(0).take_outcome(intents[0]).unwrap();
    assert!(table.session(0).given_up(group).unwrap().is_empty());
}

#[test]
fn codes_are_for_the_device_that_showed_them() {
    let (mut table, _) = Table::with(&["alice"]);
    let now = table.now;
    let mine = Database::in_memory().unwrap();
    let theirs = Database::in_memory().unwrap();
    let code = Session::begin_link(&mine, &table.seed()).unwrap();
    Session::begin_link(&theirs, &table.seed()).unwrap();
    let answer = table.session(0).link(&code, now).unwrap();
    let seed = table.seed();
    let refused = Session::finish_link(theirs, &at(), &answer, &seed);
    assert!(matches!(refused, Err(ClientError::LinkCode)));
    let refused = table.session(0).link(&answer, now);
    assert!(matches!(refused, Err(ClientError::LinkCode)));
    assert!(Session::finish_link(mine, &at(), &answer, &seed).is_ok());
}
