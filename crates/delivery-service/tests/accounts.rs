//! Registration, signing in, KeyPackages: what is given to whom, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Person, World, now};
use conclave_protocol::{SigningKey, UnixMillis};
use conclave_rpc::v1;
use tonic::{Code, Request};

#[tokio::test(flavor = "multi_thread")]
async fn a_name_belongs_to_who_registered_it_first() {
    let world = World::start().await;
    let mut alice = Person::with(&world, "alice", 11, 91);
    alice.register().await.unwrap();
    alice.register().await.unwrap();
    let mut tablet = Person::with(&world, "alice", 12, 91);
    tablet.register().await.unwrap();
    let mut mallory = Person::with(&world, "alice", 13, 92);
    let refused = mallory.register().await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    let mut thief = Person::with(&world, "bob", 11, 92);
    let refused = thief.register().await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);

    // A certificate alone registers nobody: it is public, and the proof has to be for this server.
    let mut copy = Person::with(&world, "carol", 14, 93);
    let certificate = copy.engine.device().certificate().to_bytes();
    let other_key = SigningKey::from_seed(&[99; 32]);
    let here = copy.possession("localhost");
    let there = copy.possession("elsewhere");
    for proof in [here.prove(&other_key), there.prove(&copy.key)] {
        let request = v1::RegisterRequest {
            certificate: certificate.clone().into(),
            proof_of_possession: proof.to_vec().into(),
            registration_code: String::new(),
        };
        let refused = copy.rpc.register(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
    }
    for certificate in [Vec::new(), vec![0; 5000], certificate[1..].to_vec()] {
        let request = v1::RegisterRequest {
            certificate: certificate.into(),
            ..v1::RegisterRequest::default()
        };
        let refused = copy.rpc.register(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_good_once_for_its_own_challenge() {
    let world = World::start().await;
    let mut alice = world.person("alice").await;
    let challenge = alice.challenge().await;
    let forged = challenge.answer(&SigningKey::from_seed(&[99; 32]));
    let refused = alice.answer(&challenge, forged).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let good = challenge.answer(&alice.key);
    alice.answer(&challenge, good).await.unwrap();
    let replayed = alice.answer(&challenge, good).await.unwrap_err();
    assert_eq!(replayed.code(), Code::Unauthenticated);

    // Challenges that this server did not make: another's, and one that would last for ever.
    let elsewhere = World::start().await;
    let mut there = Person::new(&elsewhere, "alice");
    let foreign = there.challenge().await;
    let mut lasting = alice.challenge().await;
    lasting.expires = UnixMillis(u64::MAX);
    for challenge in [foreign, lasting] {
        let signature = challenge.answer(&alice.key);
        let refused = alice.answer(&challenge, signature).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
    }
    let mut stranger = Person::new(&world, "stranger");
    let challenge = stranger.challenge().await;
    let signature = challenge.answer(&stranger.key);
    let refused = stranger.answer(&challenge, signature).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_without_a_token_of_this_server() {
    let world = World::start().await;
    let elsewhere = World::start().await;
    let mut alice = world.person("alice").await;
    let foreign = elsewhere.person("alice").await.token;
    let good = alice.token.clone();
    for token in ["", "x", &good[1..], &foreign, &"0".repeat(good.len())] {
        alice.token = token.to_owned();
        let refusals = [
            alice.take(1, &["alice"]).await.map(drop),
            alice.create_with(Vec::new(), Vec::new()).await,
            alice.page(0, 0).await.map(drop),
            alice.tree(0).await.map(drop),
            alice.publish(1).await.map(drop),
        ];
        for refused in refusals {
            assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
        }
    }
    let request = Request::new(v1::ReadMailboxRequest::default());
    let refused = alice.rpc.read_mailbox(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn key_packages_go_to_one_taker_each_and_the_last_resort_stays() {
    let world = World::start().await;
    let mut alice = world.person("alice").await;
    let mut bob = world.person("bob").await;
    let last = alice
        .engine
        .last_resort_key_package(&alice.state, now())
        .unwrap();
    let last = alice.apply(last);
    let stock = alice.publish_these(Vec::new(), last.clone()).await.unwrap();
    assert_eq!(stock, 4);

    let mut taken = Vec::new();
    for request in 0..4 {
        let users = bob.take(request, &["alice", "nobody"]).await.unwrap();
        assert!(!users[1].known);
        assert_eq!(bob.take(request, &["alice"]).await.unwrap()[0], users[0]);
        taken.push(users[0].key_packages[0].clone());
    }
    for request in [4, 5] {
        let users = bob.take(request, &["alice"]).await.unwrap();
        assert_eq!(users[0].key_packages[0], last);
    }
    taken.dedup();
    assert_eq!(taken.len(), 4);
    // What was handed out does not come back by being published again.
    let again = taken.iter().map(|package| package.to_vec()).collect();
    assert_eq!(alice.publish_these(again, Vec::new()).await.unwrap(), 0);

    // What is not one's own, or no KeyPackage, or may not be used twice, is refused.
    let one = bob.engine.key_packages(&bob.state, 1, now()).unwrap();
    let one = bob.apply(one).pop().unwrap();
    let old = UnixMillis(now().0 - 60 * 24 * 3600 * 1000);
    let old = alice.engine.key_packages(&alice.state, 1, old).unwrap();
    let old = alice.apply(old).pop().unwrap();
    let mut flipped = taken[0].to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    for package in [
        one,
        old,
        flipped,
        vec![0; 5000],
        Vec::new(),
        last[1..].to_vec(),
    ] {
        let refused = alice.publish_these(vec![package], Vec::new()).await;
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    }
    let single = alice.engine.key_packages(&alice.state, 1, now()).unwrap();
    let single = alice.apply(single).pop().unwrap();
    let refused = alice.publish_these(Vec::new(), single).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let refused = alice.take(9, &["not a name"]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_folder_is_found_before_it_encrypts() {
    let world = World::start().await;
    let mut alice = world.person("alice").await;
    let nonce = |number: u8| vec![number; 16].into();
    let shown = |now, next, sent, start_over| v1::CheckInstanceRequest {
        nonce: nonce(now),
        next_nonce: nonce(next),
        sent,
        start_over,
    };
    let (same, behind) = (v1::InstanceState::Same, v1::InstanceState::Behind);
    for (asked, state) in [
        (shown(0, 1, 0, false), same),
        (shown(0, 1, 0, false), same),
        (shown(1, 2, 7, false), same),
        (shown(1, 3, 7, false), behind),
        (shown(2, 3, 6, false), behind),
        (shown(1, 4, 0, true), same),
        (shown(2, 5, 9, false), behind),
    ] {
        let request = alice.signed(asked.clone());
        let answer = alice.rpc.check_instance(request).await.unwrap();
        assert_eq!(answer.into_inner().state(), state, "{asked:?}");
    }
    let short = v1::CheckInstanceRequest {
        nonce: vec![0; 15].into(),
        ..shown(0, 1, 0, false)
    };
    for wrong in [short, shown(1, 1, 0, false), shown(0, 1, u64::MAX, false)] {
        let request = alice.signed(wrong);
        let refused = alice.rpc.check_instance(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}
