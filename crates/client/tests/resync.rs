//! A device that can't follow a group comes back by itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/table.rs"]
mod table;

use conclave_client::{
    EntryKind, Event, Standing,
    session::{Call, Rejection, Reply, State},
};
use conclave_rpc::v1::submit_request::Body;
use table::{Answer, Table};

fn too_late(call: &Call, answer: Answer) -> Answer {
    match call {
        Call::ReadLog(_) => Err(Rejection::TooLate),
        _ => answer,
    }
}

/// Damages the messages of one kind in a page of the log.
fn damage(answer: Answer, kind: conclave_rpc::v1::EntryKind) -> Answer {
    let Ok(Reply::ReadLog(mut page)) = answer else {
        return answer;
    };
    for entry in &mut page.entries {
        if entry.kind() == kind {
            let mut message = entry.message.to_vec();
            let last = message.len() - 1;
            message[last] ^= 1;
            entry.message = message.into();
        }
    }
    Ok(Reply::ReadLog(page))
}

#[test]
fn who_comes_too_late_is_back_with_name_history_and_what_was_to_be_sent() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    table.send(1, group, "before");
    table.settle();
    table.send(0, group, "missed");
    table.session(2).update(group).unwrap();
    let late = table.send(1, group, "after");
    let mut is_late = true;
    table.settle_with(|seat, call, answer| {
        if seat == 1 && is_late && matches!(call, Call::ReadLog(_)) {
            is_late = false;
            return too_late(call, answer);
        }
        answer
    });
    assert_eq!(table.resyncs(1), 1);
    assert!(table.session(1).outcome(late).unwrap().unwrap().is_ok());
    assert_eq!(table.texts(1, group), ["before", "after"]);
    assert_eq!(table.texts(0, group), ["before", "missed", "after"]);
    let known = table.session(1).group(group).unwrap().unwrap();
    assert_eq!(
        (known.name.as_deref(), known.standing),
        (Some("club"), Standing::Member)
    );
    let told = table.history(0, group).into_iter();
    assert_eq!(told.filter(|it| it.kind == EntryKind::Rejoined).count(), 1);
    table.assert_agreement(group, &[0, 1, 2]);
    table.assert_all_heard(group, &[0, 1, 2]);
}

#[test]
fn a_long_way_is_gone_in_steps_that_are_told() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    let bob = table.seats.pop().unwrap();
    for number in 0..7 {
        table.send(0, group, &number.to_string());
        table.session(0).update(group).unwrap();
    }
    table.settle();
    table.seats.push(bob);
    table.seats[1].events.clear();
    table.settle_with(|_, _, answer| {
        let Ok(Reply::ReadLog(mut page)) = answer else {
            return answer;
        };
        page.entries.truncate(3);
        Ok(Reply::ReadLog(page))
    });
    let steps: Vec<_> = table.seats[1]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::CatchingUp { read, of, .. } => Some((read.0, of.0)),
            _ => None,
        })
        .collect();
    assert_eq!(steps.len(), 4);
    assert!(
        steps
            .iter()
            .all(|step| step.0 < step.1 && step.1 == steps[0].1)
    );
    assert!(steps.is_sorted());
    assert_eq!(table.texts(1, group).len(), 7);
    table.assert_agreement(group, &[0, 1]);
}

#[test]
fn what_was_accepted_before_a_resync_is_not_sent_again_after_it() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    let sent = table.send(1, group, "once");
    // The service takes the message; its answer is lost, and then the log is gone.
    let (mut is_lost, mut is_late) = (true, true);
    table.settle_with(|seat, call, answer| match call {
        Call::Submit(_) if seat == 1 && is_lost => {
            is_lost = false;
            Err(Rejection::Unreachable("lost".into()))
        }
        Call::ReadLog(_) if seat == 1 && is_late && !is_lost => {
            is_late = false;
            Err(Rejection::TooLate)
        }
        _ => answer,
    });
    table
        .session(1)
        .hint(conclave_client::session::Hint::Connected)
        .unwrap();
    table.settle();
    assert_eq!(table.texts(0, group), ["once"]);
    assert_eq!(table.texts(1, group), ["once"]);
    assert!(table.session(1).outcome(sent).unwrap().unwrap().is_ok());
    table.assert_all_heard(group, &[0, 1]);
}

