use openmls::prelude::{
    LeafNodeParameters, MlsMessageBodyIn, MlsMessageIn, RatchetTreeIn,
    tls_codec::DeserializeBytes as _,
};

use super::*;
use crate::RuleViolation;

/// An external Commit into the group as `member` sees it, by a device with these claims.
fn external_commit(member: &Party, claims: Claims) -> Vec<u8> {
    let group_info = member.engine.group_info(&member.state, GROUP).unwrap();
    let tree = member.engine.ratchet_tree(&member.state, GROUP).unwrap();
    let tree = RatchetTreeIn::tls_deserialize_exact_bytes(&tree).unwrap();
    let message = MlsMessageIn::tls_deserialize_exact_bytes(&group_info).unwrap();
    let MlsMessageBodyIn::GroupInfo(group_info) = message.extract() else {
        panic!("not a GroupInfo");
    };
    let joiner = Party::new(claims);
    let leaf = LeafNodeParameters::builder()
        .with_capabilities(profile::capabilities())
        .with_extensions(profile::leaf_extensions().unwrap())
        .build();
    let credential = joiner.engine.device.credential_with_key();
    let commit = joiner.engine.look(&joiner.state, |provider| {
        let (_, messages) = MlsGroup::external_commit_builder()
            .with_config(profile::join_config())
            .with_ratchet_tree(tree)
            .build_group(provider, group_info, credential)
            .unwrap()
            .leaf_node_parameters(leaf)
            .load_psks(&provider.storage)
            .unwrap()
            .build(
                provider.crypto,
                provider.crypto,
                &joiner.engine.signer(),
                |_| true,
            )
            .unwrap()
            .finalize(provider)
            .unwrap();
        Ok(bytes(messages.into_commit()))
    });
    commit.unwrap()
}

#[test]
fn a_member_comes_back_or_brings_another_device() {
    let (alice, mut bob) = alice_and_bob();
    for (claims, is_back) in [
        (ALICE, true),
        (claims(ALICE.user, 9, ALICE.identity), false),
    ] {
        let commit = external_commit(&alice, claims);
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
        let refused = bob.process(&external_commit(&alice, claims));
        assert!(matches!(refused, Err(EngineError::Violation(error)) if error == expected));
    }
}
