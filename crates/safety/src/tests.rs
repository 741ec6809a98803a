//! Reports that are what they say, and all the ways in which they are not.

use std::collections::BTreeSet;

use conclave_protocol::{
    Commitment, Content, DeviceAddress, DeviceId, Epoch, Evidence, EvidenceError, FrankBatch,
    GroupId, Message, ReportId, Sequence, SigningKey, Stamp, StampingKey, StampingKeyCertificate,
    UnixMillis, VerifyingKey,
};
use proptest::prelude::*;

use super::*;

const WEEK: u64 = 7 * 24 * 3_600_000;

fn address(user: &str, device: u8) -> DeviceAddress {
    DeviceAddress {
        user: user.parse().unwrap(),
        device: DeviceId::from_bytes([device; 16]),
    }
}

fn operator() -> SigningKey {
    SigningKey::from_seed(&[8; 32])
}

fn stamping(week: u8) -> StampingKey {
    StampingKey::from_seed(&[100 + week; 32])
}

fn certificates() -> Vec<StampingKeyCertificate> {
    let certified = (0..3).map(|week| {
        let begins = u64::from(week) * WEEK;
        let time = (UnixMillis(begins), UnixMillis(begins + WEEK));
        let key = stamping(week).verifying_key();
        StampingKeyCertificate::issue("here", key, time, &operator())
    });
    certified.collect()
}

/// A message as an honest service stamps it, with as many others as stand in `batch`.
fn sent(group: u8, sequence: u64, text: &str, sender: &DeviceAddress) -> Evidence {
    let group = GroupId::from_bytes([group; 16]);
    let salt = [u8::try_from(sequence % 251).unwrap(); 32];
    let envelope = Content::Message(Message::text(text)).seal(salt).unwrap();
    let accepted = UnixMillis(sequence * WEEK / 100);
    let stamp = Stamp {
        group,
        epoch: Epoch(sequence / 10),
        sequence: Sequence(sequence),
        accepted,
        commitment: Commitment::to(group, sender, &envelope).unwrap(),
        sender: sender.clone(),
        message_hash: Stamp::hash_of(text.as_bytes()),
    };
    let key = stamping(u8::try_from(accepted.0 / WEEK).unwrap());
    let batch = FrankBatch::seal(vec![[7; 32], stamp.leaf(), [9; 32]], &key).unwrap();
    let frank = batch.frank(1, key.authenticate(&stamp)).unwrap();
    Evidence {
        stamp,
        envelope,
        frank,
    }
}

fn said(sequence: u64) -> Evidence {
    sent(
        1,
        sequence,
        &format!("message {sequence}"),
        &address("mallory@here", 6),
    )
}

/// A report of these messages; those of `context` are there for the others' sake.
fn report(messages: Vec<Evidence>, context: &[u64]) -> Report {
    let items = messages.into_iter().map(|evidence| Item {
        is_context: context.contains(&evidence.stamp.sequence.0),
        evidence,
    });
    Report::new(
        ReportId::from_bytes([3; 16]),
        (address("bob@here", 2), UnixMillis(9)),
        (Category::Threat, "see the second".to_owned()),
        items.collect(),
    )
    .unwrap()
}

fn judged(report: &Report, facts: &Facts) -> Result<bool, Verdict> {
    let (operator, certificates) = (operator().verifying_key(), certificates());
    let authority = Authority {
        operator: &operator,
        certificates: &certificates,
    };
    let checked = report.prove(authority)?.in_context(facts)?;
    Ok(checked.is_gapless)
}

fn facts() -> Facts {
    Facts {
        readable: vec![(Sequence(1), Sequence(200))],
        ..Facts::default()
    }
}

fn sequences(of: impl IntoIterator<Item = u64>) -> BTreeSet<Sequence> {
    of.into_iter().map(Sequence).collect()
}

