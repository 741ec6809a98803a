use conclave_protocol::Approval;

use super::*;
use crate::{Opening, RuleViolation};

/// An external Commit into the group as `member` sees it, by a device with these claims.
pub(super) fn external_commit(member: &Party, claims: Claims, approval: &[u8]) -> Vec<u8> {
    let group_info = member.engine.group_info(&member.state, GROUP).unwrap();
    let tree = member.engine.ratchet_tree(&member.state, GROUP).unwrap();
    let opening = Opening {
        group_info: &group_info,
        ratchet_tree: &tree,
        proposals: &[],
        approval,
    };
    let mut joiner = Party::new(claims);
    let joined = joiner.run(|engine, state| engine.external_join(state, GROUP, opening, now()));
    joined.commit
}

#[test]
fn a_member_comes_back_or_brings_another_device() {
    let (alice, mut bob) = alice_and_bob();
    for (claims, is_back) in [
        (ALICE, true),
        (claims(ALICE.user, 9, ALICE.identity), false),
    ] {
        let commit = external_commit(&alice, claims, &[]);
        let before = bob.state.clone();
        let processed = bob.run(|engine, state| engine.process(state, GROUP, &commit, now()));
        bob.state = before;
        let Processed::Commit {
            by, added, removed, ..
        } = processed
        else {
            panic!("not a Commit");
        };
        assert_eq!(added.len(), 1);
        assert_eq!(added[0].address(), &by);
        assert_eq!(by.device.as_bytes()[0], claims.device);
        assert_eq!(removed.contains(&by), is_back);
    }
}

#[test]
fn nobody_else_comes_in() {
    let (alice, bob) = alice_and_bob();
    for (claims, expected) in [
        (CAROL, RuleViolation::ExternalStranger),
        // Anybody can certify a device in Alice's name, with an identity key of their own.
        (claims(ALICE.user, 9, 9), RuleViolation::ChangedIdentity),
        (Claims { key: 9, ..ALICE }, RuleViolation::DuplicateDevice),
        // OpenMLS removes the leaf that has the same signature key.
        (Claims { device: 9, ..ALICE }, RuleViolation::ExternalRemove),
        (
            Claims {
                identity: 9,
                ..ALICE
            },
            RuleViolation::ChangedDevice,
        ),
    ] {
        let refused = bob.process(&external_commit(&alice, claims, &[]));
        assert!(matches!(refused, Err(EngineError::Violation(error)) if error == expected));
    }
}

#[test]
fn a_member_s_approval_lets_one_stranger_in() {
    let (alice, bob) = alice_and_bob();
    let carol = CAROL.certificate().address().clone();
    let later = now().after(std::time::Duration::from_secs(60));
    let of = |approval: Approval| external_commit(&alice, CAROL, &approval.to_bytes());
    let good = of(alice.engine.approve(GROUP, &carol, later));
    let processed = bob.process(&good).unwrap().value;
    assert!(matches!(processed, Processed::Commit { by, .. } if by == carol));

    let bobs = alice
        .engine
        .approve(GROUP, bob.engine.device().address(), later);
    let elsewhere = GroupId::from_bytes([99; 16]);
    let stranger = Party::new(CAROL);
    for approval in [
        bobs,
        alice.engine.approve(elsewhere, &carol, later),
        alice.engine.approve(GROUP, &carol, UnixMillis(now().0 - 1)),
        stranger.engine.approve(GROUP, &carol, later),
    ] {
        let refused = bob.process(&of(approval));
        let expected = RuleViolation::ExternalStranger;
        assert!(matches!(refused, Err(EngineError::Violation(error)) if error == expected));
    }
}

#[test]
fn who_comes_back_reads_on_with_the_others_and_takes_leavers_along() {
    let (mut alice, mut bob) = alice_and_bob();
    let mut carol = Party::new(CAROL);
    let package = carol.key_package();
    let added = alice.commit(Change::add(vec![package]));
    bob.run(|engine, state| engine.process(state, GROUP, &added.commit, now()));
    carol.join(&alice, &added);
    let leaving = carol.engine.leave(&carol.state, GROUP).unwrap();
    for member in [&mut alice, &mut bob] {
        member.run(|engine, state| engine.process(state, GROUP, &leaving, now()));
    }
    let opening = Opening {
        group_info: &alice.engine.group_info(&alice.state, GROUP).unwrap(),
        ratchet_tree: &alice.engine.ratchet_tree(&alice.state, GROUP).unwrap(),
        proposals: &[leaving],
        approval: &[],
    };
    // Bob lost what he had read since he joined.
    let is_in_epoch = |party: &Party, state: &dyn State| {
        let group_info = opening.group_info;
        let asked = party.engine.is_in_epoch_of(state, GROUP, group_info);
        asked.unwrap()
    };
    assert!(is_in_epoch(&alice, &alice.state));
    assert!(!is_in_epoch(&carol, &MemoryState::default()));
    let commit = bob.run(|engine, state| engine.external_join(state, GROUP, opening, now()));
    assert!(!is_in_epoch(&bob, &bob.state));
    alice.run(|engine, state| engine.process(state, GROUP, &commit.commit, now()));
    assert_eq!(alice.engine.roster(&alice.state, GROUP).unwrap().len(), 2);
    let agreed = |party: &Party| {
        party
            .engine
            .epoch_authenticator(&party.state, GROUP)
            .unwrap()
    };
    assert_eq!(agreed(&alice), agreed(&bob));
    let message = bob.run(|engine, state| engine.encrypt(state, GROUP, b"back", None));
    let read = alice.run(|engine, state| engine.process(state, GROUP, &message, now()));
    assert!(matches!(read, Processed::Application { content, .. } if content == b"back"));
}
