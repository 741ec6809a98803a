//! Attachments, streamed both ways.

use conclave_rpc::{EdgeError, group_id, v1, v1::upload_blob_request::Request as Sent};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, Streaming};

use super::{Authenticated, Events, Service};
use crate::{
    blobs::{Announced, Upload},
    edge::Pace,
    error::Refusal,
    limits::STREAM_EVENTS_MAX,
};

impl Service {
    pub(super) async fn take_blob(
        &self,
        request: Authenticated<Streaming<v1::UploadBlobRequest>>,
    ) -> Result<Response<v1::UploadBlobResponse>, Status> {
        let Authenticated { caller, now, body } = request;
        let mut parts = body;
        let mut pace = Pace::starting(Instant::now());
        let Some(Sent::Begin(begin)) = next(&mut parts, &mut pace).await? else {
            return Err(EdgeError::new("request", "an upload begins with begin").into());
        };
        let announced = Announced {
            group: group_id(&begin.group_id)?,
            uploader: caller,
            content_hash: content_hash(&begin.content_hash)?,
            total_bytes: begin.total_bytes,
        };
        let upload = self
            .job(move |rooms| {
                rooms.moderation.check_may_reach(caller, now)?;
                rooms.blobs.begin(announced, now)
            })
            .await?;
        let id = upload.id();
        let expires = match self.receive(upload, parts, pace).await {
            Ok(expires) => expires,
            Err(refused) => {
                self.job(move |rooms| rooms.blobs.abandon(id)).await?;
                return Err(refused);
            }
        };
        Ok(Response::new(v1::UploadBlobResponse {
            expires_millis: expires.0,
        }))
    }

    async fn receive(
        &self,
        mut upload: Upload,
        mut parts: Streaming<v1::UploadBlobRequest>,
        mut pace: Pace,
    ) -> Result<conclave_protocol::UnixMillis, Status> {
        while let Some(sent) = next(&mut parts, &mut pace).await? {
            let Sent::Part(part) = sent else {
                return Err(EdgeError::new("begin", "an upload begins once").into());
            };
            upload = self
                .job(move |rooms| {
                    rooms.blobs.put(&mut upload, &part)?;
                    Ok(upload)
                })
                .await?;
            // What that took was not the client's time.
            pace.moved(0, Instant::now());
        }
        self.job(move |rooms| rooms.blobs.finish(upload, rooms.clock.now()))
            .await
    }

    pub(super) async fn send_blob(
        &self,
        Authenticated { caller, now, body }: Authenticated<v1::DownloadBlobRequest>,
    ) -> Result<Response<Events<v1::DownloadBlobResponse>>, Status> {
        let group = group_id(&body.group_id)?;
        let hash = content_hash(&body.content_hash)?;
        let blob = self
            .job(move |rooms| rooms.blobs.find(group, caller, &hash, now))
            .await?;
        let (sender, receiver) = mpsc::channel(STREAM_EVENTS_MAX);
        let service = self.clone();
        tokio::spawn(async move {
            let mut sent = 0;
            for number in 0.. {
                let read = service.job(move |rooms| rooms.blobs.part(&blob, number));
                let response = match read.await {
                    Ok(Some(part)) => {
                        sent += part.len() as u64;
                        Ok(v1::DownloadBlobResponse {
                            part: part.into(),
                            total_bytes: blob.total_bytes,
                        })
                    }
                    Ok(None) if sent == blob.total_bytes => break,
                    Ok(None) => Err(Refusal::NotFound("the attachment has expired").into()),
                    Err(status) => Err(status),
                };
                let failed = response.is_err();
                if sender.send(response).await.is_err() || failed {
                    break;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// What comes next, if it comes in time.
async fn next(
    parts: &mut Streaming<v1::UploadBlobRequest>,
    pace: &mut Pace,
) -> Result<Option<Sent>, Status> {
    let coming = timeout_at(pace.deadline(), parts.message());
    let message = coming
        .await
        .map_err(|_| Status::deadline_exceeded("the upload came too slowly"))?;
    let Some(message) = message? else {
        return Ok(None);
    };
    let sent = message
        .request
        .ok_or(EdgeError::new("request", "missing"))?;
    if let Sent::Part(part) = &sent {
        pace.moved(part.len(), Instant::now());
    }
    Ok(Some(sent))
}

fn content_hash(bytes: &[u8]) -> Result<[u8; 32], EdgeError> {
    bytes
        .try_into()
        .map_err(|_| EdgeError::new("content_hash", "a SHA-256 has 32 bytes"))
}
