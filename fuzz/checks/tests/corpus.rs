//! Every input that the fuzzer found worth keeping, on a stable toolchain.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use conclave_conformance::generate;
use conclave_fuzz_checks::{TARGETS, WIRE_TYPES};
use conclave_protocol::{
    Attachment, AttachmentKey, Content, DeviceAddress, DeviceCertificate, DeviceClaims, DeviceId,
    DeviceList, Message, MessageId, Sequence, SigningKey, UnixMillis, UserId,
};
use conclave_rpc::v1::{CommitBundle, SubmitRequest, submit_request::Body};
use prost::Message as _;
use serde_json::Value;

/// Where each field of the `messages` vectors belongs.
const SEEDS: [(&str, &str); 12] = [
    ("mls_welcome", "MlsMessage"),
    ("mls_group_info", "MlsMessage"),
    ("mls_key_package", "MlsMessage"),
    ("public_message_application", "MlsMessage"),
    ("public_message_commit", "MlsMessage"),
    ("private_message", "MlsMessage"),
    ("ratchet_tree", "ratchet tree"),
    ("group_secrets", "GroupSecrets"),
    ("add_proposal", "KeyPackage"),
    ("update_proposal", "LeafNode"),
    ("pre_shared_key_proposal", "PreSharedKeyId"),
    ("commit", "Commit"),
];

#[test]
fn every_corpus_replays() {
    for (name, target) in TARGETS {
        let files: Vec<_> = fs::read_dir(corpus(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(!files.is_empty(), "the corpus {name} is empty");
        for file in files {
            target(&fs::read(&file).unwrap());
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..Default::default()
    })]

    /// Lives that nobody has kept: their keys are fresh, so that no replay is quite what was found.
    #[test]
    fn lives_of_a_mixed_group_hold(
        input in proptest::collection::vec(proptest::prelude::any::<u8>(), 40..400),
    ) {
        conclave_fuzz_checks::stateful(&input);
    }
}

/// Writes what the fuzzer begins with: real messages. Each run writes others.
#[test]
#[ignore = "writes into the source tree"]
fn seed_the_corpora() {
    let messages: Vec<Value> = serde_json::from_str(&generate("messages").unwrap()).unwrap();
    for (field, kind) in SEEDS {
        let bytes = bytes(messages[0][field].as_str().unwrap());
        let place = WIRE_TYPES.iter().position(|(name, _)| *name == kind);
        let place = u8::try_from(place.unwrap()).unwrap();
        write("wire", field, &[&[place], &bytes[..]].concat());
        if kind == "MlsMessage" {
            write("differential", field, &bytes);
        }
    }
    for (name, content) in contents() {
        write("content", name, &content.seal([7; 32]).unwrap());
    }
    let user: UserId = "alice@example.org".parse().unwrap();
    let (identity, device) = (
        SigningKey::from_seed(&[1; 32]),
        DeviceId::from_bytes([2; 16]),
    );
    let key = SigningKey::from_seed(&[3; 32]).verifying_key();
    let address = DeviceAddress {
        user: user.clone(),
        device,
    };
    let claims = DeviceClaims::starting(address, key, UnixMillis(1_700_000_000_000));
    let certificate = DeviceCertificate::issue(claims, &identity);
    write("certificate", "certificate", &certificate.to_bytes());
    let list = DeviceList::issue(user, 1, [(device, key)], &identity).unwrap();
    write("certificate", "device_list", &list.to_bytes());
    let submit = SubmitRequest {
        group_id: vec![1; 16].into(),
        request_id: vec![2; 16].into(),
        body: Some(Body::Commit(CommitBundle {
            commit: vec![3; 8].into(),
            welcome: vec![4; 8].into(),
            group_info: vec![5; 8].into(),
        })),
    };
    write(
        "requests",
        "submit",
        &[&[10], &submit.encode_to_vec()[..]].concat(),
    );
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    fs::create_dir_all(corpus(target)).unwrap();
    fs::write(corpus(target).join(name), bytes).unwrap();
}

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../corpus")
        .join(target)
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// One content of each kind.
fn contents() -> [(&'static str, Content); 6] {
    let target = MessageId::from_bytes([1; 32]);
    let attachment = Attachment {
        key: AttachmentKey::from_bytes([2; 32]),
        content_hash: [3; 32],
        size_bytes: 4,
        name: "a.png".into(),
        media_type: "image/png".into(),
        kept_until: UnixMillis(5),
    };
    let message = Message::text("hello bob")
        .mention(6..9, "bob@example.org".parse().unwrap())
        .reply_to(target)
        .attach(attachment)
        .expires_after(Duration::from_secs(60));
    let edit = Content::Edit {
        target,
        text: "bye".into(),
        mentions: Vec::new(),
    };
    let reaction = Content::Reaction {
        target,
        reaction: "👍".into(),
        withdrawn: true,
    };
    let receipt = Content::Receipt {
        delivered: Sequence(7),
        read: Sequence(6),
    };
    [
        ("message", Content::Message(message)),
        ("group_name", Content::GroupName("club".into())),
        ("edit", edit),
        ("deletion", Content::Deletion { target }),
        ("reaction", reaction),
        ("receipt", receipt),
    ]
}
