//! Input that is wrong, by accident or not: the right status, nothing stored, and on it goes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{GROUP, Person, World, bundle, id};
use conclave_engine::{Change, KeyPackage, PreparedCommit};
use conclave_protocol::{GroupRules, limits};
use conclave_rpc::v1::{self, submit_request::Body};
use proptest::test_runner::{RngAlgorithm, TestRng};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
};

/// Submits what must be refused, and holds that nothing came of it.
async fn refuse(person: &mut Person, body: Body) -> Code {
    let before = person.page(0, 0).await.unwrap();
    let refused = person.submit_new(body).await.unwrap_err();
    assert_eq!(person.page(0, 0).await.unwrap(), before);
    refused.code()
}

fn commit_bundle(commit: &[u8], welcome: &[u8], group_info: &[u8]) -> Body {
    Body::Commit(v1::CommitBundle {
        commit: commit.to_vec().into(),
        welcome: welcome.to_vec().into(),
        group_info: group_info.to_vec().into(),
    })
}

fn parts(prepared: &PreparedCommit) -> [Vec<u8>; 3] {
    let welcome = prepared.welcome.clone().unwrap_or_default();
    [
        prepared.commit.clone(),
        welcome,
        prepared.group_info.clone(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_has_to_come_with_its_own_welcome_and_group_info() {
    let world = World::start().await;
    let mut people = world.group(&["alice", "bob"]).await;
    let mut carol = world.person("carol").await;
    world.person("dave").await;
    let alice = &mut people[0];
    let old_info = alice.engine.group_info(&alice.state, GROUP).unwrap();
    let [_, other_welcome, other_info] = parts(&alice.prepare_add(&["dave"]).await);
    alice.discard();
    let prepared = alice.prepare_add(&["carol"]).await;
    let [commit, welcome, info] = parts(&prepared);
    let mut flipped = info.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for (welcome, info) in [
        (&welcome, &old_info),
        (&welcome, &other_info),
        (&welcome, &flipped),
        (&welcome, &commit),
        (&welcome, &Vec::new()),
        (&Vec::new(), &info),
        (&other_welcome, &info),
        (&info, &info),
        (&welcome[..welcome.len() - 1].to_vec(), &info),
    ] {
        let code = refuse(alice, commit_bundle(&commit, welcome, info)).await;
        assert_eq!(code, Code::InvalidArgument);
    }
    assert!(carol.mailbox().await.is_empty());
    alice.commit(prepared).await.unwrap();
    carol.join().await;

    // A Welcome with nobody to welcome.
    let [update, _, info] = parts(&alice.prepare(Change::update()));
    let code = refuse(alice, commit_bundle(&update, &welcome, &info)).await;
    assert_eq!(code, Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_counts_only_from_its_sender_as_its_kind_in_its_group() {
    let world = World::start().await;
    let mut people = world.group(&["alice", "bob"]).await;
    let mut mallory = world.person("mallory").await;
    let [alice, bob] = people.get_disjoint_mut([0, 1]).unwrap();
    let message = alice.encrypt("hello");
    let Body::ApplicationMessage(encrypted) = message.clone() else {
        panic!("an application message");
    };
    let leaving = bob.engine.leave(&bob.state, GROUP).unwrap();
    let [update, _, info] = parts(&alice.prepare(Change::update()));

    let refused = mallory.submit_new(message.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    for body in [
        commit_bundle(&leaving, &[], &info),
        commit_bundle(&encrypted, &[], &info),
        Body::Proposal(update.clone().into()),
        Body::Proposal(encrypted),
        Body::Proposal(leaving.clone().into()),
        Body::ApplicationMessage(update.clone().into()),
        Body::ApplicationMessage(info.clone().into()),
    ] {
        assert_eq!(refuse(alice, body).await, Code::InvalidArgument);
    }
    let others = commit_bundle(&update, &[], &info);
    assert_eq!(refuse(bob, others.clone()).await, Code::InvalidArgument);

    // A valid message sent to a group that it is not of, or that does not exist.
    let request = |group_id: [u8; 16], body| v1::SubmitRequest {
        group_id: id(&group_id),
        request_id: id(&[250; 16]),
        body,
    };
    let elsewhere = alice.signed(request([9; 16], Some(message)));
    let refused = alice.rpc.submit(elsewhere).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let mut framing = vec![0, 1, 0, 2, 16];
    framing.extend([9; 16]);
    framing.extend([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    let body = Some(Body::ApplicationMessage(framing.into()));
    let nowhere = alice.signed(request([9; 16], body));
    let refused = alice.rpc.submit(nowhere).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let nothing = alice.signed(request([7; 16], None));
    let refused = alice.rpc.submit(nothing).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);

    // None of that has used up what was valid.
    alice.submit_new(others).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ghost_does_not_enter() {
    let world = World::start().await;
    let mut people = world.group(&["alice", "bob"]).await;
    // Certified by a key that is not the one registered for the name, or for no registered device.
    let mut carol = world.person("carol").await;
    let impostor = Person::with(&world, "carol", 240, 241);
    let unregistered = Person::with(&world, "bob", 242, 243);
    for mut ghost in [impostor, unregistered] {
        let packages = ghost.engine.key_packages(&ghost.state, 1, common::now());
        let package = ghost.apply(packages.unwrap()).pop().unwrap();
        let package = KeyPackage::from_bytes(&package, common::now()).unwrap();
        let alice = &mut people[0];
        let change = Change::add(vec![package]);
        // The engine knows Bob's key and refuses a second one itself.
        let Ok(prepared) = alice
            .engine
            .commit(&alice.state, GROUP, change, common::now())
        else {
            continue;
        };
        let prepared = alice.apply(prepared);
        assert_eq!(
            refuse(alice, bundle(&prepared)).await,
            Code::InvalidArgument
        );
        alice.discard();
    }
    // A group is founded by the one who asks, alone.
    let created =
        carol
            .engine
            .create_group(&carol.state, GROUP, &GroupRules::default(), common::now());
    let created = carol.apply(created.unwrap());
    let (info, tree) = (created.group_info, created.ratchet_tree);
    let taken = carol
        .create_with(info.clone(), tree.clone())
        .await
        .unwrap_err();
    assert_eq!(taken.code(), Code::AlreadyExists);
    let foreign = people[1].create_with(info.clone(), tree.clone()).await;
    assert_eq!(foreign.unwrap_err().code(), Code::InvalidArgument);
    let many = people[0]
        .engine
        .ratchet_tree(&people[0].state, GROUP)
        .unwrap();
    for (info, tree) in [
        (&info, &many),
        (&tree, &tree),
        (&info, &info),
        (&info, &tree[1..].into()),
    ] {
        let refused = carol.create_with(info.clone(), tree.clone()).await;
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_before_it_is_parsed() {
    let world = World::start().await;
    let mut people = world.group(&["alice"]).await;
    let alice = &mut people[0];
    let [commit, _, info] = parts(&alice.prepare(Change::update()));
    let large = |most: usize| vec![0; most + 1];
    for body in [
        Body::ApplicationMessage(large(limits::APPLICATION_MESSAGE_BYTES_MAX).into()),
        Body::Proposal(large(limits::KEY_PACKAGE_BYTES_MAX).into()),
        commit_bundle(&large(limits::COMMIT_BYTES_MAX), &[], &info),
        commit_bundle(&commit, &large(limits::WELCOME_BYTES_MAX), &info),
        commit_bundle(&commit, &[], &large(limits::GROUP_INFO_BYTES_MAX)),
    ] {
        assert_eq!(refuse(alice, body).await, Code::InvalidArgument);
    }
    let huge = Body::ApplicationMessage(large(limits::RPC_MESSAGE_BYTES_MAX).into());
    assert_eq!(refuse(alice, huge).await, Code::OutOfRange);
    let ids = alice.signed(v1::ReadLogRequest {
        group_id: vec![0; 17].into(),
        ..v1::ReadLogRequest::default()
    });
    let refused = alice.rpc.read_log(ids).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let refused = alice.page(u64::MAX, 0).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_mutation_of_a_valid_message_is_accepted_or_stops_the_server() {
    let world = World::start().await;
    let mut people = world.group(&["alice", "bob"]).await;
    world.person("carol").await;
    let alice = &mut people[0];
    let prepared = alice.prepare_add(&["carol"]).await;
    let valid = parts(&prepared);
    let before = alice.page(0, 0).await.unwrap();
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for round in 0..150 {
        let mut mutated = valid.clone();
        // The last bytes of a Commit are its membership tag, which only members can check, and the
        // Welcome's ciphertexts only their joiners can open.
        let untouchable = 34;
        let (part, most) = if round % 2 == 0 {
            (0, valid[0].len() - untouchable)
        } else {
            (2, valid[2].len())
        };
        let mut draw = |most: usize| usize::try_from(random_u64(&mut random)).unwrap() % most;
        let (at, with) = (draw(most), u8::try_from(1 + draw(255)).unwrap());
        match draw(3) {
            0 => mutated[part].truncate(at),
            1 => mutated[part].insert(at, with),
            _ => mutated[part][at] ^= with,
        }
        let [commit, welcome, info] = mutated;
        let refused = alice
            .submit_new(commit_bundle(&commit, &welcome, &info))
            .await;
        let refused = refused.expect_err("a mutation was accepted");
        assert!(
            matches!(
                refused.code(),
                Code::InvalidArgument | Code::FailedPrecondition | Code::Unimplemented
            ),
            "{refused}"
        );
    }
    assert_eq!(alice.page(0, 0).await.unwrap(), before);
    alice.commit(prepared).await.unwrap();
}

fn random_u64(random: &mut TestRng) -> u64 {
    use proptest::prelude::Rng as _;
    random.next_u64()
}

/// Sends bytes as they are.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        prost::bytes::BufMut::put_slice(target, &item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, _: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        Ok(Some(()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_protobuf_get_a_status() {
    let world = World::start().await;
    let mut alice = world.person("alice").await;
    let mut raw = Grpc::new(world.channel());
    for method in [
        "Register",
        "Submit",
        "Authenticate",
        "TakeKeyPackages",
        "CreateGroup",
        "CheckInstance",
        "PublishDeviceList",
        "FetchDeviceLists",
        "ReportCommit",
        "Stream",
    ] {
        for bytes in [vec![0xff; 40], vec![0x0a, 0x7f], vec![0x08, 0x80]] {
            raw.ready().await.unwrap();
            let path = format!("/conclave.delivery.v1.DeliveryService/{method}");
            let path = PathAndQuery::try_from(path).unwrap();
            let request: Request<Vec<u8>> = alice.signed(bytes);
            let refused = match method {
                "Stream" => {
                    let once = request.map(tokio_stream::once);
                    let response = raw.streaming(once, path, Raw).await.unwrap();
                    response.into_inner().message().await.unwrap_err()
                }
                _ => raw.unary(request, path, Raw).await.unwrap_err(),
            };
            // gRPC's own code for a request that does not parse.
            assert_eq!(refused.code(), Code::Internal, "{method}: {refused}");
        }
    }
    raw.ready().await.unwrap();
    let path = PathAndQuery::from_static("/conclave.delivery.v1.DeliveryService/Unheard");
    let unheard = raw.unary(alice.signed(Vec::new()), path, Raw).await;
    assert_eq!(unheard.unwrap_err().code(), Code::Unimplemented);
    alice.create().await.unwrap();
}
