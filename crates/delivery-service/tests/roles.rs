//! What the group's rules leave to some: the service holds those to it who are not asked by their own
//! program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{GROUP, Person, World};
use conclave_engine::Change;
use conclave_protocol::{GroupRules, Permissions, Role, UserId};
use tonic::Code;

fn user(person: &Person) -> UserId {
    person.engine.device().address().user.clone()
}

fn rules(person: &Person) -> GroupRules {
    person.engine.rules(&person.state, GROUP).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_refuses_what_a_member_was_not_allowed() {
    let mut world = World::start().await;
    let mut people = world.group(&["alice", "bob", "carol"]).await;
    world.person("dave").await;
    let strict = GroupRules::founded_by(user(&people[0]))
        .with_permissions(Permissions {
            add: Role::Admin,
            remove: Role::Admin,
            describe: Role::Admin,
            send: Role::Admin,
        })
        .with_role(user(&people[1]), Role::Admin)
        .unwrap();
    let governed = people[0].prepare(Change::govern(strict));
    people[0].commit(governed).await.unwrap();
    people[1].send("of the epoch before").await.unwrap_err();
    for person in &mut people {
        person.read().await.unwrap();
    }
    people[1].send("an admin may").await.unwrap();
    people[0].read().await.unwrap();
    people[2].read().await.unwrap();

    let [alice, bob, carol] = people.get_disjoint_mut([0, 1, 2]).unwrap();
    carol.engine.be_unruly();
    // Whether the follower is in memory or comes from the store.
    for _ in 0..2 {
        let refused = carol.send("but not I").await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        let refused = carol.add(&["dave"]).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        carol.discard();
        let open = rules(carol).with_permissions(Permissions::default());
        for forbidden in [
            Change::remove(vec![bob.device()]),
            Change::govern(open.clone()),
            Change::govern(open.with_role(user(carol), Role::Owner).unwrap()),
        ] {
            let prepared = carol.prepare(forbidden);
            let refused = carol.commit(prepared).await.unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied);
            carol.discard();
        }
        world.stop_server().await;
        world.start_server().await;
        for person in [&mut *alice, bob, carol] {
            person.sign_in().await;
        }
    }
    let update = carol.prepare(Change::update());
    carol.commit(update).await.unwrap();
    bob.read().await.unwrap();
    let removal = bob.prepare(Change::remove(vec![carol.device()]));
    bob.commit(removal).await.unwrap();
    alice.read().await.unwrap();
    assert_eq!(alice.authenticator(), bob.authenticator());
}
