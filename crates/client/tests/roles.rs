//! Who may do what in a group: whoever asks for what is not allowed hears so, and a session that does
//! things of its own accord comes to rest whatever the rules say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/table.rs"]
mod table;

use std::time::Duration;

use conclave_client::{
    ClientError, EntryKind, Event, Forbidden, GroupId, Permissions, Planted, Role, Standing,
    UserId, WishEnd,
    session::{Hint, IntentId, Session},
};
use table::{Death, Table};

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

const ONLY_OWNERS: Permissions = Permissions {
    add: Role::Owner,
    remove: Role::Owner,
    describe: Role::Owner,
    send: Role::Owner,
};

const ONLY_ADMINS: Permissions = Permissions {
    add: Role::Admin,
    remove: Role::Admin,
    describe: Role::Admin,
    send: Role::Admin,
};

fn user(table: &mut Table, seat: usize) -> UserId {
    table.session(seat).user().clone()
}

fn make(table: &mut Table, group: GroupId, by: usize, of: usize, role: Role) {
    let user = user(table, of);
    table.session(by).set_role(group, &user, role).unwrap();
    table.settle();
}

fn permit(table: &mut Table, group: GroupId, permissions: Permissions) {
    let session = table.session(ALICE);
    session.set_permissions(group, permissions).unwrap();
    table.settle();
}

/// What each of these is, as everybody has it.
fn roles(table: &mut Table, group: GroupId, seats: &[usize]) -> Vec<Role> {
    let mut seen = Vec::new();
    for seat in seats {
        let members = table.session(*seat).members(group).unwrap();
        seen.push(members.into_iter().map(|it| it.role).collect::<Vec<_>>());
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "members disagree");
    seen.remove(0)
}

fn why(table: &mut Table, seat: usize, intent: IntentId) -> String {
    let outcome = table.session(seat).outcome(intent).unwrap();
    outcome.expect("it is settled").unwrap_err()
}

fn is_forbidden<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Forbidden {
    match result.unwrap_err() {
        ClientError::Forbidden(forbidden) => forbidden,
        other => panic!("{other}"),
    }
}

#[test]
fn an_owner_says_who_may_and_others_hear_that_they_may_not() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    let dave = table.sit_down("dave");
    table.settle();
    let everybody = [ALICE, BOB, CAROL];
    let [owner, admin, member] = [Role::Owner, Role::Admin, Role::Member];
    assert_eq!(
        roles(&mut table, group, &everybody),
        [owner, member, member]
    );

    permit(&mut table, group, ONLY_ADMINS);
    make(&mut table, group, ALICE, BOB, Role::Admin);
    assert_eq!(roles(&mut table, group, &everybody), [owner, admin, member]);
    for seat in everybody {
        assert_eq!(table.session(seat).permissions(group).unwrap(), ONLY_ADMINS);
        let told = table.history(seat, group).into_iter().map(|it| it.kind);
        let governed: Vec<_> = told
            .filter(|it| matches!(it, EntryKind::Governed { .. }))
            .collect();
        let bob = user(&mut table, BOB);
        let expected = [
            EntryKind::Governed {
                roles: Vec::new(),
                permissions: Some(ONLY_ADMINS),
            },
            EntryKind::Governed {
                roles: vec![(bob, Role::Admin)],
                permissions: None,
            },
        ];
        assert_eq!(governed, expected);
    }

    let [alice, carol, dave] = [ALICE, CAROL, dave].map(|seat| user(&mut table, seat));
    let session = table.session(CAROL);
    let may_not = [
        is_forbidden(session.add(group, std::slice::from_ref(&dave))),
        is_forbidden(session.remove(group, std::slice::from_ref(&alice))),
        is_forbidden(session.send(group, "hello")),
        is_forbidden(session.set_role(group, &carol, Role::Admin)),
        is_forbidden(session.set_permissions(group, Permissions::default())),
    ];
    assert_eq!(
        may_not,
        [
            Forbidden::Add,
            Forbidden::Remove,
            Forbidden::Send,
            Forbidden::Govern,
            Forbidden::Govern
        ]
    );
    let now = table.now;
    assert_eq!(
        is_forbidden(table.session(CAROL).typing(group, now)),
        Forbidden::Send
    );
    let session = table.session(BOB);
    session.add(group, &[dave]).unwrap();
    session.send(group, "an admin may").unwrap();
    let removes_owner = session.remove(group, &[alice]);
    assert_eq!(is_forbidden(removes_owner), Forbidden::Remove);
    let nobody = "nobody@here".parse().unwrap();
    let stranger = table.session(ALICE).set_role(group, &nobody, Role::Admin);
    assert!(matches!(stranger, Err(ClientError::NoSuchMember(_))));
    table.settle();
    table.assert_agreement(group, &[ALICE, BOB, CAROL, 3]);
    assert_eq!(table.texts(CAROL, group), ["an admin may"]);
    assert_eq!(table.texts(3, group), ["an admin may"]);
}

