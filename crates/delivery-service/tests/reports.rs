//! What members say of Commits that they can't process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{GROUP, Person, World, id};
use conclave_engine::Change;
use conclave_protocol::{CommitReport, Epoch, ReportedCommit, Sequence};
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
    ReportedCommit::new(GROUP, epoch, sequence, &entry.message)
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
    for wrong in [message, other, later] {
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
