use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    SigningKey,
    limits::{GROUP_CONTEXT_BYTES_MAX, USER_PART_CHARS_MAX},
};

const NAMES: [&str; 5] = ["a@x", "b@x", "c@x", "d@x", "e@x"];

fn user(at: usize) -> UserId {
    NAMES[at % NAMES.len()].parse().unwrap()
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![Role::Member, Role::Admin, Role::Owner])
}

fn rules() -> impl Strategy<Value = GroupRules> {
    let permissions =
        (role(), role(), role(), role()).prop_map(|(add, remove, describe, send)| Permissions {
            add,
            remove,
            describe,
            send,
        });
    let roles = prop::collection::vec((0..NAMES.len(), role()), 0..4);
    let settings = (0_u64..3, prop::option::of(any::<[u8; 32]>()));
    let reporting = (prop::option::of(1_u8..4), any::<bool>());
    (permissions, roles, settings, reporting).prop_map(
        |(permissions, roles, settings, reporting)| {
            let ((seconds, profile), (operator, is_refused)) = (settings, reporting);
            let operator = operator.map(|seed| SigningKey::from_seed(&[seed; 32]).verifying_key());
            let unreportable = if is_refused {
                Unreportable::Refused
            } else {
                Unreportable::Marked
            };
            let expiry = (seconds > 0).then(|| Duration::from_secs(seconds));
            let rules = GroupRules::default()
                .with_permissions(permissions)
                .with_expiry(expiry)
                .unwrap()
                .with_profile(profile.map(ProfileHash::from_bytes))
                .with_operator_key(operator.as_ref())
                .with_unreportable(unreportable);
            let listed = roles.into_iter().map(|(at, role)| (user(at), role));
            listed.fold(rules, |rules, (user, role)| {
                rules.with_role(user, role).unwrap()
            })
        },
    )
}

fn users() -> impl Strategy<Value = BTreeSet<UserId>> {
    prop::collection::btree_set((0..NAMES.len()).prop_map(user), 0..NAMES.len())
}

proptest! {
    #[test]
    fn rules_survive(rules in rules()) {
        prop_assert_eq!(GroupRules::from_bytes(&rules.to_bytes()), Ok(rules));
    }

    #[test]
    fn there_is_one_encoding(rules in rules(), at in 0_usize..64, flip in 1_u8..) {
        let mut bytes = rules.to_bytes();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(other) = GroupRules::from_bytes(&bytes) {
            prop_assert_eq!(other.to_bytes(), bytes);
            prop_assert_ne!(other, rules);
        }
    }

    /// However the members use their rights, somebody who is there can govern, and nobody gets a
    /// role but from an owner or who acts for one.
    #[test]
    fn a_group_stays_governed(
        before in rules(), after in rules(), members in users(), added in users(),
        removed in users(), by in 0..NAMES.len(),
    ) {
        let by = user(by);
        prop_assume!(members.contains(&by));
        let is_member = |user: &UserId| members.contains(user);
        let added: Vec<&UserId> = added.iter().collect();
        let removed: Vec<&UserId> = removed.iter().filter(|it| **it != by && is_member(it)).collect();
        let acts = Acts { by: &by, added: &added, removed: &removed, rules: Some(&after) };
        let open = before.clone().with_permissions(flipped(&before));
        let governs = judge(&before, &by, &[], &[], Some(&open), is_member).is_ok();
        if before.judge(&acts, is_member).is_ok() {
            let is_there = |user: &UserId| is_member(user) || added.contains(&user);
            for (user, role) in after.listed() {
                prop_assert!(governs || role <= before.role(user));
            }
            let had = owners(&before).any(is_member);
            prop_assert!(!had || owners(&after).any(is_there));
            let owned = |rules: &GroupRules| (rules.permissions(), rules.reporting);
            prop_assert!(governs || owned(&after) == owned(&before));
            let is_as_before =
                (after.expiry(), after.profile()) == (before.expiry(), before.profile());
            prop_assert!(is_as_before || before.may_describe(&by, is_member).is_ok());
        }
        // What nobody may is not made possible by doing something else in the same Commit.
        if governs {
            let highest = before.listed().filter(|it| is_member(it.0)).map(|it| it.1).max();
            prop_assert_eq!(before.role(&by).max(Role::Member), highest.unwrap_or_default());
        }
    }

    #[test]
    fn own_devices_come_and_go(rules in rules(), members in users(), by in 0..NAMES.len()) {
        let by = user(by);
        let acts = Acts { by: &by, added: &[&by], removed: &[&by], rules: None };
        prop_assert_eq!(rules.judge(&acts, |it| members.contains(it) || *it == by), Ok(()));
    }

    #[test]
    fn everybody_may_clear_away_the_gone(rules in rules(), members in users(), by in 0..NAMES.len()) {
        let by = user(by);
        let is_member = |user: &UserId| members.contains(user) || *user == by;
        let after = rules.clone().without_strangers(is_member);
        let acts = Acts { by: &by, added: &[], removed: &[], rules: Some(&after) };
        prop_assert_eq!(rules.judge(&acts, is_member), Ok(()));
    }
}

fn owners(rules: &GroupRules) -> impl Iterator<Item = &UserId> {
    let owners = rules.listed().filter(|(_, role)| *role == Role::Owner);
    owners.map(|(user, _)| user)
}

fn flipped(rules: &GroupRules) -> Permissions {
    let mut permissions = rules.permissions();
    permissions.send = match permissions.send {
        Role::Member => Role::Admin,
        Role::Admin | Role::Owner => Role::Member,
    };
    permissions
}

