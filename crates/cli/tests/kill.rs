//! `kill -9` of the server at random moments under load, with real clients: nothing that was
//! acknowledged is lost or doubled, no epoch has two Commits, no KeyPackage goes out twice, and all
//! clients come to the same end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use conclave_client::{Client, Entry, EntryKind, GroupId, Sequence, Standing, UserId};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    task::JoinSet,
    time::sleep,
};

/// People who are members all the time, and those who come and go.
const MEMBERS: usize = 5;
const GUESTS: usize = 6;

/// How often a guest is invited by one member: below what the service allows in an hour.
const INVITATIONS_MAX: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn three_kills_lose_nothing() {
    survive(3).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; see docs/testing.md"]
async fn fifty_kills_lose_nothing() {
    survive(50).await;
}

async fn survive(kills: u32) {
    let started = Instant::now();
    let world = World::start().await;
    let mut dice = Dice::new();
    let mut members = Vec::new();
    for number in 0..MEMBERS {
        members.push(world.person(&format!("member{number}")).await);
    }
    let mut guests = Vec::new();
    for number in 0..GUESTS {
        guests.push(world.person(&format!("guest{number}")).await);
    }
    let group = members[0].create_group("kill").await.unwrap();
    let others: Vec<UserId> = members[1..].iter().map(|it| it.user().clone()).collect();
    members[0].add(group, &others).await.unwrap();
    sync_all(&members).await;

    let stop = Arc::new(AtomicBool::new(false));
    let mut load = JoinSet::new();
    for (number, member) in members.iter().enumerate() {
        let (member, stop) = (member.clone(), Arc::clone(&stop));
        let guests: Vec<UserId> = guests.iter().map(|it| it.user().clone()).collect();
        let dice = dice.fork();
        load.spawn(async move { talk(&member, number, group, &guests, dice, &stop).await });
    }
    for guest in &guests {
        let (guest, stop) = (guest.clone(), Arc::clone(&stop));
        load.spawn(async move { listen(&guest, &stop).await });
    }
    let mut world = world;
    for _ in 0..kills {
        sleep(Duration::from_millis(50 + dice.below(900))).await;
        world.kill_and_restart().await;
    }
    sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    let mut sent = Vec::new();
    while let Some(done) = load.join_next().await {
        sent.extend(done.unwrap());
    }
    let took = started.elapsed();
    settle(&members, &guests, group).await;
    let seen = check_members(&members, group, &sent).await;
    check_guests(&guests, &members[0], group).await;
    world.server.kill().await.unwrap();
    let entries = check_database(&world.data(), &seen);
    println!(
        "{kills} kills in {:.0} s: {} messages acknowledged, {entries} entries, {} epochs",
        took.as_secs_f64(),
        sent.len(),
        members[0].epoch(group).await.unwrap().0,
    );
}

/// What one member does until it is told to stop, and what was acknowledged to it.
async fn talk(
    member: &Client,
    number: usize,
    group: GroupId,
    guests: &[UserId],
    mut dice: Dice,
    stop: &AtomicBool,
) -> Vec<(Sequence, String)> {
    let mut sent = Vec::new();
    let mut invitations = BTreeMap::<UserId, usize>::new();
    for count in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let guest = &guests[usize::try_from(dice.below(guests.len() as u64)).unwrap()];
        // An intent that is cut off stays in the outbox, so its failure here loses nothing.
        match dice.below(10) {
            0 => drop(member.update(group).await),
            1 => drop(member.remove(group, std::slice::from_ref(guest)).await),
            2..4 if invitations
                .get(guest)
                .is_none_or(|it| *it < INVITATIONS_MAX) =>
            {
                *invitations.entry(guest.clone()).or_default() += 1;
                drop(member.add(group, std::slice::from_ref(guest)).await);
            }
            _ => {
                let text = format!("{number}-{count}");
                if let Ok(receipt) = member.send(group, &text).await {
                    sent.push((receipt.sequence, text));
                }
            }
        }
        let _ = member.sync().await;
    }
    sent
}

/// A guest joins whatever it is invited to.
async fn listen(guest: &Client, stop: &AtomicBool) -> Vec<(Sequence, String)> {
    while !stop.load(Ordering::Relaxed) {
        let _ = guest.sync().await;
        sleep(Duration::from_millis(50)).await;
    }
    Vec::new()
}

/// All read and send what waits, until nothing does.
async fn settle(members: &[Client], guests: &[Client], group: GroupId) {
    for _ in 0..100 {
        sync_all(members).await;
        sync_all(guests).await;
        let mut places = BTreeSet::new();
        for member in members {
            places.insert(known(member, group).await.unwrap().1);
        }
        if places.len() == 1 {
            return;
        }
    }
    panic!("the clients do not come to rest");
}

async fn sync_all(people: &[Client]) {
    for person in people {
        if let Err(error) = person.sync().await {
            panic!("{} can't go on: {error}", person.user());
        }
    }
}

