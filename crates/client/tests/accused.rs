//! Who is accused: of what was right, by too few, and of letting a revoked device in, by enough.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/table.rs"]
mod table;

use std::{path::Path, time::Duration};

use conclave_client::{
    EntryKind, GroupId, Standing, UserId,
    session::{Call, Reply, Session},
};
use conclave_protocol::{
    CommitReport, DeviceId, Epoch, ReportedCommit, Sequence, SigningKey, Successor, SuccessorVote,
};
use conclave_rpc::v1;
use rusqlite::Connection;
use table::{Answer, Table};

/// The last Commit of a group, as who sits there reads it.
fn last_commit(table: &mut Table, seat: usize, group: GroupId) -> ReportedCommit {
    let ask = v1::ReadLogRequest {
        group_id: group.as_bytes().to_vec().into(),
        ..v1::ReadLogRequest::default()
    };
    let Ok(Reply::ReadLog(page)) = table.ask(seat, &Call::ReadLog(ask)) else {
        panic!("no log");
    };
    let is_commit = |it: &&v1::LogEntry| it.kind() == v1::EntryKind::Commit;
    let commit = page.entries.iter().rfind(is_commit).unwrap();
    let author = DeviceId::try_from(&commit.sender_device_id[..]).unwrap();
    let (epoch, at) = (Epoch(commit.epoch), Sequence(commit.sequence));
    ReportedCommit::new(group, epoch, at, author, &commit.message)
}

/// Somebody who says what is not so, with a signature that is right.
struct Liar {
    seat: usize,
    key: SigningKey,
}

impl Liar {
    fn sit_down(table: &mut Table, name: &str, home: &Path) -> Self {
        // Without encryption, so that the key can be read out.
        let open = || Connection::open(home.join("client.db")).unwrap();
        let seat = table.sit_down_with(name, open().try_into().unwrap());
        let database = open();
        let query = "SELECT signature_seed FROM account";
        let seed: [u8; 32] = database.query_row(query, [], |row| row.get(0)).unwrap();
        let key = SigningKey::from_seed(&seed);
        Self { seat, key }
    }

    fn report(&self, table: &mut Table, commit: ReportedCommit) {
        let device = table.session(self.seat).device();
        let report = CommitReport::issue(commit, device, &self.key).to_bytes();
        let asked = v1::ReportCommitRequest {
            group_id: commit.group.as_bytes().to_vec().into(),
            report: report.into(),
        };
        table.ask(self.seat, &Call::ReportCommit(asked)).unwrap();
    }

    fn vote(&self, table: &mut Table, successor: Successor) {
        let device = table.session(self.seat).device();
        let vote = SuccessorVote::issue(successor, device, &self.key).to_bytes();
        let asked = v1::VoteForSuccessorRequest {
            group_id: successor.commit.group.as_bytes().to_vec().into(),
            vote: vote.into(),
        };
        table
            .ask(self.seat, &Call::VoteForSuccessor(asked))
            .unwrap();
    }
}

#[test]
fn too_few_who_accuse_change_nothing_but_what_the_history_says() {
    let homes = [0, 1].map(|_| tempfile::tempdir().unwrap());
    let mut table = Table::empty();
    for name in ["alice", "bob", "carol"] {
        table.sit_down(name);
    }
    let liars = ["mallory", "trudy"];
    let liars: Vec<Liar> = liars
        .iter()
        .zip(&homes)
        .map(|(name, home)| Liar::sit_down(&mut table, name, home.path()))
        .collect();
    let (group, all) = (table.found(), [0, 1, 2, 3, 4]);
    table.has_streams = true;
    let (mallory, now) = (liars[0].seat, table.now);
    let (theirs, _) = table.session(mallory).create_group("ours", now).unwrap();
    let trudy = table.session(liars[1].seat).user().clone();
    table.session(mallory).add(theirs, &[trudy]).unwrap();
    table.session(1).update(group).unwrap();
    table.settle();
    let commit = last_commit(&mut table, 0, group);
    let bob = table.session(1).user().clone();

    // One of four, and then two: three would be needed.
    for (accusers, liar) in (1..).zip(&liars) {
        liar.report(&mut table, commit);
        for users_needed in [1, 2, 3] {
            let successor = Successor {
                commit,
                group: theirs,
                users_needed,
            };
            liar.vote(&mut table, successor);
        }
        table.settle();
        for seat in all {
            let known = table.session(seat).group(group).unwrap().unwrap();
            assert_eq!((known.standing, known.successor), (Standing::Member, None));
            assert_eq!(table.resyncs(seat), 0, "{seat}");
            let history = table.history(seat, group);
            let told: Vec<&UserId> = history
                .iter()
                .filter(|it| it.kind == EntryKind::Reported(bob.clone()))
                .map(|it| &it.author)
                .collect();
            assert_eq!(told.len(), accusers, "{seat}");
            assert!(
                history
                    .iter()
                    .all(|it| !matches!(it.kind, EntryKind::Continued { .. }))
            );
        }
        table.assert_agreement(group, &all);
    }
    table.assert_all_heard(group, &all);
}

