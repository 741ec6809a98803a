//! Something said: what its author chose, before anybody else reacts to it.

use std::{fmt, ops::Range, time::Duration};

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::MessageId;
use crate::{UnixMillis, UserId};

/// Something said: text, attachments or both, and what goes with them.
///
/// ```
/// # use std::time::Duration;
/// # use conclave_protocol::Message;
/// let message = Message::text("see you at 7").expires_after(Duration::from_secs(3600));
/// assert_eq!(message.body(), "see you at 7");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    pub(super) text: String,
    pub(super) mentions: Vec<Mention>,
    pub(super) reply_to: Option<MessageId>,
    pub(super) attachments: Vec<Attachment>,
    pub(super) expires_after_seconds: u64,
}

/// A part of a text that names a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The part, in bytes of the text.
    pub range: Range<usize>,
    /// Whom it names.
    pub user: UserId,
}

/// A file that stands, encrypted, at the delivery service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// What it is encrypted with.
    pub key: AttachmentKey,
    /// SHA-256 of the encrypted file.
    pub content_hash: [u8; 32],
    /// Bytes of the file itself.
    pub size_bytes: u64,
    /// What its sender calls it: no path.
    pub name: String,
    /// For example `image/png`; empty where it is not known.
    pub media_type: String,
    /// Until when the service keeps it.
    pub kept_until: UnixMillis,
}

/// What one attachment, and nothing else, is encrypted with.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct AttachmentKey(pub(super) [u8; 32]);

impl AttachmentKey {
    /// The key of these bytes; whoever makes one draws them at random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, which are secret.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for AttachmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttachmentKey(redacted)")
    }
}

impl Message {
    /// A line of text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// In answer to another message.
    #[must_use]
    pub fn reply_to(mut self, target: MessageId) -> Self {
        self.reply_to = Some(target);
        self
    }

    /// Names a user at a part of the text; parts are given in their order.
    #[must_use]
    pub fn mention(mut self, range: Range<usize>, user: UserId) -> Self {
        self.mentions.push(Mention { range, user });
        self
    }

    /// With a file that the service has.
    #[must_use]
    pub fn attach(mut self, attachment: Attachment) -> Self {
        self.attachments.push(attachment);
        self
    }

    /// Gone, everywhere, so long after the service has accepted it; counted in whole seconds.
    #[must_use]
    pub fn expires_after(mut self, time: Duration) -> Self {
        self.expires_after_seconds = time.as_secs().max(1);
        self
    }

    /// Gone after this time at the latest; where it is to be gone earlier, that stays.
    #[must_use]
    pub fn expires_within(self, time: Duration) -> Self {
        match self.expires_after_seconds {
            own if own != 0 && own <= time.as_secs() => self,
            _ => self.expires_after(time),
        }
    }

    /// The same message with another text.
    #[must_use]
    pub fn with_text(mut self, text: String, mentions: Vec<Mention>) -> Self {
        (self.text, self.mentions) = (text, mentions);
        self
    }

    /// The text; empty where there are only attachments.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.text
    }

    /// The parts of the text that name users, in their order.
    #[must_use]
    pub fn mentions(&self) -> &[Mention] {
        &self.mentions
    }

    /// The message that it answers.
    #[must_use]
    pub fn replies_to(&self) -> Option<MessageId> {
        self.reply_to
    }

    /// Its files.
    #[must_use]
    pub fn attachments(&self) -> &[Attachment] {
        &self.attachments
    }

    /// When it is to be gone, where the service accepted it at `accepted`; `None` for never.
    #[must_use]
    pub fn expires_at(&self, accepted: UnixMillis) -> Option<UnixMillis> {
        let after = Duration::from_secs(self.expires_after_seconds);
        (!after.is_zero()).then(|| accepted.after(after))
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<&String> for Message {
    fn from(text: &String) -> Self {
        Self::text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}
