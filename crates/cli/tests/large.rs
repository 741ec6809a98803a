//! A large group of devices that are really registered, made through a real server by the command line:
//! some of them, live, read what one says, and each says something.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod common;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use common::{Person, Server};
use conclave_client::{Client, Entry, GroupId, Sequence};
use rusqlite::Connection;
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

/// Devices that do something at the same moment.
const AT_ONCE: usize = 8;

/// How long somebody who is online waits for what the others say: joining a group of 10,000 takes
/// seconds, and all readers share the machine.
const PATIENCE: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn sixty_devices_in_a_group_of_one_command() {
    everybody(60, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half an hour; see docs/performance.md"]
async fn ten_thousand_devices_in_a_group_of_one_command() {
    let members = std::env::var("CONCLAVE_LARGE").map(|it| it.parse().unwrap());
    everybody(members.unwrap_or(10_000), 100).await;
}

async fn everybody(members: usize, readers: usize) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let server = Server::start(&data, &[]);
    let owner = Person::new(&folder, "owner", &server.url);

    let clock = Clock::start();
    let chosen = register(folder.path(), &server.url, members, readers).await;
    clock.tell(&format!("{members} devices registered"));

    let list: String = (0..members).fold(String::new(), |mut list, number| {
        writeln!(list, "{}", name(number)).unwrap();
        list
    });
    let file = folder.path().join("list");
    fs::write(&file, list).unwrap();
    let clock = Clock::start();
    let list = file.to_str().unwrap();
    let made = owner.json(&["group", "create", "club", "--members-from", list]);
    clock.tell("the group created");
    assert_eq!(made[0]["added"].as_array().unwrap().len(), members);
    tell_bytes(&data);

    let clock = Clock::start();
    let clients = join(chosen).await;
    clock.tell(&format!("{readers} of them joined"));
    let group = clients[0].group_named("club").await.unwrap().id;
    let clock = Clock::start();
    let live = follow(&clients, group, readers);
    owner.says(&["send", "club", "hello"]);
    let everything: BTreeSet<String> = (0..readers).map(text).chain(["hello".into()]).collect();
    for said in live.join_all().await {
        assert_eq!(said, everything);
    }
    clock.tell(&format!(
        "one message read by {readers}, and one of each of them by all"
    ));
    // Each in a process of its own: nothing of the group is in memory.
    assert_eq!(owner.json(&["group", "members", "club"]).len(), members + 1);
}

/// Registers devices, and gives the homes of those who will read, who are spread evenly.
async fn register(folder: &Path, url: &str, members: usize, readers: usize) -> Vec<PathBuf> {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut work = JoinSet::new();
    for number in 0..members {
        let turn = Arc::clone(&turns).acquire_owned().await.unwrap();
        let (home, url) = (folder.join(name(number)), url.to_owned());
        work.spawn(async move {
            let registered = Client::register(&home, &name(number), &url).await;
            drop(registered.unwrap());
            drop(turn);
            if number % (members / readers) == 0 {
                return Some(home);
            }
            fs::remove_dir_all(&home).unwrap();
            None
        });
    }
    let mut homes: Vec<PathBuf> = work.join_all().await.into_iter().flatten().collect();
    homes.sort();
    homes.truncate(readers);
    homes
}

/// Has those who were chosen take their Welcomes.
async fn join(homes: Vec<PathBuf>) -> Vec<Client> {
    let turns = Arc::new(Semaphore::new(2));
    let mut work = JoinSet::new();
    for home in homes {
        let turn = Arc::clone(&turns).acquire_owned().await.unwrap();
        work.spawn(async move {
            let client = Client::open(home.as_path()).unwrap();
            client.sync().await.unwrap();
            drop(turn);
            client
        });
    }
    work.join_all().await
}

/// Each reads, live, until everything was said, and says something itself once it has read the first.
fn follow(clients: &[Client], group: GroupId, readers: usize) -> JoinSet<BTreeSet<String>> {
    let mut work = JoinSet::new();
    for (number, client) in clients.iter().cloned().enumerate() {
        work.spawn(async move {
            let mut events = client.events();
            let (mut said, mut has_spoken) = (BTreeSet::new(), false);
            let listen = async {
                while said.len() <= readers {
                    // What came while it spoke itself was told to that call.
                    let news = timeout(Duration::from_secs(1), events.next()).await;
                    drop(news.ok().flatten().transpose().unwrap());
                    let history = client.history(group, Sequence(0), usize::MAX).await;
                    let history = history.unwrap();
                    said.extend(history.iter().filter_map(Entry::text).map(str::to_owned));
                    if said.contains("hello") && !has_spoken {
                        client.send(group, text(number)).await.unwrap();
                        has_spoken = true;
                    }
                }
            };
            timeout(PATIENCE, listen).await.unwrap();
            said
        });
    }
    work
}

fn name(number: usize) -> String {
    format!("member{number}")
}

fn text(number: usize) -> String {
    format!("here is {number}")
}

/// What the service was sent for the group, and keeps for those who have yet to join.
fn tell_bytes(data: &Path) {
    let database = Connection::open(data.join("conclave.db")).unwrap();
    let sum = |sql: &str| -> (u64, u64) {
        let both = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        database.query_row(sql, [], both).unwrap()
    };
    let bytes = |column: &str| format!("count(*), coalesce(sum(length({column})), 0)");
    let (commits, commit_bytes) = sum(&format!(
        "SELECT {} FROM log WHERE kind = 1",
        bytes("message")
    ));
    let (_, shared) = sum(&format!("SELECT {} FROM welcome", bytes("shared")));
    let (joiners, own) = sum(&format!("SELECT {} FROM mailbox", bytes("secrets")));
    println!(
        "{commits} Commits of {commit_bytes} bytes; Welcomes: {shared} bytes for all, \
         {} bytes for each of {joiners}",
        own / joiners.max(1)
    );
    assert!(own < 1024 * joiners.max(1), "a joiner's own part is large");
}

struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn tell(&self, what: &str) {
        println!("{:7.1} s: {what}", self.0.elapsed().as_secs_f64());
    }
}
