//! What a member reads after decryption: see `docs/protocol.md`, "Content".
//!
//! What is encrypted is an envelope of version, salt, length, a protobuf [`Content`] and zeros up to
//! a [bucket](padded_len), so that a size says little and nobody can guess a message from its
//! [`MessageId`].

mod check;
mod convert;
mod envelope;
mod message;
mod profile;

use thiserror::Error;

pub use self::{
    envelope::{MessageId, padded_len},
    message::{Attachment, AttachmentKey, Mention, Message},
    profile::{Profile, ProfileHash},
};
use crate::{
    DeviceId, Sequence,
    limits::{
        ATTACHMENT_NAME_BYTES_MAX, ATTACHMENTS_MAX, BLOB_BYTES_MAX, CONTENT_BYTES_MAX,
        DESCRIPTION_BYTES_MAX, GROUP_NAME_CHARS_MAX, MENTIONS_MAX, MESSAGE_EXPIRY_MAX,
        PICTURE_BYTES_MAX, REACTION_BYTES_MAX,
    },
};

#[allow(missing_docs, unreachable_pub)]
pub(crate) mod wire {
    include!(concat!(env!("OUT_DIR"), "/conclave.content.v1.rs"));
}

/// Why something can't be sent as content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ContentError {
    /// Longer than [`CONTENT_BYTES_MAX`].
    #[error("a message has at most {CONTENT_BYTES_MAX} bytes")]
    TooLong,
    /// A message without text and attachments.
    #[error("a message has a text or an attachment")]
    Empty,
    /// A group's name is empty, too long, or has control characters.
    #[error("a group's name has 1 to {GROUP_NAME_CHARS_MAX} characters and no control characters")]
    GroupName,
    /// A group's description is too long, or has control characters.
    #[error("a group's description has at most {DESCRIPTION_BYTES_MAX} bytes")]
    Description,
    /// A group's picture is too large.
    #[error("a group's picture has at most {} KiB", PICTURE_BYTES_MAX / 1024)]
    Picture,
    /// A reaction is empty, too long, or has spaces or control characters.
    #[error("a reaction has 1 to {REACTION_BYTES_MAX} bytes and no spaces or control characters")]
    Reaction,
    /// Mentions are too many, overlap, or name no part of the text.
    #[error("mentions are at most {MENTIONS_MAX} parts of the text, in order")]
    Mentions,
    /// Attachments are too many or too large, or one has a name that is none.
    #[error(
        "a message has at most {ATTACHMENTS_MAX} attachments of {BLOB_BYTES_MAX} bytes, each with a \
         name of 1 to {ATTACHMENT_NAME_BYTES_MAX} bytes without slashes or control characters"
    )]
    Attachments,
    /// A message expires too late or at once.
    #[error("a message expires after 1 s to {} days", MESSAGE_EXPIRY_MAX.as_secs() / 86_400)]
    Expiry,
    /// Bytes that were read as [`Content::Unknown`] are sent on as they came, and not made anew.
    #[error("content of an unknown kind can't be made")]
    Unknown,
}

/// One application message, decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Something said.
    Message(Message),
    /// What the members call the group.
    GroupName(String),
    /// The group's [`Profile`], in the bytes whose hash stands in the group's rules.
    GroupProfile(Vec<u8>),
    /// The author of a message puts another text in its place.
    Edit {
        /// The message.
        target: MessageId,
        /// What it says from now on.
        text: String,
        /// The parts of the text that name users.
        mentions: Vec<Mention>,
    },
    /// The author of a message takes it back.
    Deletion {
        /// The message.
        target: MessageId,
    },
    /// A mark on a message.
    Reaction {
        /// The message.
        target: MessageId,
        /// For example an emoji.
        reaction: String,
        /// Whether it is taken back.
        withdrawn: bool,
    },
    /// How far the sender has come in the group's log.
    Receipt {
        /// Up to where its device has received it.
        delivered: Sequence,
        /// Up to where the person has read it.
        read: Sequence,
    },
    /// Where a history is stored for another device of the sender's user.
    History {
        /// The device.
        device: DeviceId,
        /// What only that device can open.
        sealed: Vec<u8>,
    },
    /// A kind that this program does not know, or bytes that are no content: kept as they came.
    Unknown(Vec<u8>),
}

impl Content {
    /// The bytes that are encrypted. The salt is drawn at random for each.
    ///
    /// # Errors
    /// [`ContentError`] where members would not take it for what it is.
    pub fn seal(&self, salt: [u8; 32]) -> Result<Vec<u8>, ContentError> {
        check::check(self)?;
        let body = convert::encode(self).ok_or(ContentError::Unknown)?;
        envelope::wrap(&body, salt)
    }

    /// Reads what a member sent. Never fails: what is not understood is [`Content::Unknown`], since
    /// a member's nonsense must not stop the log.
    #[must_use]
    pub fn open(bytes: &[u8]) -> Self {
        envelope::unwrap(bytes)
            .and_then(convert::decode)
            .filter(|content| check::check(content).is_ok())
            .unwrap_or_else(|| Self::Unknown(bytes.to_vec()))
    }
}

#[cfg(test)]
mod tests;
