//! What the members call a group and say of it: agreed by MLS, hidden from the service.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/table.rs"]
mod table;

use std::time::Duration;

use conclave_client::{
    ClientError, EntryKind, Forbidden, GroupId, Permissions, Profile, ProfileChange, Role,
    session::Session,
};
use conclave_protocol::ContentError;
use table::Table;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

/// What all of these say of the group.
fn profile(table: &mut Table, group: GroupId, seats: &[usize]) -> Option<Profile> {
    let mut known: Vec<_> = seats
        .iter()
        .map(|seat| {
            let session = table.session(*seat);
            let profile = session.profile(group).unwrap();
            let name = session.group(group).unwrap().unwrap().name;
            assert_eq!(profile.as_ref().map(|it| it.name.clone()), name, "{seat}");
            profile
        })
        .collect();
    known.dedup();
    assert_eq!(known.len(), 1, "members disagree");
    known.pop().unwrap()
}

fn describe(table: &mut Table, group: GroupId, by: usize, change: ProfileChange) {
    table.session(by).describe(group, change).unwrap();
    table.settle();
}

fn name(name: &str) -> ProfileChange {
    ProfileChange::default().name(name)
}

fn text(text: &str) -> ProfileChange {
    ProfileChange::default().description(text)
}

#[test]
fn all_members_say_the_same_of_a_group_and_newcomers_hear_it() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    let everybody = [ALICE, BOB, CAROL];
    assert_eq!(
        profile(&mut table, group, &everybody),
        Some(Profile::named("club"))
    );
    describe(&mut table, group, BOB, name("readers"));
    describe(&mut table, group, ALICE, text("a book a month"));
    let expected = Profile {
        description: "a book a month".into(),
        ..Profile::named("readers")
    };
    assert_eq!(
        profile(&mut table, group, &everybody),
        Some(expected.clone())
    );
    for seat in everybody {
        let told = table.history(seat, group).into_iter().map(|it| it.kind);
        let told: Vec<_> = told
            .filter(|it| matches!(it, EntryKind::Named(_) | EntryKind::Described(_)))
            .collect();
        let new = [
            EntryKind::Named("readers".into()),
            EntryKind::Described("a book a month".into()),
        ];
        assert!(told.ends_with(&new), "{seat}: {told:?}");
    }
    // The same again is nothing new.
    let epoch = table.session(ALICE).epoch(group).unwrap();
    describe(&mut table, group, CAROL, name("readers"));
    assert_eq!(table.session(ALICE).epoch(group).unwrap(), epoch);

    let dave = table.sit_down("dave");
    table.settle();
    let user = table.session(dave).user().clone();
    table.session(BOB).add(group, &[user]).unwrap();
    table.settle();
    let tablet = table.link(CAROL, Session::link).unwrap();
    table.settle();
    let everybody = [ALICE, BOB, CAROL, dave, tablet];
    assert_eq!(profile(&mut table, group, &everybody), Some(expected));
    table.assert_agreement(group, &everybody);
}

#[test]
fn those_describe_a_group_who_may() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    let only_admins_describe = Permissions {
        describe: Role::Admin,
        ..Permissions::default()
    };
    let late = table.session(BOB).describe(group, name("late")).unwrap();
    table
        .session(ALICE)
        .set_permissions(group, only_admins_describe)
        .unwrap();
    while table.step(ALICE, |_, answer| answer) {}
    table.settle();
    let why = table.session(BOB).outcome(late).unwrap().unwrap();
    assert_eq!(why.unwrap_err(), Forbidden::Describe.to_string());
    for refused in [
        table.session(BOB).describe(group, name("mine")),
        table.session(BOB).set_expiry(group, None),
    ] {
        // To have messages stay is what is so already; it is refused all the same where it changes.
        if let Err(error) = refused {
            assert!(matches!(error, ClientError::Forbidden(Forbidden::Describe)));
        }
    }
    let refused = table
        .session(BOB)
        .set_expiry(group, Some(Duration::from_secs(60)));
    assert!(matches!(
        refused,
        Err(ClientError::Forbidden(Forbidden::Describe))
    ));
    let refused = table.session(ALICE).describe(group, name(" "));
    assert!(matches!(
        refused,
        Err(ClientError::Content(ContentError::GroupName))
    ));
    // He tells a newcomer all the same what it is called.
    let carol = table.sit_down("carol");
    table.settle();
    let user = table.session(carol).user().clone();
    table.session(BOB).add(group, &[user]).unwrap();
    table.settle();
    let all = [ALICE, BOB, carol];
    assert_eq!(
        profile(&mut table, group, &all),
        Some(Profile::named("club"))
    );
}

