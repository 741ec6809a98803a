//! What stands around content before it is encrypted, and the id that follows from it.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

use super::ContentError;
use crate::{
    DeviceId, GroupId, IdError,
    ids::parse_hex,
    limits::{CONTENT_BUCKET_BYTES_MIN, CONTENT_BYTES_MAX},
};

/// The version of the envelope; others are unknown content.
const VERSION: u8 = 1;

const SALT_BYTES: usize = 32;

/// Version, salt and length.
const HEADER_BYTES: usize = 1 + SALT_BYTES + 4;

/// What the hash of an id begins with, so that it is a hash of nothing else.
const ID_LABEL: &[u8] = b"Conclave 1.0 MessageId";

/// The size to which `len` bytes are padded: the next power of two, from
/// [`CONTENT_BUCKET_BYTES_MIN`] on.
#[must_use]
pub fn padded_len(len: usize) -> usize {
    len.next_power_of_two().max(CONTENT_BUCKET_BYTES_MIN)
}

pub(super) fn wrap(body: &[u8], salt: [u8; SALT_BYTES]) -> Result<Vec<u8>, ContentError> {
    let len = HEADER_BYTES + body.len();
    if len > CONTENT_BYTES_MAX {
        return Err(ContentError::TooLong);
    }
    let body_len = u32::try_from(body.len()).map_err(|_| ContentError::TooLong)?;
    let mut bytes = Vec::with_capacity(padded_len(len));
    bytes.push(VERSION);
    bytes.extend_from_slice(&salt);
    bytes.extend_from_slice(&body_len.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes.resize(padded_len(len), 0);
    Ok(bytes)
}

/// The body of an envelope that is exactly as [`wrap`] makes it.
pub(super) fn unwrap(bytes: &[u8]) -> Option<&[u8]> {
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let (version, length) = (header[0], header.last_chunk::<4>()?);
    let body_len = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (body, padding) = rest.split_at_checked(body_len)?;
    let is_whole = version == VERSION
        && bytes.len() <= CONTENT_BYTES_MAX
        && bytes.len() == padded_len(HEADER_BYTES + body_len)
        && padding.iter().all(|byte| *byte == 0);
    is_whole.then_some(body)
}

/// What names a message in its group: a hash of what was encrypted and of the device that sent it.
/// Nobody can make two messages of one id, and the salt keeps the text from being guessed by it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId([u8; 32]);

impl MessageId {
    /// The id of what `sender` sent to a group: `content` is what was encrypted, the envelope with
    /// all its padding.
    #[must_use]
    pub fn of(group: GroupId, sender: DeviceId, content: &[u8]) -> Self {
        let hash = Sha256::new()
            .chain_update(ID_LABEL)
            .chain_update(group.as_bytes())
            .chain_update(sender.as_bytes())
            .chain_update(content)
            .finalize();
        Self(hash.into())
    }

    /// An id of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<&[u8]> for MessageId {
    type Error = IdError;

    fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
        bytes.try_into().map(Self).map_err(|_| IdError::Length {
            expected: 32,
            actual: bytes.len(),
        })
    }
}

impl FromStr for MessageId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_hex(text).map(Self)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({self})")
    }
}