#[test]
fn what_is_wrong_with_a_report_is_told_apart() {
    let good = report(vec![said(10), said(11), said(14)], &[10]);
    assert_eq!(judged(&good, &facts()), Ok(true));

    let mut forged = said(11);
    forged.stamp.sender = address("alice@here", 1);
    let forged = report(vec![said(10), forged], &[]);
    let reason = EvidenceError::Root;
    assert_eq!(
        judged(&forged, &facts()),
        Err(Verdict::Forged { item: 1, reason })
    );

    let mut altered = said(11);
    altered.envelope = said(12).envelope;
    let altered = report(vec![altered], &[]);
    assert_eq!(
        judged(&altered, &facts()),
        Err(Verdict::Altered { item: 0 })
    );

    let twice = report(vec![said(10), said(10)], &[]);
    assert_eq!(judged(&twice, &facts()), Err(Verdict::Replayed { item: 1 }));
    let before = Facts {
        reported: sequences([11]),
        ..facts()
    };
    assert_eq!(judged(&good, &before), Err(Verdict::Replayed { item: 1 }));
    let only_context = Facts {
        reported: sequences([10]),
        ..facts()
    };
    assert_eq!(judged(&good, &only_context), Ok(true));

    let out = |item, reason| Err(Verdict::OutOfContext { item, reason });
    let elsewhere = sent(2, 11, "message 11", &address("mallory@here", 6));
    let mixed = report(vec![said(10), elsewhere], &[]);
    assert_eq!(judged(&mixed, &facts()), out(1, OutOfContext::OtherGroup));
    let reversed = report(vec![said(11), said(10)], &[]);
    assert_eq!(judged(&reversed, &facts()), out(1, OutOfContext::Order));
    let outside = Facts {
        readable: vec![(Sequence(1), Sequence(10)), (Sequence(12), Sequence(99))],
        ..facts()
    };
    assert_eq!(judged(&good, &outside), out(1, OutOfContext::Unreadable));
}

#[test]
fn a_window_leaves_nothing_out_and_reported_messages_may_be_apart() {
    let gap = Err(Verdict::OutOfContext {
        item: 1,
        reason: OutOfContext::Gap,
    });
    let apart = report(vec![said(10), said(14)], &[]);
    assert_eq!(judged(&apart, &facts()), Ok(true));
    let window = report(vec![said(10), said(14)], &[10]);
    let with = |others: &[u64], first_kept| Facts {
        others: sequences(others.iter().copied()),
        first_kept: Sequence(first_kept),
        ..facts()
    };
    assert_eq!(judged(&window, &facts()), gap);
    assert_eq!(judged(&window, &with(&[11, 13], 0)), gap);
    assert_eq!(judged(&window, &with(&[11, 12, 13], 0)), Ok(true));
    // Of what is no longer kept nobody can tell.
    assert_eq!(judged(&window, &with(&[13], 13)), Ok(false));
    assert_eq!(judged(&window, &with(&[], 13)), gap);
    assert_eq!(judged(&window, &with(&[], 15)), Ok(false));
    let dense = report(vec![said(10), said(11)], &[10]);
    assert_eq!(judged(&dense, &with(&[], 15)), Ok(true));
}

#[test]
fn reports_are_bounded() {
    let make = |items: Vec<Item>, comment: &str| {
        Report::new(
            ReportId::from_bytes([3; 16]),
            (address("bob@here", 2), UnixMillis(9)),
            (Category::Other, comment.to_owned()),
            items,
        )
        .map(drop)
    };
    let item = |sequence, is_context| Item {
        evidence: said(sequence),
        is_context,
    };
    assert_eq!(make(vec![], ""), Err(ReportError::Messages));
    assert_eq!(make(vec![item(1, true)], ""), Err(ReportError::Messages));
    let many = (1..=65).map(|it| item(it, false)).collect();
    assert_eq!(make(many, ""), Err(ReportError::Messages));
    let long = "é".repeat(2_001);
    assert_eq!(make(vec![item(1, false)], &long), Err(ReportError::Comment));
    assert_eq!(make(vec![item(1, false)], &long[2..]), Ok(()));
    let large = |sequence| Item {
        evidence: sent(
            1,
            sequence,
            &"x".repeat(60_000),
            &address("mallory@here", 6),
        ),
        is_context: false,
    };
    assert_eq!(make((1..=7).map(large).collect(), ""), Ok(()));
    let eight = (1..=8).map(large).collect();
    assert_eq!(make(eight, ""), Err(ReportError::TooLarge));
}

fn case_of(report: &Report) -> CaseFile {
    let (key, mut book) = (operator(), Book::default());
    let entry = book
        .appoint(
            Actor::Operator,
            "carol@here".parse().unwrap(),
            Some(Role::Chief),
            UnixMillis(1),
        )
        .unwrap();
    book.take(&book.chain().link(&entry)).unwrap();
    let about = About {
        report: report.id(),
        reporter: report.reporter().user.clone(),
        accused: report.accused(),
    };
    let measure = Measure {
        kind: MeasureKind::Suspension,
        target: Target {
            user: about.accused[0].user.clone(),
            device: None,
        },
        until_millis: UnixMillis(5_000),
    };
    let by = Actor::User("carol@here".parse().unwrap());
    let decided = book
        .decide(by, &about, (measure, "threats".to_owned()), UnixMillis(2))
        .unwrap();
    let chained = book.chain().link(&decided);
    book.take(&chained).unwrap();
    let line = AuditLine {
        entry: decided,
        hash: "00".to_owned(),
    };
    let context = Context {
        reporter_could_read: true,
        windows_are_gapless: true,
    };
    Case::of(
        report,
        context,
        (&key.verifying_key(), &certificates()),
        (vec![line], book.chain()),
        ("here", UnixMillis(10)),
    )
    .sign(&key)
}

