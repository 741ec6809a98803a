use conclave_protocol::{
    COMPONENT_RULES, CertificateError, GroupRules, RulesError, UnixMillis,
    limits::{CERTIFICATE_LIFETIME, CONTENT_BYTES_MAX},
};
use openmls::{
    messages::external_proposals::JoinProposal,
    prelude::{
        AppDataDictionary, AppDataDictionaryExtension, BasicCredential, Extension, Extensions,
        ExternalSender, GroupContext, GroupEpoch, LeafNodeIndex, LeafNodeParameters,
        NewSignerBundle,
    },
};
use proptest::prelude::*;

use super::*;
use crate::{RuleViolation, storage::Overlay};

/// A Commit by `party` of what `raw` KeyPackages it likes.
fn raw_add(party: &Party, key_package: openmls::prelude::KeyPackage) -> Vec<u8> {
    party.raw(|provider, group, signer| {
        let (commit, _, _) = group.add_members(provider, signer, &[key_package]).unwrap();
        bytes(commit)
    })
}

/// A Commit by `party` that puts this credential into its leaf.
fn raw_update(party: &Party, credential: Credential) -> Vec<u8> {
    party.raw(|provider, group, signer| {
        let signature_key = group.own_leaf_node().unwrap().signature_key().clone();
        let parameters = LeafNodeParameters::builder()
            .with_credential_with_key(CredentialWithKey {
                credential,
                signature_key,
            })
            .build();
        let commit = group.self_update(provider, signer, parameters).unwrap();
        bytes(commit.into_commit())
    })
}

fn expired(claims: Claims) -> Credential {
    let lifetime = u64::try_from(CERTIFICATE_LIFETIME.as_millis()).unwrap();
    let long_ago = UnixMillis(now().0 - lifetime - 60_000);
    certificates::credential(&claims.certificate_at(long_ago))
}

fn forged(claims: Claims) -> Credential {
    let mut content = claims.certificate().to_bytes();
    *content.last_mut().unwrap() ^= 1;
    Credential::new(claims.credential().credential_type(), content)
}

#[test]
fn a_bad_certificate_does_not_get_in_by_an_add() {
    let (alice, bob) = alice_and_bob();
    let key = CAROL.key();
    let cases = [
        (forged(CAROL), CertificateError::Signature),
        (expired(CAROL), CertificateError::Expired),
        (
            Claims { key: 9, ..CAROL }.credential(),
            CertificateError::OtherKey,
        ),
    ];
    for (credential, expected) in cases {
        let key_package = raw_key_package(&key, credential);
        let refused = KeyPackage::from_bytes(&bytes(key_package.clone()), now());
        assert!(matches!(refused, Err(EngineError::Certificate(error)) if error == expected));
        let refused = bob.process(&raw_add(&alice, key_package));
        assert!(matches!(refused, Err(EngineError::Certificate(error)) if error == expected));
    }
}

#[test]
fn a_forged_leaf_in_the_tree_is_not_joined() {
    // Many are verified on several threads.
    for others in [0, 80] {
        refuse_a_forged_leaf_among(others);
    }
}

fn refuse_a_forged_leaf_among(others: u8) {
    let (mut alice, _) = alice_and_bob();
    let others: Vec<_> = (10..10 + others)
        .map(|device| claims("z@y", device, 9))
        .map(|other| raw_key_package(&other.key(), other.credential()))
        .collect();
    let mallory = raw_key_package(&claims("x@y", 8, 8).key(), forged(claims("x@y", 8, 8)));
    let mut carol = Party::new(CAROL);
    let carols = carol.key_package().into_inner();
    let (welcome, tree) = alice.raw(|provider, group, signer| {
        let adds = [&[mallory], others.as_slice()].concat();
        group.add_members(provider, signer, &adds).unwrap();
        group.merge_pending_commit(provider).unwrap();
        let (_, welcome, _) = group.add_members(provider, signer, &[carols]).unwrap();
        group.merge_pending_commit(provider).unwrap();
        (bytes(welcome), super::super::encode_tree(group).unwrap())
    });
    let refused = carol.engine.join(&carol.state, &welcome, &tree);
    assert!(matches!(
        refused,
        Err(EngineError::Certificate(CertificateError::Signature))
    ));
    // The attempt took nothing from Carol: her KeyPackage still serves.
    let commit = alice.commit(Change::add(vec![carol.key_package()]));
    carol.join(&alice, &commit);
}

