//! What takes long, under a clock that skips what nobody waits for.

use std::{future::Future, sync::Arc, time::Duration};

use conclave_protocol::{Sequence, UnixMillis};
use conclave_rpc::v1::{
    self, delivery_service_client::DeliveryServiceClient, stream_request::Request as Say,
    upload_blob_request::Request as Part,
};
use sha2::{Digest as _, Sha256};
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};

use crate::{
    in_process::{Connection, InProcess},
    limits::EVENT_READ_TIMEOUT,
    ordering::Verdict,
    store::{
        MemoryStore, NewEntry, Store,
        contract::{GROUP, device, entry, found},
    },
};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

/// A group of one, and what its member calls.
fn member(entries: u8) -> (DeliveryServiceClient<Connection>, InProcess) {
    let store = Arc::new(MemoryStore::default());
    found(&*store, 1);
    for number in 1..=entries {
        let entry = NewEntry {
            message: &[7; 16 * 1024],
            ..entry(1, number, 0)
        };
        let verdict = store.append(&entry).unwrap();
        assert_eq!(verdict, Verdict::Accept(Sequence(u64::from(number))));
    }
    let service = InProcess::on(store, "here", NOW);
    let client = DeliveryServiceClient::new(service.connect(Some(device(1))));
    (client, service)
}

/// Uploads so many parts of this size, each after a pause.
fn upload(parts: usize, bytes: usize, pause: Duration) -> impl Future<Output = Result<(), Status>> {
    let part = vec![7; bytes];
    let content_hash: [u8; 32] = Sha256::digest(part.repeat(parts)).into();
    let begin = v1::BeginBlob {
        group_id: GROUP.as_bytes().to_vec().into(),
        content_hash: content_hash.to_vec().into(),
        total_bytes: (parts * bytes) as u64,
    };
    let begin = v1::UploadBlobRequest {
        request: Some(Part::Begin(begin)),
    };
    let parts = tokio_stream::iter(0..parts).then(move |_| {
        let request = Some(Part::Part(part.clone().into()));
        async move {
            tokio::time::sleep(pause).await;
            v1::UploadBlobRequest { request }
        }
    });
    let (mut client, service) = member(0);
    async move {
        let requests = tokio_stream::once(begin).chain(parts);
        let uploaded = client.upload_blob(requests).await.map(drop);
        drop(service);
        uploaded
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_may_take_its_time_and_has_to_get_on() {
    let second = Duration::from_secs(1);
    // 20 minutes, far more than a request may take otherwise.
    upload(30, 1024 * 1024, 40 * second).await.unwrap();
    for (parts, bytes, pause) in [(3, 1024 * 1024, 61 * second), (999, 1, second)] {
        let refused = upload(parts, bytes, pause).await.unwrap_err();
        assert_eq!(refused.code(), Code::DeadlineExceeded);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_ends_with_little_in_memory() {
    let (mut client, _service) = member(200);
    let open = v1::StreamRequest {
        request: Some(Say::Open(v1::OpenStream {
            mailbox_after_cursor: 0,
            groups: vec![v1::FollowGroup {
                group_id: GROUP.as_bytes().to_vec().into(),
                after_sequence: 0,
            }],
        })),
    };
    let said = tokio_stream::iter([open]).chain(tokio_stream::pending());
    let mut events = client.stream(said).await.unwrap().into_inner();
    events.message().await.unwrap().unwrap();
    tokio::time::sleep(EVENT_READ_TIMEOUT + Duration::from_secs(1)).await;
    let mut left = 0;
    while events.message().await.unwrap().is_some() {
        left += 1;
    }
    assert!((10..40).contains(&left), "{left} events were waiting");
}