#[test]
fn a_commit_that_can_t_be_processed_leads_to_a_resync() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    table.session(0).update(group).unwrap();
    let (mut is_damaged, mut reported) = (true, 0);
    table.settle_with(|seat, call, answer| {
        reported += usize::from(matches!(call, Call::ReportCommit(_)));
        if seat == 1 && is_damaged && matches!(call, Call::ReadLog(_)) {
            let damaged = damage(answer.clone(), conclave_rpc::v1::EntryKind::Commit);
            is_damaged = damaged == answer;
            return damaged;
        }
        answer
    });
    // The service refuses it, since the Commit in its log is another, and it is not said again.
    assert_eq!(reported, 1);
    assert_eq!(table.resyncs(1), 1);
    table.assert_agreement(group, &[0, 1, 2]);
    table.assert_all_heard(group, &[0, 1, 2]);
}

#[test]
fn members_compare_numbers() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    let users = [0, 1, 2].map(|seat| table.session(seat).user().clone());
    let seen = table.session(0).safety_number(&users[1]).unwrap();
    assert_eq!(table.session(1).safety_number(&users[0]).unwrap(), seen);
    assert_ne!(table.session(1).safety_number(&users[2]).unwrap(), seen);
    let roster = [0, 1, 2].map(|seat| table.session(seat).roster_fingerprint(group).unwrap());
    assert!(roster.iter().all(|it| *it == roster[0]));
    table.session(0).remove(group, &users[2..]).unwrap();
    table.settle();
    assert_ne!(
        table.session(1).roster_fingerprint(group).unwrap(),
        roster[0]
    );
    let stranger = "zoe@here".parse().unwrap();
    assert!(table.session(0).safety_number(&stranger).is_err());
}

#[test]
fn messages_that_nobody_can_read_lead_to_doubt_but_not_to_an_epoch() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    let before = table.session(0).epoch(group).unwrap();
    for word in ["a", "b", "c", "d"] {
        table.send(0, group, word);
        table.send(2, group, word);
    }
    table.settle_with(|seat, _, answer| match seat {
        1 => damage(answer, conclave_rpc::v1::EntryKind::Application),
        _ => answer,
    });
    let events = &table.seats[1].events;
    assert!(
        events
            .iter()
            .any(|it| matches!(it, Event::Resyncing { .. }))
    );
    assert_eq!(table.session(0).epoch(group).unwrap(), before);
    table.assert_all_heard(group, &[0, 1, 2]);
}

#[test]
fn a_device_whose_older_state_was_restored_comes_back_with_new_keys() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    let backup = table.copy(1);
    for number in 0..3 {
        table.send(1, group, &format!("first {number}"));
    }
    table.settle();
    table.replace(1, backup);
    table.send(1, group, "restored");
    let mut submitted = Vec::new();
    table.settle_with(|seat, call, answer| {
        if let (1, Call::Submit(request)) = (seat, call) {
            let is_commit = matches!(request.body, Some(Body::Commit(_)));
            submitted.push((is_commit, answer.is_ok()));
        }
        answer
    });
    // Nothing was encrypted with keys that had been used before.
    assert_eq!(submitted.first(), Some(&(true, true)));
    assert_eq!(table.resyncs(1), 1);
    table.assert_agreement(group, &[0, 1, 2]);
    table.assert_all_heard(group, &[0, 1, 2]);
    let texts = table.texts(0, group);
    assert!(texts.contains(&"restored".to_owned()), "{texts:?}");
}

#[test]
fn of_a_folder_and_its_copy_neither_encrypts_with_the_other_s_keys() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    let copy = table.copy(1);
    let seat = table.seat(copy);
    table.seats.push(seat);
    // The copy is used first, and has all that the folder had.
    table.send(3, group, "copy");
    table.seats.swap(1, 3);
    let original = table.seats.pop().unwrap();
    table.settle();
    assert!(table.texts(0, group).contains(&"copy".to_owned()));
    table.seats.push(original);
    table.seats.swap(1, 3);
    let behind = table.seats.pop().unwrap();
    table.send(1, group, "original");
    table.settle();
    assert_eq!(table.resyncs(1), 1);
    drop(behind);
    table.assert_agreement(group, &[0, 1, 2]);
    table.assert_all_heard(group, &[0, 1, 2]);
}

