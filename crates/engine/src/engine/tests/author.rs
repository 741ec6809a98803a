use super::{external::external_commit, *};

fn author(reader: &Party, message: &[u8]) -> Option<DeviceAddress> {
    let author = reader
        .engine
        .author_of_commit(&reader.state, GROUP, message);
    author.unwrap()
}

/// Tags behind a Commit by a member (RFC 9420 §6, §6.2): of the confirmation and the membership.
const TAGS: usize = 2 * 33;

#[test]
fn a_commit_is_its_author_s_whatever_its_tags_are() {
    let (mut alice, bob) = alice_and_bob();
    let mut carol = Party::new(CAROL);
    let commit = alice.commit(Change::add(vec![carol.key_package()])).commit;
    let alice = ALICE.certificate().address().clone();
    assert_eq!(author(&bob, &commit), Some(alice.clone()));
    let signed = commit.len() - TAGS;
    for at in 0..commit.len() {
        let mut spoilt = commit.clone();
        spoilt[at] ^= 1;
        let refused = bob.process(&spoilt);
        // A tag's own length is in none of what was signed.
        let expected = (at >= signed).then(|| alice.clone());
        assert_eq!(author(&bob, &spoilt), expected, "{at} of {signed}");
        let Err(error) = refused else {
            panic!("{at}: a spoilt Commit was taken")
        };
        assert!(expected.is_none() || error.is_fault_of_message(), "{error}");
    }
}

#[test]
fn who_comes_from_outside_is_who_the_group_knows() {
    let (alice, bob) = alice_and_bob();
    let commit = external_commit(&alice, ALICE, &[]);
    let address = ALICE.certificate().address().clone();
    assert_eq!(author(&bob, &commit), Some(address));
    // Anybody can certify a device in Alice's name, with an identity key of their own.
    let ghost = external_commit(&alice, claims(ALICE.user, 9, 9), &[]);
    assert_eq!(author(&bob, &ghost), None);
    assert_eq!(author(&bob, b"no Commit"), None);
}
