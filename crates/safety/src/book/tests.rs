use std::time::Duration;

use conclave_protocol::DeviceId;
use proptest::prelude::*;

use super::*;
use crate::measure::{MeasureKind, Target};

fn user(name: &str) -> UserId {
    format!("{name}@here").parse().unwrap()
}

fn by(name: &str) -> Actor {
    Actor::User(user(name))
}

fn device(name: &str, device: u8) -> DeviceAddress {
    DeviceAddress {
        user: user(name),
        device: DeviceId::from_bytes([device; 16]),
    }
}

fn about(report: u8) -> About {
    About {
        report: ReportId::from_bytes([report; 16]),
        reporter: user("bob"),
        accused: vec![device("mallory", 6), device("eve", 7)],
    }
}

fn measure(kind: MeasureKind, name: &str, device: Option<u8>, until: u64) -> Measure {
    Measure {
        kind,
        target: Target {
            user: user(name),
            device: device.map(|it| DeviceId::from_bytes([it; 16])),
        },
        until_millis: UnixMillis(until),
    }
}

impl Book {
    /// Writes what was allowed.
    fn write(&mut self, entry: Result<Entry, Refused>) -> Result<u64, Refused> {
        let chained = self.chain.link(&entry?);
        self.take(&chained).unwrap();
        Ok(chained.number)
    }

    fn staffed() -> Self {
        let mut book = Self::default();
        for (name, role) in [
            ("carol", Role::Chief),
            ("dave", Role::Moderator),
            ("vera", Role::Viewer),
        ] {
            let entry = book.appoint(Actor::Operator, user(name), Some(role), UnixMillis(1));
            book.write(entry).unwrap();
        }
        book
    }
}

const NOW: UnixMillis = UnixMillis(1_000);

#[test]
fn each_role_may_do_its_part() {
    let mut book = Book::staffed();
    let suspension = || {
        (
            measure(MeasureKind::Suspension, "mallory", None, 9_000),
            "threats".to_owned(),
        )
    };
    for (name, may) in [
        ("carol", [true, true, true]),
        ("dave", [true, true, false]),
        ("vera", [true, false, false]),
        ("bob", [false, false, false]),
    ] {
        let asked = [
            book.show(by(name), about(1).report, NOW),
            book.decide(
                by(name),
                &About {
                    reporter: user("x"),
                    ..about(1)
                },
                suspension(),
                NOW,
            ),
            book.appoint(by(name), user("zoe"), Some(Role::Viewer), NOW),
        ];
        for (may, asked) in may.into_iter().zip(asked) {
            assert_eq!(asked.err(), (!may).then_some(Refused::Role), "{name}");
        }
    }
    let entry = book.appoint(by("carol"), user("dave"), None, NOW);
    book.write(entry).unwrap();
    assert_eq!(book.role(&user("dave")), None);
    assert_eq!(
        book.show(by("dave"), about(1).report, NOW),
        Err(Refused::Role)
    );
}

#[test]
fn nobody_judges_in_a_case_of_their_own() {
    let mut book = Book::staffed();
    let own = |reporter: &str, accused: &str| About {
        reporter: user(reporter),
        accused: vec![device(accused, 1)],
        ..about(1)
    };
    let reason = || "because".to_owned();
    for about in [own("dave", "mallory"), own("bob", "dave")] {
        assert_eq!(
            book.dismiss(by("dave"), &about, reason(), NOW),
            Err(Refused::OwnCase)
        );
    }
    let warn = (
        measure(MeasureKind::Warning, "mallory", None, NOW.0),
        reason(),
    );
    let entry = book.decide(by("dave"), &about(1), warn, NOW);
    let decision = book.write(entry).unwrap();
    let entry = book.appeal(user("mallory"), decision, reason(), NOW);
    book.write(entry).unwrap();
    let answer = || (true, reason());
    assert_eq!(
        book.answer(by("dave"), decision, answer(), NOW),
        Err(Refused::OwnDecision)
    );
    assert!(book.answer(by("carol"), decision, answer(), NOW).is_ok());
    assert!(
        book.answer(Actor::Operator, decision, answer(), NOW)
            .is_ok()
    );
}