#[test]
fn another_credential_type_is_refused() {
    let credential = BasicCredential::new(b"carol".to_vec()).into();
    let key_package = raw_key_package(&CAROL.key(), credential);
    let refused = KeyPackage::from_bytes(&bytes(key_package), now());
    assert!(matches!(
        refused,
        Err(EngineError::Violation(RuleViolation::CredentialType))
    ));
}

#[test]
fn a_leaf_without_the_franking_component_is_refused() {
    let (alice, bob) = alice_and_bob();
    let bare = raw_key_package_with(&CAROL.key(), CAROL.credential(), Extensions::empty());
    for refused in [
        KeyPackage::from_bytes(&bytes(bare.clone()), now()).map(drop),
        bob.process(&raw_add(&alice, bare)).map(drop),
    ] {
        assert!(matches!(
            refused,
            Err(EngineError::Violation(RuleViolation::Capabilities))
        ));
    }
}

#[test]
fn a_leaf_stays_the_device_that_it_was() {
    let (alice, mut bob) = alice_and_bob();
    for other in [
        Claims { device: 9, ..ALICE },
        Claims {
            user: "mallory@example.org",
            ..ALICE
        },
        Claims {
            identity: 9,
            ..ALICE
        },
    ] {
        let refused = bob.process(&raw_update(&alice, other.credential()));
        assert!(matches!(
            refused,
            Err(EngineError::Violation(RuleViolation::ChangedDevice))
        ));
    }
    let refused = bob.process(&raw_update(&alice, expired(ALICE)));
    assert!(matches!(
        refused,
        Err(EngineError::Certificate(CertificateError::Expired))
    ));
    // A renewed certificate is the same device.
    let later = UnixMillis(now().0 + 60_000);
    let renewed = certificates::credential(&ALICE.certificate_at(later));
    let commit = raw_update(&alice, renewed.clone());
    bob.run(|engine, state| engine.process(state, GROUP, &commit, later));
    let members = bob.engine.roster(&bob.state, GROUP).unwrap();
    assert_eq!(certificates::credential(&members[0].certificate), renewed);
}

#[test]
fn a_leaf_keeps_its_signature_key() {
    let (alice, bob) = alice_and_bob();
    let other = Claims { key: 9, ..ALICE };
    let commit = alice.raw(|provider, group, signer| {
        let key = other.key();
        let new_signer = NewSignerBundle {
            signer: &DeviceSigner(&key),
            credential_with_key: CredentialWithKey {
                credential: other.credential(),
                signature_key: key.verifying_key().as_bytes().as_slice().into(),
            },
        };
        let parameters = LeafNodeParameters::default();
        let commit = group
            .self_update_with_new_signer(provider, signer, new_signer, parameters)
            .unwrap();
        bytes(commit.into_commit())
    });
    assert!(matches!(
        bob.process(&commit),
        Err(EngineError::Violation(RuleViolation::ChangedDevice))
    ));
}

#[test]
fn a_renewed_certificate_goes_out_with_the_next_commit() {
    let (alice, mut bob) = alice_and_bob();
    let later = UnixMillis(now().0 + 60_000);
    let renewed = ALICE.certificate_at(later);
    let engine = Engine::new(Device::new(renewed.clone(), ALICE.key()).unwrap());
    let mut alice = Party { engine, ..alice };
    let carol = Party::new(CAROL).key_package();
    let commit = alice.commit(Change::add(vec![carol]));
    bob.run(|engine, state| engine.process(state, GROUP, &commit.commit, later));
    let roster = bob.engine.roster(&bob.state, GROUP).unwrap();
    assert_eq!(roster[0].certificate, renewed);
}