#[test]
fn what_was_allowed_when_it_was_asked_for_is_given_up_with_the_reason() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    let dave = table.sit_down("dave");
    table.settle();
    let (carol, dave) = (user(&mut table, CAROL), user(&mut table, dave));
    let bobs = table.seats.remove(BOB);
    table.seats.push(bobs);
    let (bob, carols) = (3, 1);
    assert_eq!(user(&mut table, carols), carol);
    let session = table.session(bob);
    let asked = [
        session.send(group, "late").unwrap(),
        session.add(group, &[dave]).unwrap()[0],
        session.remove(group, &[carol]).unwrap(),
    ];
    table
        .session(ALICE)
        .set_permissions(group, ONLY_ADMINS)
        .unwrap();
    // She comes first.
    table.settle();
    let reasons = asked.map(|intent| why(&mut table, bob, intent));
    let expected = [Forbidden::Send, Forbidden::Add, Forbidden::Remove];
    assert_eq!(reasons, expected.map(|it| it.to_string()));
    table.assert_agreement(group, &[ALICE, 1, 3]);
}

#[test]
fn the_last_owner_hands_over_before_leaving() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    assert_eq!(
        is_forbidden(table.session(ALICE).leave(group)),
        Forbidden::LastOwner
    );
    let alice = user(&mut table, ALICE);
    let steps_down = table.session(ALICE).set_role(group, &alice, Role::Member);
    assert_eq!(is_forbidden(steps_down), Forbidden::LastOwner);
    make(&mut table, group, ALICE, BOB, Role::Owner);
    table.session(ALICE).leave(group).unwrap();
    table.settle();
    table.assert_agreement(group, &[BOB]);
    // Nobody is left who could commit that he goes.
    let alone = table.session(BOB).leave(group);
    assert!(matches!(alone, Err(ClientError::Alone)), "{alone:?}");
    let left = table.session(ALICE).group(group).unwrap().unwrap();
    assert_eq!(left.standing, Standing::Ended);
    assert_eq!(roles(&mut table, group, &[BOB]), [Role::Owner]);
    assert!(is_forbidden_last(&mut table, group));
}

#[test]
fn the_last_two_who_leave_at_the_same_moment_wait_for_nobody() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    make(&mut table, group, ALICE, BOB, Role::Owner);
    for seat in [ALICE, BOB] {
        table.session(seat).leave(group).unwrap();
    }
    // Neither could commit that the other one goes.
    table.settle();
    for seat in [ALICE, BOB] {
        assert_has_left(&mut table, group, seat);
        let history = table.history(seat, group);
        let leaves = history.iter().filter(|it| it.kind == EntryKind::Leaves);
        assert_eq!(leaves.count(), 2, "both Proposals were in the log");
    }
}

