//! What members say of Commits that they can't process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{GROUP, Person, World, id};
use conclave_engine::Change;
use conclave_protocol::{
    CommitReport, DeviceId, Epoch, GroupId, GroupRules, ReportedCommit, Sequence, Successor,
    SuccessorVote,
};
use conclave_rpc::v1;
use tonic::{Code, Status};

async fn send(by: &mut Person, report: Vec<u8>) -> Result<u64, Status> {
    let request = by.signed(v1::ReportCommitRequest {
        group_id: id(GROUP.as_bytes()),
        report: report.into(),
    });
    let response = by.rpc.report_commit(request).await?;
    Ok(response.into_inner().sequence)
}

/// What a member says of an entry.
fn about(entry: &v1::LogEntry) -> ReportedCommit {
    let (epoch, sequence) = (Epoch(entry.epoch), Sequence(entry.sequence));
    let author = DeviceId::try_from(&entry.sender_device_id[..]).unwrap();
    ReportedCommit::new(GROUP, epoch, sequence, author, &entry.message)
}

async fn report(by: &mut Person, commit: ReportedCommit) -> Result<u64, Status> {
    let report = CommitReport::issue(commit, by.device(), &by.key);
    send(by, report.to_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn members_report_a_commit_in_the_order_of_the_log() {
    let world = World::start().await;
    let mut people = world.group(&["alice", "bob", "carol"]).await;
    let mut mallory = world.person("mallory").await;
    let [alice, bob, carol] = people.get_disjoint_mut([0, 1, 2]).unwrap();
    alice.send("a message").await.unwrap();
    let update = alice.prepare(Change::update());
    let bad = alice.commit(update).await.unwrap();
    let log = bob.page(0, 0).await.unwrap().entries;
    let (message, commit) = (about(&log[log.len() - 2]), about(log.last().unwrap()));
    assert_eq!(commit.sequence.0, bad);

    let first = report(bob, commit).await.unwrap();
    assert_eq!(first, bad + 1);
    assert_eq!(report(bob, commit).await.unwrap(), first, "once");
    assert_eq!(report(carol, commit).await.unwrap(), first + 1);

    // Only of a Commit that stands there, by a member, in its own name.
    let other = ReportedCommit {
        commit_hash: [0; 32],
        ..commit
    };
    let later = ReportedCommit {
        sequence: Sequence(first),
        ..commit
    };
    let of_another = ReportedCommit {
        author: bob.device(),
        ..commit
    };
    for wrong in [message, other, later, of_another] {
        let refused = report(bob, wrong).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{wrong:?}");
    }
    let ahead = ReportedCommit {
        sequence: Sequence(99),
        ..commit
    };
    let refused = report(bob, ahead).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = report(&mut mallory, commit).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let in_another_name = CommitReport::issue(commit, alice.device(), &bob.key).to_bytes();
    let refused = send(bob, in_another_name.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let refused = send(alice, in_another_name).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);

    // One of a device in an epoch: another Commit has to wait for the next.
    let earlier = about(&log[0]);
    assert_eq!(report(bob, earlier).await.unwrap(), 0);

    // What stands there can be checked by whoever reads it, and is in nobody's way.
    let entry = alice.page(bad, 1).await.unwrap().entries.remove(0);
    assert_eq!(entry.kind(), v1::EntryKind::Report);
    let read = CommitReport::from_bytes(&entry.message).unwrap();
    assert_eq!((read.commit(), read.reporter()), (&commit, bob.device()));
    assert_eq!(entry.sender_device_id, id(bob.device().as_bytes()));
    read.verify(&bob.key.verifying_key()).unwrap();
    alice.read().await.unwrap();
    carol.read().await.unwrap();
    let update = carol.prepare(Change::update());
    carol.commit(update).await.unwrap();
    assert!(report(bob, earlier).await.unwrap() > first);
    alice.read().await.unwrap();
    alice.send("we go on").await.unwrap();
    assert_eq!(carol.read().await.unwrap(), ["we go on"]);
}

/// A group with nobody but its maker in it.
async fn make_group(by: &mut Person, group: GroupId) {
    let rules = GroupRules::default();
    let created = by
        .engine
        .create_group(&by.state, group, &rules, common::now());
    let created = by.apply(created.unwrap());
    let request = by.signed(v1::CreateGroupRequest {
        group_id: id(group.as_bytes()),
        group_info: created.group_info.into(),
        ratchet_tree: created.ratchet_tree.into(),
    });
    by.rpc.create_group(request).await.unwrap();
}

async fn vote(by: &mut Person, successor: Successor) -> Result<u64, Status> {
    let vote = SuccessorVote::issue(successor, by.device(), &by.key);
    let request = by.signed(v1::VoteForSuccessorRequest {
        group_id: id(GROUP.as_bytes()),
        vote: vote.to_bytes().into(),
    });
    let response = by.rpc.vote_for_successor(request).await?;
    Ok(response.into_inner().sequence)
}

#[tokio::test(flavor = "multi_thread")]
async fn members_vote_for_groups_that_they_are_in_and_do_not_fill_the_log() {
    let world = World::start().await;
    let mut people = world.group(&["alice", "bob", "carol"]).await;
    let [alice, bob, carol] = people.get_disjoint_mut([0, 1, 2]).unwrap();
    let update = alice.prepare(Change::update());
    let bad = alice.commit(update).await.unwrap();
    let commit = about(bob.page(0, 0).await.unwrap().entries.last().unwrap());
    let to = |number: u8| Successor {
        commit,
        group: GroupId::from_bytes([number; 16]),
        users_needed: 2,
    };
    for number in 1..=6 {
        make_group(bob, to(number).group).await;
    }
    let first = vote(bob, to(1)).await.unwrap();
    assert_eq!(first, bad + 1);
    assert_eq!(vote(bob, to(1)).await.unwrap(), first, "once");
    let entry = carol.page(bad, 1).await.unwrap().entries.remove(0);
    assert_eq!(entry.kind(), v1::EntryKind::Vote);
    let read = SuccessorVote::from_bytes(&entry.message).unwrap();
    assert_eq!((read.successor(), read.voter()), (&to(1), bob.device()));
    read.verify(&bob.key.verifying_key()).unwrap();

    let itself = Successor {
        group: GROUP,
        ..to(1)
    };
    let mut nothing = to(1);
    nothing.commit.commit_hash = [0; 32];
    for wrong in [itself, nothing] {
        let refused = vote(bob, wrong).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{wrong:?}");
    }
    // Only of who is in it.
    assert!(vote(carol, to(1)).await.is_err());
    for (number, more) in [(2, 1), (3, 2), (4, 3)] {
        assert_eq!(vote(bob, to(number)).await.unwrap(), first + more);
    }
    assert_eq!(vote(bob, to(5)).await.unwrap(), 0, "enough of one device");
    let update = carol.read().await.unwrap();
    assert!(update.is_empty(), "votes are in nobody's way");
    let update = carol.prepare(Change::update());
    carol.commit(update).await.unwrap();
    assert!(vote(bob, to(5)).await.unwrap() > first);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_is_given_what_was_said_of_commits_before_and_may_vote_too() {
    let world = World::start().await;
    let mut people = world.group(&["alice", "bob"]).await;
    let mut dave = world.person("dave").await;
    let [alice, bob] = people.get_disjoint_mut([0, 1]).unwrap();
    let update = alice.prepare(Change::update());
    let bad = alice.commit(update).await.unwrap();
    let commit = about(bob.page(0, 0).await.unwrap().entries.last().unwrap());
    let said = report(bob, commit).await.unwrap();
    alice.read().await.unwrap();
    alice.send("before").await.unwrap();

    let words = async |of: &mut Person, after: u64| {
        let request = of.signed(v1::ReadLogRequest {
            group_id: id(GROUP.as_bytes()),
            after_sequence: after,
            with_words: true,
            ..v1::ReadLogRequest::default()
        });
        let page = of.rpc.read_log(request).await?.into_inner();
        let places = page.words.iter().map(|it| it.sequence).collect();
        Ok::<Vec<u64>, Status>(places)
    };
    assert!(words(&mut dave, said).await.is_err(), "no member");
    dave.publish(1).await.unwrap();
    alice.add(&["dave"]).await.unwrap();
    dave.join().await;
    let joined = dave.cursor;
    assert_eq!(words(&mut dave, joined).await.unwrap(), [said]);
    assert_eq!(
        words(&mut dave, bad).await.unwrap(),
        [0; 0],
        "up to the cursor"
    );
    let group = GroupId::from_bytes([21; 16]);
    make_group(&mut dave, group).await;
    let successor = Successor {
        commit,
        group,
        users_needed: 1,
    };
    let voted = vote(&mut dave, successor).await.unwrap();
    assert_eq!(words(&mut dave, voted).await.unwrap(), [said, voted]);
}
