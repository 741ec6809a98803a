//! What a recipient pays for a message as people use it: a client of its own, of a real service over the network, with its
//! home on the disk. It is handed each message as it is said, or catches up with many that were each said alone.

use std::{
    fs,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use conclave_client::{Client, Event, GroupId, Sequence};
use conclave_delivery_service::{Config, Rate, RateLimits, Server};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::{Reads, print};

/// How many messages stand behind one figure.
const MESSAGES: usize = 300;

/// How long a message may be on its way before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two people and their service; each has threads of its own, so that their time can be told apart.
struct Talk {
    alice: Client,
    bob: Client,
    group: GroupId,
    speaking: Runtime,
    reading: Runtime,
    /// What Bob's threads are called.
    reader: &'static str,
    _service: (Runtime, TempDir),
}

impl Talk {
    fn begin(reader: &'static str, stamps_nothing: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [serving, speaking, reading] = ["serving", "speaking", reader].map(threads);
        let mut config = Config::new(folder.path().join("server"));
        config.stamps_nothing = stamps_nothing;
        config.rates = talkative();
        let server = serving.block_on(Server::bind(config)).unwrap();
        let url = format!("http://{}", server.local_addr());
        serving.spawn(server.run(std::future::pending()));
        let register = |on: &Runtime, name: &str| {
            let home = folder.path().join(name);
            on.block_on(Client::register(&home, name, &url)).unwrap()
        };
        let (alice, bob) = (register(&speaking, "alice"), register(&reading, "bob"));
        let group = speaking.block_on(async {
            let group = alice.create_group("club").await.unwrap();
            alice.add(group, &[bob.user().clone()]).await.unwrap();
            group
        });
        reading.block_on(bob.sync()).unwrap();
        Self {
            alice,
            bob,
            group,
            speaking,
            reading,
            reader,
            _service: (serving, folder),
        }
    }

    /// Has Bob follow; what comes is told once for each message that he was handed.
    fn follow(&self) -> Receiver<()> {
        let (tell, handed) = channel();
        let mut events = self.reading.block_on(async { self.bob.events() });
        self.reading.spawn(async move {
            while let Some(event) = events.next().await {
                if let Event::Entry(entry) = event.unwrap()
                    && entry.message().is_some()
                {
                    tell.send(()).unwrap();
                }
            }
        });
        handed
    }

    fn say(&self, at: usize) {
        let text = format!("message {at}, of the usual length of a line");
        let said = self.alice.send(self.group, text.as_str());
        self.speaking.block_on(said).unwrap();
    }

    /// Says so many things, each once the one before was handed to Bob. Gives the processor time of his threads for
    /// each, in microseconds.
    fn say_live(&self, messages: usize, handed: &Receiver<()>) -> f64 {
        let before = micros_of(self.reader);
        for at in 0..messages {
            self.say(at);
            handed.recv_timeout(PATIENCE).unwrap();
        }
        (micros_of(self.reader) - before) / messages as f64
    }

    /// Says so many things one after the other, and has Bob catch up with them; else the same.
    fn say_while_away(&self, messages: usize) -> f64 {
        for at in 0..messages {
            self.say(at);
        }
        let before = micros_of(self.reader);
        self.reading.block_on(self.bob.sync()).unwrap();
        (micros_of(self.reader) - before) / messages as f64
    }

    /// How many of his messages Bob can report.
    fn reportable(&self) -> usize {
        let all = self.bob.history(self.group, Sequence(0), 100_000);
        let all = self.speaking.block_on(all).unwrap();
        let messages = all.iter().filter_map(|entry| entry.message());
        messages.filter(|message| message.is_reportable).count()
    }
}

fn talkative() -> RateLimits {
    let rate = Rate::new(Duration::from_nanos(1), 1_000_000_000);
    RateLimits {
        device_requests: rate,
        user_requests: rate,
        user_submissions: rate,
        ..RateLimits::default()
    }
}

fn threads(name: &str) -> Runtime {
    let mut threads = Builder::new_multi_thread();
    let threads = threads.worker_threads(2).thread_name(name);
    // A thread that ends takes its count along.
    let threads = threads.thread_keep_alive(Duration::from_hours(1));
    threads.enable_all().build().unwrap()
}

/// What the threads of that name have used of the processors, in microseconds.
fn micros_of(name: &str) -> f64 {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let folders = threads.map(|thread| thread.unwrap().path());
    let ours = folders.filter(|it| fs::read_to_string(it.join("comm")).unwrap().trim() == name);
    let nanos = ours.map(|it| {
        let stat = fs::read_to_string(it.join("schedstat")).unwrap();
        let nanos = stat.split_whitespace().next().unwrap();
        nanos.parse::<f64>().unwrap()
    });
    nanos.sum::<f64>() / 1e3
}

/// Says the same with and without franks, by turns; what each message costs the recipient.
fn measure(reads: Reads, messages: usize, runs: usize) -> [Vec<f64>; 2] {
    let names = match reads {
        Reads::Live => ["live-checks", "live-reads"],
        Reads::Page => ["page-checks", "page-reads"],
    };
    let talks = [Talk::begin(names[0], false), Talk::begin(names[1], true)];
    let follow = |talk: &Talk| (reads == Reads::Live).then(|| talk.follow());
    let followed = [follow(&talks[0]), follow(&talks[1])];
    let mut costs = [Vec::new(), Vec::new()];
    for _ in 0..runs {
        for ((talk, handed), costs) in talks.iter().zip(&followed).zip(&mut costs) {
            costs.push(match handed {
                Some(handed) => talk.say_live(messages, handed),
                None => talk.say_while_away(messages),
            });
        }
    }
    assert_eq!(talks[0].reportable(), messages * runs);
    assert_eq!(talks[1].reportable(), 0);
    costs
}

/// What is compared is checked, or not stamped, as it is said to be, and the time is somebody's.
#[test]
fn what_is_compared_is_what_it_is_said_to_be() {
    for reads in [Reads::Live, Reads::Page] {
        let costs = measure(reads, 5, 1);
        assert!(costs.iter().flatten().all(|cost| *cost > 0.0));
    }
}

#[test]
#[ignore = "a measurement"]
fn measure_checking_served() {
    println!("how; with franks, without: least / median / most us; ratio of medians");
    for (reads, runs) in [(Reads::Live, 15), (Reads::Page, 11)] {
        print(&format!("{reads:?}"), measure(reads, MESSAGES, runs));
    }
}
