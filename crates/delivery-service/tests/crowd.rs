//! Many live streams in one group, over many TLS connections to a server process: a message to all
//! arrives in time, and the server stays small.
//!
//! The devices are registered and signed in, and the streams, the encryption and the fan-out are
//! real. What is not: all but one of the members are written into the database as members, since
//! adding 10,000 devices by Commits measures something else; so none of them decrypts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod common;

use std::time::{Duration, Instant, SystemTime};

use common::{
    GROUP, Person, World, certificate, id,
    process::{ServerProcess, serve},
    tls_channel,
};
use conclave_delivery_service::{Config, RateLimits};
use conclave_rpc::v1::{self, stream_request, stream_response::Event};
use tokio::{sync::mpsc, task::JoinSet};
use tonic::transport::Channel;

/// What is sent: as much as a padded message of a few lines.
const TEXT: &str = "what is said to everybody, in a few lines that are padded to a kilobyte";

/// The first listener's device; lower numbers are drawn for others.
const FIRST: u64 = 1_000_000;

struct Crowd {
    streams: usize,
    connections: usize,
    messages: usize,
}

struct Figures {
    /// Sorted.
    latencies: Vec<Duration>,
    idle_bytes: u64,
    busiest_bytes: u64,
}

impl Figures {
    fn quantile(&self, per_mille: usize) -> Duration {
        self.latencies[(self.latencies.len() - 1) * per_mille / 1000]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_a_small_crowd_at_once() {
    let figures = Crowd {
        streams: 200,
        connections: 20,
        messages: 5,
    }
    .gather()
    .await;
    assert!(figures.quantile(990) < Duration::from_secs(1));
    assert!(figures.busiest_bytes < 1 << 30);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: the long form, see docs/testing.md"]
async fn a_message_reaches_ten_thousand_within_a_second() {
    let figures = Crowd {
        streams: 10_000,
        connections: 1_000,
        messages: 20,
    }
    .gather()
    .await;
    let mebibytes = |bytes: u64| bytes >> 20;
    println!(
        "10,000 streams over 1,000 TLS connections, 20 messages to all: p50 {:?}, p99 {:?}, \
         last {:?}; the server has {} MiB with the streams open, {} MiB at most",
        figures.quantile(500),
        figures.quantile(990),
        figures.quantile(1000),
        mebibytes(figures.idle_bytes),
        mebibytes(figures.busiest_bytes),
    );
    assert!(figures.quantile(990) < Duration::from_secs(1));
    assert!(figures.busiest_bytes < 1 << 30);
}

#[test]
#[ignore = "is the server of the others"]
fn server() {
    serve(|config| Config {
        rates: RateLimits::unlimited(),
        ..config
    });
}

impl Crowd {
    async fn gather(&self) -> Figures {
        let folder = tempfile::tempdir().unwrap();
        let tls = certificate(folder.path(), "localhost");
        let process = ServerProcess::start(folder.path(), "server");
        let world = World::at(folder, process.address);
        let channel = tls_channel(world.address, &tls).await.unwrap();
        let mut speaker = Person::over(&world, channel.clone(), "speaker")
            .admitted_alone()
            .await;
        speaker.create().await.unwrap();
        let first = speaker.send("the crowd comes after this").await.unwrap();

        let tokens = self.register(&world, &channel).await;
        self.let_in(&world);
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let mut listeners = JoinSet::new();
        let per_connection = self.streams / self.connections;
        for tokens in tokens.chunks(per_connection) {
            let channel = tls_channel(world.address, &tls).await.unwrap();
            for token in tokens {
                let mut listener = Person::over(&world, channel.clone(), "listener");
                listener.token.clone_from(token);
                listeners.spawn(listen(listener, first, arrived.clone()));
            }
        }
        for _ in 0..self.streams {
            assert_eq!(arrivals.recv().await.unwrap().0, 0, "a stream is ready");
        }
        let idle_bytes = process.resident_bytes();
        let mut figures = Figures {
            latencies: Vec::new(),
            idle_bytes,
            busiest_bytes: idle_bytes,
        };
        for _ in 0..self.messages {
            let sent = Instant::now();
            let sequence = speaker.send(TEXT).await.unwrap();
            for _ in 0..self.streams {
                let (at, when) = arrivals.recv().await.unwrap();
                assert_eq!(at, sequence);
                figures.latencies.push(when - sent);
            }
            figures.busiest_bytes = figures.busiest_bytes.max(process.resident_bytes());
        }
        figures.latencies.sort_unstable();
        figures
    }

    /// Registers and signs in as many devices as there are streams.
    async fn register(&self, world: &World, channel: &Channel) -> Vec<String> {
        let mut working = JoinSet::new();
        let mut tokens = Vec::new();
        for number in 0..self.streams {
            let name = format!("listener{number}");
            let person = Person::with_device(world, channel.clone(), &name, FIRST + number as u64);
            if working.len() >= 64 {
                tokens.push(working.join_next().await.unwrap().unwrap());
            }
            working.spawn(async move { person.admitted_alone().await.token });
        }
        tokens.extend(working.join_all().await);
        tokens
    }

    /// Makes members of the devices from here on.
    fn let_in(&self, world: &World) {
        let path = world.folder.path().join("data/conclave.db");
        let mut database = rusqlite::Connection::open(path).unwrap();
        database.busy_timeout(Duration::from_secs(10)).unwrap();
        let transaction = database.transaction().unwrap();
        for number in 0..self.streams {
            let device: [u8; 16] = common::spread(FIRST + number as u64);
            transaction
                .execute(
                    "INSERT INTO membership (group_id, device_id, from_sequence) VALUES (?, ?, 1)",
                    (GROUP.as_bytes(), device),
                )
                .unwrap();
        }
        transaction.commit().unwrap();
    }
}

/// Tells of each entry when it came, and of sequence 0 when all that was there has come.
async fn listen(mut listener: Person, after: u64, arrived: mpsc::UnboundedSender<(u64, Instant)>) {
    let open = v1::StreamRequest {
        request: Some(stream_request::Request::Open(v1::OpenStream {
            mailbox_after_cursor: 0,
            groups: vec![v1::FollowGroup {
                group_id: id(GROUP.as_bytes()),
                after_sequence: after,
            }],
        })),
    };
    let (_open, requests) = {
        let (sender, receiver) = mpsc::channel(1);
        sender.send(open).await.unwrap();
        (
            sender,
            tokio_stream::wrappers::ReceiverStream::new(receiver),
        )
    };
    let request = listener.signed(requests);
    let mut stream = listener.rpc.stream(request).await.unwrap().into_inner();
    while let Some(response) = stream.message().await.unwrap() {
        let sequence = match response.event.unwrap() {
            Event::Entry(entry) => entry.entry.unwrap().sequence,
            Event::CaughtUp(caught_up) if !caught_up.group_id.is_empty() => 0,
            Event::Ended(_) => panic!("not a member"),
            _ => continue,
        };
        if arrived.send((sequence, Instant::now())).is_err() {
            return;
        }
    }
    panic!("the stream ended at {:?}", SystemTime::now());
}
