//! A user appears under another identity key: contacts are told, encrypt nothing to it, and accept it
//! by its digits or not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/table.rs"]
mod table;

use conclave_client::{ClientError, Event, GroupId, Role, UserId};
use table::Table;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

/// Alice, who has a new identity key, is added to Bob's and Carol's group by Carol, who never knew the
/// key before.
fn with_new_alice() -> (Table, GroupId, UserId) {
    let (mut table, club) = Table::with(&["alice", "bob"]);
    // She would be missed as an owner: only owners put out an owner's devices.
    let [alice, bob] = [ALICE, BOB].map(|seat| table.session(seat).user().clone());
    for (user, role) in [(bob, Role::Owner), (alice, Role::Member)] {
        table.session(ALICE).set_role(club, &user, role).unwrap();
        table.settle();
    }
    table.delete_user(ALICE);
    table.seats.swap_remove(ALICE);
    table.sit_down("alice");
    table.seats.swap(0, 1);
    table.sit_down("carol");
    table.settle();
    let (alice, bob) = (
        table.session(ALICE).user().clone(),
        table.session(BOB).user().clone(),
    );
    let now = table.now;
    let (group, _) = table.session(CAROL).create_group("new", now).unwrap();
    table.session(CAROL).add(group, &[bob]).unwrap();
    table.settle();
    table
        .session(CAROL)
        .add(group, std::slice::from_ref(&alice))
        .unwrap();
    table.settle();
    assert!(
        table.session(BOB).members(club).unwrap().len() == 2,
        "her old leaf stands"
    );
    (table, group, alice)
}

fn is_refused<T>(result: &Result<T, ClientError>) -> bool {
    matches!(result, Err(ClientError::IdentityChanged(user)) if user == "alice@here")
}

#[test]
fn what_others_say_is_read_and_nothing_is_encrypted_to_a_changed_key() {
    let (mut table, group, alice) = with_new_alice();
    let told = |event: &&Event| matches!(event, Event::IdentityChanged { user } if *user == alice);
    assert_eq!(table.seats[BOB].events.iter().filter(told).count(), 1);
    assert_eq!(
        table.session(BOB).changed_identities().unwrap(),
        std::slice::from_ref(&alice)
    );
    assert!(
        table
            .session(CAROL)
            .changed_identities()
            .unwrap()
            .is_empty()
    );
    table.send(CAROL, group, "all of you");
    table.send(ALICE, group, "it is me");
    table.settle();
    assert_eq!(table.texts(BOB, group), ["it is me", "all of you"]);

    let epoch = table.session(BOB).epoch(group).unwrap();
    assert!(is_refused(&table.session(BOB).send(group, "hello")));
    assert!(is_refused(&table.session(BOB).update(group)));
    let now = table.now;
    let (other, _) = table.session(BOB).create_group("other", now).unwrap();
    assert!(is_refused(
        &table.session(BOB).add(other, std::slice::from_ref(&alice))
    ));
    table.settle();
    assert_eq!(table.session(BOB).epoch(group).unwrap(), epoch);
    // Without her he can speak.
    table.session(BOB).remove(group, &[alice]).unwrap();
    table.settle();
    table.send(BOB, group, "hello");
    table.seats.swap_remove(ALICE);
    table.settle();
    assert!(table.texts(0, group).contains(&"hello".to_owned()));
}

#[test]
fn what_was_to_be_sent_before_the_key_changed_is_given_up() {
    let (mut table, club) = Table::with(&["carol", "bob"]);
    table.sit_down("alice");
    table.settle();
    let alice = table.session(2).user().clone();
    let now = table.now;
    let (met, _) = table.session(BOB).create_group("met", now).unwrap();
    table
        .session(BOB)
        .add(met, std::slice::from_ref(&alice))
        .unwrap();
    table.settle();
    table.delete_user(2);
    table.seats.truncate(2);
    table.sit_down("alice");
    table.settle();
    // Carol adds her while Bob's message waits.
    table.session(0).add(club, &[alice]).unwrap();
    while table.step(0, |_, answer| answer) {}
    let intent = table.send(BOB, club, "hello");
    table.settle();
    let outcome = table.session(BOB).outcome(intent).unwrap().unwrap();
    assert!(outcome.unwrap_err().contains("identity key of alice@here"));
    assert!(table.texts(0, club).is_empty());
}

#[test]
fn an_accepted_key_counts_and_the_old_one_is_put_out() {
    let (mut table, group, alice) = with_new_alice();
    let bob = table.session(BOB).user().clone();
    let club = table.session(BOB).groups().unwrap();
    let club = club.iter().find(|it| it.id != group).unwrap().id;
    let old = table.session(BOB).safety_number(&alice).unwrap();
    let new = table
        .session(BOB)
        .new_safety_number(&alice)
        .unwrap()
        .unwrap();
    assert_eq!(new, table.session(ALICE).safety_number(&bob).unwrap());
    let refused = table.session(BOB).accept_identity(&alice, &old);
    assert!(matches!(refused, Err(ClientError::OtherDigits)));
    table.session(BOB).accept_identity(&alice, &new).unwrap();
    table.settle();
    table.assert_agreement(group, &[ALICE, BOB, CAROL]);
    table.assert_all_heard(group, &[ALICE, BOB, CAROL]);
    table.assert_agreement(club, &[BOB]);
    table.session(BOB).add(club, &[alice]).unwrap();
    table.settle();
    table.assert_agreement(club, &[ALICE, BOB]);
    table.assert_all_heard(club, &[ALICE, BOB]);
}
