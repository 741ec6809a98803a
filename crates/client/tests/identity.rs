//! Where a user's identity key lives: handed over to another device, written down, and used again by
//! who lost every device.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/table.rs"]
mod table;

use conclave_client::{
    ClientError, Event, GroupId, RecoveryPhrase, Registration,
    session::{Call, Database, Rejection, Session},
};
use table::Table;

const PHONE: usize = 0;
const BOB: usize = 1;

fn words(table: &mut Table, seat: usize) -> RecoveryPhrase {
    table.session(seat).recovery_phrase().unwrap()
}

/// Alice's phone, Bob, and a tablet that has Alice's identity key.
fn with_heir() -> (Table, GroupId, usize) {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    let tablet = table.link(PHONE, Session::link_with_identity).unwrap();
    table.settle();
    (table, group, tablet)
}

#[test]
fn a_device_that_has_the_identity_key_links_and_revokes_others() {
    let (mut table, group, tablet) = with_heir();
    assert_eq!(
        words(&mut table, tablet).words(),
        words(&mut table, PHONE).words()
    );
    let watch = table.link(tablet, Session::link).unwrap();
    table.settle();
    table.assert_agreement(group, &[PHONE, BOB, tablet, watch]);
    let refused = table.session(watch).recovery_phrase();
    assert!(matches!(refused, Err(ClientError::NoIdentityKey)));

    // The phone is lost.
    let phone = table.session(PHONE).device();
    table.session(tablet).revoke(phone).unwrap();
    table.seats.swap_remove(PHONE);
    let watch = PHONE;
    table.settle();
    table.assert_agreement(group, &[watch, BOB, tablet]);
    table.assert_all_heard(group, &[watch, BOB, tablet]);
}

#[test]
fn what_two_devices_change_at_the_same_time_meets_in_one_list() {
    let (mut table, group, tablet) = with_heir();
    let old = table.link(PHONE, Session::link).unwrap();
    table.settle();
    // Neither has heard of the other's change when it makes its own.
    let old_id = table.session(old).device();
    table.session(PHONE).revoke(old_id).unwrap();
    table.seats.truncate(old);
    let watch = table.link(tablet, Session::link).unwrap();
    let pager = table.link(PHONE, Session::link).unwrap();
    table.settle();
    let mut expected: Vec<_> = [PHONE, tablet, watch, pager]
        .map(|seat| table.session(seat).device())
        .into();
    expected.sort_unstable();
    for seat in [PHONE, tablet, watch, pager] {
        assert_eq!(table.session(seat).devices().unwrap(), expected);
    }
    table.assert_agreement(group, &[PHONE, BOB, tablet, watch, pager]);
}

#[test]
fn who_sees_code_and_answer_learns_no_identity_key() {
    let (mut table, _) = Table::with(&["alice"]);
    let (mine, theirs) = (
        Database::in_memory().unwrap(),
        Database::in_memory().unwrap(),
    );
    let code = Session::begin_link(&mine, &table.seed()).unwrap();
    Session::begin_link(&theirs, &table.seed()).unwrap();
    let now = table.now;
    let answer = table.session(PHONE).link_with_identity(&code, now).unwrap();
    let (at, seed) = (Registration::at("http://here"), table.seed());
    let refused = Session::finish_link(theirs, &at, &answer, &seed);
    assert!(matches!(refused, Err(ClientError::LinkCode)));
    let heir = Session::finish_link(mine, &at, &answer, &seed).unwrap();
    assert_eq!(
        heir.recovery_phrase().unwrap().words(),
        words(&mut table, PHONE).words()
    );
}

#[test]
fn who_lost_every_device_comes_back_into_all_groups_and_the_lost_ones_are_out() {
    let (mut table, club) = Table::with(&["alice", "bob"]);
    let now = table.now;
    let (other, _) = table.session(BOB).create_group("other", now).unwrap();
    let alice = table.session(PHONE).user().clone();
    table.session(BOB).add(other, &[alice]).unwrap();
    table.link(PHONE, Session::link).unwrap();
    table.settle();
    let phrase = words(&mut table, PHONE);
    let lost = table.copy(PHONE);
    let mut bob = table.seats.swap_remove(BOB);
    table.seats.clear();
    bob.events.clear();
    table.seats.push(bob);

    let laptop = table.recover("alice", phrase, true).unwrap();
    table.settle();
    for (group, name) in [(club, "club"), (other, "other")] {
        let known = table.session(laptop).group(group).unwrap().unwrap();
        assert_eq!(known.name.as_deref(), Some(name), "somebody says it");
        table.assert_agreement(group, &[0, laptop]);
        table.assert_all_heard(group, &[0, laptop]);
    }
    assert_eq!(table.session(laptop).devices().unwrap().len(), 1);
    let changed = |event: &Event| matches!(event, Event::Refused { .. });
    assert!(
        !table.seats[0].events.iter().any(changed),
        "the same identity key"
    );

    // A lost one is found by somebody.
    let thief = table.seat(lost);
    table.seats.push(thief);
    for _ in 0..40 {
        table.step(2, |_, answer| answer);
        table.now = table.now.after(std::time::Duration::from_secs(60));
    }
    table.seats.pop();
    table.settle();
    table.assert_agreement(club, &[0, laptop]);
}

#[test]
fn lost_devices_that_are_found_again_go_on_unless_they_were_revoked() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    let phrase = words(&mut table, PHONE);
    let laptop = table.recover("alice", phrase, false).unwrap();
    table.settle();
    table.assert_agreement(group, &[PHONE, BOB, laptop]);
    table.assert_all_heard(group, &[PHONE, BOB, laptop]);
    assert_eq!(table.session(PHONE).devices().unwrap().len(), 2);
}

#[test]
fn a_phrase_is_for_its_own_user_and_for_a_name_that_is_free() {
    let (mut table, _) = Table::with(&["alice", "bob"]);
    let phrase = words(&mut table, PHONE);
    let wrong = table.recover("bob", phrase.clone(), true).unwrap();
    let mut refused = None;
    table.settle_with(|seat, call, answer| {
        if let (true, Call::Register(_)) = (seat == wrong, call) {
            refused = answer.as_ref().err().cloned();
        }
        answer
    });
    assert!(matches!(refused, Some(Rejection::Refused { .. })));
    assert!(!table.session(wrong).is_registered());
    table.seats.pop();

    // A user who was deleted is registered anew, and is the same person to everybody.
    let anew = table.recover("carol", phrase, true).unwrap();
    table.settle();
    assert!(table.session(anew).is_registered());
    assert_eq!(table.session(anew).devices().unwrap().len(), 1);
}
