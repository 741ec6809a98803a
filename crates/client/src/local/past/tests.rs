use conclave_protocol::{
    AttachmentKey, Commitment, Epoch, Evidence, FrankBatch, SigningKey, Stamp, StampingKey,
    StampingKeyCertificate,
};
use conclave_rpc::v1;

use super::*;
use crate::local::Local;

fn line(sequence: u64, kind: &str) -> Line {
    Line {
        sequence,
        author: "bob@here".to_owned(),
        kind: kind.to_owned(),
        body: Message::text("hello").to_bytes(),
        id: Some(vec![u8::try_from(sequence).unwrap(); 32]),
        reactions: vec![Mark {
            user: "carol@here".to_owned(),
            reaction: "+1".to_owned(),
        }],
        ..Line::default()
    }
}

#[test]
fn what_is_no_history_is_passed_over_and_the_rest_is_taken_once() {
    let mut local = Local::of_alice(UnixMillis(0));
    let group = GroupId::from_bytes([1; 16]);
    let nameless = Line {
        id: None,
        ..line(3, "message")
    };
    let stranger = Line {
        author: "nobody".to_owned(),
        ..line(4, "message")
    };
    let lines = vec![
        line(1, "message"),
        line(2, "nonsense"),
        nameless,
        stranger,
        line(5, "added"),
        line(6, "message"),
    ];
    let past = Past {
        lines,
        receipts: vec![Receipt::default()],
        ..Past::default()
    };
    let bytes = past.encode_to_vec();
    let mut take = |bytes: &[u8]| local.write(|tx| tx.unpack_past(group, bytes)).unwrap();
    assert_eq!([take(&bytes), take(&bytes), take(b"\xff")], [2, 0, 0]);
    let history = local.read(|tx| tx.history(group, Sequence(0), 10)).unwrap();
    let texts: Vec<_> = history.iter().map(|it| it.text().unwrap()).collect();
    assert_eq!(texts, ["hello", "hello"]);
    assert_eq!(history[0].message().unwrap().reactions.len(), 1);
    // What it hands on is the same.
    let packed = local.read(|tx| tx.pack_past(group, UnixMillis(0))).unwrap();
    let again = Past::decode(packed.as_slice()).unwrap();
    assert_eq!(again.lines, [line(6, "message"), line(1, "message")]);
}

#[test]
fn a_history_is_taken_from_the_user_s_own_devices_only() {
    let key = SealingKey::from_seed(&[5; 32]).unwrap();
    let mut local = Local::of_alice(UnixMillis(0));
    let (group, own) = (GroupId::from_bytes([1; 16]), local.account().device());
    let parcel = Attachment {
        key: AttachmentKey::from_bytes([1; 32]),
        content_hash: [2; 32],
        size_bytes: 3,
        name: "history".to_owned(),
        media_type: String::new(),
        kept_until: UnixMillis(9),
    };
    let message = Message::default().attach(parcel.clone()).to_bytes();
    let seal_for = |group, device| {
        let public = key.public().unwrap();
        seal(
            &public,
            PURPOSE,
            &context(group, device),
            &message,
            &[8; 32],
        )
        .unwrap()
    };
    let sealed = seal_for(group, own);
    let mut offer = |user: &str, device: DeviceId, sealed: &[u8]| {
        let from = DeviceAddress {
            user: user.parse().unwrap(),
            device: DeviceId::from_bytes([3; 16]),
        };
        let taken = local.write(|tx| {
            tx.sql
                .execute("INSERT OR IGNORE INTO past_key VALUES (1, ?)", [[5_u8; 32]])?;
            tx.take_in_offer(group, &from, device, sealed)?;
            tx.parcels()
        });
        taken.unwrap()
    };
    let other = DeviceId::from_bytes([4; 16]);
    assert!(offer("bob@here", own, &sealed).is_empty());
    assert!(offer("alice@here", other, &sealed).is_empty());
    assert!(
        offer(
            "alice@here",
            own,
            &seal_for(GroupId::from_bytes([9; 16]), own)
        )
        .is_empty()
    );
    assert_eq!(offer("alice@here", own, &sealed), [(group, parcel)]);
}

/// A message that bob sent, stamped by this key.
fn evidence(group: GroupId, sequence: u64, key: &StampingKey) -> Evidence {
    let sender = DeviceAddress {
        user: "bob@here".parse().unwrap(),
        device: DeviceId::from_bytes([3; 16]),
    };
    let envelope = Content::Message("hello".into()).seal([9; 32]).unwrap();
    let stamp = Stamp {
        group,
        epoch: Epoch(1),
        sequence: Sequence(sequence),
        accepted: UnixMillis(5),
        commitment: Commitment::to(group, &sender, &envelope).unwrap(),
        sender,
        message_hash: [7; 32],
    };
    let batch = FrankBatch::seal(vec![stamp.leaf()], key).unwrap();
    let frank = batch.frank(0, key.authenticate(&stamp)).unwrap();
    Evidence {
        stamp,
        envelope,
        frank,
    }
}

#[test]
fn what_was_said_stays_reportable_on_a_new_device_and_nothing_else_becomes_so() {
    let group = GroupId::from_bytes([1; 16]);
    let (operator, key) = (
        SigningKey::from_seed(&[1; 32]),
        StampingKey::from_seed(&[2; 32]),
    );
    let times = (UnixMillis(0), UnixMillis(10));
    let certificate = StampingKeyCertificate::issue("here", key.verifying_key(), times, &operator);
    let proof = |of: u64, evidence: &Evidence| {
        let kept = Kept::new(evidence.clone(), true);
        let proof = Proof {
            sequence: kept.sequence.0,
            is_said: true,
            envelope_bytes: kept.envelope_bytes,
            evidence: kept.evidence,
        };
        Line {
            evidence: vec![proof],
            ..line(of, "message")
        }
    };
    let genuine = evidence(group, 1, &key);
    let mut altered = evidence(group, 2, &key);
    altered.envelope[50] ^= 1;
    let elsewhere = evidence(GroupId::from_bytes([2; 16]), 3, &key);
    let forged = evidence(group, 4, &StampingKey::from_seed(&[6; 32]));
    let of_carol = Line {
        author: "carol@here".to_owned(),
        ..proof(5, &evidence(group, 5, &key))
    };
    let past = Past {
        lines: vec![
            proof(1, &genuine),
            proof(2, &altered),
            proof(3, &elsewhere),
            proof(4, &forged),
            of_carol,
        ],
        // The service shows no key that stamped so long ago.
        stamping_certificates: vec![certificate.to_bytes()],
        ..Past::default()
    };
    let mut local = Local::of_alice(UnixMillis(0));
    let said = v1::DescribeResponse {
        operator_key: operator.verifying_key().as_bytes().to_vec().into(),
        ..v1::DescribeResponse::default()
    };
    let taken = local.write(|tx| {
        tx.take_service(&said, UnixMillis(0))?;
        tx.unpack_past(group, &past.encode_to_vec())
    });
    assert_eq!(taken.unwrap(), 5);
    let proofs = (1..=5).map(|at| local.read(|tx| tx.proof_of(group, Sequence(at))).unwrap());
    let proofs: Vec<_> = proofs.collect();
    assert_eq!(proofs, [Some(genuine), None, None, None, None]);
    let again = local.read(|tx| tx.pack_past(group, UnixMillis(0))).unwrap();
    let again = Past::decode(again.as_slice()).unwrap();
    assert_eq!(again.lines.last(), past.lines.first());
    assert_eq!(again.stamping_certificates, past.stamping_certificates);
}