async fn known(person: &Client, group: GroupId) -> Option<(Standing, Sequence)> {
    let groups = person.groups().await.unwrap();
    let found = groups.into_iter().find(|known| known.id == group);
    found.map(|group| (group.standing, group.cursor))
}

/// All members agree, and what was acknowledged stands in each history once, where it was said to.
async fn check_members(
    members: &[Client],
    group: GroupId,
    sent: &[(Sequence, String)],
) -> Vec<Entry> {
    let first = &members[0];
    let expected = (
        first.epoch(group).await.unwrap(),
        first.members(group).await.unwrap(),
    );
    let history = common_part(first, group).await;
    for member in members {
        let own = (
            member.epoch(group).await.unwrap(),
            member.members(group).await.unwrap(),
        );
        assert_eq!(own, expected, "{} is elsewhere", member.user());
        assert_eq!(
            common_part(member, group).await,
            history,
            "{} read otherwise",
            member.user()
        );
    }
    let mut places = BTreeMap::<&str, Vec<Sequence>>::new();
    for entry in &history {
        assert_ne!(entry.kind, EntryKind::Unreadable, "at {}", entry.sequence);
        if let Some(text) = entry.text() {
            places.entry(text).or_default().push(entry.sequence);
        }
    }
    for (text, places) in &places {
        assert_eq!(places.len(), 1, "{text} is there more than once");
    }
    for (sequence, text) in sent {
        assert_eq!(
            places.get(text.as_str()),
            Some(&vec![*sequence]),
            "{text} is lost"
        );
    }
    assert!(!sent.is_empty());
    history
}

/// What all members have read: the first two entries are before some of them.
async fn common_part(member: &Client, group: GroupId) -> Vec<Entry> {
    member
        .history(group, Sequence(2), usize::MAX >> 1)
        .await
        .unwrap()
}

/// A guest is where the members say it is.
async fn check_guests(guests: &[Client], member: &Client, group: GroupId) {
    let members = member.members(group).await.unwrap();
    for guest in guests {
        let is_member = members.iter().any(|it| it.user == *guest.user());
        let standing = known(guest, group).await.map(|(standing, _)| standing);
        assert_eq!(
            standing == Some(Standing::Member),
            is_member,
            "{}",
            guest.user()
        );
        if is_member {
            assert_eq!(
                guest.epoch(group).await.unwrap(),
                member.epoch(group).await.unwrap()
            );
        }
    }
}

/// The log has no gap and one Commit an epoch, and no KeyPackage was handed out twice.
fn check_database(data: &Path, seen: &[Entry]) -> u64 {
    let database = Connection::open(data.join("conclave.db")).unwrap();
    let number = |sql: &str| -> u64 { database.query_row(sql, [], |row| row.get(0)).unwrap() };
    let entries = number("SELECT count(*) FROM log");
    assert_eq!(number("SELECT max(sequence) FROM log"), entries, "a gap");
    assert_eq!(number("SELECT min(sequence) FROM log"), 1);
    let commits = number("SELECT count(*) FROM log WHERE kind = 1");
    assert_eq!(
        number("SELECT count(DISTINCT epoch) FROM log WHERE kind = 1"),
        commits
    );
    assert_eq!(
        number("SELECT epoch FROM mls_group"),
        commits,
        "an epoch without its Commit"
    );
    assert_eq!(
        number("SELECT count(DISTINCT request_id) FROM request"),
        entries
    );
    let handed_out = number("SELECT count(*) FROM handout");
    assert_eq!(
        number("SELECT count(DISTINCT message) FROM handout"),
        handed_out
    );
    assert!(seen.len() as u64 <= entries);
    entries
}

struct World {
    folder: TempDir,
    server: Child,
    url: String,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (server, url) = serve(&folder.path().join("server"), "127.0.0.1:0").await;
        Self {
            folder,
            server,
            url,
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    async fn person(&self, name: &str) -> Client {
        let home = self.folder.path().join(name);
        Client::register(&home, name, &self.url).await.unwrap()
    }

    async fn kill_and_restart(&mut self) {
        self.server.kill().await.unwrap();
        let address = self.url.trim_start_matches("http://").to_owned();
        (self.server, self.url) = serve(&self.data(), &address).await;
    }
}

async fn serve(data: &Path, address: &str) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_conclave"))
        .args(["serve", "--listen", address, "--data"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines
        .next_line()
        .await
        .unwrap()
        .expect("the server comes up");
    let url = line.strip_prefix("listening on ").expect(&line).to_owned();
    (child, url)
}

/// Random enough for moments: a linear congruential generator.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let seed = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let seed = u64::try_from(seed % u128::from(u64::MAX)).unwrap();
        println!("seed {seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % bound
    }

    fn fork(&mut self) -> Self {
        Self(self.below(u64::MAX) | 1)
    }
}
