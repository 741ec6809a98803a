//! Reports, and the log of what moderators do.

use conclave_protocol::{ReportId, RequestId, Sequence, UnixMillis, UserId};
use conclave_safety::{Act, Actor, Chain, Chained, Entry};

use super::{
    super::{Asked, Filed, Mail, NewAudit, NewReport, Notice, Store},
    GROUP, NOW, certify, device, entry, found, register,
};
use crate::limits::OPEN_REPORTS_PER_USER_MAX;

fn user(number: u8) -> UserId {
    format!("user{number}@here").parse().unwrap()
}

fn report_id(number: u8) -> ReportId {
    ReportId::from_bytes([number; 16])
}

/// Reports a message under the report's number.
fn file(store: &dyn Store, number: u8, reporter: u8, sequences: &[u64]) -> Filed {
    let reported: Vec<_> = sequences.iter().map(|it| Sequence(*it)).collect();
    let new = NewReport {
        id: report_id(number),
        reporter: &user(reporter),
        received: UnixMillis(NOW.0 + u64::from(number)),
        group: GROUP,
        reported: &reported,
        summary: &[number],
        body: &[number, reporter],
    };
    store.put_report(&new).unwrap()
}

fn chained(chain: &mut Chain, at: u64) -> Chained {
    let entry = Entry {
        number: chain.entries() + 1,
        at_millis: UnixMillis(at),
        by: Actor::Operator,
        act: Act::Shown {
            report: report_id(1),
        },
    };
    let chained = chain.link(&entry);
    chain.follow(&chained).unwrap();
    chained
}

pub(super) fn a_message_is_reported_once_by_each(store: &dyn Store) {
    register(store, 3);
    assert_eq!(file(store, 1, 1, &[5, 7]), Filed::Done);
    assert_eq!(file(store, 1, 1, &[5, 7]), Filed::Done, "the same again");
    assert_eq!(file(store, 1, 2, &[5]), Filed::IdTaken);
    assert_eq!(file(store, 2, 1, &[6, 7]), Filed::Replayed(Sequence(7)));
    assert_eq!(file(store, 2, 2, &[6, 7]), Filed::Done);
    assert_eq!(file(store, 3, 1, &[6]), Filed::Done);
    let reported = store.reported(&user(1), GROUP).unwrap();
    assert_eq!(reported, [5, 6, 7].map(Sequence));
    assert_eq!(store.reported(&user(3), GROUP).unwrap(), []);
    let found = store.report(report_id(2)).unwrap();
    assert_eq!(found, Some((vec![2], vec![2, 2])));
    assert_eq!(store.report(report_id(9)).unwrap(), None);
}

pub(super) fn open_reports_are_bounded_and_decided_ones_go_in_time(store: &dyn Store) {
    register(store, 2);
    let most = u8::try_from(OPEN_REPORTS_PER_USER_MAX).unwrap();
    for number in 1..=most {
        assert_eq!(file(store, number, 1, &[u64::from(number)]), Filed::Done);
    }
    assert_eq!(file(store, most + 1, 1, &[99]), Filed::Full);
    assert_eq!(file(store, most + 1, 2, &[99]), Filed::Done);
    let mut chain = Chain::default();
    let decide = |chain: &mut Chain, report| {
        let new = NewAudit {
            chained: &chained(chain, 1),
            asked: None,
            about: Some(report_id(report)),
            decides: true,
            tells: None,
        };
        assert_eq!(store.append_audit(&new).unwrap(), Some(vec![]));
    };
    decide(&mut chain, 2);
    assert_eq!(file(store, most + 2, 1, &[99]), Filed::Done);
    let numbers = |after, limit, with_decided| {
        let rows = store.reports(after, limit, with_decided).unwrap();
        rows.iter()
            .map(|row| row.id.as_bytes()[0])
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(0, 3, false), [1, 3, 4]);
    assert_eq!(numbers(0, 3, true), [1, 2, 3]);
    let third = store.reports(0, 3, true).unwrap().pop().unwrap();
    assert_eq!((third.received.0, third.summary), (NOW.0 + 3, vec![3]));
    assert_eq!(numbers(third.number, 2, false), [4, 5]);
    // Open ones stay, however old.
    store.expire_reports(UnixMillis(NOW.0 + 2)).unwrap();
    assert_eq!(numbers(0, 2, true), [1, 2]);
    store.expire_reports(UnixMillis(NOW.0 + 200)).unwrap();
    assert_eq!(numbers(0, 2, true), [1, 3]);
    let reported = store.reported(&user(1), GROUP).unwrap();
    assert!(!reported.contains(&Sequence(2)), "forgotten");
}

