//! Attachments, streamed both ways.

use conclave_protocol::{GroupId, UnixMillis};
use conclave_rpc::v1::{self, upload_blob_request::Request as Part};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{Code, Status};

use super::Remote;
use crate::{
    ClientError,
    attachment::{AttachmentError, Progress, SealedFile},
    perform::signed,
};

impl Remote {
    /// Stores an encrypted file, and says until when it is kept.
    pub(crate) async fn upload_blob(
        &self,
        group: GroupId,
        file: &SealedFile,
        progress: &(impl Fn(Progress) + Send + Sync),
    ) -> Result<UnixMillis, ClientError> {
        let begin = v1::UploadBlobRequest {
            request: Some(Part::Begin(v1::BeginBlob {
                group_id: group.as_bytes().to_vec().into(),
                content_hash: file.content_hash.to_vec().into(),
                total_bytes: file.total_bytes,
            })),
        };
        let answer = self
            .authorised(|token| {
                let (mut service, begin) = (self.service.clone(), begin.clone());
                let parts = file.parts();
                async move {
                    let (sender, receiver) = mpsc::channel(1);
                    let requests = tokio_stream::once(begin).chain(ReceiverStream::new(receiver));
                    let upload = service.upload_blob(signed(requests, token));
                    let parts = parts.map_err(|_| Status::aborted("the file can't be read"))?;
                    let (answer, ()) = tokio::join!(upload, feed(parts, sender, file, progress));
                    Ok(answer?.into_inner())
                }
            })
            .await
            .map_err(|status| self.error(&status))?;
        Ok(UnixMillis(answer.expires_millis))
    }

    /// Fetches an encrypted file into `parts`' other end.
    pub(crate) async fn download_blob(
        &self,
        group: GroupId,
        content_hash: &[u8; 32],
        parts: &mpsc::Sender<Vec<u8>>,
        progress: impl Fn(Progress),
    ) -> Result<(), ClientError> {
        let request = v1::DownloadBlobRequest {
            group_id: group.as_bytes().to_vec().into(),
            content_hash: content_hash.to_vec().into(),
        };
        let asked = self.authorised(|token| {
            let (mut service, request) = (self.service.clone(), request.clone());
            async move { service.download_blob(signed(request, token)).await }
        });
        let failed = |status: &Status| match status.code() {
            Code::NotFound => AttachmentError::Gone.into(),
            _ => self.error(status),
        };
        let mut stream = asked.await.map_err(|it| failed(&it))?.into_inner();
        let mut done = 0;
        while let Some(part) = stream.message().await.map_err(|it| failed(&it))? {
            done += part.part.len() as u64;
            let total = part.total_bytes;
            if parts.send(part.part.into()).await.is_err() {
                return Err(ClientError::ShuttingDown);
            }
            progress(Progress { done, total });
        }
        Ok(())
    }
}

/// Sends the parts as fast as they are taken.
async fn feed(
    mut parts: mpsc::Receiver<Vec<u8>>,
    sender: mpsc::Sender<v1::UploadBlobRequest>,
    file: &SealedFile,
    progress: &(impl Fn(Progress) + Send + Sync),
) {
    let mut done = 0;
    while let Some(part) = parts.recv().await {
        let len = part.len() as u64;
        let request = v1::UploadBlobRequest {
            request: Some(Part::Part(part.into())),
        };
        // Where nobody takes it any longer, the answer says why.
        if sender.send(request).await.is_err() {
            return;
        }
        done += len;
        let total = file.total_bytes;
        progress(Progress { done, total });
    }
}
