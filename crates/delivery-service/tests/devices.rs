//! A user's devices: which there are, which are no more, and what is left of those.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{GROUP, Person, World, follow, id, spread};
use conclave_engine::{Change, KeyPackage};
use conclave_protocol::{DeviceList, SigningKey};
use conclave_rpc::{
    ErrorDetail,
    v1::{self, stream_request::Request as Say, stream_response::Event},
};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

/// What certifies Alice's devices, as [`Person::with`] counts identities.
const ALICE: u64 = 500;

/// Publishes Alice's list, which needs no device and no token.
async fn publish_list(
    world: &World,
    version: u64,
    devices: &[&Person],
    identity: u64,
) -> Result<(), Status> {
    let identity = SigningKey::from_seed(&spread(identity));
    let user = "alice@localhost".parse().unwrap();
    let listed = devices
        .iter()
        .map(|it| (it.device(), it.key.verifying_key()));
    let list = DeviceList::issue(user, version, listed, &identity).unwrap();
    let request = v1::PublishDeviceListRequest {
        device_list: list.to_bytes().into(),
    };
    world.rpc().publish_device_list(request).await.map(drop)
}

async fn fetch_list(by: &mut Person, user: &str) -> Option<DeviceList> {
    let request = by.signed(v1::FetchDeviceListsRequest {
        users: vec!["nobody@localhost".into(), user.into()],
    });
    let lists = by.rpc.fetch_device_lists(request).await.unwrap();
    let mut users = lists.into_inner().users;
    assert!(users[0].device_list.is_empty());
    let list = users.pop().unwrap().device_list;
    (!list.is_empty()).then(|| DeviceList::from_bytes(&list).unwrap())
}

/// The next departures that a stream tells of.
async fn departures(events: &mut Streaming<v1::StreamResponse>) -> Vec<Vec<u8>> {
    let next = async {
        loop {
            let event = events.message().await.unwrap().unwrap().event.unwrap();
            if let Event::Departures(departures) = event {
                assert_eq!(departures.group_id, id(GROUP.as_bytes()));
                let ids = departures.device_ids.iter();
                break ids.map(|id| id.to_vec()).collect();
            }
        }
    };
    timeout(Duration::from_secs(5), next).await.unwrap()
}

