//! What ours keeps of groups that are over, and of epochs.

use crate::{
    client::{Branch, Change, Client, Form, ReInit},
    engine::EngineName,
};

const SUITE: u16 = 1;

fn client(name: &str) -> Box<dyn Client> {
    EngineName::Ours.client(name, SUITE).unwrap()
}

/// Two members of one group.
fn pair() -> (Box<dyn Client>, Box<dyn Client>) {
    let (mut alice, mut bob) = (client("alice"), client("bob"));
    alice.create(b"old").unwrap();
    let package = bob.key_package().unwrap();
    let made = alice.commit(&[Change::Add(package)]).unwrap();
    alice.merge().unwrap();
    bob.join(&made.welcome.unwrap(), None).unwrap();
    (alice, bob)
}

/// The group ends, and is to go on under another id.
fn end(alice: &mut dyn Client, bob: &mut dyn Client) {
    let reinit = Change::ReInit(ReInit {
        group_id: b"new".to_vec(),
        suite: SUITE,
        extensions: vec![0],
    });
    let made = alice.commit(&[reinit]).unwrap();
    alice.merge().unwrap();
    bob.receive(&made.commit).unwrap();
}

#[test]
fn messages_of_the_last_two_epochs_are_read_once_and_older_ones_never() {
    let (mut alice, mut bob) = pair();
    let mut said = Vec::new();
    for _ in 0..4 {
        said.push(alice.encrypt(b"said", b"").unwrap());
        let made = alice.commit(&[]).unwrap();
        alice.merge().unwrap();
        bob.receive(&made.commit).unwrap();
    }
    let heard = said.iter().map(|message| bob.receive(message).is_ok());
    assert_eq!(heard.collect::<Vec<_>>(), [false, false, true, true]);
    assert!(bob.receive(&said[3]).is_err(), "a replay");
}

#[test]
fn a_group_that_is_over_says_nothing_and_its_successor_is_the_one_agreed_on() {
    let (mut alice, mut bob) = pair();
    assert!(bob.prepare_successor().is_err(), "nothing has ended");
    end(&mut *alice, &mut *bob);
    assert!(alice.encrypt(b"late", b"").is_err());
    assert!(alice.commit(&[]).is_err());
    let package = bob.prepare_successor().unwrap();
    let made = alice.begin_successor(&[package], Form::default()).unwrap();
    let welcome = made.welcome.unwrap();
    assert!(bob.join(&welcome, None).is_err(), "without the old group");
    bob.join_successor(&welcome, None).unwrap();
    let authenticator = |client: &dyn Client| client.epoch_authenticator().unwrap();
    assert_eq!(authenticator(&*alice), authenticator(&*bob));
}

#[test]
fn a_successor_of_other_form_than_agreed_on_is_refused() {
    let (mut alice, mut bob) = pair();
    let (mut other, mut her_bob) = pair();
    end(&mut *alice, &mut *bob);
    end(&mut *other, &mut *her_bob);
    // A group of the same names with another key.
    let package = bob.prepare_successor().unwrap();
    let made = other.begin_successor(&[package], Form::default()).unwrap();
    assert!(bob.join_successor(&made.welcome.unwrap(), None).is_err());
}

#[test]
fn a_subgroup_has_only_members_of_its_group() {
    let (mut alice, mut bob) = pair();
    let (mut stranger, mut again) = (client("mallory"), client("bob"));
    let mut branch = Branch {
        group_id: b"sub".to_vec(),
        extensions: vec![0],
        packages: vec![stranger.key_package().unwrap()],
        form: Form::default(),
    };
    assert!(alice.branch(&branch).is_err());
    branch.packages = vec![again.key_package().unwrap()];
    let (there, made) = alice.branch(&branch).unwrap();
    let welcome = made.welcome.unwrap();
    let bobs = bob.join_branch(again, &welcome, None).unwrap();
    let authenticator = |client: &dyn Client| client.epoch_authenticator().unwrap();
    assert_eq!(authenticator(&*there), authenticator(&*bobs));
    // The group itself goes on.
    let message = alice.encrypt(b"still here", b"").unwrap();
    assert!(bob.receive(&message).unwrap().is_some());
}