#[test]
fn a_device_is_in_a_group_once_and_a_user_has_one_identity() {
    let (alice, bob) = alice_and_bob();
    for (other, expected) in [
        (Claims { key: 9, ..BOB }, RuleViolation::DuplicateDevice),
        (
            Claims {
                device: 9,
                key: 9,
                identity: 9,
                ..BOB
            },
            RuleViolation::ChangedIdentity,
        ),
    ] {
        let key_package = raw_key_package(&other.key(), other.credential());
        let refused = bob.process(&raw_add(&alice, key_package));
        assert!(matches!(refused, Err(EngineError::Violation(error)) if error == expected));
    }
    let again = Party::new(Claims { key: 9, ..BOB }).key_package();
    let refused = alice
        .engine
        .commit(&alice.state, GROUP, Change::add(vec![again]), now());
    assert!(matches!(refused, Err(EngineError::AlreadyMember)));
}

#[test]
fn certificates_are_judged_at_the_time_of_the_log() {
    let (mut alice, bob) = alice_and_bob();
    let message = alice.run(|engine, state| engine.encrypt(state, GROUP, b"hello", None));
    let commit = alice.run(|engine, state| {
        engine.commit(
            state,
            GROUP,
            Change::add(vec![Party::new(CAROL).key_package()]),
            now(),
        )
    });
    let leave = alice.engine.leave(&alice.state, GROUP).unwrap();
    let too_late = now().after(CERTIFICATE_LIFETIME * 2);
    for (entry, late) in [(&message, true), (&commit.commit, true), (&leave, false)] {
        assert!(bob.process(entry).is_ok());
        let result = bob.engine.process(&bob.state, GROUP, entry, too_late);
        let expired = matches!(
            result,
            Err(EngineError::Certificate(CertificateError::Expired))
        );
        // Who has no valid certificate any more may still leave.
        assert_eq!(expired, late);
    }
}

#[test]
fn only_a_wish_to_leave_travels_as_a_proposal() {
    let (alice, bob) = alice_and_bob();
    let carol = Party::new(CAROL).key_package().into_inner();
    let outsider = CAROL.key();
    let proposals = alice.raw(|provider, group, signer| {
        let (add, _) = group.propose_add_member(provider, signer, &carol).unwrap();
        let bob = LeafNodeIndex::new(1);
        let (remove, _) = group.propose_remove_member(provider, signer, bob).unwrap();
        let parameters = LeafNodeParameters::default();
        let (update, _) = group
            .propose_self_update(provider, signer, parameters)
            .unwrap();
        [add, remove, update]
    });
    for proposal in proposals {
        assert!(matches!(
            bob.process(&bytes(proposal)),
            Err(EngineError::Violation(RuleViolation::Proposal))
        ));
    }
    let from_outside = JoinProposal::new::<Overlay<'_>>(
        carol,
        mls_group_id(GROUP),
        GroupEpoch::from(1),
        &DeviceSigner(&outsider),
    );
    assert!(matches!(
        bob.process(&bytes(from_outside.unwrap())),
        Err(EngineError::Violation(RuleViolation::ExternalSender))
    ));
}

#[test]
fn a_second_wish_to_leave_is_refused() {
    let (mut alice, mut bob) = alice_and_bob();
    let leave = bob.engine.leave(&bob.state, GROUP).unwrap();
    for party in [&mut alice, &mut bob] {
        party.run(|engine, state| engine.process(state, GROUP, &leave, now()));
        assert!(matches!(
            party.process(&leave),
            Err(EngineError::Violation(RuleViolation::AlreadyLeaving))
        ));
    }
    assert!(matches!(
        bob.engine.leave(&bob.state, GROUP),
        Err(EngineError::Leaving)
    ));
}