const MALLORY: usize = 3;
const PHONE: usize = 4;

/// Bob, Carol, Dave and Mallory in a group, and a list of Alice's that says that one of her two devices
/// was revoked. The service does not have it: it goes on as before.
fn with_a_list_that_is_kept_back() -> (Table, GroupId, UserId, Vec<u8>) {
    let (mut table, group) = Table::with(&["bob", "carol", "dave", "mallory"]);
    table.sit_down("alice");
    table.settle();
    let tablet = table.link(PHONE, Session::link).unwrap();
    table.settle();
    let tablet = table.session(tablet).device();
    table.session(PHONE).revoke(tablet).unwrap();
    let now = table.now;
    let call = table.session(PHONE).next_call(now).unwrap();
    let Some(Call::PublishDeviceList(asked)) = call else {
        panic!("{call:?}");
    };
    let alice = table.session(PHONE).user().clone();
    table.seats.truncate(PHONE);
    table.now = table.now.after(Duration::from_mins(2));
    (table, group, alice, asked.device_list.to_vec())
}

/// Gives these the newest list, and the others the one before.
fn tell(seat: usize, knowing: &[usize], list: &[u8], call: &Call, answer: Answer) -> Answer {
    match (call, answer) {
        (Call::FetchDeviceLists(_), Ok(Reply::FetchDeviceLists(mut lists)))
            if knowing.contains(&seat) =>
        {
            for given in &mut lists.users {
                if given.user.starts_with("alice@") {
                    given.device_list = list.to_vec().into();
                }
            }
            Ok(Reply::FetchDeviceLists(lists))
        }
        (_, answer) => answer,
    }
}

/// These meet Alice and her newest list; later, Mallory adds all that the service has of her.
fn let_in(table: &mut Table, group: GroupId, alice: &UserId, list: &[u8], knowing: &[usize]) {
    for seat in knowing {
        let now = table.now;
        let (met, _) = table.session(*seat).create_group("met", now).unwrap();
        table
            .session(*seat)
            .add(met, std::slice::from_ref(alice))
            .unwrap();
    }
    table.settle_with(|seat, call, answer| tell(seat, knowing, list, call, answer));
    table.now = table.now.after(Duration::from_mins(2));
    table.has_streams = true;
    table
        .session(MALLORY)
        .add(group, std::slice::from_ref(alice))
        .unwrap();
    table.settle_with(|seat, call, answer| tell(seat, knowing, list, call, answer));
}

#[test]
fn who_lets_a_revoked_device_in_is_left_out() {
    let (mut table, group, alice, list) = with_a_list_that_is_kept_back();
    let honest = [0, 1, 2];
    let_in(&mut table, group, &alice, &list, &honest);
    let mallory = table.session(MALLORY).user().clone();
    let next = table.session(0).group(group).unwrap().unwrap().successor;
    let next = next.expect("the group goes on");
    for seat in honest {
        let known = table.session(seat).group(group).unwrap().unwrap();
        assert_eq!(known.successor, Some(next), "{seat}");
        let last = table.history(seat, group).pop().unwrap().kind;
        let without = Some(mallory.clone());
        assert_eq!(last, EntryKind::Continued { to: next, without });
    }
    table.assert_agreement(next, &honest);
    table.assert_all_heard(next, &honest);
}

#[test]
fn a_single_one_who_knows_of_a_revocation_comes_back_and_puts_the_device_out() {
    let (mut table, group, alice, list) = with_a_list_that_is_kept_back();
    let_in(&mut table, group, &alice, &list, &[2]);
    for seat in 0..4 {
        let known = table.session(seat).group(group).unwrap().unwrap();
        assert_eq!((known.standing, known.successor), (Standing::Member, None));
        assert_eq!(table.resyncs(seat), usize::from(seat == 2));
        let members = table.session(seat).members(group).unwrap();
        let there = members.iter().find(|it| it.user == alice).unwrap();
        assert_eq!(there.devices.len(), 1, "{seat}");
    }
    let epoch = table.session(0).epoch(group).unwrap();
    assert!((1..4).all(|seat| table.session(seat).epoch(group).unwrap() == epoch));
}
