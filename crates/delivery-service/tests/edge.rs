//! What stands between the network and the service, from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{num::NonZeroU32, time::Duration};

use common::{Person, World, certificate, tls_channel};
use conclave_delivery_service::{Config, Rate, RateLimits, Registration, Tls, registration_code};
use conclave_rpc::{ErrorDetail, VERSION, v1};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tonic::{Code, Request, Status};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};

fn wait_of(status: &Status) -> Duration {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    match ErrorDetail::of(status) {
        Some(ErrorDetail::RateLimited(limit)) => Duration::from_millis(limit.retry_after_millis),
        other => panic!("no time to come back: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_encrypts_and_only_who_knows_it_connects() {
    let folder = tempfile::tempdir().unwrap();
    let ours = certificate(folder.path(), "localhost");
    let others = certificate(&folder.path().join("others"), "localhost");
    let world = World::start_with(|config| Config {
        tls: Some(ours.clone()),
        ..config
    })
    .await;
    let person = Person::over(
        &world,
        tls_channel(world.address, &ours).await.unwrap(),
        "alice",
    );
    let mut alice = person;
    alice.register().await.unwrap();
    alice.sign_in().await;
    alice.create().await.unwrap();
    assert!(tls_channel(world.address, &others).await.is_err());
    let mut plain = Person::new(&world, "bob");
    assert!(plain.register().await.is_err());
    alice.send("still served").await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_is_none_has_its_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let good = certificate(folder.path(), "localhost");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    for tls in [
        Tls {
            certificate: empty.clone(),
            ..good.clone()
        },
        Tls {
            key: empty.clone(),
            ..good.clone()
        },
        Tls {
            key: folder.path().join("none"),
            ..good.clone()
        },
    ] {
        let config = Config {
            tls: Some(tls),
            ..Config::new(folder.path().join("data"))
        };
        let Err(refused) = conclave_delivery_service::Server::bind(config).await else {
            panic!("it started");
        };
        assert!(refused.to_string().contains("for TLS"), "{refused}");
    }
    assert!(!folder.path().join("data").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let few = |every, burst| Rate {
        every,
        burst: NonZeroU32::new(burst).unwrap(),
    };
    let world = World::start_with(|config| Config {
        rates: RateLimits {
            user_submissions: few(Duration::from_millis(200), 3),
            address_registrations: few(Duration::from_hours(1), 2),
            limit_loopback: true,
            ..RateLimits::unlimited()
        },
        ..config
    })
    .await;
    let mut people = world.group(&["alice", "bob"]).await;
    let [alice, bob] = people.get_disjoint_mut([0, 1]).unwrap();
    // Adding Bob was one.
    for text in ["one", "two"] {
        alice.send(text).await.unwrap();
    }
    let body = alice.encrypt("three");
    let refused = alice.submit(7, body.clone()).await.unwrap_err();
    let wait = wait_of(&refused);
    assert!(wait <= Duration::from_millis(200));
    bob.send("others are not held up").await.unwrap();
    tokio::time::sleep(wait).await;
    alice.submit(7, body).await.unwrap();

    let mut carol = Person::new(&world, "carol");
    let refused = carol.register().await.unwrap_err();
    assert!(wait_of(&refused) > Duration::from_mins(59));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_code_is_asked_for_and_used_once() {
    let world = World::start_with(|config| Config {
        registration: Registration::Code,
        ..config
    })
    .await;
    let make =
        || registration_code(world.folder.path(), Duration::from_mins(1), common::now()).unwrap();
    let mut alice = Person::new(&world, "alice");
    assert_eq!(
        alice.register().await.unwrap_err().code(),
        Code::PermissionDenied
    );
    let code = make();
    alice
        .register_with(&format!(" {} ", code.to_uppercase()))
        .await
        .unwrap();
    // An answer that was lost is asked for again.
    alice.register_with(&code).await.unwrap();
    let mut bob = Person::new(&world, "bob");
    let refused = bob.register_with(&code).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    bob.register_with(&make()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_is_told_to_update() {
    let world = World::start_with(|config| Config {
        minimum_client: Some("0.2.0".parse().unwrap()),
        ..config
    })
    .await;
    for (version, served) in [
        (None, false),
        (Some("0.1.9"), false),
        (Some("nonsense"), false),
        (Some("0.2.0"), true),
        (Some("1.0.0-beta"), true),
    ] {
        let mut request = Request::new(v1::DescribeRequest {});
        if let Some(version) = version {
            request
                .metadata_mut()
                .insert(VERSION, version.parse().unwrap());
        }
        match world.rpc().describe(request).await {
            Ok(_) => assert!(served, "{version:?}"),
            Err(refused) => {
                assert!(!served, "{version:?}");
                assert_eq!(refused.code(), Code::FailedPrecondition);
                assert!(refused.message().contains("update"));
                let detail = ErrorDetail::of(&refused);
                assert!(matches!(detail, Some(ErrorDetail::ClientTooOld(_))));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_that_the_end_is_near_before_it_comes() {
    let mut world = World::start_with(|config| Config {
        notice: Duration::from_millis(600),
        ..config
    })
    .await;
    let mut health = HealthClient::new(world.channel());
    let ask = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    let name = "conclave.delivery.v1.DeliveryService";
    for service in ["", name] {
        let answer = health.check(ask(service)).await.unwrap().into_inner();
        assert_eq!(answer.status, ServingStatus::Serving as i32);
    }
    let mut watch = health.watch(ask(name)).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    let mut alice = Person::new(&world, "alice");
    let stopping = tokio::spawn(async move { world.stop_server().await });
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2);
    alice.register().await.unwrap();
    assert_eq!(watch.message().await.unwrap(), None);
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_or_asks_for_nothing_it_reads_is_hung_up_on() {
    let world = World::start().await;
    let mut silent = TcpStream::connect(world.address).await.unwrap();
    let mut half = TcpStream::connect(world.address).await.unwrap();
    half.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    let mut other = TcpStream::connect(world.address).await.unwrap();
    other.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    for stream in [&mut other, &mut silent, &mut half] {
        let mut said = Vec::new();
        let end = timeout(Duration::from_secs(12), stream.read_to_end(&mut said)).await;
        assert!(end.is_ok(), "still connected");
    }
    world.person("alice").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_only_so_many_connections() {
    let world = World::start_with(|config| Config {
        connections: 3,
        ..config
    })
    .await;
    let mut alice = world.person("alice").await;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(TcpStream::connect(world.address).await.unwrap());
    }
    let mut late = TcpStream::connect(world.address).await.unwrap();
    let mut byte = [0];
    let end = timeout(Duration::from_secs(2), late.read(&mut byte)).await;
    assert!(matches!(end, Ok(Ok(0) | Err(_))), "let in");
    alice.create().await.unwrap();
    drop(held);
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.rpc().describe(v1::DescribeRequest {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_request_is_small() {
    let world = World::start().await;
    let large = v1::RegisterRequest {
        certificate: vec![0; 100_000].into(),
        ..v1::RegisterRequest::default()
    };
    let refused = world.rpc().register(large).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    let mut alice = world.person("alice").await;
    alice.create().await.unwrap();
}