#[test]
fn nothing_of_the_group_context_changes_but_the_rules() {
    let (alice, bob) = alice_and_bob();
    let mut other = profile::group_extensions(&GroupRules::default()).unwrap();
    let extension = Extension::ExternalSenders(vec![]);
    other.add_or_replace(extension).unwrap();
    for (extensions, expected) in [
        (other, RuleViolation::GroupContext.into()),
        (
            with_rules(&[0, 1, 0]),
            EngineError::Rules(RulesError::Malformed),
        ),
        (
            with_rules(&[0, 3]),
            EngineError::Rules(RulesError::Version(3)),
        ),
    ] {
        let commit = alice.raw(|provider, group, signer| {
            let (commit, _, _) = group
                .update_group_context_extensions(provider, extensions, signer)
                .unwrap();
            bytes(commit)
        });
        let refused = bob.process(&commit).unwrap_err();
        assert_eq!(refused.to_string(), expected.to_string());
    }
}

/// The extensions of a group with other rules.
fn with_rules(rules: &[u8]) -> Extensions<GroupContext> {
    let mut extensions = profile::group_extensions(&GroupRules::default()).unwrap();
    let mut dictionary = AppDataDictionary::new();
    let ours = extensions.app_data_dictionary().unwrap().dictionary();
    for entry in ours.entries() {
        dictionary.insert(entry.id(), entry.data().to_vec());
    }
    dictionary.insert(COMPONENT_RULES, rules.to_vec());
    let extension = AppDataDictionaryExtension::new(dictionary);
    extensions
        .add_or_replace(Extension::AppDataDictionary(extension))
        .unwrap();
    extensions
}

/// What Bob makes of an invitation into a group with this context.
fn invited_into(extensions: Extensions<GroupContext>) -> EngineError {
    let (alice, mut bob) = (Party::new(ALICE), Party::new(BOB));
    let bobs = bob.key_package().into_inner();
    let look = alice.engine.look(&alice.state, |provider| {
        let signer = alice.engine.signer();
        let mut group = MlsGroup::builder()
            .ciphersuite(profile::SUITE)
            .with_group_id(mls_group_id(GROUP))
            .with_capabilities(profile::capabilities())
            .with_group_context_extensions(extensions)
            .with_leaf_node_extensions(profile::leaf_extensions()?)
            .unwrap()
            .build(provider, &signer, alice.engine.device.credential_with_key())
            .unwrap();
        let (_, welcome, _) = group.add_members(provider, &signer, &[bobs]).unwrap();
        group.merge_pending_commit(provider).unwrap();
        Ok((bytes(welcome), super::super::encode_tree(&group)?))
    });
    let (welcome, tree) = look.unwrap();
    bob.engine.join(&bob.state, &welcome, &tree).unwrap_err()
}

#[test]
fn groups_under_other_rules_are_not_joined() {
    let later = invited_into(with_rules(&[0, 3, 7, 7]));
    assert!(matches!(later, EngineError::Rules(RulesError::Version(3))));
    let none = invited_into(Extensions::empty());
    assert!(matches!(none, EngineError::Rules(RulesError::Malformed)));

    let key = CAROL.key();
    let sender = ExternalSender::new(
        key.verifying_key().as_bytes().as_slice().into(),
        CAROL.credential(),
    );
    let mut open = profile::group_extensions(&GroupRules::default()).unwrap();
    open.add_or_replace(Extension::ExternalSenders(vec![sender]))
        .unwrap();
    let open = invited_into(open);
    assert!(matches!(
        open,
        EngineError::Violation(RuleViolation::GroupContext)
    ));
}

