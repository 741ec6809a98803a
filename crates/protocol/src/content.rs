//! What a member reads after decryption.

use prost::Message as _;
use thiserror::Error;

use crate::limits::{CONTENT_BYTES_MAX, GROUP_NAME_CHARS_MAX};

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
    /// A group's name is empty, too long, or has control characters.
    #[error("a group's name has 1 to {GROUP_NAME_CHARS_MAX} characters and no control characters")]
    GroupName,
}

/// One application message, decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A line of conversation.
    Text(String),
    /// What the members call the group.
    GroupName(String),
    /// A kind that this program does not know, or bytes that are no content: kept as they came.
    Unknown(Vec<u8>),
}

impl Content {
    /// A line of conversation.
    ///
    /// # Errors
    /// [`ContentError::TooLong`].
    pub fn text(body: impl Into<String>) -> Result<Self, ContentError> {
        let body = body.into();
        // The few bytes of framing around the text have to fit too.
        if body.len() > CONTENT_BYTES_MAX - 16 {
            Err(ContentError::TooLong)
        } else {
            Ok(Self::Text(body))
        }
    }

    /// What the members call the group.
    ///
    /// # Errors
    /// [`ContentError::GroupName`].
    pub fn group_name(name: impl Into<String>) -> Result<Self, ContentError> {
        let name = name.into();
        if is_group_name(&name) {
            Ok(Self::GroupName(name))
        } else {
            Err(ContentError::GroupName)
        }
    }

    /// The bytes that are encrypted.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        use wire::content::Kind;
        let kind = match self {
            Self::Text(body) => Kind::Text(wire::Text { body: body.clone() }),
            Self::GroupName(name) => Kind::GroupName(wire::GroupName { name: name.clone() }),
            Self::Unknown(bytes) => return bytes.clone(),
        };
        wire::Content { kind: Some(kind) }.encode_to_vec()
    }

    /// Reads what a member sent. Never fails: what is not understood is [`Content::Unknown`], since
    /// a member's nonsense must not stop the log.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        use wire::content::Kind;
        match wire::Content::decode(bytes)
            .ok()
            .and_then(|content| content.kind)
        {
            Some(Kind::Text(text)) => Self::Text(text.body),
            Some(Kind::GroupName(group)) if is_group_name(&group.name) => {
                Self::GroupName(group.name)
            }
            _ => Self::Unknown(bytes.to_vec()),
        }
    }
}

fn is_group_name(name: &str) -> bool {
    (1..=GROUP_NAME_CHARS_MAX).contains(&name.chars().count())
        && !name.chars().any(char::is_control)
        && !name.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn content_survives(body in "\\PC{0,200}") {
            let text = Content::text(body.clone()).unwrap();
            prop_assert_eq!(Content::from_bytes(&text.to_bytes()), text);
            if let Ok(name) = Content::group_name(body) {
                prop_assert_eq!(Content::from_bytes(&name.to_bytes()), name);
            }
        }

        #[test]
        fn what_is_not_understood_is_kept(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Content::Unknown(kept) = Content::from_bytes(&bytes) {
                prop_assert_eq!(kept, bytes);
            }
        }
    }

    #[test]
    fn too_long_or_unprintable_is_refused() {
        assert!(Content::text("x".repeat(CONTENT_BYTES_MAX)).is_err());
        for name in ["", "  ", "a\nb", &"x".repeat(GROUP_NAME_CHARS_MAX + 1)] {
            assert_eq!(Content::group_name(name), Err(ContentError::GroupName));
        }
    }
}