#[test]
fn who_leaves_waits_for_nobody_who_is_no_more() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    make(&mut table, group, ALICE, BOB, Role::Owner);
    table.delete_user(BOB);
    table.seats.truncate(1);
    // His leaf stands: on the service's word alone nobody is put out.
    table.session(ALICE).leave(group).unwrap();
    table.settle();
    assert_has_left(&mut table, group, ALICE);
}

fn assert_has_left(table: &mut Table, group: GroupId, seat: usize) {
    let left = table.session(seat).group(group).unwrap().unwrap();
    assert_eq!(left.standing, Standing::Ended);
    assert_eq!(table.session(seat).wake_at_in(group), None);
}

/// Nobody is left to hand over to, so the rules do not keep anybody.
fn is_forbidden_last(table: &mut Table, group: GroupId) -> bool {
    !matches!(
        table.session(BOB).leave(group),
        Err(ClientError::Forbidden(_))
    )
}

#[test]
fn what_sessions_do_by_themselves_comes_to_rest_where_only_owners_may() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    for seat in 0..3 {
        table.session(seat).send_receipts(true).unwrap();
    }
    permit(&mut table, group, ONLY_OWNERS);
    // Bob's own devices come and go.
    let tablet = table.link(BOB, Session::link).unwrap();
    table.settle();
    table.assert_agreement(group, &[ALICE, BOB, CAROL, tablet]);
    assert_eq!(table.resyncs(ALICE), 0);
    let name = table.session(tablet).group(group).unwrap().unwrap().name;
    assert_eq!(name.as_deref(), Some("club"));
    let lost = table.session(tablet).device();
    let gone = table.seats.pop().unwrap();
    table.session(BOB).revoke(lost).unwrap();
    table.settle();
    table.assert_agreement(group, &[ALICE, BOB, CAROL]);
    drop(gone);
    // Alice speaks, the others have read it and say nothing.
    let said = table.send(ALICE, group, "hear");
    table.settle();
    let at = table
        .session(ALICE)
        .outcome(said)
        .unwrap()
        .unwrap()
        .unwrap();
    let now = table.now;
    for seat in [BOB, CAROL] {
        let says = table
            .session(seat)
            .mark_read(group, at.sequence, now)
            .unwrap();
        assert!(!says, "{seat}");
    }
    // Carol leaves, and Bob confirms that though he may not remove.
    let alice = table.seats.remove(ALICE);
    table.session(CAROL - 1).leave(group).unwrap();
    table.settle();
    table.seats.insert(ALICE, alice);
    table.settle();
    table.assert_agreement(group, &[ALICE, BOB]);
}

#[test]
fn a_newcomer_hears_the_name_where_whoever_adds_may_not_speak() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    let speakers = Permissions {
        add: Role::Member,
        ..ONLY_OWNERS
    };
    permit(&mut table, group, speakers);
    let carol = table.sit_down("carol");
    table.settle();
    let user = user(&mut table, carol);
    table.session(BOB).add(group, &[user]).unwrap();
    table.settle();
    let known = table.session(carol).group(group).unwrap().unwrap();
    assert_eq!(known.name.as_deref(), Some("club"));
    table.assert_agreement(group, &[ALICE, BOB, carol]);
}

#[test]
fn a_successor_has_the_same_roles_without_the_culprit() {
    // Alice, Bob and Mallory are the only owner in turn.
    for (owner, culprit) in [(0, 3), (1, 3), (3, 3)] {
        let names = ["alice", "bob", "carol", "mallory"];
        let (mut table, group) = Table::with(&names);
        make(&mut table, group, ALICE, BOB, Role::Admin);
        permit(&mut table, group, ONLY_ADMINS);
        if owner != ALICE {
            make(&mut table, group, ALICE, owner, Role::Owner);
            make(&mut table, group, ALICE, ALICE, Role::Admin);
        }
        let mut expected = roles(&mut table, group, &[0, 1, 2, 3]);
        expected.remove(culprit);
        if owner == culprit {
            // The admins inherit.
            expected = vec![Role::Owner, Role::Owner, Role::Member];
        }
        table.has_streams = true;
        table.session(culprit).update(group).unwrap();
        table.spoils = Some(culprit);
        table.settle();
        let honest = [0, 1, 2];
        let ended = table.session(ALICE).group(group).unwrap().unwrap();
        let next = ended.successor.expect("it goes on");
        table.assert_agreement(next, &honest);
        assert_eq!(roles(&mut table, next, &honest), expected, "{owner}");
        let permissions = table.session(CAROL).permissions(next).unwrap();
        assert_eq!(permissions, ONLY_ADMINS, "{owner}");
        let refused = table.session(CAROL).send(next, "hello");
        assert_eq!(is_forbidden(refused), Forbidden::Send);
    }
}