#[test]
fn what_cannot_be_done_has_its_own_error() {
    let (mut alice, bob) = alice_and_bob();
    let engine = &alice.engine;
    let commit = |change| {
        engine
            .commit(&alice.state, GROUP, change, now())
            .unwrap_err()
    };
    let id = |claims: Claims| DeviceId::from_bytes([claims.device; 16]);
    assert!(matches!(
        commit(Change::remove(vec![id(CAROL)])),
        EngineError::NotAMember
    ));
    assert!(matches!(
        commit(Change::remove(vec![id(ALICE)])),
        EngineError::RemovesSelf
    ));
    let merge = engine.merge_pending(&alice.state, GROUP);
    assert!(matches!(merge, Err(EngineError::NoPendingCommit)));
    let again = engine.create_group(&alice.state, GROUP, &GroupRules::default(), now());
    assert!(matches!(again, Err(EngineError::GroupExists)));
    let unknown = engine.epoch(&alice.state, GroupId::from_bytes([9; 16]));
    assert!(matches!(unknown, Err(EngineError::UnknownGroup)));
    let long = engine.encrypt(&alice.state, GROUP, &vec![0; CONTENT_BYTES_MAX + 1], None);
    assert!(matches!(long, Err(EngineError::TooLarge)));

    let message = alice.run(|engine, state| engine.encrypt(state, GROUP, b"x", None));
    assert!(matches!(
        alice.process(&message).unwrap().value,
        Processed::OwnMessage
    ));
    let elsewhere = GroupId::from_bytes([9; 16]);
    let elsewhere = bob.engine.process(&bob.state, elsewhere, &message, now());
    assert!(matches!(elsewhere, Err(EngineError::WrongGroup)));

    alice.run(|engine, state| engine.commit(state, GROUP, Change::update(), now()));
    let second = alice
        .engine
        .commit(&alice.state, GROUP, Change::update(), now());
    assert!(matches!(second, Err(EngineError::PendingCommit)));
    alice.run(|engine, state| engine.discard_pending(state, GROUP));
    alice.commit(Change::update());
    assert!(matches!(
        alice.process(&message),
        Err(EngineError::WrongEpoch { current }) if current.0 == 2
    ));
}

#[test]
fn a_message_is_read_once() {
    let (mut alice, mut bob) = alice_and_bob();
    let message = alice.run(|engine, state| engine.encrypt(state, GROUP, b"x", Some(b"frank")));
    let read = bob.run(|engine, state| engine.process(state, GROUP, &message, now()));
    assert!(matches!(
        read,
        Processed::Application { ref content, franking: Some(ref item), .. }
            if content == b"x" && item == b"frank"
    ));
    assert!(matches!(
        bob.process(&message),
        Err(EngineError::Undecryptable)
    ));
}

#[test]
fn a_last_resort_key_package_serves_twice() {
    let (mut alice, _) = alice_and_bob();
    let mut carol = Party::new(CAROL);
    let made = carol.run(|engine, state| engine.last_resort_key_package(state, now()));
    for _ in 0..2 {
        let add = KeyPackage::from_bytes(&made, now()).unwrap();
        let commit = alice.commit(Change::add(vec![add]));
        carol.join(&alice, &commit);
        let device = DeviceId::from_bytes([CAROL.device; 16]);
        alice.commit(Change::remove(vec![device]));
        carol.run(|engine, state| engine.delete_group(state, GROUP));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..Default::default() })]

    #[test]
    fn altered_messages_are_refused(at in any::<prop::sample::Index>(), flip in 1u8..) {
        let (mut alice, bob) = alice_and_bob();
        let message = alice.run(|engine, state| engine.encrypt(state, GROUP, b"hello", None));
        let commit = alice.run(|engine, state| {
            let carol = Party::new(CAROL).key_package();
            engine.commit(state, GROUP, Change::add(vec![carol]), now())
        });
        for mut entry in [message, commit.commit] {
            let at = at.index(entry.len());
            entry[at] ^= flip;
            let result = bob.process(&entry).map(|effects| effects.value);
            // Where a sender is altered it may come to be this device itself, and no more.
            prop_assert!(matches!(result, Err(_) | Ok(Processed::OwnMessage)), "{result:?}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (_, bob) = alice_and_bob();
        prop_assert!(bob.process(&bytes).is_err());
        prop_assert!(bob.engine.join(&bob.state, &bytes, &bytes).is_err());
        prop_assert!(KeyPackage::from_bytes(&bytes, now()).is_err());
    }
}
