//! What stands between a client and its server: encryption, limits, and codes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{net::SocketAddr, num::NonZeroU32, path::Path, time::Duration};

use conclave_client::{Client, ClientError, Registration as To};
use conclave_delivery_service::{
    Config, Rate, RateLimits, Registration, Server, Tls, registration_code,
};

async fn serve(config: Config) -> SocketAddr {
    let server = Server::bind(config).await.unwrap();
    let address = server.local_addr();
    tokio::spawn(server.run(std::future::pending()));
    address
}

fn certificate(folder: &Path) -> (Tls, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = Tls {
        certificate: folder.join("certificate.pem"),
        key: folder.join("key.pem"),
    };
    std::fs::write(&tls.certificate, made.cert.pem()).unwrap();
    std::fs::write(&tls.key, made.signing_key.serialize_pem()).unwrap();
    (tls, made.cert.pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_remembered_and_nothing_else_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, authority) = certificate(folder.path());
    let address = serve(Config {
        tls: Some(tls),
        ..Config::new(folder.path().join("server"))
    })
    .await;
    let home = folder.path().join("alice");
    let to = To {
        authority: Some(authority),
        ..To::at(&format!("https://localhost:{}", address.port()))
    };
    let alice = Client::register_with(&home, "alice", &to).await.unwrap();
    let club = alice.create_group("club").await.unwrap();
    drop(alice);
    let again = Client::open(&home).unwrap();
    again.send(club, "still encrypted").await.unwrap();

    let browsers = To::at(&to.server);
    let plain = To::at(&format!("http://{address}"));
    for to in [browsers, plain] {
        let refused = Client::register_with(&folder.path().join("bob"), "bob", &to).await;
        assert!(refused.is_err());
    }
    let nonsense = To {
        authority: Some("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----".to_owned()),
        ..to
    };
    let refused = Client::register_with(&folder.path().join("bob"), "bob", &nonsense).await;
    assert!(matches!(refused, Err(ClientError::Authority)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_waits_when_it_is_asked_to_and_shows_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let address = serve(Config {
        registration: Registration::Code,
        rates: RateLimits {
            user_submissions: Rate {
                every: Duration::from_millis(200),
                burst: NonZeroU32::MIN,
            },
            ..RateLimits::unlimited()
        },
        ..Config::new(data.clone())
    })
    .await;
    let home = folder.path().join("alice");
    let mut to = To::at(&format!("http://{address}"));
    let refused = Client::register_with(&home, "alice", &to).await;
    assert!(matches!(refused, Err(ClientError::CodeRefused(false))));
    to.code = Some("guessed".to_owned());
    let refused = Client::register_with(&home, "alice", &to).await;
    assert!(matches!(refused, Err(ClientError::CodeRefused(true))));
    let now = std::time::SystemTime::now().into();
    to.code = Some(registration_code(&data, Duration::from_mins(1), now).unwrap());
    let alice = Client::register_with(&home, "alice", &to).await.unwrap();
    let club = alice.create_group("club").await.unwrap();
    for text in ["one", "two", "three"] {
        alice.send(club, text).await.unwrap();
    }
}
