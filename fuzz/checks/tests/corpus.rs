//! Every input that the fuzzer found worth keeping, on a stable toolchain.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use conclave_conformance::generate;
use conclave_fuzz_checks::{EVIDENCE_TYPES, REQUESTS, TARGETS, WIRE_TYPES};
use conclave_protocol::{
    Attachment, AttachmentKey, Commitment, Content, DeviceAddress, DeviceCertificate, DeviceClaims,
    DeviceId, DeviceList, Epoch, Evidence, FrankBatch, GroupId, Message, MessageId, ReportId,
    Sequence, SigningKey, Stamp, StampingKey, StampingKeyCertificate, UnixMillis, UserId,
};
use conclave_rpc::v1::{CommitBundle, SubmitRequest, submit_request::Body};
use conclave_safety::{
    Actor, AuditLine, Book, Case, CaseFile, Category, Context, Item, Report, Role,
};
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

/// No request of the service is forgotten.
#[test]
fn every_request_is_fuzzed() {
    let service = include_str!("../../../proto/conclave/delivery/v1/delivery.proto");
    let calls = service
        .lines()
        .filter_map(|line| line.strip_prefix("  rpc "));
    for call in calls {
        let (_, rest) = call.split_once('(').unwrap();
        let request = rest.split(')').next().unwrap();
        let request = request.trim_start_matches("stream ");
        let is_fuzzed = REQUESTS.iter().any(|(name, _)| *name == request);
        assert!(is_fuzzed, "{request}");
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
    seed_certificates();
    seed_evidence();
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

fn seed_certificates() {
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
}

/// A message with its proof, the report of it, and the case file; always the same ones.
fn seed_evidence() {
    let (operator, stamping) = (
        SigningKey::from_seed(&[8; 32]),
        StampingKey::from_seed(&[9; 32]),
    );
    let time = (UnixMillis(0), UnixMillis(1_000));
    let key = stamping.verifying_key();
    let certificate = StampingKeyCertificate::issue("example.org", key, time, &operator);
    let said = said_and_stamped(&stamping);
    let batch = FrankBatch::seal(vec![said.stamp.leaf(); 3], &stamping).unwrap();
    let seeds = [
        ("Stamp", said.stamp.to_bytes()),
        ("Frank", said.frank.to_bytes()),
        ("FrankBatch", batch.to_bytes()),
        ("StampingKeyCertificate", certificate.to_bytes()),
        ("Evidence", said.to_bytes()),
    ];
    for (kind, bytes) in seeds {
        let place = EVIDENCE_TYPES.iter().position(|(name, _)| *name == kind);
        let place = u8::try_from(place.unwrap()).unwrap();
        write("evidence", kind, &[&[place], &bytes[..]].concat());
    }
    let report = report_of(said);
    write("case", "report", &report.to_bytes());
    let file = case_of(&report, &operator, certificate);
    write("case", "signed", file.to_json().as_bytes());
}

fn said_and_stamped(key: &StampingKey) -> Evidence {
    let content = Content::Message(Message::text("you will be sorry"));
    let envelope = content.seal([7; 32]).unwrap();
    let (group, sender) = (GroupId::from_bytes([1; 16]), address("mallory@example.org"));
    let stamp = Stamp {
        group,
        epoch: Epoch(2),
        sequence: Sequence(3),
        accepted: UnixMillis(400),
        commitment: Commitment::to(group, &sender, &envelope).unwrap(),
        sender,
        message_hash: Stamp::hash_of(b"what stood in the log"),
    };
    let batch = FrankBatch::seal(vec![[7; 32], stamp.leaf(), [9; 32]], key).unwrap();
    let frank = batch.frank(1, key.authenticate(&stamp)).unwrap();
    Evidence {
        stamp,
        envelope,
        frank,
    }
}

fn report_of(evidence: Evidence) -> Report {
    let item = Item {
        evidence,
        is_context: false,
    };
    Report::new(
        ReportId::from_bytes([3; 16]),
        (address("bob@example.org"), UnixMillis(500)),
        (Category::Threat, "he means it".to_owned()),
        vec![item],
    )
    .unwrap()
}

fn case_of(report: &Report, operator: &SigningKey, by: StampingKeyCertificate) -> CaseFile {
    let mut book = Book::default();
    let chief = "carol@example.org".parse().unwrap();
    let entry = book
        .appoint(Actor::Operator, chief, Some(Role::Chief), UnixMillis(1))
        .unwrap();
    let chained = book.chain().link(&entry);
    book.take(&chained).unwrap();
    let context = Context {
        reporter_could_read: true,
        windows_are_gapless: true,
    };
    let audit = vec![AuditLine::new(entry, book.chain().hash())];
    let key = operator.verifying_key();
    Case::of(
        report,
        context,
        (&key, &[by]),
        (audit, book.chain()),
        ("example.org", UnixMillis(600)),
    )
    .sign(operator)
}

fn address(user: &str) -> DeviceAddress {
    DeviceAddress {
        user: user.parse().unwrap(),
        device: DeviceId::from_bytes([2; 16]),
    }
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
