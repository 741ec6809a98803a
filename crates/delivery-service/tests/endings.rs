//! What is deleted is gone, and what runs low is said.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{GROUP, Person, World, follow, id, now};
use conclave_protocol::{DeviceId, SigningKey, UnixMillis, UserDeletion};
use conclave_rpc::{
    ErrorDetail,
    v1::{self, mailbox_item::Item},
};
use std::time::Duration;
use tonic::{Code, Status};

async fn delete_group(by: &mut Person) -> Result<(), Status> {
    let request = by.signed(v1::DeleteGroupRequest {
        group_id: id(GROUP.as_bytes()),
    });
    by.rpc.delete_group(request).await.map(drop)
}

async fn delete_device(by: &mut Person) -> Result<(), Status> {
    let request = by.signed(v1::DeleteDeviceRequest {});
    by.rpc.delete_device(request).await.map(drop)
}

async fn delete_user(by: &mut Person, expires: UnixMillis, key: &SigningKey) -> Result<(), Status> {
    let user = by.engine.device().address().user.clone();
    let deletion = UserDeletion {
        server: "localhost".into(),
        user,
        expires,
    };
    let request = v1::DeleteUserRequest {
        user: deletion.user.to_string(),
        expires_millis: expires.0,
        signature: deletion.sign(key).to_vec().into(),
    };
    by.rpc.delete_user(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_device_a_user_and_a_group() {
    let mut world = World::start().await;
    let mut people = world.group(&["alice", "bob"]).await;
    let [alice, bob] = people.get_disjoint_mut([0, 1]).unwrap();
    let (text, hidden) = (alice.send("gone").await.unwrap(), b"bob@localhost".to_vec());
    assert_eq!(alice.page(text - 1, 0).await.unwrap().entries.len(), 1);
    let refused = delete_group(alice).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let removal = conclave_engine::Change::remove(vec![bob.device()]);
    let removal = alice.prepare(removal);
    alice.commit(removal).await.unwrap();
    let refused = delete_group(bob).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    delete_group(alice).await.unwrap();
    assert_eq!(alice.page(0, 0).await.unwrap_err().code(), Code::NotFound);

    // Another group of the same id starts from nothing.
    alice.state = conclave_engine::MemoryState::default();
    alice.create().await.unwrap();
    let update = alice.prepare(conclave_engine::Change::update());
    assert_eq!(alice.commit(update).await.unwrap(), 1);
    delete_group(alice).await.unwrap();

    // The token has outlived its device.
    let phone = alice.device();
    delete_device(alice).await.unwrap();
    assert_eq!(
        alice.publish(1).await.unwrap_err().code(),
        Code::Unauthenticated
    );
    let refused = alice.take(1, &["bob"]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let request = alice.signed(v1::ReadMailboxRequest::default());
    let refused = alice.rpc.read_mailbox(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let key = SigningKey::from_seed(&common::spread(70));
    let mut carol = Person::with(&world, "carol", 71, 70).admitted().await;
    let later = now().after(Duration::from_secs(60));
    let other = SigningKey::from_seed(&common::spread(71));
    let far = now().after(Duration::from_secs(3600));
    for (expires, key, code) in [
        (later, &other, Code::Unauthenticated),
        (far, &key, Code::InvalidArgument),
        (UnixMillis(now().0 - 1), &key, Code::InvalidArgument),
    ] {
        let refused = delete_user(&mut carol, expires, key).await.unwrap_err();
        assert_eq!(refused.code(), code);
    }
    delete_user(&mut carol, later, &key).await.unwrap();
    let again = delete_user(&mut carol, later, &key).await.unwrap_err();
    assert_eq!(again.code(), Code::Unauthenticated, "there is no such user");

    world.stop_server().await;
    for gone in [
        GROUP.as_bytes().to_vec(),
        phone.as_bytes().to_vec(),
        carol.device().as_bytes().to_vec(),
        b"carol@localhost".to_vec(),
        key.verifying_key().as_bytes().to_vec(),
    ] {
        assert!(!world.stores(&gone), "{gone:?} is still in the file");
    }
    assert!(world.stores(&hidden), "the search finds what is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_told_that_its_key_packages_run_low_and_nobody_drains_them() {
    let world = World::start().await;
    let mut alice = world.person("alice").await;
    let mut bob = world.person("bob").await;
    let last = bob.engine.last_resort_key_package(&bob.state, now());
    let last = bob.apply(last.unwrap());
    bob.publish_these(Vec::new(), last.clone()).await.unwrap();
    for number in 0..5 {
        alice.take(number, &["bob"]).await.unwrap();
    }
    let told = bob.mail().await;
    let low = v1::KeyPackagesLow {
        stock: 0,
        last_resort_used: true,
    };
    assert_eq!(told, [Item::KeyPackagesLow(low)], "once, and the latest");
    let taken = alice.take(4, &["bob"]).await.unwrap();
    assert_eq!(taken[0].key_packages, [last]);

    let refused = loop {
        let number = 1000 + u64::from(alice.cursor == 0);
        alice.cursor += 1;
        match alice.take(number + alice.cursor, &["bob"]).await {
            Ok(_) => assert!(alice.cursor < 100, "no limit"),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let Some(ErrorDetail::RateLimited(limit)) = ErrorDetail::of(&refused) else {
        panic!("no time to come back: {refused}");
    };
    assert!((3_000_000..=3_600_000).contains(&limit.retry_after_millis));
    let again = alice.take(4, &["bob"]).await.unwrap();
    assert_eq!(again, taken, "what was taken before is given again");
    assert!(world.person("carol").await.take(1, &["bob"]).await.is_ok());
}

async fn hand_over(by: &mut Person, number: u64) -> Result<Vec<u8>, Status> {
    hand_over_past(by, number, &[]).await
}

async fn hand_over_past(
    by: &mut Person,
    number: u64,
    passed_over: &[DeviceId],
) -> Result<Vec<u8>, Status> {
    let passed_over = passed_over.iter().map(|it| id(it.as_bytes()));
    let request = by.signed(v1::SubmitIntentRequest {
        group_id: id(GROUP.as_bytes()),
        request_id: id(&common::spread(number)),
        intent: b"opaque".to_vec().into(),
        passed_over_device_ids: passed_over.collect(),
    });
    let response = by.rpc.submit_intent(request).await?.into_inner();
    Ok(response.committer_device_id.to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_goes_to_a_member_who_is_online() {
    let world = World::start().await;
    let mut people = world.group(&["alice", "bob", "carol"]).await;
    let mut mallory = world.person("mallory").await;
    let refused = hand_over(&mut mallory, 1).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let [alice, bob, carol] = people.get_disjoint_mut([0, 1, 2]).unwrap();
    let own = hand_over(carol, 1).await.unwrap();
    assert_eq!(own, carol.device().as_bytes(), "nobody is online");

    let bob_live = follow(bob).await;
    let (asking, _alice_live) = (bob.device(), follow(alice).await);
    for number in [2, 2, 3] {
        let committer = hand_over(carol, number).await.unwrap();
        assert_eq!(committer, asking.as_bytes(), "all at who is there longest");
    }
    let intents = bob.mail().await.into_iter().filter_map(|item| match item {
        Item::Intent(handed) => Some(handed),
        _ => None,
    });
    let intents: Vec<_> = intents.collect();
    let past_bob = hand_over_past(carol, 7, &[asking]).await.unwrap();
    assert_eq!(past_bob, alice.device().as_bytes());
    let past_all = [asking, alice.device(), carol.device()];
    let refused = hand_over_past(carol, 8, &past_all).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let refused = hand_over_past(carol, 9, &[asking; 9]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(intents.len(), 2, "the same one once");
    assert!(intents.iter().all(|it| it.intent[..] == *b"opaque"));
    assert_eq!(intents[0].sender_device_id, id(carol.device().as_bytes()));

    // Not to somebody who is no longer a member, though still connected.
    let removal = conclave_engine::Change::remove(vec![bob.device()]);
    let removal = alice.prepare(removal);
    alice.commit(removal).await.unwrap();
    let committer = hand_over(carol, 4).await.unwrap();
    assert_eq!(committer, alice.device().as_bytes());
    drop(bob_live);

    // Nor to one who is leaving, who could not commit it.
    alice.read().await.unwrap();
    let leaving = alice.engine.leave(&alice.state, GROUP).unwrap();
    let leaving = v1::submit_request::Body::Proposal(leaving.into());
    alice.submit_new(leaving).await.unwrap();
    let committer = hand_over(carol, 5).await.unwrap();
    assert_eq!(committer, carol.device().as_bytes());
    let refused = hand_over(alice, 6).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
}
