//! That somebody types: heard by who is there, once, and from nobody else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/table.rs"]
mod table;

use std::time::Duration;

use common::World;
use conclave_client::Event;
use conclave_rpc::v1;
use table::Table;

#[test]
fn a_signal_is_heard_once_and_only_from_its_sender_in_its_epoch_and_time() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    let (mut now, user) = (table.now, table.session(0).user().clone());
    let device = |table: &mut Table, seat| table.session(seat).device().as_bytes().to_vec();
    let request = table.session(0).typing(group, now).unwrap().unwrap();
    let again = table.session(0).typing(group, now).unwrap();
    assert!(again.is_none(), "said a moment ago");
    let signal = v1::GroupSignal {
        group_id: request.group_id.clone(),
        sender_device_id: device(&mut table, 0).into(),
        signal: request.signal.clone(),
    };
    let typing = Event::Typing { group, user };
    let hear = |table: &mut Table, signal: &v1::GroupSignal, now| {
        table.session(1).take_signal(signal, now).unwrap()
    };
    let mut forged = signal.clone();
    forged.sender_device_id = device(&mut table, 2).into();
    assert_eq!(hear(&mut table, &forged, now), None);
    for at in 0..signal.signal.len() {
        let mut bytes = signal.signal.to_vec();
        bytes[at] ^= 1;
        forged.clone_from(&signal);
        forged.signal = bytes.into();
        assert_eq!(hear(&mut table, &forged, now), None, "{at}");
    }
    let late = now.after(Duration::from_secs(31));
    assert_eq!(hear(&mut table, &signal, late), None);
    assert_eq!(hear(&mut table, &signal, now), Some(typing));
    assert_eq!(hear(&mut table, &signal, now), None, "repeated");

    // The log is where it was, and the ratchets too.
    let before = table.history(1, group).len();
    table.assert_all_heard(group, &[0, 1, 2]);
    assert_eq!(table.history(1, group).len(), before + 3);
    now = table.now.after(Duration::from_secs(5));
    let request = table.session(0).typing(group, now).unwrap().unwrap();
    table.session(2).update(group).unwrap();
    table.settle();
    let old = v1::GroupSignal {
        signal: request.signal,
        ..signal
    };
    assert_eq!(hear(&mut table, &old, now), None, "of another epoch");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_there_sees_that_somebody_types() {
    let world = World::start().await;
    let (people, group) = world.group(&["alice", "bob"]).await;
    let (alice, bob) = (&people[0], &people[1]);
    let mut events = bob.events();
    let typing = Event::Typing {
        group,
        user: alice.user().clone(),
    };
    let heard = async {
        loop {
            if events.next().await.unwrap().unwrap() == typing {
                break;
            }
        }
    };
    let typed = async {
        loop {
            alice.typing(group).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let limit = tokio::time::sleep(Duration::from_secs(20));
    tokio::select! {
        () = heard => {}
        () = typed => unreachable!(),
        () = limit => panic!("nobody is seen to type"),
    }
}