#[test]
fn a_report_is_decided_on_once_for_each_user() {
    let mut book = Book::staffed();
    let warn = |name: &str, it| {
        (
            measure(MeasureKind::Warning, name, it, NOW.0),
            "because".to_owned(),
        )
    };
    let decide = |book: &mut Book, report, name: &str, device| {
        let entry = book.decide(by("dave"), &about(report), warn(name, device), NOW);
        book.write(entry)
    };
    let first = decide(&mut book, 1, "mallory", Some(6)).unwrap();
    assert_eq!(book.closed(about(1).report), Some(first));
    assert_eq!(
        decide(&mut book, 1, "mallory", None),
        Err(Refused::AlreadyDecided)
    );
    assert_eq!(
        decide(&mut book, 1, "mallory", Some(7)),
        Err(Refused::NotAccused)
    );
    assert_eq!(
        decide(&mut book, 1, "alice", None),
        Err(Refused::NotAccused)
    );
    decide(&mut book, 1, "eve", None).unwrap();
    let dismissed = book.dismiss(by("dave"), &about(1), "no".to_owned(), NOW);
    assert_eq!(dismissed, Err(Refused::AlreadyDecided));
    let entry = book.dismiss(by("dave"), &about(2), "no".to_owned(), NOW);
    book.write(entry).unwrap();
    assert_eq!(
        decide(&mut book, 2, "mallory", None),
        Err(Refused::AlreadyDecided)
    );
    for (kind, until) in [
        (MeasureKind::Warning, NOW.0 + 1),
        (MeasureKind::Slow, NOW.0),
        (MeasureKind::Suspension, u64::MAX),
    ] {
        let wrong = (measure(kind, "mallory", None, until), "because".to_owned());
        assert_eq!(
            book.decide(by("dave"), &about(3), wrong, NOW),
            Err(Refused::Duration)
        );
    }
    let silent = (warn("mallory", None).0, " ".to_owned());
    assert_eq!(
        book.decide(by("dave"), &about(3), silent, NOW),
        Err(Refused::Text)
    );
}

#[test]
fn an_appeal_is_made_once_by_whom_the_decision_is_about_and_lifts_it_where_it_is_upheld() {
    let mut book = Book::staffed();
    let suspension = measure(MeasureKind::Suspension, "mallory", None, 9_000);
    let entry = book.decide(
        by("dave"),
        &about(1),
        (suspension, "threats".to_owned()),
        NOW,
    );
    let decision = book.write(entry).unwrap();
    let says = || "it was a joke".to_owned();
    assert_eq!(
        book.appeal(user("eve"), decision, says(), NOW),
        Err(Refused::NoDecision)
    );
    assert_eq!(
        book.appeal(user("mallory"), 99, says(), NOW),
        Err(Refused::NoDecision)
    );
    let answer = |is_upheld| (is_upheld, "so be it".to_owned());
    assert_eq!(
        book.answer(by("carol"), decision, answer(true), NOW),
        Err(Refused::NoAppeal)
    );
    let entry = book.appeal(user("mallory"), decision, says(), NOW);
    book.write(entry).unwrap();
    assert_eq!(book.appeals().count(), 1);
    assert_eq!(
        book.appeal(user("mallory"), decision, says(), NOW),
        Err(Refused::AlreadyAppealed)
    );
    let who = device("mallory", 9);
    assert!(book.standing(&who, NOW).suspended.is_some());
    let entry = book.answer(by("carol"), decision, answer(true), NOW);
    book.write(entry).unwrap();
    assert_eq!(book.standing(&who, NOW), Standing::default());
    assert_eq!(book.appeals().count(), 0);
    assert_eq!(
        book.lift(by("carol"), decision, "again".to_owned(), NOW),
        Err(Refused::AlreadyLifted)
    );
}

