//! What is kept for a time only: old entries, records of requests, attachments.

use conclave_protocol::{DeviceId, GroupId, Sequence, UnixMillis};

/// What has had its time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expiry {
    /// This moment.
    pub(crate) now: UnixMillis,
    /// Entries and Welcomes accepted before this go.
    pub(crate) log_before: UnixMillis,
    /// And the oldest entries of a group with more bytes of messages than this.
    pub(crate) log_bytes_max: u64,
    /// Records of requests and of what they took go that are older than this.
    pub(crate) requests_before: UnixMillis,
}

/// An attachment that somebody is about to upload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewBlob {
    /// The group it belongs to.
    pub(crate) group: GroupId,
    /// Who uploads it.
    pub(crate) uploader: DeviceId,
    /// SHA-256 of the whole.
    pub(crate) content_hash: [u8; 32],
    /// Of the whole.
    pub(crate) total_bytes: u64,
    /// What all blobs of the uploader's user may have together, with this one.
    pub(crate) quota_bytes: u64,
    /// When it is dropped if it is not finished.
    pub(crate) expires: UnixMillis,
}

/// An attachment in one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlobId(pub(crate) i64);

/// What became of the wish to upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlobBegun {
    /// Its parts may come.
    Upload(BlobId),
    /// There is no such group.
    UnknownGroup,
    /// The uploader is no member.
    NotMember,
    /// The user has too much stored.
    OverQuota,
}

/// An attachment that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blob {
    /// Which.
    pub(crate) id: BlobId,
    /// Of the whole.
    pub(crate) total_bytes: u64,
    /// The places in the log that came next when it was uploaded first, and last: who may read the
    /// entry at either may read it.
    pub(crate) places: [Sequence; 2],
}
