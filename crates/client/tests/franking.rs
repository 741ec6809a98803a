//! What recipients take can be reported; what can't is marked or refused, and no stamp is taken for another.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/table.rs"]
mod table;

use std::time::Duration;

use conclave_client::{
    Attachment, ClientError, EntryKind, Evidence, GroupId, Planted, Sequence, Unreportable,
    session::{Call, Reply, Session},
};
use conclave_protocol::{AttachmentKey, Content, EvidenceError, Message, SigningKey};
use conclave_rpc::v1;
use table::{Answer, Table};

const BOB: usize = 1;

/// Those of a device's lines that are messages, and whether it could report them.
fn reportable(table: &mut Table, seat: usize, group: GroupId) -> Vec<(String, bool)> {
    let entries = table.history(seat, group).into_iter();
    let posted = entries.filter_map(|entry| {
        let posted = entry.message()?;
        Some((posted.text().to_owned(), posted.is_reportable))
    });
    posted.collect()
}

/// What a device shows of a line, after checking it as a third party would.
fn shown(table: &mut Table, seat: usize, group: GroupId, line: Sequence) -> Option<Evidence> {
    let (operator, certificates) = table.session(seat).service_keys().unwrap();
    let evidence = table.session(seat).evidence(group, line).unwrap()?;
    assert!(evidence.verify(&operator.unwrap(), &certificates).is_ok());
    Some(evidence)
}

/// Has the entries that a device reads changed on their way.
fn on_its_way(answer: Answer, change: impl Fn(&mut v1::LogEntry)) -> Answer {
    match answer {
        Ok(Reply::ReadLog(mut page)) => {
            let entries = page.entries.iter_mut();
            entries
                .filter(|entry| !entry.frank.is_empty())
                .for_each(change);
            Ok(Reply::ReadLog(page))
        }
        other => other,
    }
}

#[test]
fn everybody_can_report_what_anybody_says_also_what_they_said_themselves() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    for (seat, text) in [(0, "one"), (1, "two"), (2, "three")] {
        table.send(seat, group, text);
        table.settle();
    }
    for seat in 0..3 {
        let lines = table.history(seat, group);
        for line in &lines {
            let Some(posted) = line.message() else {
                continue;
            };
            assert!(posted.is_reportable, "{seat} {}", posted.text());
            let evidence = shown(&mut table, seat, group, line.sequence).unwrap();
            assert_eq!(evidence.stamp.sender.user, line.author);
            assert_eq!(evidence.stamp.sequence, line.sequence);
            assert_eq!(evidence.stamp.accepted, line.accepted);
            let Content::Message(said) = Content::open(&evidence.envelope) else {
                panic!("a message");
            };
            assert_eq!(said, posted.message);
        }
        // What the group is called was said, too.
        let named = lines
            .iter()
            .find(|it| matches!(it.kind, EntryKind::Named(_)));
        if let Some(named) = named {
            assert!(shown(&mut table, seat, group, named.sequence).is_some());
        }
    }
    assert_eq!(reportable(&mut table, BOB, group).len(), 3);
}

#[test]
fn an_edit_takes_the_place_of_what_it_changes_and_a_deletion_leaves_nothing_to_show() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    table.send(0, group, "first");
    table.settle();
    let line = table.history(0, group).pop().unwrap();
    let id = line.message().unwrap().id;
    table.session(0).edit(group, id, "second").unwrap();
    table.session(BOB).react(group, id, "+1", false).unwrap();
    table.settle();
    let evidence = shown(&mut table, BOB, group, line.sequence).unwrap();
    assert!(matches!(
        Content::open(&evidence.envelope),
        Content::Edit { text, target, .. } if text == "second" && target == id
    ));
    // The mark stands around it; the first text is gone, so that nothing before can be shown.
    let around = table.session(BOB).show(group, &[line.sequence], 5).unwrap();
    let kinds: Vec<_> = around.iter().map(|it| it.is_context).collect();
    assert_eq!(kinds, [false, true]);
    table.session(0).delete(group, id).unwrap();
    table.settle();
    assert_eq!(shown(&mut table, BOB, group, line.sequence), None);
    let refused = table.session(BOB).show(group, &[line.sequence], 0);
    assert!(matches!(refused, Err(ClientError::NotReportable(at)) if at == line.sequence));
}