#[test]
fn a_program_older_than_the_rules_says_so_waits_and_goes_on_once_it_is_new() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    table.session(BOB).plant(Planted::Outdated);
    make_unsettled(&mut table, group);
    let waits = table.send(BOB, group, "once I can");
    let problem = go_round(&mut table);
    assert!(problem.contains("version 2"), "{problem}");
    assert!(problem.contains("newer program"), "{problem}");
    table.send(ALICE, group, "who hears?");
    go_round(&mut table);
    // Nobody has reported the Commit or gone elsewhere, and nothing was sent from the past.
    assert_eq!(table.texts(CAROL, group), ["who hears?"]);
    for seat in [ALICE, CAROL] {
        let history = table.history(seat, group);
        let is_report = |it: &EntryKind| matches!(it, EntryKind::Reported(_));
        assert!(!history.iter().any(|entry| is_report(&entry.kind)));
    }
    let resyncs = |event: &Event| matches!(event, Event::Resyncing { .. });
    assert!(!table.seats[BOB].events.iter().any(resyncs));
    // The person installs the newer program.
    table.crash(BOB);
    table.settle();
    table.assert_agreement(group, &[ALICE, BOB, CAROL]);
    assert!(table.session(BOB).outcome(waits).unwrap().unwrap().is_ok());
    assert_eq!(table.texts(BOB, group), ["who hears?", "once I can"]);
    assert_eq!(table.resyncs(BOB), 0);
}

fn make_unsettled(table: &mut Table, group: GroupId) {
    let carol = user(table, CAROL);
    let session = table.session(ALICE);
    session.set_role(group, &carol, Role::Admin).unwrap();
}

