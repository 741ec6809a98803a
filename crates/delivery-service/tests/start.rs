//! A server that can't start says what is wrong and what to do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use conclave_delivery_service::{Config, ServeError, Server};

fn config(data: &Path) -> Config {
    Config {
        server_name: "example.org".into(),
        ..Config::new(data.to_owned())
    }
}

async fn refusal(config: Config) -> ServeError {
    match Server::bind(config).await {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn each_reason_not_to_start_has_its_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let reachable = Config {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..config(&data)
    };
    let refused = refusal(reachable.clone()).await;
    assert!(matches!(refused, ServeError::Plaintext(_)));
    assert!(refused.to_string().contains("--insecure"));
    assert!(!data.exists(), "nothing was made");
    let insecure = Config {
        insecure: true,
        ..reachable
    };
    drop(Server::bind(insecure).await.unwrap());

    let running = Server::bind(config(&data)).await.unwrap();
    let refused = refusal(config(&data)).await;
    assert!(matches!(refused, ServeError::InUse(_)));
    let elsewhere = folder.path().join("elsewhere");
    let taken = Config {
        listen: running.local_addr(),
        ..config(&elsewhere)
    };
    assert!(matches!(refusal(taken).await, ServeError::Listen { .. }));
    running.run(async {}).await.unwrap();

    let renamed = Config {
        server_name: "example.com".into(),
        ..config(&data)
    };
    let refused = refusal(renamed).await;
    assert!(refused.to_string().contains("example.org"));
    assert!(matches!(refused, ServeError::OtherServerName { .. }));
    drop(Server::bind(config(&data)).await.unwrap());

    let unusable = Config {
        server_name: "Not A Name".into(),
        ..config(&data)
    };
    assert!(matches!(refusal(unusable).await, ServeError::ServerName));
}

#[tokio::test]
async fn a_folder_or_database_that_is_none_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"mine").unwrap();
    let refused = refusal(config(&file)).await;
    assert!(matches!(refused, ServeError::Folder { .. }));

    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let database = data.join("conclave.db");
    let garbage = vec![b'g'; 10_000];
    std::fs::write(&database, &garbage).unwrap();
    let refused = refusal(config(&data)).await;
    assert!(matches!(refused, ServeError::Database { .. }), "{refused}");
    assert_eq!(std::fs::read(&database).unwrap(), garbage);

    // Somebody else's database is not ours to write into.
    std::fs::remove_file(&database).unwrap();
    drop(Server::bind(config(&data)).await.unwrap());
    let raw = rusqlite::Connection::open(&database).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    let refused = refusal(config(&data)).await;
    assert!(matches!(
        refused,
        ServeError::NewerDatabase { found: 99, .. }
    ));
}