pub(super) fn the_audit_log_has_no_gaps_and_tells_whom_it_is_about(store: &dyn Store) {
    register(store, 2);
    let mut chain = Chain::default();
    let (first, second) = (chained(&mut chain, 1), chained(&mut chain, 2));
    let only = |chained| NewAudit {
        chained,
        asked: None,
        about: None,
        decides: false,
        tells: None,
    };
    assert_eq!(
        store.append_audit(&only(&second)).unwrap(),
        None,
        "too early"
    );
    assert_eq!(store.append_audit(&only(&first)).unwrap(), Some(vec![]));
    assert_eq!(store.append_audit(&only(&first)).unwrap(), None, "again");
    store.register(&certify("user1@here", 3, 101)).unwrap();
    let notice = Notice::Measure {
        decision: 2,
        measure: b"measure".to_vec(),
    };
    let told = |chained: &Chained, only| {
        let user = user(1);
        let tells = Some((&user, only, &notice));
        let new = NewAudit {
            chained,
            asked: None,
            about: Some(report_id(1)),
            decides: false,
            tells,
        };
        store.append_audit(&new).unwrap()
    };
    assert_eq!(told(&second, None), Some(vec![device(1), device(3)]));
    let third = chained(&mut chain, 3);
    assert_eq!(told(&third, Some(device(3))), Some(vec![device(3)]));
    for number in [1, 3] {
        let mail = store.read_mailbox(device(number), 0, 9).unwrap();
        assert_eq!(mail.len(), 1, "the later notice of one decision counts");
        assert_eq!(mail[0].mail, Mail::Notice(notice.clone()));
    }
    assert_eq!(store.read_mailbox(device(2), 0, 9).unwrap(), []);
    assert_eq!(store.audit(0, 2).unwrap(), [first, second]);
    assert_eq!(store.audit(2, 9).unwrap(), [third]);
}

pub(super) fn what_was_done_about_a_report_is_found_by_it(store: &dyn Store) {
    register(store, 1);
    file(store, 1, 1, &[5]);
    let mut chain = Chain::default();
    let mut written = Vec::new();
    for (at, about) in (1..).zip([Some(1), None, Some(2), Some(1), Some(1)]) {
        let chained = chained(&mut chain, at);
        let new = NewAudit {
            chained: &chained,
            asked: None,
            about: about.map(report_id),
            decides: false,
            tells: None,
        };
        store.append_audit(&new).unwrap().unwrap();
        written.push(chained);
    }
    let of = |number, after, limit| {
        let found = store.audit_about(report_id(number), after, limit).unwrap();
        assert!(found.iter().all(|it| written.contains(it)));
        found.iter().map(|it| it.number).collect::<Vec<_>>()
    };
    assert_eq!(of(1, 0, 9), [1, 4, 5]);
    assert_eq!(of(1, 0, 2), [1, 4]);
    assert_eq!(of(1, 1, 2), [4, 5]);
    assert_eq!((of(2, 0, 9), of(3, 0, 9)), (vec![3], vec![]));
    let open = store.reports(0, 9, false).unwrap();
    assert_eq!(open.len(), 1, "to look at it decides nothing");
}

pub(super) fn a_request_of_a_moderator_is_known_again(store: &dyn Store) {
    register(store, 2);
    let asked = Asked {
        device: device(1),
        request: RequestId::from_bytes([9; 16]),
        body_hash: [3; 32],
        at: NOW,
    };
    let known = |number| {
        let found = store.applied(device(number), asked.request).unwrap();
        found.map(|it| (it.body_hash, it.receipt.sequence.0, it.receipt.accepted))
    };
    assert_eq!(known(1), None);
    let mut chain = Chain::default();
    let (first, second) = (chained(&mut chain, 1), chained(&mut chain, 2));
    let write = |chained, asked| {
        let new = NewAudit {
            chained,
            asked,
            about: None,
            decides: false,
            tells: None,
        };
        store.append_audit(&new).unwrap()
    };
    assert_eq!(write(&second, Some(asked)), None);
    assert_eq!(known(1), None, "nothing came of it");
    assert_eq!(write(&first, None), Some(vec![]));
    assert_eq!(write(&second, Some(asked)), Some(vec![]));
    assert_eq!(known(1), Some(([3; 32], 2, NOW)));
    assert_eq!(known(2), None);
}

pub(super) fn what_a_deleted_device_read_its_user_may_report(store: &dyn Store) {
    found(store, 2);
    let stays = |number| {
        let (head, ranges) = store.stays(GROUP, &user(number)).unwrap().unwrap();
        let ranges = ranges.iter().map(|it| (it.from.0, it.to.map(|to| to.0)));
        (head.0, ranges.collect::<Vec<_>>())
    };
    assert_eq!(stays(1), (1, vec![(1, None)]));
    assert_eq!(stays(2), (1, vec![(1, None)]));
    assert_eq!(stays(3), (1, vec![]));
    store.append(&entry(1, 50, 1)).unwrap();
    store.register(&certify("user2@here", 3, 102)).unwrap();
    store.delete_device(device(2)).unwrap();
    assert_eq!(stays(2), (2, vec![(1, Some(2))]));
    store.append(&entry(1, 51, 1)).unwrap();
    assert_eq!(stays(2), (3, vec![(1, Some(2))]));
    store.delete_user(&user(2)).unwrap();
    assert_eq!(stays(2), (3, vec![]));
    let nowhere = conclave_protocol::GroupId::from_bytes([9; 16]);
    assert_eq!(store.stays(nowhere, &user(1)).unwrap(), None);
}
