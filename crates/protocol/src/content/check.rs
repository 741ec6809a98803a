//! The rules for content: whoever sends keeps them, and whoever receives takes what breaks them as
//! unknown, so that all members see the same.

use super::{Attachment, Content, ContentError, Mention, Message, Profile};
use crate::limits::{
    ATTACHMENT_NAME_BYTES_MAX, ATTACHMENTS_MAX, BLOB_BYTES_MAX, GROUP_NAME_CHARS_MAX,
    MEDIA_TYPE_BYTES_MAX, MENTIONS_MAX, MESSAGE_EXPIRY_MAX, REACTION_BYTES_MAX,
};

pub(super) fn check(content: &Content) -> Result<(), ContentError> {
    match content {
        Content::Message(message) => check_message(message),
        Content::Edit { text, .. } if text.is_empty() => Err(ContentError::Empty),
        Content::Edit { text, mentions, .. } => check_mentions(text, mentions),
        Content::GroupName(name) => require(is_group_name(name), ContentError::GroupName),
        Content::GroupProfile(profile) => require(
            Profile::from_bytes(profile).is_some(),
            ContentError::GroupName,
        ),
        Content::Reaction { reaction, .. } => {
            require(is_reaction(reaction), ContentError::Reaction)
        }
        Content::History { .. }
        | Content::Deletion { .. }
        | Content::Receipt { .. }
        | Content::Unknown(_) => Ok(()),
    }
}

fn require(holds: bool, error: ContentError) -> Result<(), ContentError> {
    if holds { Ok(()) } else { Err(error) }
}

fn check_message(message: &Message) -> Result<(), ContentError> {
    require(
        !message.text.is_empty() || !message.attachments.is_empty(),
        ContentError::Empty,
    )?;
    check_mentions(&message.text, &message.mentions)?;
    let attachments = &message.attachments;
    require(
        attachments.len() <= ATTACHMENTS_MAX && attachments.iter().all(is_attachment),
        ContentError::Attachments,
    )?;
    require(
        message.expires_after_seconds <= MESSAGE_EXPIRY_MAX.as_secs(),
        ContentError::Expiry,
    )
}

/// Mentions are parts of the text that follow each other.
fn check_mentions(text: &str, mentions: &[Mention]) -> Result<(), ContentError> {
    require(mentions.len() <= MENTIONS_MAX, ContentError::Mentions)?;
    let mut end = 0;
    for Mention { range, .. } in mentions {
        let is_part =
            range.start >= end && range.start < range.end && text.get(range.clone()).is_some();
        require(is_part, ContentError::Mentions)?;
        end = range.end;
    }
    Ok(())
}

pub(super) fn is_attachment(attachment: &Attachment) -> bool {
    let name = &attachment.name;
    // A receiver may use the name for a file in a folder of its choice.
    let is_name = (1..=ATTACHMENT_NAME_BYTES_MAX).contains(&name.len())
        && !name
            .chars()
            .any(|c| c.is_control() || matches!(c, '/' | '\\'))
        && !matches!(name.as_str(), "." | "..");
    let media_type = &attachment.media_type;
    let is_media_type = media_type.len() <= MEDIA_TYPE_BYTES_MAX
        && media_type.bytes().all(|byte| byte.is_ascii_graphic());
    is_name && is_media_type && attachment.size_bytes <= BLOB_BYTES_MAX
}

fn is_reaction(text: &str) -> bool {
    (1..=REACTION_BYTES_MAX).contains(&text.len())
        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

pub(super) fn is_group_name(name: &str) -> bool {
    (1..=GROUP_NAME_CHARS_MAX).contains(&name.chars().count())
        && !name.chars().any(char::is_control)
        && !name.trim().is_empty()
}
