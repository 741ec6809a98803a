//! The ways into a group besides a Welcome: who may come in by an external Commit, and how far.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{GROUP, Person, World, bundle, id, now};
use conclave_protocol::UnixMillis;
use conclave_rpc::v1::{self, mailbox_item::Item, submit_request::Body};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use tonic::{Code, Status};

/// Alice's group with Bob in it, and another device of Bob's that is not.
async fn world_with_tablet() -> (World, Person, Person, Person) {
    let world = World::start().await;
    let mut alice = world.person("alice").await;
    alice.create().await.unwrap();
    let mut bob = Person::with(&world, "bob", 51, 50).admitted().await;
    alice.add(&["bob"]).await.unwrap();
    bob.join().await;
    let tablet = Person::with(&world, "bob", 52, 50).admitted().await;
    (world, alice, bob, tablet)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_device_of_a_member_comes_in_and_a_lost_one_comes_back() {
    let (_world, mut alice, mut bob, mut tablet) = world_with_tablet().await;
    alice.send("before the tablet").await.unwrap();
    let refused = tablet.page(0, 0).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let joined = tablet.come_in().await.unwrap();
    for person in [&mut alice, &mut bob] {
        person.read().await.unwrap();
        assert_eq!(person.authenticator(), tablet.authenticator());
    }
    bob.send("for both of mine").await.unwrap();
    assert_eq!(tablet.read().await.unwrap(), ["for both of mine"]);
    let page = tablet.page(0, 0).await.unwrap();
    assert_eq!(
        page.entries[0].sequence, joined,
        "its range starts at its Commit"
    );

    // Bob's state is lost; the log since is not to be read again with the one that he gets.
    bob.state = conclave_engine::MemoryState::default();
    let back = bob.come_in().await.unwrap();
    alice.read().await.unwrap();
    tablet.read().await.unwrap();
    alice.send("welcome back").await.unwrap();
    assert_eq!(bob.read().await.unwrap(), ["welcome back"]);
    assert_eq!(tablet.read().await.unwrap(), ["welcome back"]);
    // A page holds one stretch of membership; together they hold everything once.
    let mut places = Vec::new();
    for after in [0, back] {
        let page = bob.page(after, 0).await.unwrap();
        places.extend(page.entries.iter().map(|entry| entry.sequence));
    }
    assert_eq!(places, (1..=back + 1).collect::<Vec<_>>());
    let roster = alice.engine.roster(&alice.state, GROUP).unwrap();
    assert_eq!(roster.len(), 3, "the older leaf is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_commit_is_held_to_its_own_device_and_epoch() {
    let (world, mut alice, mut bob, mut tablet) = world_with_tablet().await;
    let (opening, tree) = tablet.opening().await.unwrap();
    let good = tablet.external_commit(&opening, &tree).value;

    // By somebody else's token, for a stranger, with another GroupInfo or a Welcome.
    let code = |result: Result<u64, Status>| result.unwrap_err().code();
    assert_eq!(
        code(bob.submit_new(bundle(&good)).await),
        Code::InvalidArgument
    );
    let mut carol = world.person("carol").await;
    assert_eq!(
        carol.opening().await.unwrap_err().code(),
        Code::PermissionDenied
    );
    let strangers = carol.external_commit(&opening, &tree).value;
    assert_eq!(
        code(carol.submit_new(bundle(&strangers)).await),
        Code::PermissionDenied
    );
    // A member who is entitled, but not by that leaf's user.
    assert_eq!(
        code(alice.submit_new(bundle(&strangers)).await),
        Code::InvalidArgument
    );
    let Body::Commit(bundled) = bundle(&good) else {
        unreachable!();
    };
    for altered in [
        v1::CommitBundle {
            group_info: opening.group_info.clone(),
            ..bundled.clone()
        },
        v1::CommitBundle {
            welcome: b"welcome".to_vec().into(),
            ..bundled.clone()
        },
    ] {
        let refused = tablet.submit_new(Body::Commit(altered)).await;
        assert_eq!(code(refused), Code::InvalidArgument);
    }
    let as_proposal = Body::Proposal(good.commit.clone().into());
    let refused = tablet.submit_new(as_proposal).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");

    // Whoever leaves goes with it; who has not read that has to catch up.
    let leaving = bob.engine.leave(&bob.state, GROUP).unwrap();
    let left = bob
        .submit_new(Body::Proposal(leaving.into()))
        .await
        .unwrap();
    assert_eq!(
        code(tablet.submit_new(bundle(&good)).await),
        Code::FailedPrecondition
    );
    let (opening, _) = tablet.opening().await.unwrap();
    assert_eq!(opening.pending_proposals.len(), 1);
    let joined = tablet.come_in().await.unwrap();
    assert_eq!(joined, left + 1);
    assert_eq!(bob.page(0, 0).await.unwrap().readable_sequence, joined);
    alice.read().await.unwrap();
    assert_eq!(alice.authenticator(), tablet.authenticator());
    assert_eq!(
        code(tablet.submit_new(bundle(&good)).await),
        Code::FailedPrecondition
    );
}

struct Invited {
    token: Vec<u8>,
    hash: Vec<u8>,
}

impl Invited {
    fn new(byte: u8) -> Self {
        let token = vec![byte; 32];
        let hash = Sha256::digest(&token).to_vec();
        Self { token, hash }
    }

    async fn create(&self, by: &mut Person, expires: UnixMillis) -> Result<(), Status> {
        let request = by.signed(v1::CreateInvitationRequest {
            group_id: id(GROUP.as_bytes()),
            token_hash: self.hash.clone().into(),
            expires_millis: expires.0,
        });
        by.rpc.create_invitation(request).await.map(drop)
    }

    async fn redeem(&self, by: &mut Person) -> Result<bool, Status> {
        let request = by.signed(v1::RedeemInvitationRequest {
            group_id: id(GROUP.as_bytes()),
            token: self.token.clone().into(),
        });
        Ok(by
            .rpc
            .redeem_invitation(request)
            .await?
            .into_inner()
            .approved)
    }

    async fn approve(&self, by: &mut Person, whom: &Person) -> Result<(), Status> {
        let until = now().after(Duration::from_secs(600));
        let joiner = whom.engine.device().address();
        let approval = by.engine.approve(GROUP, joiner, until).to_bytes();
        let request = by.signed(v1::ApproveInvitationRequest {
            group_id: id(GROUP.as_bytes()),
            token_hash: self.hash.clone().into(),
            device_id: id(whom.device().as_bytes()),
            approval: approval.into(),
        });
        by.rpc.approve_invitation(request).await.map(drop)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_lets_one_device_in_once_when_a_member_approves() {
    let mut world = World::start().await;
    let mut people = world.group(&["alice", "bob"]).await;
    let mut carol = world.person("carol").await;
    let mut mallory = world.person("mallory").await;
    let [alice, bob] = people.get_disjoint_mut([0, 1]).unwrap();
    let invited = Invited::new(7);
    let later = now().after(Duration::from_secs(600));
    let code = |status: Status| status.code();

    let refused = invited.create(alice, UnixMillis(now().0 - 1)).await;
    assert_eq!(code(refused.unwrap_err()), Code::InvalidArgument);
    let refused = invited.create(&mut mallory, later).await;
    assert_eq!(code(refused.unwrap_err()), Code::PermissionDenied);
    let refused = invited.redeem(&mut carol).await;
    assert_eq!(code(refused.unwrap_err()), Code::NotFound);
    invited.create(alice, later).await.unwrap();
    assert!(!invited.redeem(&mut carol).await.unwrap());
    let refused = invited.redeem(&mut mallory).await;
    assert_eq!(code(refused.unwrap_err()), Code::AlreadyExists);
    let asked = alice.mail().await.pop().unwrap();
    let Item::InvitationAsked(asked) = asked else {
        panic!("{asked:?}");
    };
    assert_eq!(
        (asked.user.as_str(), &asked.token_hash[..]),
        ("carol@localhost", &invited.hash[..])
    );
    assert_eq!(asked.device_id, id(carol.device().as_bytes()));
    assert_eq!(
        code(carol.opening().await.unwrap_err()),
        Code::PermissionDenied
    );

    // Any member approves, for the device that asked; nobody else does.
    let refused = invited.approve(bob, &mallory).await;
    assert_eq!(code(refused.unwrap_err()), Code::NotFound);
    let refused = invited.approve(&mut mallory, &carol).await;
    assert_eq!(code(refused.unwrap_err()), Code::PermissionDenied);
    invited.approve(bob, &carol).await.unwrap();
    let told = carol.mail().await.pop().unwrap();
    assert!(matches!(told, Item::InvitationApproved(_)), "{told:?}");
    assert_eq!(
        code(mallory.opening().await.unwrap_err()),
        Code::PermissionDenied
    );

    // What members would refuse, the service refuses: a Commit without the member's word.
    let (mut opening, tree) = carol.opening().await.unwrap();
    opening.approval = Vec::new().into();
    let bare = carol.external_commit(&opening, &tree).value;
    let refused = carol.submit_new(bundle(&bare)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    carol.come_in().await.unwrap();
    for person in [&mut *alice, &mut *bob] {
        person.read().await.unwrap();
        assert_eq!(person.authenticator(), carol.authenticator());
    }

    // It was good once.
    let removal = conclave_engine::Change::remove(vec![carol.device()]);
    let removal = alice.prepare(removal);
    alice.commit(removal).await.unwrap();
    assert_eq!(
        code(carol.opening().await.unwrap_err()),
        Code::PermissionDenied
    );
    assert_eq!(
        code(invited.redeem(&mut carol).await.unwrap_err()),
        Code::NotFound
    );
    world.stop_server().await;
    assert!(
        !world.stores(&invited.token),
        "the token itself is not kept"
    );
}