#[test]
fn of_two_who_describe_a_group_at_once_the_second_counts() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    table
        .session(ALICE)
        .describe(group, name("readers"))
        .unwrap();
    table
        .session(BOB)
        .describe(group, text("a book a month"))
        .unwrap();
    // The device dies after each call and comes back.
    for step in 0..40 {
        let seat = step % 2;
        table.step(seat, |_, answer| answer);
        table.crash(seat);
        table.now = table.now.after(Duration::from_millis(300));
    }
    table.settle();
    let known = profile(&mut table, group, &[ALICE, BOB, CAROL]).unwrap();
    // One was made on what the other had changed, or did not know of it.
    assert!(known.name == "readers" || known.description == "a book a month");
    table.assert_agreement(group, &[ALICE, BOB, CAROL]);
}

#[test]
fn messages_are_gone_when_the_group_says() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    let minute = Duration::from_secs(60);
    table.send(BOB, group, "stays");
    table.settle();
    table
        .session(ALICE)
        .set_expiry(group, Some(minute))
        .unwrap();
    table.settle();
    assert_eq!(table.session(BOB).expiry(group).unwrap(), Some(minute));
    let line = EntryKind::Expiring(Some(minute));
    assert!(table.history(BOB, group).iter().any(|it| it.kind == line));
    table.send(BOB, group, "goes");
    table.settle();
    let now = table.now;
    for seat in [ALICE, BOB] {
        assert_eq!(table.texts(seat, group), ["stays", "goes"]);
        let due = table.session(seat).next_expiry().unwrap().unwrap();
        assert!(due <= now.after(minute));
        table.session(seat).expire(now.after(minute)).unwrap();
        assert_eq!(table.texts(seat, group), ["stays"]);
    }
    table.session(ALICE).set_expiry(group, None).unwrap();
    table.settle();
    table.send(BOB, group, "stays too");
    table.settle();
    assert_eq!(table.session(ALICE).next_expiry().unwrap(), None);
    let never = table.session(ALICE).set_expiry(group, Some(Duration::ZERO));
    assert!(matches!(never, Err(ClientError::Rules(_))));
}

#[test]
fn a_successor_is_called_the_same() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol", "mallory"]);
    describe(&mut table, group, BOB, text("a book a month"));
    let minute = Some(Duration::from_secs(60));
    table.session(ALICE).set_expiry(group, minute).unwrap();
    table.settle();
    table.has_streams = true;
    table.session(3).update(group).unwrap();
    table.spoils = Some(3);
    table.settle();
    let ended = table.session(ALICE).group(group).unwrap().unwrap();
    let next = ended.successor.expect("it goes on");
    let honest = [ALICE, BOB, CAROL];
    table.assert_agreement(next, &honest);
    let known = profile(&mut table, next, &honest).unwrap();
    assert_eq!(
        (known.name.as_str(), known.description.as_str()),
        ("club", "a book a month")
    );
    assert_eq!(table.session(CAROL).expiry(next).unwrap(), minute);
    describe(&mut table, next, CAROL, name("readers"));
    profile(&mut table, next, &honest).unwrap();
}
