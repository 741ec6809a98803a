use proptest::prelude::*;

use super::*;
use crate::{
    DeviceAddress, DeviceId, Epoch, GroupId, KeyId, Sequence, SigningKey, UnixMillis, VerifyingKey,
};

fn sender(user: &str, device: u8) -> DeviceAddress {
    DeviceAddress {
        user: user.parse().unwrap(),
        device: DeviceId::from_bytes([device; 16]),
    }
}

fn stamp(sequence: u64) -> Stamp {
    let (group, sender) = (GroupId::from_bytes([1; 16]), sender("alice@here", 2));
    let content = [u8::try_from(sequence % 256).unwrap(); 256];
    Stamp {
        group,
        epoch: Epoch(3),
        sequence: Sequence(sequence),
        accepted: UnixMillis(1_000 + sequence),
        commitment: Commitment::to(group, &sender, &content).unwrap(),
        sender,
        message_hash: Stamp::hash_of(&content),
    }
}

fn seal(stamps: &[Stamp], key: &StampingKey) -> Vec<Frank> {
    let leaves = stamps.iter().map(Stamp::leaf).collect();
    let batch = FrankBatch::seal(leaves, key).unwrap();
    let batch = FrankBatch::from_bytes(&batch.to_bytes()).unwrap();
    assert!(
        batch
            .frank(u32::try_from(stamps.len()).unwrap(), [0; 32])
            .is_none()
    );
    let franks = (0..).zip(stamps);
    franks
        .map(|(at, stamp)| batch.frank(at, key.authenticate(stamp)).unwrap())
        .collect()
}

fn operator() -> SigningKey {
    SigningKey::from_seed(&[8; 32])
}

fn certified(key: &StampingKey) -> StampingKeyCertificate {
    let time = (UnixMillis(1_000), UnixMillis(9_000));
    StampingKeyCertificate::issue("here", key.verifying_key(), time, &operator())
}

/// Stamps that say something else than this one, each in one thing.
fn others(of: &Stamp) -> Vec<Stamp> {
    let changes: [fn(&mut Stamp); 8] = [
        |it| it.group = GroupId::from_bytes([9; 16]),
        |it| it.epoch.0 += 1,
        |it| it.sequence.0 += 1,
        |it| it.accepted.0 += 1,
        |it| it.sender = sender("bob@here", 2),
        |it| it.sender = sender("alice@here", 9),
        |it| it.commitment = Commitment::from_bytes([9; 32]),
        |it| it.message_hash[31] ^= 1,
    ];
    let changed = changes.iter().map(|change| {
        let mut other = of.clone();
        change(&mut other);
        other
    });
    changed.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_frank_proves_its_stamp_and_no_other(size in 1..40u64, salt in 0..50u64) {
        let key = StampingKey::from_seed(&[4; 32]);
        let certificate = certified(&key);
        let stamps: Vec<_> = (0..size).map(|at| stamp(at + salt)).collect();
        let franks = seal(&stamps, &key);
        prop_assert_eq!(franks.len(), stamps.len());
        for (at, frank) in franks.iter().enumerate() {
            let frank = Frank::from_bytes(&frank.to_bytes()).unwrap();
            for (other, stamp) in stamps.iter().enumerate() {
                let expected = if at == other { Ok(()) } else { Err(FrankError::Stamp) };
                prop_assert_eq!(frank.verify(stamp, &certificate), expected);
            }
            prop_assert_eq!(frank.mac(), &key.authenticate(&stamps[at]));
            for other in others(&stamps[at]) {
                prop_assert_eq!(frank.verify(&other, &certificate), Err(FrankError::Stamp));
                prop_assert_ne!(frank.mac(), &key.authenticate(&other));
            }
        }
    }

    #[test]
    fn a_changed_frank_proves_nothing(size in 1..9u64, at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let key = StampingKey::from_seed(&[4; 32]);
        let certificate = certified(&key);
        let stamps: Vec<_> = (0..size).map(stamp).collect();
        let frank = &seal(&stamps, &key)[0];
        let mut bytes = frank.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let changed = Frank::from_bytes(&bytes);
        // The service's own proof is no part of what others check.
        let is_mac = (17..49).contains(&at);
        let verdict = changed.map(|changed| changed.verify(&stamps[0], &certificate));
        prop_assert_eq!(verdict == Some(Ok(())), is_mac);
    }

    #[test]
    fn a_commitment_is_to_one_content_of_one_sender_in_one_group(
        content in prop::collection::vec(any::<u8>(), 33..300), at in any::<prop::sample::Index>(), bit in 0..8u8,
    ) {
        let (group, alice) = (GroupId::from_bytes([1; 16]), sender("alice@here", 2));
        let committed = Commitment::to(group, &alice, &content);
        prop_assert!(committed.is_some());
        let mut changed = content.clone();
        changed[at.index(content.len())] ^= 1 << bit;
        let longer = [&content[..], &[0]].concat();
        prop_assert_ne!(Commitment::to(group, &alice, &changed), committed);
        prop_assert_ne!(Commitment::to(group, &alice, &longer), committed);
        for other in [sender("bob@here", 2), sender("alice@here", 3)] {
            prop_assert_ne!(Commitment::to(group, &other, &content), committed);
        }
        prop_assert_ne!(Commitment::to(GroupId::from_bytes([2; 16]), &alice, &content), committed);
        let item = committed.unwrap().to_item();
        prop_assert_eq!(Commitment::from_item(&item), committed);
        prop_assert_eq!(Commitment::from_item(&item[1..]), None);
    }

    #[test]
    fn what_is_no_frank_stamp_or_certificate_is_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let again = Frank::from_bytes(&bytes).map(|it| it.to_bytes());
        prop_assert!(again.is_none_or(|again| again == bytes));
        let again = Stamp::from_bytes(&bytes).map(|it| it.to_bytes());
        prop_assert!(again.is_none_or(|again| again == bytes));
        let again = StampingKeyCertificate::from_bytes(&bytes).map(|it| it.to_bytes());
        prop_assert!(again.is_none_or(|again| again == bytes));
    }
}