/// How a stream ends, before long.
async fn end(mut events: Streaming<v1::StreamResponse>) -> Code {
    let ending = async {
        loop {
            match events.message().await {
                Ok(Some(_)) => {}
                Ok(None) => break Code::Ok,
                Err(status) => break status.code(),
            }
        }
    };
    timeout(Duration::from_secs(5), ending).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_device_is_cut_off_at_once_and_its_leaf_waits() {
    let world = World::start().await;
    let mut people = world.group(&["alice", "bob", "carol"]).await;
    let [alice, bob, carol] = people.get_disjoint_mut([0, 1, 2]).unwrap();
    let (_bobs, mut seen_by_bob) = follow(bob).await;
    let (_carols, seen_by_carol) = follow(carol).await;
    let request = carol.signed(v1::DeleteDeviceRequest {});
    carol.rpc.delete_device(request).await.unwrap();
    // Before any Commit: the group has not moved.
    assert_eq!(end(seen_by_carol).await, Code::Unauthenticated);
    let gone = carol.device().as_bytes().to_vec();
    assert_eq!(
        departures(&mut seen_by_bob).await,
        std::slice::from_ref(&gone)
    );
    for refused in [
        carol.page(0, 0).await.map(drop),
        carol.publish(1).await.map(drop),
        carol.send("still here?").await.map(drop),
    ] {
        assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    }

    // Who reads later is told too, until a member has removed the leaf.
    let page = alice.page(0, 0).await.unwrap();
    assert_eq!(page.departed_device_ids, std::slice::from_ref(&gone));
    let earlier = alice.page(0, 1).await.unwrap();
    if earlier.entries.len() < page.entries.len() {
        assert!(earlier.departed_device_ids.is_empty(), "not the last page");
    }
    bob.read().await.unwrap();
    let removal = bob.prepare(Change::remove(vec![carol.device()]));
    bob.commit(removal).await.unwrap();
    let page = alice.page(0, 0).await.unwrap();
    assert!(page.departed_device_ids.is_empty());
    alice.read().await.unwrap();
    alice.send("we go on").await.unwrap();
    assert_eq!(bob.read().await.unwrap(), ["we go on"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_outlives_its_device_and_a_restart_gets_nothing() {
    let mut world = World::start().await;
    let mut alice = world.person("alice").await;
    let mut bob = world.person("bob").await;
    let request = bob.signed(v1::DeleteDeviceRequest {});
    bob.rpc.delete_device(request).await.unwrap();
    world.stop_server().await;
    world.start_server().await;
    (alice.rpc, bob.rpc) = (world.rpc(), world.rpc());
    assert_eq!(fetch_list(&mut alice, "bob@localhost").await, None);
    let open = v1::StreamRequest {
        request: Some(Say::Open(v1::OpenStream::default())),
    };
    let said = tokio_stream::StreamExt::chain(
        tokio_stream::iter([open]),
        tokio_stream::pending::<v1::StreamRequest>(),
    );
    let request = bob.signed(said);
    let events = bob.rpc.stream(request).await.unwrap().into_inner();
    assert_eq!(end(events).await, Code::Unauthenticated);
    let lists = bob.signed(v1::FetchDeviceListsRequest::default());
    for refused in [
        bob.rpc.fetch_device_lists(lists).await.map(drop),
        bob.publish(1).await.map(drop),
        bob.take(1, &["alice"]).await.map(drop),
    ] {
        assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    }
    // Registered anew it is the same device, with the token it had.
    bob.register().await.unwrap();
    bob.publish(1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_device_does_not_come_back() {
    let world = World::start().await;
    let mut phone = Person::with(&world, "alice", 11, ALICE).admitted().await;
    let mut tablet = Person::with(&world, "alice", 12, ALICE).admitted().await;
    let watch = Person::with(&world, "alice", 13, ALICE).admitted().await;
    let mut bob = world.person("bob").await;
    bob.create().await.unwrap();
    let packages = bob
        .take(1, &["alice"])
        .await
        .unwrap()
        .remove(0)
        .key_packages;
    let of_watch = KeyPackage::from_bytes(&packages[2], common::now()).unwrap();
    assert_eq!(packages.len(), 3);
    let two = packages[..2].iter();
    let two = two.map(|package| KeyPackage::from_bytes(package, common::now()).unwrap());
    let add = bob.prepare(Change::add(two.collect()));
    bob.commit(add).await.unwrap();
    phone.join().await;
    tablet.join().await;
    assert_eq!(fetch_list(&mut bob, "alice@localhost").await, None);

    publish_list(&world, 1, &[&phone, &tablet, &watch], ALICE)
        .await
        .unwrap();
    let (_tablets, seen_by_tablet) = follow(&mut tablet).await;
    let (kept, tree) = tablet.opening().await.unwrap();
    publish_list(&world, 2, &[&phone], ALICE).await.unwrap();
    publish_list(&world, 2, &[&phone], ALICE).await.unwrap();
    let stale = publish_list(&world, 1, &[&phone, &tablet], ALICE).await;
    let Some(ErrorDetail::StaleDeviceList(detail)) = ErrorDetail::of(&stale.unwrap_err()) else {
        panic!("another detail");
    };
    // What the next list can be made from, whoever made this one.
    let newest = DeviceList::from_bytes(&detail.device_list).unwrap();
    assert_eq!((detail.current_version, newest.version()), (2, 2));
    let forged = publish_list(&world, 3, &[&phone, &tablet], 501).await;
    assert_eq!(forged.unwrap_err().code(), Code::Unauthenticated);
    let list = fetch_list(&mut bob, "alice@localhost").await.unwrap();
    assert_eq!((list.version(), list.devices().count()), (2, 1));

    // Not by its stream, its token, its certificate, a GroupInfo of the very epoch that it kept, or by
    // another's Commit.
    assert_eq!(end(seen_by_tablet).await, Code::Unauthenticated);
    let refused = tablet.come_in().await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let joined = tablet.external_commit(&kept, &tree);
    let refused = tablet.submit_new(common::bundle(&joined.value)).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    let challenge = tablet.challenge().await;
    let answer = challenge.answer(&tablet.key);
    let refused = tablet.answer(&challenge, answer).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let refused = tablet.register().await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let left = bob.take(2, &["alice"]).await.unwrap();
    assert_eq!(left[0].key_packages.len(), 1, "the phone's");
    let add = bob.prepare(Change::add(vec![of_watch]));
    let refused = bob.commit(add).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    bob.discard();
    let departed = bob.page(0, 0).await.unwrap().departed_device_ids;
    assert_eq!(departed, [id(tablet.device().as_bytes())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_lost_every_device_comes_back_with_a_new_one() {
    let world = World::start().await;
    let mut lost = Person::with(&world, "alice", 11, ALICE).admitted().await;
    let mut bob = world.person("bob").await;
    bob.create().await.unwrap();
    bob.add(&["alice"]).await.unwrap();
    lost.join().await;
    publish_list(&world, 1, &[&lost], ALICE).await.unwrap();

    let mut laptop = Person::with(&world, "alice", 12, ALICE);
    let refused = laptop.register().await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "not listed yet");
    // The identity key was written down. It needs no device to be used.
    publish_list(&world, 2, &[&laptop], ALICE).await.unwrap();
    let mut laptop = laptop.admitted().await;
    laptop.come_in().await.unwrap();
    bob.read().await.unwrap();
    let departed = bob.page(0, 0).await.unwrap().departed_device_ids;
    assert_eq!(departed, [id(lost.device().as_bytes())]);
    let removal = laptop.prepare(Change::remove(vec![lost.device()]));
    laptop.commit(removal).await.unwrap();
    laptop.send("it is me").await.unwrap();
    assert_eq!(bob.read().await.unwrap(), ["it is me"]);
}