/// Lets everybody do what is due now and in the next minute, and gives what keeps Bob from going on.
fn go_round(table: &mut Table) -> String {
    let mut problem = None;
    for _ in 0..20 {
        for seat in 0..table.seats.len() {
            let session = table.session(seat);
            session.hint(Hint::Connected).unwrap();
            while table.step(seat, |_, answer| answer) {}
        }
        problem = table.session(BOB).take_problem().or(problem);
        table.now = table.now.after(Duration::from_secs(3));
    }
    problem.expect("Bob is told").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_others_do_what_they_may_not() {
    let world = common::World::start().await;
    let (people, group) = world.group(&["alice", "bob"]).await;
    let carol = world.person("carol").await;
    let only_owners_add = Permissions {
        add: Role::Owner,
        ..Permissions::default()
    };
    people[0]
        .set_permissions(group, only_owners_add)
        .await
        .unwrap();
    common::sync_all(&people).await;
    // Alice is online and might do it for him.
    let mut events = people[0].events();
    while !matches!(events.next().await.unwrap().unwrap(), Event::CaughtUp) {}
    let asked = people[1].ask_for(group, &[carol.user().clone()], &[]).await;
    assert!(
        matches!(asked, Err(ClientError::Forbidden(Forbidden::Add))),
        "{asked:?}"
    );
}

/// Lets these go on until the one who asked for something hears how it ended: how, and how long that took.
fn until_ended(table: &mut Table, asker: usize, seats: &[usize]) -> (WishEnd, Duration) {
    let begun = table.now;
    loop {
        let ended = table.seats[asker].events.iter().find_map(|it| match it {
            Event::WishEnded { end, .. } => Some(end.clone()),
            _ => None,
        });
        let took = Duration::from_millis(table.now.0 - begun.0);
        if let Some(end) = ended {
            return (end, took);
        }
        assert!(took < Duration::from_secs(300), "it never ends");
        for seat in seats {
            table.session(*seat).hint(Hint::Connected).unwrap();
            while table.step(*seat, |_, answer| answer) {}
        }
        table.now = table.now.after(Duration::from_millis(500));
    }
}

/// Alice, Bob and Carol in a group, and Dave, whom Bob wants in it.
fn who_wants_dave() -> (Table, GroupId, UserId) {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    let dave = table.sit_down("dave");
    table.settle();
    let dave = user(&mut table, dave);
    (table, group, dave)
}

#[test]
fn what_was_handed_to_somebody_who_is_gone_is_done_by_another() {
    for death in [
        None,
        Some((Death::BeforeAsking, 0)),
        Some((Death::BeforeAsking, 3)),
        Some((Death::BeforeHearing, 0)),
        Some((Death::BeforeHearing, 2)),
    ] {
        let (mut table, group, dave) = who_wants_dave();
        let _online = [ALICE, CAROL].map(|seat| table.follow(seat, group));
        table.session(BOB).ask_for(group, &[dave], &[]).unwrap();
        // Alice has been there for longest, and is gone from now on.
        table.seats[BOB].death = death;
        let (end, took) = until_ended(&mut table, BOB, &[BOB, CAROL, 3]);
        assert_eq!(end, WishEnd::Done);
        assert!(took < Duration::from_secs(60), "{took:?}");
        let added = table.history(BOB, group).pop().unwrap();
        assert!(matches!(added.kind, EntryKind::Added(_)), "{added:?}");
        assert_eq!(added.author, user(&mut table, CAROL));
    }
}

#[test]
fn what_nobody_does_its_asker_does() {
    let (mut table, group, dave) = who_wants_dave();
    let _online = [ALICE, CAROL].map(|seat| table.follow(seat, group));
    let nobody: UserId = "nobody@here".parse().unwrap();
    table.session(BOB).ask_for(group, &[dave], &[]).unwrap();
    let (end, took) = until_ended(&mut table, BOB, &[BOB]);
    assert_eq!(end, WishEnd::Done);
    assert!(took < Duration::from_secs(180), "{took:?}");
    // And where that can't be, it says so.
    table.seats[BOB].events.clear();
    table.session(BOB).ask_for(group, &[nobody], &[]).unwrap();
    let (end, _) = until_ended(&mut table, BOB, &[BOB]);
    assert_eq!(end, WishEnd::Impossible(None));
    assert!(table.session(BOB).given_up(group).unwrap().is_empty());
}

#[test]
fn whoever_may_not_do_it_is_passed_over_at_once() {
    let (mut table, group, dave) = who_wants_dave();
    make(&mut table, group, ALICE, BOB, Role::Admin);
    permit(&mut table, group, ONLY_ADMINS);
    let _online = [CAROL, ALICE].map(|seat| table.follow(seat, group));
    table.session(BOB).ask_for(group, &[dave], &[]).unwrap();
    let (end, took) = until_ended(&mut table, BOB, &[ALICE, BOB, CAROL, 3]);
    assert_eq!(end, WishEnd::Done);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn who_is_put_out_hears_that_what_it_asked_for_has_ended() {
    let (mut table, group, dave) = who_wants_dave();
    let bob = user(&mut table, BOB);
    let _online = table.follow(ALICE, group);
    table.session(BOB).ask_for(group, &[dave], &[]).unwrap();
    while table.step(BOB, |_, answer| answer) {}
    // Carol has not heard of it.
    table.session(CAROL).remove(group, &[bob]).unwrap();
    let (end, _) = until_ended(&mut table, BOB, &[BOB, CAROL]);
    assert_eq!(end, WishEnd::NotMember);
}