#[test]
fn a_key_stamps_while_the_operator_says_so() {
    let key = StampingKey::from_seed(&[4; 32]);
    let certificate = certified(&key);
    let operator = operator().verifying_key();
    assert_eq!(certificate.verify(&operator), Ok(()));
    let bytes = certificate.to_bytes();
    assert_eq!(
        StampingKeyCertificate::from_bytes(&bytes).as_ref(),
        Some(&certificate)
    );
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let verdict = StampingKeyCertificate::from_bytes(&changed).map(|it| it.verify(&operator));
        assert_ne!(verdict, Some(Ok(())), "byte {at}");
    }
    let somebody: VerifyingKey = SigningKey::from_seed(&[9; 32]).verifying_key();
    assert_eq!(certificate.verify(&somebody), Err(FrankError::Key));

    let franked = |accepted| {
        let stamp = Stamp {
            accepted: UnixMillis(accepted),
            ..stamp(1)
        };
        seal(std::slice::from_ref(&stamp), &key)[0].verify(&stamp, &certificate)
    };
    assert_eq!(
        [999, 1_000, 9_000, 9_001].map(|at| franked(at).is_ok()),
        [false, true, true, false]
    );
    let elsewhere = Stamp {
        sender: sender("alice@there", 2),
        ..stamp(1)
    };
    let frank = &seal(std::slice::from_ref(&elsewhere), &key)[0];
    assert_eq!(frank.verify(&elsewhere, &certificate), Err(FrankError::Key));
    let other = StampingKey::from_seed(&[5; 32]);
    let frank = &seal(&[stamp(1)], &other)[0];
    assert_eq!(frank.verify(&stamp(1), &certificate), Err(FrankError::Key));
}

