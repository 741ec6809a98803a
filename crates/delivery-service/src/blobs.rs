//! Attachments: encrypted by who sends them, kept for a group until they expire.
//!
//! An upload is hashed as it comes, and members see it once it is whole and hashes to what its
//! uploader said. Its parts are durable before the upload is acknowledged.

use std::{sync::Arc, time::Duration};

use conclave_protocol::{
    DeviceId, GroupId, UnixMillis,
    limits::{BLOB_BYTES_MAX, CHUNK_BYTES},
};
use sha2::{Digest as _, Sha256};

use crate::{
    access::Access,
    error::Refusal,
    limits::UPLOAD_LIFETIME,
    retention::Retention,
    store::{Blob, BlobBegun, BlobId, NewBlob, Store},
};

/// Keeps attachments.
pub(crate) struct Blobs {
    store: Arc<dyn Store>,
    age: Duration,
    quota_bytes: u64,
}

/// What somebody wants to upload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Announced {
    pub(crate) group: GroupId,
    pub(crate) uploader: DeviceId,
    pub(crate) content_hash: [u8; 32],
    pub(crate) total_bytes: u64,
}

/// An upload that is not whole yet. One that is dropped is found by retention later.
pub(crate) struct Upload {
    announced: Announced,
    id: BlobId,
    hash: Sha256,
    received: u64,
    parts: u32,
    /// What has come and is not stored: less than a part.
    rest: Vec<u8>,
}

impl Blobs {
    /// Attachments in `store`.
    pub(crate) fn new(store: Arc<dyn Store>, retention: &Retention) -> Self {
        Self {
            store,
            age: retention.blob_age,
            quota_bytes: retention.blob_bytes_per_user,
        }
    }

    /// Begins an upload.
    pub(crate) fn begin(&self, announced: Announced, now: UnixMillis) -> Result<Upload, Refusal> {
        if announced.total_bytes == 0 || announced.total_bytes > BLOB_BYTES_MAX {
            return Err(Refusal::Invalid("total_bytes: empty or too large"));
        }
        let begun = self.store.begin_blob(&NewBlob {
            group: announced.group,
            uploader: announced.uploader,
            content_hash: announced.content_hash,
            total_bytes: announced.total_bytes,
            quota_bytes: self.quota_bytes,
            expires: now.after(UPLOAD_LIFETIME),
        })?;
        match begun {
            BlobBegun::Upload(id) => Ok(Upload {
                announced,
                id,
                hash: Sha256::new(),
                received: 0,
                parts: 0,
                rest: Vec::new(),
            }),
            BlobBegun::UnknownGroup => Err(Refusal::UnknownGroup),
            BlobBegun::NotMember => Err(Refusal::NotMember),
            BlobBegun::OverQuota => Err(Refusal::Busy(
                "the user's attachments take all the space they may; wait until some expire",
            )),
        }
    }

    /// Takes in what has come, however it was cut.
    pub(crate) fn put(&self, upload: &mut Upload, bytes: &[u8]) -> Result<(), Refusal> {
        upload.received += bytes.len() as u64;
        if upload.received > upload.announced.total_bytes {
            return Err(Refusal::Invalid("part: more than was announced"));
        }
        upload.hash.update(bytes);
        upload.rest.extend_from_slice(bytes);
        while upload.rest.len() >= CHUNK_BYTES {
            let later = upload.rest.split_off(CHUNK_BYTES);
            let part = std::mem::replace(&mut upload.rest, later);
            self.store_part(upload, &part)?;
        }
        Ok(())
    }

    /// Ends an upload, and says how long it will be kept.
    pub(crate) fn finish(
        &self,
        mut upload: Upload,
        now: UnixMillis,
    ) -> Result<UnixMillis, Refusal> {
        let announced = upload.announced;
        if upload.received != announced.total_bytes {
            return Err(Refusal::Invalid("part: less than was announced"));
        }
        let rest = std::mem::take(&mut upload.rest);
        if !rest.is_empty() {
            self.store_part(&mut upload, &rest)?;
        }
        if <[u8; 32]>::from(upload.hash.finalize()) != announced.content_hash {
            return Err(Refusal::Invalid("content_hash: not that of the parts"));
        }
        let expires = now.after(self.age);
        let finished = self
            .store
            .finish_blob(upload.id, announced.uploader, expires)?;
        finished.then_some(expires).ok_or(GONE)
    }

    /// Gives up an upload: its space is free at once.
    pub(crate) fn abandon(&self, id: BlobId) -> Result<(), Refusal> {
        Ok(self.store.drop_blob(id)?)
    }

    /// Finds an attachment that a device may read.
    pub(crate) fn find(
        &self,
        group: GroupId,
        device: DeviceId,
        content_hash: &[u8; 32],
        now: UnixMillis,
    ) -> Result<Blob, Refusal> {
        let found = self.store.access(group, device)?;
        let (head, ranges) = found.ok_or(Refusal::UnknownGroup)?;
        let access = Access::new(head, ranges).ok_or(Refusal::NotMember)?;
        let blob = self.store.blob(group, content_hash, now)?;
        // Whether there is one is not for those who may not read it.
        blob.filter(|blob| blob.places.iter().any(|place| access.reaches(*place)))
            .ok_or(Refusal::NotFound("there is no such attachment to read"))
    }

    /// A part of an attachment; `None` past its end.
    pub(crate) fn part(&self, blob: &Blob, part: u32) -> Result<Option<Vec<u8>>, Refusal> {
        Ok(self.store.blob_part(blob.id, part)?)
    }

    fn store_part(&self, upload: &mut Upload, part: &[u8]) -> Result<(), Refusal> {
        if !self.store.put_blob_part(upload.id, upload.parts, part)? {
            return Err(GONE);
        }
        upload.parts += 1;
        Ok(())
    }
}

impl Upload {
    /// Under which it is given up.
    pub(crate) fn id(&self) -> BlobId {
        self.id
    }
}

const GONE: Refusal = Refusal::NotFound("the upload took too long, or its group is closed to it");
