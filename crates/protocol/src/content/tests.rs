use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{DeviceId, GroupId, UnixMillis, UserId};

fn id() -> impl Strategy<Value = MessageId> {
    any::<[u8; 32]>().prop_map(MessageId::from_bytes)
}

fn attachment() -> impl Strategy<Value = Attachment> {
    (any::<[u8; 32]>(), any::<[u8; 32]>(), "[a-z .]{3,20}x").prop_map(|(key, hash, name)| {
        Attachment {
            key: AttachmentKey::from_bytes(key),
            content_hash: hash,
            size_bytes: 7,
            name,
            media_type: "image/png".into(),
            kept_until: UnixMillis(u64::MAX),
        }
    })
}

fn message() -> impl Strategy<Value = Content> {
    let files = prop::collection::vec(attachment(), 0..3);
    ("\\PC{1,200}", prop::option::of(id()), files, 0..100_u64).prop_map(
        |(text, reply_to, files, seconds)| {
            let user: UserId = "bob@example.org".parse().unwrap();
            let end = text.chars().next().unwrap().len_utf8();
            let mut message = Message::text(text).mention(0..end, user);
            message.reply_to = reply_to;
            message.expires_after_seconds = seconds;
            Content::Message(files.into_iter().fold(message, Message::attach))
        },
    )
}

fn content() -> impl Strategy<Value = Content> {
    let edit = (id(), "\\PC{1,50}").prop_map(|(target, text)| Content::Edit {
        target,
        text,
        mentions: Vec::new(),
    });
    let reaction =
        (id(), "[a-z👍]{1,8}", any::<bool>()).prop_map(|(target, reaction, withdrawn)| {
            Content::Reaction {
                target,
                reaction,
                withdrawn,
            }
        });
    let receipt = any::<(u64, u64)>().prop_map(|(delivered, read)| Content::Receipt {
        delivered: Sequence(delivered),
        read: Sequence(read),
    });
    prop_oneof![
        message(),
        edit,
        reaction,
        receipt,
        id().prop_map(|target| Content::Deletion { target }),
        "[a-z]{1,80}".prop_map(Content::GroupName),
    ]
}

proptest! {
    #[test]
    fn content_survives(content in content(), salt: [u8; 32]) {
        let bytes = content.seal(salt).unwrap();
        prop_assert_eq!(Content::open(&bytes), content);
    }

    /// No byte of an envelope is idle: the id covers all, and what is not salt or body has one value.
    #[test]
    fn an_envelope_has_one_form(content in content(), at: prop::sample::Index, flip in 1..=255_u8) {
        let (group, device) = (GroupId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));
        let mut bytes = content.seal([7; 32]).unwrap();
        let id = MessageId::of(group, device, &bytes);
        let body = 37 + u32::from_be_bytes(bytes[33..37].try_into().unwrap()) as usize;
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert_ne!(MessageId::of(group, device, &bytes), id);
        if at == 0 || (33..37).contains(&at) || at >= body {
            prop_assert!(matches!(Content::open(&bytes), Content::Unknown(_)));
        }
        bytes[at] ^= flip;
        prop_assert!(matches!(Content::open(&bytes[..at]), Content::Unknown(_)));
        bytes.push(0);
        prop_assert!(matches!(Content::open(&bytes), Content::Unknown(_)));
    }

    #[test]
    fn what_is_not_understood_is_kept(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Content::Unknown(kept) = Content::open(&bytes) {
            prop_assert_eq!(kept, bytes);
        }
    }
}

#[test]
fn all_lengths_of_text_take_few_sizes() {
    let sizes: BTreeSet<usize> = (1..CONTENT_BYTES_MAX - 64)
        .step_by(97)
        .map(|len| {
            let content = Content::Message(Message::text("x".repeat(len)));
            content.seal([0; 32]).unwrap().len()
        })
        .collect();
    let powers: BTreeSet<usize> = (8..=16).map(|power| 1 << power).collect();
    assert_eq!(sizes, powers);
}

#[test]
fn what_members_would_refuse_is_not_sent() {
    let refused = |content: Content| content.seal([0; 32]).unwrap_err();
    let said = Content::Message;
    let user: UserId = "bob@example.org".parse().unwrap();
    assert_eq!(refused(said(Message::default())), ContentError::Empty);
    let long = Message::text("x".repeat(CONTENT_BYTES_MAX));
    assert_eq!(refused(said(long)), ContentError::TooLong);
    for name in ["", "  ", "a\nb", &"x".repeat(GROUP_NAME_CHARS_MAX + 1)] {
        let name = Content::GroupName(name.into());
        assert_eq!(refused(name), ContentError::GroupName);
    }
    for range in [0..0, 0..9, 1..2] {
        let text = Message::text("é, you").mention(range, user.clone());
        assert_eq!(refused(said(text)), ContentError::Mentions);
    }
    let twice = Message::text("you").mention(0..2, user.clone());
    let twice = twice.mention(1..3, user);
    assert_eq!(refused(said(twice)), ContentError::Mentions);
    let late = Message::text("x").expires_after(MESSAGE_EXPIRY_MAX + Duration::from_secs(1));
    assert_eq!(refused(said(late)), ContentError::Expiry);
    for reaction in ["", "a b", "\u{7}", &"x".repeat(REACTION_BYTES_MAX + 1)] {
        let (target, reaction) = (MessageId::from_bytes([0; 32]), reaction.to_owned());
        let content = Content::Reaction {
            target,
            reaction,
            withdrawn: false,
        };
        assert_eq!(refused(content), ContentError::Reaction);
    }
    for name in ["", "..", "../passwd", "a\\b", "a\nb"] {
        let attachment = Attachment {
            key: AttachmentKey::from_bytes([0; 32]),
            content_hash: [0; 32],
            size_bytes: 1,
            name: name.into(),
            media_type: String::new(),
            kept_until: UnixMillis(0),
        };
        let message = Message::default().attach(attachment);
        assert_eq!(refused(said(message)), ContentError::Attachments);
    }
}

/// The example in `docs/protocol.md`.
#[test]
fn the_documented_example_holds() {
    let content = Content::Message(Message::text("hello"));
    let bytes = content.seal([0x5a; 32]).unwrap();
    let mut expected = vec![1];
    expected.extend([0x5a; 32]);
    expected.extend([0, 0, 0, 9, 0x0a, 7, 0x0a, 5]);
    expected.extend(b"hello");
    expected.resize(256, 0);
    assert_eq!(bytes, expected);
    let id = MessageId::of(
        GroupId::from_bytes([0x11; 16]),
        DeviceId::from_bytes([0x22; 16]),
        &bytes,
    );
    assert_eq!(
        id.to_string(),
        "dc673c50c459033df3dfff57b9f623f464a429856cd1eb44f9524561aaa41c0d"
    );
}