#[test]
fn roots_are_those_of_certificate_logs() {
    // The tree of RFC 9162 §2.1.5 over seven leaves, put together by hand.
    use sha2::{Digest as _, Sha256};
    let node = |left: [u8; 32], right: [u8; 32]| -> [u8; 32] {
        Sha256::digest([&[1][..], &left, &right].concat()).into()
    };
    let leaves: Vec<_> = (0..7u8).map(|at| tree::leaf(&[at])).collect();
    let [a, b, c, d, e, f, j] = leaves[..] else {
        unreachable!()
    };
    let (g, h, i) = (node(a, b), node(c, d), node(e, f));
    let (k, l) = (node(g, h), node(i, j));
    let tree = tree::Tree::new(leaves.clone()).unwrap();
    assert_eq!((tree.root(), tree.leaves()), (node(k, l), &leaves[..]));
    assert_eq!(tree.path(0), [b, h, l]);
    assert_eq!(tree.path(3), [c, g, l]);
    assert_eq!(tree.path(4), [f, j, k]);
    assert_eq!(tree.path(6), [i, k]);
}

/// The message whose stamp is [`stamp`]'s, the first of a tree of so many.
fn evidence(sequence: u64, size: u64) -> Evidence {
    let key = StampingKey::from_seed(&[4; 32]);
    let stamps: Vec<_> = (sequence..sequence + size).map(stamp).collect();
    Evidence {
        stamp: stamps[0].clone(),
        envelope: vec![u8::try_from(sequence % 256).unwrap(); 256],
        frank: seal(&stamps, &key).swap_remove(0),
    }
}

fn verdict(of: &Evidence, certificates: &[StampingKeyCertificate]) -> Result<(), EvidenceError> {
    of.verify(&operator().verifying_key(), certificates)
        .map(drop)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn evidence_proves_its_message_and_nothing_changed_of_it(
        sequence in 1..200u64, size in 1..9u64, at in any::<prop::sample::Index>(), flip in 1..=255u8,
    ) {
        let certificates = [certified(&StampingKey::from_seed(&[4; 32]))];
        let whole = evidence(sequence, size);
        let bytes = whole.to_bytes();
        let read = Evidence::from_bytes(&bytes).unwrap();
        prop_assert_eq!((&read, verdict(&read, &certificates)), (&whole, Ok(())));
        let mut changed = bytes.clone();
        let at = at.index(bytes.len());
        changed[at] ^= flip;
        // The service's own proof is no part of what others check.
        let frank = bytes.len() - whole.frank.to_bytes().len();
        let is_mac = (frank + 17..frank + 49).contains(&at);
        let judged = Evidence::from_bytes(&changed).and_then(|it| verdict(&it, &certificates));
        prop_assert_eq!(judged.is_ok(), is_mac, "byte {}", at);
        prop_assert!(Evidence::from_bytes(&bytes[..at]).is_err());
    }

    /// Nobody puts together the evidence of a message out of that of others, whoever works together.
    #[test]
    fn no_part_of_evidence_serves_another(a in 1..100u64, b in 101..200u64, size in 1..9u64) {
        let certificates = [certified(&StampingKey::from_seed(&[4; 32]))];
        let (a, b) = (evidence(a, size), evidence(b, size));
        let with_frank = Evidence { frank: b.frank.clone(), ..a.clone() };
        let with_envelope = Evidence { envelope: b.envelope.clone(), ..a.clone() };
        let with_stamp = Evidence { stamp: b.stamp.clone(), ..a.clone() };
        prop_assert_eq!(verdict(&with_frank, &certificates), Err(EvidenceError::Root));
        prop_assert_eq!(verdict(&with_envelope, &certificates), Err(EvidenceError::Commitment));
        prop_assert_eq!(verdict(&with_stamp, &certificates), Err(EvidenceError::Root));
        for stamp in others(&a.stamp) {
            let changed = Evidence { stamp, ..a.clone() };
            prop_assert_eq!(verdict(&changed, &certificates), Err(EvidenceError::Root));
        }
    }
}

