//! Between content and its protobuf form.

use prost::Message as _;

use super::{
    Attachment, AttachmentKey, Content, Mention, Message, MessageId,
    wire::{self, content::Kind},
};
use crate::{DeviceId, Sequence, UnixMillis};

/// `None` for content of an unknown kind.
pub(super) fn encode(content: &Content) -> Option<Vec<u8>> {
    let kind = match content {
        Content::Message(message) => Kind::Message(message_to(message)),
        Content::GroupName(name) => Kind::GroupName(wire::GroupName { name: name.clone() }),
        Content::GroupProfile(profile) => Kind::GroupProfile(wire::GroupProfile {
            profile: profile.clone(),
        }),
        Content::Edit {
            target,
            text,
            mentions,
        } => Kind::Edit(wire::Edit {
            target: target.as_bytes().to_vec(),
            text: text.clone(),
            mentions: mentions.iter().map(mention_to).collect(),
        }),
        Content::Deletion { target } => Kind::Deletion(wire::Deletion {
            target: target.as_bytes().to_vec(),
        }),
        Content::Reaction {
            target,
            reaction,
            withdrawn,
        } => Kind::Reaction(wire::Reaction {
            target: target.as_bytes().to_vec(),
            reaction: reaction.clone(),
            withdrawn: *withdrawn,
        }),
        Content::Receipt { delivered, read } => Kind::Receipt(wire::Receipt {
            delivered_sequence: delivered.0,
            read_sequence: read.0,
        }),
        Content::History { device, sealed } => Kind::History(wire::History {
            device: device.as_bytes().to_vec(),
            sealed: sealed.clone(),
        }),
        Content::Unknown(_) => return None,
    };
    Some(wire::Content { kind: Some(kind) }.encode_to_vec())
}

/// `None` for what is no content of a known kind.
pub(super) fn decode(bytes: &[u8]) -> Option<Content> {
    Some(match wire::Content::decode(bytes).ok()?.kind? {
        Kind::Message(message) => Content::Message(message_from(message)?),
        Kind::GroupName(group) => Content::GroupName(group.name),
        Kind::GroupProfile(group) => Content::GroupProfile(group.profile),
        Kind::Edit(edit) => Content::Edit {
            target: id(&edit.target)?,
            text: edit.text,
            mentions: mentions_from(&edit.mentions)?,
        },
        Kind::Deletion(deletion) => Content::Deletion {
            target: id(&deletion.target)?,
        },
        Kind::Reaction(reaction) => Content::Reaction {
            target: id(&reaction.target)?,
            reaction: reaction.reaction,
            withdrawn: reaction.withdrawn,
        },
        Kind::History(history) => Content::History {
            device: DeviceId::try_from(&history.device[..]).ok()?,
            sealed: history.sealed,
        },
        Kind::Receipt(receipt) => Content::Receipt {
            delivered: Sequence(receipt.delivered_sequence),
            read: Sequence(receipt.read_sequence),
        },
    })
}

impl Message {
    /// The message alone, for a store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        message_to(self).encode_to_vec()
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        message_from(wire::Message::decode(bytes).ok()?)
    }
}

fn message_to(message: &Message) -> wire::Message {
    let seconds = u32::try_from(message.expires_after_seconds);
    wire::Message {
        text: message.text.clone(),
        mentions: message.mentions.iter().map(mention_to).collect(),
        reply_to: message
            .reply_to
            .map_or_else(Vec::new, |id| id.as_bytes().to_vec()),
        attachments: message.attachments.iter().map(attachment_to).collect(),
        expires_after_seconds: seconds.unwrap_or(u32::MAX),
    }
}

fn message_from(message: wire::Message) -> Option<Message> {
    let reply_to = match message.reply_to.as_slice() {
        [] => None,
        target => Some(id(target)?),
    };
    let attachments = message.attachments.into_iter().map(attachment_from);
    Some(Message {
        text: message.text,
        mentions: mentions_from(&message.mentions)?,
        reply_to,
        attachments: attachments.collect::<Option<_>>()?,
        expires_after_seconds: message.expires_after_seconds.into(),
    })
}

fn mention_to(mention: &Mention) -> wire::Mention {
    // Content of a valid length has no range past 2^32; what has is refused for its length.
    let number = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
    wire::Mention {
        start: number(mention.range.start),
        length: number(mention.range.len()),
        user: mention.user.to_string(),
    }
}

fn mentions_from(mentions: &[wire::Mention]) -> Option<Vec<Mention>> {
    let mentions = mentions.iter().map(|mention| {
        let start = usize::try_from(mention.start).ok()?;
        let end = start.checked_add(usize::try_from(mention.length).ok()?)?;
        Some(Mention {
            range: start..end,
            user: mention.user.parse().ok()?,
        })
    });
    mentions.collect()
}

pub(super) fn attachment_to(attachment: &Attachment) -> wire::Attachment {
    wire::Attachment {
        key: attachment.key.0.to_vec(),
        content_hash: attachment.content_hash.to_vec(),
        size_bytes: attachment.size_bytes,
        name: attachment.name.clone(),
        media_type: attachment.media_type.clone(),
        kept_until_millis: attachment.kept_until.0,
    }
}

pub(super) fn attachment_from(attachment: wire::Attachment) -> Option<Attachment> {
    Some(Attachment {
        key: AttachmentKey(attachment.key.try_into().ok()?),
        content_hash: attachment.content_hash.try_into().ok()?,
        size_bytes: attachment.size_bytes,
        name: attachment.name,
        media_type: attachment.media_type,
        kept_until: UnixMillis(attachment.kept_until_millis),
    })
}

fn id(bytes: &[u8]) -> Option<MessageId> {
    MessageId::try_from(bytes).ok()
}