/// A suspension or slow-down of a device or user.
fn measures() -> impl Strategy<Value = (bool, u8, Option<u8>, u64, bool)> {
    (
        any::<bool>(),
        0..2u8,
        prop::option::of(6..9u8),
        1_001..1_100u64,
        prop::bool::weighted(0.2),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Somebody is suspended, or slowed down, exactly while a decision says so that covers the device and was not
    /// lifted; and whoever reads the log anew comes to the same book.
    #[test]
    fn where_somebody_stands_follows_from_the_decisions(
        measures in prop::collection::vec(measures(), 0..12), now in 990..1_110u64,
    ) {
        let (mut book, mut log) = (Book::staffed(), Vec::new());
        let names = ["mallory", "eve"];
        for (report, (suspends, name, only, until, _)) in (1..).zip(&measures) {
            let kind = if *suspends { MeasureKind::Suspension } else { MeasureKind::Slow };
            let name = names[usize::from(*name)];
            let about = About { accused: (6..9).map(|it| device(name, it)).collect(), ..about(report) };
            let measure = (measure(kind, name, *only, *until), "because".to_owned());
            let entry = book.decide(by("dave"), &about, measure, NOW);
            log.push(book.write(entry).unwrap());
        }
        for (number, _) in log.iter().zip(&measures).filter(|(_, it)| it.4) {
            let entry = book.lift(by("carol"), *number, "enough".to_owned(), NOW);
            book.write(entry).unwrap();
        }
        for name in names {
            for number in 6..9 {
                let longest = |suspends| measures.iter()
                    .filter(|it| it.0 == suspends && names[usize::from(it.1)] == name && !it.4)
                    .filter(|it| it.2.is_none_or(|only| only == number) && now < it.3)
                    .map(|it| UnixMillis(it.3))
                    .max();
                let standing = book.standing(&device(name, number), UnixMillis(now));
                prop_assert_eq!(standing.suspended.map(|it| it.until), longest(true));
                prop_assert_eq!(standing.slowed.map(|it| it.until), longest(false));
            }
        }
    }

    /// No entry of the log is taken out, changed, put in or moved without the log's end being another.
    #[test]
    fn a_changed_log_is_found_out(at in 0..4usize, byte in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let mut book = Book::default();
        let mut log = Vec::new();
        for name in ["a", "b", "c", "d"] {
            let entry = book.appoint(Actor::Operator, user(name), Some(Role::Viewer), NOW).unwrap();
            let chained = book.chain().link(&entry);
            book.take(&chained).unwrap();
            log.push(chained);
        }
        let read = |log: &[Chained]| {
            let mut book = Book::default();
            log.iter().try_for_each(|it| book.take(it)).map(|()| book)
        };
        prop_assert_eq!(read(&log), Ok(book.clone()));
        let mut changed = log.clone();
        let byte = byte.index(changed[at].entry.len());
        changed[at].entry[byte] ^= flip;
        let number = at as u64 + 1;
        prop_assert_eq!(read(&changed), Err(ChainError::Changed(number)));
        let mut shorter = log.clone();
        shorter.remove(at);
        prop_assert!(at == 3 || read(&shorter) == Err(ChainError::Missing(number)));
        prop_assert_ne!(read(&shorter).map(|it| it.chain), Ok(book.chain));
        let mut swapped = log.clone();
        swapped.swap(at, (at + 1) % 4);
        prop_assert!(read(&swapped).is_err());
    }
}

#[test]
fn durations_are_bounded() {
    let book = Book::staffed();
    let until = NOW.after(Measure::DURATION_MAX);
    let longest = measure(MeasureKind::Suspension, "eve", None, until.0);
    assert!(
        book.decide(
            by("dave"),
            &about(1),
            (longest.clone(), "x".to_owned()),
            NOW
        )
        .is_ok()
    );
    let later = until.after(Duration::from_millis(1));
    let longer = Measure {
        until_millis: later,
        ..longest
    };
    let refused = book.decide(by("dave"), &about(1), (longer, "x".to_owned()), NOW);
    assert_eq!(refused, Err(Refused::Duration));
}
