use proptest::prelude::*;

use super::*;
use crate::Epoch;

const AUTHOR: u8 = 0;

fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes([number; 16])
}

/// Every user has two devices, side by side.
fn user(device: u8) -> UserId {
    format!("u{}@here", device / 2).parse().unwrap()
}

fn roster(devices: u8) -> BTreeMap<DeviceId, UserId> {
    (0..devices).map(|it| (device(it), user(it))).collect()
}

fn commit(sequence: u64) -> ReportedCommit {
    let group = GroupId::from_bytes([9; 16]);
    let (epoch, sequence) = (Epoch(3), Sequence(sequence));
    ReportedCommit::new(group, epoch, sequence, device(AUTHOR), b"commit")
}

fn case(devices: u8) -> Case {
    Case::new(commit(1), UnixMillis(0), roster(devices))
}

/// What somebody says at the next place of the log.
fn log(said: impl IntoIterator<Item = (u8, Says)>) -> Vec<Heard> {
    let said = said.into_iter().zip(2..);
    said.map(|((by, says), at)| Heard {
        at: Sequence(at),
        accepted: UnixMillis(at),
        by: device(by),
        user: user(by),
        says,
    })
    .collect()
}

fn bystander(devices: u8, added: Option<(Sequence, UserId)>) -> Bystander {
    Bystander {
        members: roster(devices),
        own: user(devices),
        since: added.as_ref().map_or(Sequence(0), |(at, _)| *at),
        added,
    }
}

fn says(case: &Case, kind: u8) -> Says {
    match kind {
        0 => Says::Report(commit(1)),
        1 => Says::Report(commit(2)),
        group => Says::Vote(case.successor(GroupId::from_bytes([group; 16]))),
    }
}

#[test]
fn most_of_few_and_enough_of_many() {
    let needed: Vec<usize> = (0..6).map(users_needed).collect();
    assert_eq!(needed, [1, 1, 2, 2, 3, 3]);
    assert_eq!(users_needed(10_000), USERS_ENOUGH);
}

#[test]
fn neither_the_author_nor_strangers_nor_the_late_count() {
    let case = case(6);
    let report = Says::Report(commit(1));
    // u0 made it, u1 and u2 have a say, u3 has none; two devices of one user count once.
    let upheld = |by: &[u8]| {
        let heard = log(by.iter().map(|by| (*by, report)));
        case.judge(&heard).upheld.map(|(at, _)| at.0)
    };
    assert_eq!(upheld(&[0, 1, 2, 3, 6, 7]), None);
    assert_eq!(upheld(&[0, 1, 2, 3, 6, 5, 4]), Some(7));
    let mut late = log([(2, report), (4, report)]);
    late[1].accepted = UnixMillis(0).after(REPORTS_COUNT_FOR);
    assert!(case.judge(&late).upheld.is_some());
    late[1].accepted.0 += 1;
    assert_eq!(case.judge(&late).upheld, None);
}

#[test]
fn a_vote_that_counts_otherwise_does_not_count() {
    let case = case(6);
    let successor = case.successor(GroupId::from_bytes([5; 16]));
    let few = Successor {
        users_needed: 1,
        ..successor
    };
    let begun = [2, 4].map(|by| (by, Says::Report(commit(1))));
    let vote = |by, successor| (by, Says::Vote(successor));
    let heard = log(begun.into_iter().chain([vote(2, few), vote(4, successor)]));
    assert_eq!(case.judge(&heard).successor, None);
    // Nor does one user alone lead those astray who have no case of their own.
    assert_eq!(bystander(6, None).follow(&heard), None);
    // But whom that user brought in later follows, and nobody else does.
    for (by, after, follows) in [(2, 2, true), (2, 0, false), (4, 2, false)] {
        let joined = Some((Sequence(after), user(by)));
        let followed = bystander(6, joined).follow(&heard[..3]);
        assert_eq!(followed.is_some(), follows, "{by} {after}");
    }
}

#[test]
fn whom_the_author_brought_in_does_not_wait_for_itself() {
    // u1 alone was there besides the author, who has brought u2 in by the Commit, or by a later one.
    let case = case(4);
    let vote = Says::Vote(case.successor(GroupId::from_bytes([2; 16])));
    let heard = log([(2, Says::Report(commit(1))), (2, vote)]);
    let decided = case.judge(&heard).successor;
    assert!(decided.is_some());
    let brought_at = |at| Bystander {
        own: user(4),
        ..bystander(6, Some((Sequence(at), user(0))))
    };
    for at in [1, 2] {
        let followed = brought_at(at).follow(&heard);
        assert_eq!(followed.map(|(_, to, at)| (to, at)), decided);
    }
    let mut newcomer = brought_at(1);
    // Who was there before and votes for nothing is not led away by one of two.
    newcomer.since = Sequence(0);
    newcomer.added = None;
    assert_eq!(newcomer.follow(&heard), None);
}

proptest! {
    /// Whoever reads on never changes what was decided, and nothing is decided without most users.
    #[test]
    fn what_is_decided_stays_so_and_most_users_stand_behind_it(
        devices in 4u8..12, said in prop::collection::vec((0u8..14, 0u8..5), 0..40),
    ) {
        let case = case(devices);
        let heard = log(said.into_iter().map(|(by, kind)| (by, says(&case, kind))));
        let whole = case.judge(&heard);
        let mut decided = None;
        for read in 0..=heard.len() {
            let part = case.judge(&heard[..read]);
            prop_assert!(decided.is_none() || part.successor == decided);
            decided = part.successor;
        }
        prop_assert_eq!(decided, whole.successor);
        let Some((group, at)) = decided else { return Ok(()) };
        let before: Vec<&Heard> = heard.iter().filter(|it| it.at <= at).collect();
        for says in [Says::Report(commit(1)), Says::Vote(case.successor(group))] {
            let users: BTreeSet<&UserId> = before
                .iter()
                .filter(|it| it.says == says && case.voters().contains_key(&it.by))
                .map(|it| &it.user)
                .collect();
            prop_assert!(users.len() >= users_needed(usize::from(devices.div_ceil(2)) - 1));
        }
    }

    /// Who has no case of its own comes to where those are who have one.
    #[test]
    fn who_follows_finds_the_same_place(
        devices in 4u8..12, newcomers in 0u8..6,
        said in prop::collection::vec((2u8..18, prop_oneof![Just(0u8), 2u8..4]), 0..60),
    ) {
        let case = case(devices);
        let said = said.into_iter().filter(|(by, _)| *by < devices);
        let mut said: Vec<_> = said.map(|(by, kind)| (by, says(&case, kind))).collect();
        // In the end, those who came later vote too.
        said.extend((devices..devices + newcomers).map(|by| (by, says(&case, 2))));
        let heard = log(said);
        let judged = case.judge(&heard).successor;
        let bystander = bystander(devices + newcomers, None);
        if let Some((_, group, at)) = bystander.follow(&heard) {
            let decided = judged.filter(|(judged, _)| *judged == group || newcomers == 0);
            prop_assert!(decided.is_none() || decided == Some((group, at)));
        }
    }
}