#[test]
fn a_case_file_says_what_it_proves_and_what_not() {
    let file = case_of(&report(vec![said(10), said(11), said(120)], &[10]));
    let key = operator().verifying_key();
    let read = CaseFile::from_json(file.to_json().as_bytes()).unwrap();
    assert_eq!(read, file);
    let findings = read.examine(Some(&key));
    assert!(findings.holds);
    let proved: Vec<_> = findings.proved().collect();
    assert_eq!(proved.len(), 1 + 3, "{proved:#?}");
    assert!(proved[2].contains("“message 11”") && proved[2].contains("mallory@here"));
    let not_proved = findings.not_proved().collect::<Vec<_>>().join("\n");
    for words in [
        "carol@here suspended mallory@here",
        "bob@here who reported",
        "not of a hand",
    ] {
        assert!(not_proved.contains(words), "{words}: {not_proved}");
    }
    assert!(!not_proved.contains("--operator-key"));
    let trusting = read.examine(None);
    assert!(trusting.holds);
    assert!(
        trusting
            .not_proved()
            .any(|it| it.contains("--operator-key"))
    );
    let stranger: VerifyingKey = SigningKey::from_seed(&[1; 32]).verifying_key();
    assert!(!read.examine(Some(&stranger)).holds);
}

#[test]
fn an_operator_can_t_have_a_case_file_prove_what_was_not_sent() {
    // Whoever has the operator's key can sign any file, and the messages in it still prove themselves.
    let mut altered = said(11);
    altered.envelope[80] ^= 1;
    let findings = case_of(&report(vec![said(10), altered], &[])).examine(None);
    assert!(!findings.holds);
    assert_eq!(findings.proved().count(), 1 + 1);
    assert!(
        findings
            .not_proved()
            .any(|it| it.starts_with("BROKEN: message 2"))
    );
}

#[test]
fn what_drives_terminals_is_not_in_the_sentences() {
    let hostile = sent(1, 10, "a\u{1b}[2J\u{202e}b\nc", &address("mallory@here", 6));
    let findings = case_of(&report(vec![hostile], &[])).examine(None);
    let all: String = findings.proved().chain(findings.not_proved()).collect();
    assert!(
        !all.chars().any(|c| c.is_control() || c == '\u{202e}'),
        "{all}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Of a case file no digit or letter is changed without its not holding any more, or being none.
    #[test]
    fn a_changed_case_file_does_not_hold(at in any::<prop::sample::Index>(), to in "[0-9a-z]") {
        let json = case_of(&report(vec![said(10), said(11)], &[10])).to_json();
        let mut changed = json.clone().into_bytes();
        let at = at.index(changed.len());
        changed[at] = to.as_bytes()[0];
        if changed != json.as_bytes() {
            let holds = CaseFile::from_json(&changed)
                .is_ok_and(|file| file.examine(Some(&operator().verifying_key())).holds);
            // A space between two fields may be missing or doubled, and says nothing.
            let meaning = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).ok();
            prop_assert!(!holds || meaning(&changed) == meaning(json.as_bytes()));
        }
    }

    /// Recipients who work together show nothing that was not sent, whatever they put together.
    #[test]
    fn no_coalition_makes_a_report_of_what_was_not_sent(
        parts in prop::collection::vec((0..4usize, 0..4usize, 0..4usize, 0..4usize), 1..5),
    ) {
        let senders = [address("mallory@here", 6), address("alice@here", 1)];
        let sent: Vec<_> = (0..4u64)
            .map(|it| sent(1, 10 + it, &format!("message {it}"), &senders[usize::from(it > 1)]))
            .collect();
        for (stamp, envelope, frank, sender) in parts {
            let mut stamp_of = sent[stamp].stamp.clone();
            stamp_of.sender = sent[sender].stamp.sender.clone();
            let made_up = Evidence {
                stamp: stamp_of,
                envelope: sent[envelope].envelope.clone(),
                frank: sent[frank].frank.clone(),
            };
            let was_sent = sent.contains(&made_up);
            let verdict = judged(&report(vec![made_up], &[]), &facts());
            prop_assert_eq!(verdict.is_ok(), was_sent, "{:?}", verdict);
        }
    }
}
