//! What is kept for a time: attachments, old entries, and the copy that a backup is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{GROUP, Person, World, id};
use conclave_delivery_service::{BackupError, Config, Retention, backup};
use conclave_engine::Change;
use conclave_rpc::{ErrorDetail, v1, v1::upload_blob_request::Request as Part};
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};

fn part(request: Part) -> v1::UploadBlobRequest {
    v1::UploadBlobRequest {
        request: Some(request),
    }
}

/// Uploads what is announced with `hash`, in parts that fit no chunk.
async fn upload(person: &mut Person, content: &[u8], hash: &[u8]) -> Result<u64, Status> {
    let begin = v1::BeginBlob {
        group_id: id(GROUP.as_bytes()),
        content_hash: hash.to_vec().into(),
        total_bytes: content.len() as u64,
    };
    let parts = content
        .chunks(100_001)
        .map(|bytes| part(Part::Part(bytes.to_vec().into())));
    let requests: Vec<_> = std::iter::once(part(Part::Begin(begin)))
        .chain(parts)
        .collect();
    let request = person.signed(tokio_stream::iter(requests));
    let response = person.rpc.upload_blob(request).await?;
    Ok(response.into_inner().expires_millis)
}

async fn download(person: &mut Person, hash: &[u8]) -> Result<Vec<u8>, Status> {
    let request = person.signed(v1::DownloadBlobRequest {
        group_id: id(GROUP.as_bytes()),
        content_hash: hash.to_vec().into(),
    });
    let mut parts = person.rpc.download_blob(request).await?.into_inner();
    let mut content = Vec::new();
    while let Some(part) = parts.message().await? {
        content.extend_from_slice(&part.part);
    }
    Ok(content)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_is_for_those_who_read_the_group_when_it_came() {
    let mut world = World::start().await;
    let mut people = world.group(&["alice", "bob"]).await;
    let mut carol = world.person("carol").await;
    let content: Vec<u8> = (0..1_000_003u32)
        .map(|at| at.to_le_bytes()[0] ^ 7)
        .collect();
    let hash: [u8; 32] = Sha256::digest(&content).into();
    let refused = upload(&mut carol, &content, &hash).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = upload(&mut people[0], &content, &[1; 32])
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let refused = upload(&mut people[0], &[], &[1; 32]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(upload(&mut people[0], &content, &hash).await.unwrap() > common::now().0);
    assert!(download(&mut people[1], &hash).await.unwrap() == content);
    let refused = download(&mut carol, &hash).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = download(&mut people[1], &[1; 32]).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);

    // Who comes later does not read it, until somebody who has it shares it again.
    people[0].send("look at this").await.unwrap();
    people[0].add(&["carol"]).await.unwrap();
    carol.join().await;
    let refused = download(&mut carol, &hash).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    people[1].read().await.unwrap();
    upload(&mut people[1], &content, &hash).await.unwrap();
    assert!(download(&mut carol, &hash).await.unwrap() == content);

    // Who is gone reads what was there, and not what came since. All survives a restart.
    let removal = people[1].prepare(Change::remove(vec![carol.device()]));
    people[1].commit(removal).await.unwrap();
    let later: [u8; 32] = Sha256::digest(b"later").into();
    upload(&mut people[0], b"later", &later).await.unwrap();
    let refused = download(&mut carol, &later).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    world.stop_server().await;
    world.start_server().await;
    people[1].rpc = world.rpc();
    carol.rpc = world.rpc();
    assert!(download(&mut carol, &hash).await.unwrap() == content);
    assert_eq!(download(&mut people[1], &later).await.unwrap(), b"later");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_too_late_is_told_so() {
    let mut world = World::start().await;
    let mut people = world.group(&["alice", "bob"]).await;
    for number in 0..20 {
        people[0].send(&format!("{number}")).await.unwrap();
    }
    world.stop_server().await;
    let retention = Retention {
        log_bytes: 1000,
        interval: Duration::from_millis(20),
        ..Retention::default()
    };
    let config = Config {
        listen: world.address,
        retention,
        ..Config::new(world.folder.path().to_owned())
    };
    world.start_server_with(config).await;
    for person in &mut people {
        person.rpc = world.rpc();
    }
    let status = loop {
        match people[1].page(1, 0).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::OutOfRange);
    let Some(ErrorDetail::TooLate(detail)) = ErrorDetail::of(&status) else {
        panic!("{status:?}");
    };
    let first = detail.first_kept_sequence;
    assert!((2..=21).contains(&first));
    let page = people[1].page(first - 1, 0).await.unwrap();
    assert_eq!(page.entries[0].sequence, first);
    assert_eq!(page.readable_sequence, 21);

    // A stream says it of the group, and goes on.
    let open = v1::OpenStream {
        mailbox_after_cursor: 0,
        groups: vec![v1::FollowGroup {
            group_id: id(GROUP.as_bytes()),
            after_sequence: 1,
        }],
    };
    let open = v1::StreamRequest {
        request: Some(v1::stream_request::Request::Open(open)),
    };
    let waiting = tokio_stream::StreamExt::chain(
        tokio_stream::iter([open]),
        tokio_stream::pending::<v1::StreamRequest>(),
    );
    let request = people[1].signed(waiting);
    let mut events = people[1].rpc.stream(request).await.unwrap().into_inner();
    loop {
        let event = events.message().await.unwrap().unwrap().event.unwrap();
        if let v1::stream_response::Event::TooLate(late) = event {
            assert_eq!(late.detail.unwrap(), detail);
            break;
        }
    }
    // Bob's part in the group's order is over, and alice's is not.
    people[0].send("still here").await.unwrap();
}

/// The restore drill: a copy is taken while messages come in, and a server starts on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_has_all_that_was_acknowledged_before_it_began() {
    let mut world = World::start().await;
    let mut people = world.group(&["alice", "bob"]).await;
    let mut bob = people.pop().unwrap();
    let mut alice = people.pop().unwrap();
    for number in 0..30 {
        alice.send(&format!("{number}")).await.unwrap();
    }
    let before = alice.page(0, 0).await.unwrap();
    let data = world.folder.path().to_owned();
    let file = data.join("copy.db");
    let (from, to) = (data.clone(), file.clone());
    let copying = tokio::task::spawn_blocking(move || backup(&from, &to));
    let mut during = 0;
    while !copying.is_finished() || during == 0 {
        alice.send("meanwhile").await.unwrap();
        during += 1;
    }
    copying.await.unwrap().unwrap();
    let refused = backup(&data, &file).unwrap_err();
    assert!(matches!(refused, BackupError::Target { .. }), "{refused}");
    let refused = backup(&data.join("nothing"), &file).unwrap_err();
    assert!(matches!(refused, BackupError::NoDatabase(_)));

    world.stop_server().await;
    let restored = tempfile::tempdir().unwrap();
    std::fs::copy(&file, restored.path().join("conclave.db")).unwrap();
    let config = Config {
        listen: world.address,
        ..Config::new(restored.path().to_owned())
    };
    world.start_server_with(config).await;
    bob.rpc = world.rpc();
    let after = bob.page(0, 0).await.unwrap();
    let kept = before.entries.len();
    assert_eq!(after.entries[..kept], before.entries);
    assert!(after.entries.len() <= kept + during);
    // The group goes on from there, and so do its Commits.
    bob.read().await.unwrap();
    let update = bob.prepare(Change::update());
    bob.commit(update).await.unwrap();
    bob.send("we are back").await.unwrap();
}