#[test]
fn all_who_fell_out_at_once_come_back() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol", "dave", "erin"]);
    table.session(0).update(group).unwrap();
    let mut fallen = [false; 5];
    table.settle_with(|seat, call, answer| {
        if seat > 0 && !fallen[seat] && matches!(call, Call::ReadLog(_)) {
            fallen[seat] = true;
            return Err(Rejection::TooLate);
        }
        answer
    });
    for seat in 1..5 {
        assert_eq!(table.resyncs(seat), 1, "{seat}");
    }
    table.assert_agreement(group, &[0, 1, 2, 3, 4]);
    table.assert_all_heard(group, &[0, 1, 2, 3, 4]);
}

#[test]
fn a_welcome_whose_tree_is_gone_is_made_up_for() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    let carol = table.sit_down("carol");
    table.settle();
    let user = table.session(carol).user().clone();
    table.session(0).add(group, &[user]).unwrap();
    table.settle_with(|_, call, answer| match call {
        Call::FetchTree(_) => Err(Rejection::Refused {
            code: tonic::Code::NotFound,
            reason: "no such tree is kept".into(),
        }),
        _ => answer,
    });
    assert_eq!(
        table.session(carol).state(group).unwrap(),
        Some(State::Operational)
    );
    table.assert_agreement(group, &[0, 1, carol]);
    table.assert_all_heard(group, &[0, 1, carol]);
}

#[test]
fn who_was_removed_and_fell_behind_learns_that_it_is_over() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    let user = table.session(1).user().clone();
    table.session(0).remove(group, &[user]).unwrap();
    let waiting = table.send(1, group, "never");
    table.settle_with(|seat, call, answer| match seat {
        1 => too_late(call, answer),
        _ => answer,
    });
    assert_eq!(table.session(1).state(group).unwrap(), Some(State::Removed));
    assert!(table.session(1).outcome(waiting).unwrap().unwrap().is_err());
    assert!(table.texts(0, group).is_empty());
    table.assert_agreement(group, &[0, 2]);
}

#[test]
fn who_is_removed_and_added_again_while_away_reads_both() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    let user = table.session(1).user().clone();
    // Bob's device hears nothing of any of this until it is over.
    let mut bob = table.seats.remove(1);
    table
        .session(0)
        .remove(group, std::slice::from_ref(&user))
        .unwrap();
    table.settle();
    table.session(0).add(group, &[user]).unwrap();
    table.settle();
    bob.events.clear();
    table.seats.insert(1, bob);
    table.settle();
    let events = &table.seats[1].events;
    assert!(events.contains(&Event::Ended(group)) && events.contains(&Event::Joined(group)));
    table.assert_agreement(group, &[0, 1, 2]);
    table.assert_all_heard(group, &[0, 1, 2]);
}

#[test]
fn another_authenticator_in_the_same_epoch_is_looked_into() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    let now = table.now;
    let (epoch, own) = table.session(0).epoch(group).unwrap();
    let bob = table.session(1);
    assert!(
        bob.compare_epoch(group, epoch, &own, now)
            .unwrap()
            .is_empty()
    );
    assert!(
        bob.compare_epoch(group, epoch + 1, &[0; 32], now)
            .unwrap()
            .is_empty()
    );
    let events = bob.compare_epoch(group, epoch, &[0; 32], now).unwrap();
    assert!(matches!(events[..], [Event::Resyncing { .. }]));
    assert_eq!(bob.state(group).unwrap(), Some(State::Resyncing));
    table.settle();
    // The service's epoch is Bob's own: whoever said otherwise is astray, or lies.
    assert_eq!(table.session(0).epoch(group).unwrap().0, epoch);
    table.assert_all_heard(group, &[0, 1]);
}