#[test]
fn a_window_leaves_nothing_out() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    for text in ["a", "b", "c", "d", "e"] {
        table.send(0, group, text);
        table.settle();
    }
    let lines: Vec<_> = table
        .history(BOB, group)
        .iter()
        .rev()
        .take(5)
        .map(|it| it.sequence)
        .collect();
    let [e, d, c, b, a] = lines[..] else {
        panic!("five messages");
    };
    let mut shown = |lines: &[Sequence], around| -> Vec<(Sequence, bool)> {
        let shown = table.session(BOB).show(group, lines, around).unwrap();
        shown
            .iter()
            .map(|it| (it.evidence.stamp.sequence, it.is_context))
            .collect()
    };
    assert_eq!(shown(&[c], 0), [(c, false)]);
    assert_eq!(shown(&[c], 1), [(b, true), (c, false), (d, true)]);
    assert_eq!(shown(&[b, d], 0), [(b, false), (d, false)]);
    assert_eq!(
        shown(&[d, b], 1),
        [(a, true), (b, false), (c, true), (d, false), (e, true)]
    );
    let nothing = table.session(BOB).show(group, &[], 1);
    assert!(matches!(nothing, Err(ClientError::ReportSize)));
}

/// What has expired is gone with its proof, and that there was something is not.
#[test]
fn a_window_ends_where_something_has_expired() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    let hour = Duration::from_hours(1);
    let say = |table: &mut Table, text, expiry| {
        table.session(0).set_expiry(group, expiry).unwrap();
        table.settle();
        table.send(0, group, text);
        table.settle();
        table.history(BOB, group).pop().unwrap().sequence
    };
    say(&mut table, "kept before", None);
    let gone = say(&mut table, "gone soon", Some(hour));
    let last = say(&mut table, "kept after", None);
    let sequences = |table: &mut Table| -> Vec<Sequence> {
        let shown = table.session(BOB).show(group, &[last], 9).unwrap();
        shown.iter().map(|it| it.evidence.stamp.sequence).collect()
    };
    assert!(sequences(&mut table).contains(&gone));
    let later = table.now.after(hour);
    table.session(BOB).expire(later).unwrap();
    assert_eq!(table.texts(BOB, group), ["kept before", "kept after"]);
    assert_eq!(sequences(&mut table), [last]);
}

/// Whatever the service or whoever stands between tells Bob alone of a message, he notices that he could not report
/// it, and everybody else goes on.
#[test]
fn what_does_not_fit_its_stamp_is_marked() {
    let changes: [fn(&mut v1::LogEntry); 5] = [
        |entry| entry.frank.clear(),
        |entry| entry.frank = vec![1; 200].into(),
        |entry| entry.accepted_millis += 1,
        |entry| {
            let mut frank = entry.frank.to_vec();
            *frank.last_mut().unwrap() ^= 1;
            entry.frank = frank.into();
        },
        // A key that the operator has never heard of.
        |entry| {
            let mut frank = entry.frank.to_vec();
            frank[3] ^= 1;
            entry.frank = frank.into();
        },
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let (mut table, group) = Table::with(&["alice", "bob"]);
        table.send(0, group, "hello");
        table.settle_with(|seat, call, answer| match call {
            Call::ReadLog(_) if seat == BOB => on_its_way(answer, change),
            _ => answer,
        });
        let expected = |is_reportable| vec![("hello".to_owned(), is_reportable)];
        assert_eq!(reportable(&mut table, BOB, group), expected(false), "{at}");
        assert_eq!(reportable(&mut table, 0, group), expected(true), "{at}");
        table.send(0, group, "again");
        table.settle();
        let last = reportable(&mut table, BOB, group).pop();
        assert_eq!(last, Some(("again".to_owned(), true)), "{at}");
    }
}