#[test]
fn only_known_rules_are_followed() {
    assert_eq!(GroupRules::from_bytes(&[0, 1]), Ok(GroupRules::default()));
    assert_eq!(
        GroupRules::from_bytes(&[0, 3, 9]),
        Err(RulesError::Version(3))
    );
    for malformed in [
        &[1][..],
        &[0, 1, 9],
        &[0, 1, 0, 0, 0, 0, 0],
        &[0, 1, 3, 0, 0, 0, 0],
        &[0, 2],
        // What version 1 has words for is said in version 1.
        &[0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        assert_eq!(
            GroupRules::from_bytes(malformed),
            Err(RulesError::Malformed)
        );
    }
}

fn judge(
    rules: &GroupRules,
    by: &UserId,
    added: &[&UserId],
    removed: &[&UserId],
    after: Option<&GroupRules>,
    is_member: impl Fn(&UserId) -> bool,
) -> Result<(), Forbidden> {
    let acts = Acts {
        by,
        added,
        removed,
        rules: after,
    };
    rules.judge(&acts, is_member)
}

#[test]
fn an_admin_neither_removes_an_owner_nor_makes_one() {
    let [owner, admin, guest] = [0, 1, 2].map(user);
    let rules = GroupRules::founded_by(owner.clone())
        .with_role(admin.clone(), Role::Admin)
        .unwrap()
        .with_permissions(Permissions {
            add: Role::Admin,
            remove: Role::Admin,
            describe: Role::Admin,
            send: Role::Admin,
        });
    let everybody = |_: &UserId| true;
    let new = user(3);
    assert_eq!(
        judge(&rules, &guest, &[&new], &[], None, everybody),
        Err(Forbidden::Add)
    );
    assert_eq!(
        judge(&rules, &admin, &[&new], &[&guest], None, everybody),
        Ok(())
    );
    assert_eq!(
        judge(&rules, &admin, &[], &[&owner], None, everybody),
        Err(Forbidden::Remove)
    );
    let risen = rules.clone().with_role(admin.clone(), Role::Owner).unwrap();
    assert_eq!(
        judge(&rules, &admin, &[], &[], Some(&risen), everybody),
        Err(Forbidden::Govern)
    );
    assert_eq!(
        judge(&rules, &owner, &[], &[], Some(&risen), everybody),
        Ok(())
    );
    assert_eq!(rules.may_send(&guest, everybody), Err(Forbidden::Send));
    assert_eq!(rules.may_describe(&admin, everybody), Ok(()));
    assert_eq!(
        rules.may_leave(&owner, everybody, false),
        Err(Forbidden::LastOwner)
    );
    assert_eq!(rules.may_leave(&owner, everybody, true), Ok(()));
    // The owner is gone: the admin governs.
    let is_member = |it: &UserId| *it != owner;
    assert_eq!(
        judge(&rules, &admin, &[], &[], Some(&risen), is_member),
        Ok(())
    );
    // And if he comes back, he is not the owner because he was.
    assert_eq!(
        judge(&rules, &guest, &[&owner], &[], None, is_member),
        Err(Forbidden::Add)
    );
}

#[test]
fn admins_inherit_from_the_last_owner() {
    let [owner, admin] = [0, 1].map(user);
    let rules = GroupRules::founded_by(owner.clone())
        .with_role(admin.clone(), Role::Admin)
        .unwrap();
    assert_eq!(rules.clone().with_heirs(), rules);
    let left = rules.without_strangers(|it| *it == admin).with_heirs();
    assert_eq!(left, GroupRules::founded_by(admin));
    let nobody = left.without_strangers(|_| false).with_heirs();
    assert_eq!(nobody, GroupRules::default());
}

#[test]
fn the_time_after_which_messages_are_gone_is_bounded() {
    let set = |seconds| GroupRules::default().with_expiry(Some(Duration::from_secs(seconds)));
    assert_eq!(set(0), Err(RulesError::Expiry));
    assert_eq!(
        set(MESSAGE_EXPIRY_MAX.as_secs() + 1),
        Err(RulesError::Expiry)
    );
    let day = Duration::from_hours(24);
    assert_eq!(set(day.as_secs()).unwrap().expiry(), Some(day));
}

#[test]
fn the_longest_rules_fit_in_a_group_context() {
    let operator = SigningKey::from_seed(&[1; 32]).verifying_key();
    let mut rules = GroupRules::default()
        .with_profile(Some(ProfileHash::from_bytes([7; 32])))
        .with_operator_key(Some(&operator))
        .with_expiry(Some(MESSAGE_EXPIRY_MAX))
        .unwrap();
    for at in 0..ROLES_MAX {
        let part = "a".repeat(USER_PART_CHARS_MAX);
        let user = format!("{at:0>64}@{part}").parse().unwrap();
        rules = rules.with_role(user, Role::Admin).unwrap();
    }
    // RequiredCapabilities and the list of Safe AAD components take less than the rest.
    assert!(rules.to_bytes().len() + 512 < GROUP_CONTEXT_BYTES_MAX);
}

#[test]
fn the_list_of_roles_is_bounded() {
    let mut rules = GroupRules::default();
    for at in 0..ROLES_MAX {
        rules = rules
            .with_role(format!("user{at}@x").parse().unwrap(), Role::Admin)
            .unwrap();
    }
    assert_eq!(
        rules.with_role(user(0), Role::Admin),
        Err(RulesError::TooMany)
    );
}