/// Evidence that proves nothing, each for another reason, with the reason.
fn not_proved() -> Vec<(Evidence, EvidenceError)> {
    let good = evidence(1, 3);
    let with = |change: fn(&mut Evidence)| {
        let mut changed = good.clone();
        change(&mut changed);
        changed
    };
    let late = Evidence {
        stamp: Stamp {
            accepted: UnixMillis(9_001),
            ..good.stamp.clone()
        },
        ..good.clone()
    };
    let elsewhere = with(|it| it.stamp.sender.user = "alice@there".parse().unwrap());
    let uncertified = with(|it| it.frank.key = KeyId::from_bytes([9; 16]));
    let short = with(|it| it.frank.path.truncate(1));
    let moved = with(|it| it.stamp.sequence = Sequence(2));
    let altered = with(|it| it.envelope[40] ^= 1);
    vec![
        (uncertified, EvidenceError::KeyUnknown),
        (late, EvidenceError::KeyTime),
        (elsewhere, EvidenceError::KeyServer),
        (short, EvidenceError::Path),
        (moved, EvidenceError::Root),
        (altered, EvidenceError::Commitment),
    ]
}

#[test]
fn what_is_wrong_with_evidence_is_told_apart() {
    let key = StampingKey::from_seed(&[4; 32]);
    let certificates = [certified(&key)];
    for (evidence, reason) in not_proved() {
        assert_eq!(verdict(&evidence, &certificates), Err(reason));
    }
    let good = evidence(1, 3);
    let somebody = SigningKey::from_seed(&[9; 32]);
    let time = (UnixMillis(0), UnixMillis(u64::MAX));
    let claimed = StampingKeyCertificate::issue("here", key.verifying_key(), time, &somebody);
    let reason = Err(EvidenceError::KeyUnknown);
    assert_eq!(verdict(&good, &[]), reason);
    assert_eq!(verdict(&good, std::slice::from_ref(&claimed)), reason);
    // A certificate for another time of the same key does not spoil the one that counts.
    let time = (UnixMillis(0), UnixMillis(1));
    let earlier = StampingKeyCertificate::issue("here", key.verifying_key(), time, &operator());
    let all = [claimed, earlier, certified(&key)];
    assert_eq!(verdict(&good, &all), Ok(()));
    assert!(!format!("{good:?}").contains("[1,"));
}

/// What `docs/franking.md` gives other teams to test against.
fn vectors() -> serde_json::Value {
    let key = StampingKey::from_seed(&[4; 32]);
    let (group, alice) = (GroupId::from_bytes([1; 16]), sender("alice@here", 2));
    let content = [0x5a; 256];
    let commitment = Commitment::to(group, &alice, &content).unwrap();
    let stamps: Vec<_> = (1..=3).map(stamp).collect();
    let franks = seal(&stamps, &key).into_iter().zip(&stamps);
    let franks: Vec<_> = franks
        .map(|(frank, stamp)| {
            serde_json::json!({
                "stamp": hex::encode(stamp.to_bytes()),
                "leaf": hex::encode(stamp.leaf()),
                "frank": hex::encode(frank.to_bytes()),
            })
        })
        .collect();
    let verdicts = not_proved();
    let verdicts = verdicts
        .iter()
        .map(|(it, reason)| (it, format!("{reason:?}")));
    let verdicts = std::iter::once((&evidence(1, 3), "Proved".to_owned())).chain(verdicts).map(|(it, verdict)| {
        serde_json::json!({ "evidence": hex::encode(it.to_bytes()), "verdict": verdict })
    }).collect::<Vec<_>>();
    serde_json::json!({
        "commitment": {
            "group_id": hex::encode(group.as_bytes()),
            "device_id": hex::encode(alice.device.as_bytes()),
            "user": alice.user.as_str(),
            "envelope": hex::encode(content),
            "frank_item": hex::encode(commitment.to_item()),
        },
        "operator_seed": hex::encode([8; 32]),
        "stamping_seed": hex::encode([4; 32]),
        "stamping_key_id": hex::encode(key.id().as_bytes()),
        "stamping_key_certificate": hex::encode(certified(&key).to_bytes()),
        "batch": franks,
        "evidence": verdicts,
        "operator_key": hex::encode(operator().verifying_key().as_bytes()),
    })
}

/// `CONCLAVE_WRITE_VECTORS=1 cargo test -p conclave-protocol vectors` writes them anew.
#[test]
fn the_documented_vectors_are_what_is_made() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/vectors/franking.json"
    );
    let made = serde_json::to_string_pretty(&vectors()).unwrap() + "\n";
    if std::env::var_os("CONCLAVE_WRITE_VECTORS").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), made);
}
