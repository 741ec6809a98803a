//! Who may do what: the maker of a Commit is told, and members hold those to it who were not.

use conclave_protocol::{Forbidden, GroupRules, Permissions, Role, UserId};
use openmls::prelude::{Extensions, GroupContext};

use super::{ALICE, BOB, CAROL, Claims, GROUP, Party, alice_and_bob, claims, now};
use crate::{Change, EngineError, PreparedCommit, Processed, RuleViolation, profile};

const DAVE: Claims = claims("dave@example.org", 4, 103);

fn user(claims: Claims) -> UserId {
    claims.user.parse().unwrap()
}

fn rules(party: &Party) -> GroupRules {
    party.engine.rules(&party.state, GROUP).unwrap()
}

fn take_in(party: &mut Party, commit: &PreparedCommit) -> Processed {
    party.run(|engine, state| engine.process(state, GROUP, &commit.commit, now()))
}

fn refused(party: &Party, change: Change) -> Forbidden {
    let error = party.engine.commit(&party.state, GROUP, change, now());
    forbidden(error.err().unwrap())
}

fn forbidden(error: EngineError) -> Forbidden {
    match error {
        EngineError::Violation(RuleViolation::Forbidden(forbidden)) => forbidden,
        other => panic!("{other}"),
    }
}

/// Only admins may do anything, and Alice is the owner.
fn strict() -> GroupRules {
    GroupRules::founded_by(user(ALICE)).with_permissions(Permissions {
        add: Role::Admin,
        remove: Role::Admin,
        describe: Role::Admin,
        send: Role::Admin,
    })
}

fn extensions(rules: &GroupRules) -> Extensions<GroupContext> {
    profile::group_extensions(rules).unwrap()
}

#[test]
fn an_owner_says_who_may() {
    let (mut alice, mut bob) = alice_and_bob();
    let (mut carol, mut dave) = (Party::new(CAROL), Party::new(DAVE));
    assert_eq!(rules(&bob), GroupRules::default());

    let commit = alice.commit(Change::govern(strict()));
    let Processed::Commit { rules: told, .. } = take_in(&mut bob, &commit) else {
        panic!("no Commit");
    };
    assert_eq!(told, Some(strict()));
    let add = |it: &mut Party| Change::add(vec![it.key_package()]);
    assert_eq!(refused(&bob, add(&mut carol)), Forbidden::Add);
    let open = rules(&bob).with_permissions(Permissions::default());
    assert_eq!(refused(&bob, Change::govern(open)), Forbidden::Govern);

    // As an admin he may, but he is no owner.
    let risen = rules(&alice).with_role(user(BOB), Role::Admin).unwrap();
    take_in(&mut bob, &alice.commit(Change::govern(risen)));
    let commit = bob.commit(add(&mut carol));
    take_in(&mut alice, &commit);
    carol.join(&bob, &commit);
    assert_eq!(rules(&carol), rules(&alice));
    let removes = vec![alice.engine.device().certificate().address().device];
    assert_eq!(refused(&bob, Change::remove(removes)), Forbidden::Remove);
    assert_eq!(refused(&carol, add(&mut dave)), Forbidden::Add);
}

#[test]
fn members_refuse_what_somebody_was_not_allowed() {
    let (mut alice, mut bob) = alice_and_bob();
    let mut carol = Party::new(CAROL);
    take_in(&mut bob, &alice.commit(Change::govern(strict())));
    let carols = carol.key_package().into_inner();
    // Bob goes round his own program.
    let added = bob.raw(|provider, group, signer| {
        let (commit, _, _) = group.add_members(provider, signer, &[carols]).unwrap();
        super::encode(&commit).unwrap()
    });
    assert_eq!(
        forbidden(alice.process(&added).err().unwrap()),
        Forbidden::Add
    );
    let open = rules(&bob).with_permissions(Permissions::default());
    let opened = bob.raw(|provider, group, signer| {
        let (commit, _, _) = group
            .update_group_context_extensions(provider, extensions(&open), signer)
            .unwrap();
        super::encode(&commit).unwrap()
    });
    assert_eq!(
        forbidden(alice.process(&opened).err().unwrap()),
        Forbidden::Govern
    );
    let said = bob.engine.encrypt(&bob.state, GROUP, b"hello", None);
    assert_eq!(forbidden(said.err().unwrap()), Forbidden::Send);
    let said = bob.raw(|provider, group, signer| {
        let said = group.create_message(provider, signer, b"hello").unwrap();
        super::encode(&said).unwrap()
    });
    assert_eq!(
        forbidden(alice.process(&said).err().unwrap()),
        Forbidden::Send
    );
}

#[test]
fn an_owner_who_comes_back_is_a_member() {
    let (mut alice, mut bob) = alice_and_bob();
    let risen = strict().with_role(user(BOB), Role::Owner).unwrap();
    take_in(&mut bob, &alice.commit(Change::govern(risen)));
    let removes = vec![bob.engine.device().certificate().address().device];
    alice.commit(Change::remove(removes));
    assert_eq!(rules(&alice).role(&user(BOB)), Role::Owner);
    let mut again = Party::new(BOB);
    let commit = alice.commit(Change::add(vec![again.key_package()]));
    again.join(&alice, &commit);
    assert_eq!(rules(&again).role(&user(BOB)), Role::Member);
}