/// Two messages that are accepted at the same moment, and each has the frank of the other.
#[test]
fn a_stamp_is_not_taken_for_that_of_another_message() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    table.send(0, group, "one");
    table.send(0, group, "two");
    table.settle_with(|seat, call, answer| match (call, answer) {
        (Call::ReadLog(_), Ok(Reply::ReadLog(mut page))) if seat == BOB => {
            if let [one, .., two] = &mut page.entries[..] {
                std::mem::swap(&mut one.frank, &mut two.frank);
            }
            Ok(Reply::ReadLog(page))
        }
        // Bob reads both at once.
        (Call::Submit(_), answer) => answer,
        (_, answer) => answer,
    });
    let mine = reportable(&mut table, 0, group);
    assert!(mine.iter().all(|(_, is_reportable)| *is_reportable));
    let bobs = reportable(&mut table, BOB, group);
    assert_eq!(bobs.len(), 2);
    for (line, (_, is_reportable)) in table
        .history(BOB, group)
        .iter()
        .rev()
        .zip(bobs.iter().rev())
    {
        let evidence = shown(&mut table, BOB, group, line.sequence);
        assert_eq!(evidence.is_some(), *is_reportable);
        let is_its = evidence.is_none_or(|it| it.stamp.sequence == line.sequence);
        assert!(is_its);
    }
}

#[test]
fn a_group_may_refuse_what_nobody_could_report() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    let refused = table
        .session(BOB)
        .set_unreportable(group, Unreportable::Refused);
    assert!(matches!(refused, Err(ClientError::Forbidden(_))));
    table
        .session(0)
        .set_unreportable(group, Unreportable::Refused)
        .unwrap();
    table.settle();
    for seat in 0..2 {
        let known = table.session(seat).unreportable(group).unwrap();
        assert_eq!(known, Unreportable::Refused);
        let told = table.history(seat, group).pop().unwrap().kind;
        assert_eq!(told, EntryKind::Reporting(Unreportable::Refused));
    }
    table.send(0, group, "hello");
    table.settle_with(|seat, call, answer| match call {
        Call::ReadLog(_) if seat == BOB => on_its_way(answer, |entry| entry.frank.clear()),
        _ => answer,
    });
    assert!(table.texts(BOB, group).is_empty());
    let last = table.history(BOB, group).pop().unwrap();
    assert_eq!(last.kind, EntryKind::Unreportable);
    table.send(0, group, "again");
    table.settle();
    assert_eq!(table.texts(BOB, group), ["again"]);
}

/// Whoever would be unreportable is noticed by everybody, and heard by nobody where the group wants that.
#[test]
fn a_sender_who_does_not_commit_to_what_is_sent_is_marked_or_refused() {
    for bug in [Planted::Uncommitted, Planted::CommittedElsewhere] {
        let (mut table, group) = Table::with(&["alice", "bob", "mallory"]);
        table.session(2).plant(bug);
        table.send(2, group, "you can't prove this");
        table.settle();
        for seat in 0..3 {
            let said = reportable(&mut table, seat, group);
            assert_eq!(
                said,
                [("you can't prove this".to_owned(), false)],
                "{bug:?}"
            );
        }
        table
            .session(0)
            .set_unreportable(group, Unreportable::Refused)
            .unwrap();
        table.settle();
        table.send(2, group, "nor this");
        table.send(0, group, "who was that?");
        table.settle();
        for seat in 0..2 {
            let lines = table.history(seat, group);
            let refused = lines.iter().find(|it| it.kind == EntryKind::Unreportable);
            assert_eq!(refused.unwrap().author.name(), "mallory");
            let texts = table.texts(seat, group);
            assert_eq!(texts, ["you can't prove this", "who was that?"], "{bug:?}");
        }
    }
}

#[test]
fn old_messages_stay_reportable_when_the_key_changes() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    let mut keys = Vec::new();
    for week in 0..9 {
        table.send(0, group, &week.to_string());
        table.settle();
        let line = table.history(BOB, group).pop().unwrap().sequence;
        keys.push(shown(&mut table, BOB, group, line).unwrap().frank.key());
        table.now = table.now.after(Duration::from_hours(7 * 24));
    }
    table.settle();
    keys.dedup();
    assert_eq!(keys.len(), 9);
    let all = reportable(&mut table, BOB, group);
    assert!(all.iter().all(|(_, is_reportable)| *is_reportable));
    for line in table.history(BOB, group) {
        if line.message().is_some() {
            assert!(shown(&mut table, BOB, group, line.sequence).is_some());
        }
    }
}

/// The service, or whoever stands before it, says another operator's key to a device than that which the group's
/// rules name: nothing that it stamps counts there.
#[test]
fn a_device_holds_the_service_to_the_operator_whom_the_group_names() {
    let mut table = Table::empty();
    table.sit_down("alice");
    table.sit_down("bob");
    let other = SigningKey::from_seed(&[9; 32]).verifying_key();
    table.settle_with(|seat, _, answer| match answer {
        Ok(Reply::Describe(mut said)) if seat == BOB => {
            said.operator_key = other.as_bytes().to_vec().into();
            Ok(Reply::Describe(said))
        }
        answer => answer,
    });
    let group = table.found();
    table.send(0, group, "hello");
    table.settle();
    let expected = |is_reportable| vec![("hello".to_owned(), is_reportable)];
    assert_eq!(reportable(&mut table, 0, group), expected(true));
    assert_eq!(reportable(&mut table, BOB, group), expected(false));
}

/// A device that was away while the keys changed asks for them before it reads on, and once only.
#[test]
fn keys_that_are_not_known_are_asked_for_before_a_message_counts() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    let tablet = table.link(BOB, Session::link).unwrap();
    table.settle();
    table.now = table.now.after(Duration::from_hours(3 * 7 * 24));
    table.send(0, group, "hello");
    let mut asked = 0;
    table.settle_with(|seat, call, answer| {
        asked += usize::from(seat == BOB && matches!(call, Call::Describe(_)));
        answer
    });
    assert!(asked <= 2, "{asked}");
    assert_eq!(
        reportable(&mut table, tablet, group),
        [("hello".to_owned(), true)]
    );
    table.send(tablet, group, "from the tablet");
    table.settle();
    let said = reportable(&mut table, BOB, group);
    assert!(said.iter().all(|(_, is_reportable)| *is_reportable));
    assert_eq!(said.len(), 2);
}

/// ChaCha20-Poly1305 does not commit to its key: somebody may seal bytes that open under two keys, to two files. The
/// key that counts is the one in the envelope, so nobody can show the other file as what was sent, or deny this one.
#[test]
fn another_key_for_the_same_sealed_bytes_is_another_message() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    let under = |key| Attachment {
        key: AttachmentKey::from_bytes([key; 32]),
        content_hash: [2; 32],
        size_bytes: 3,
        name: "picture.png".to_owned(),
        media_type: "image/png".to_owned(),
        kept_until: table.now,
    };
    let (sent, other) = (under(1), under(7));
    table
        .session(0)
        .send(group, Message::default().attach(sent.clone()))
        .unwrap();
    table.settle();
    let line = table.history(BOB, group).pop().unwrap().sequence;
    let genuine = shown(&mut table, BOB, group, line).unwrap();
    let (operator, certificates) = table.session(BOB).service_keys().unwrap();
    let with = |attachment: Attachment| {
        let salt = genuine.envelope[1..33].try_into().unwrap();
        let content = Content::Message(Message::default().attach(attachment));
        let evidence = Evidence {
            envelope: content.seal(salt).unwrap(),
            ..genuine.clone()
        };
        evidence.verify(&operator.unwrap(), &certificates).map(drop)
    };
    assert_eq!(with(sent.clone()), Ok(()));
    assert_eq!(with(other), Err(EvidenceError::Commitment));
    let other_bytes = Attachment {
        content_hash: [3; 32],
        ..sent
    };
    assert_eq!(with(other_bytes), Err(EvidenceError::Commitment));
}
