//! A live server process under hostile requests: it goes on, stays small, answers each with a proper
//! status, and serves others meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod common;

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use common::{
    GROUP, Person, World, id,
    process::{ServerProcess, serve},
};
use conclave_rpc::{AUTHORIZATION, BEARER, v1};
use hmac::{Hmac, Mac as _};
use prost::Message as _;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet};
use tonic::{
    Status,
    body::Body,
    codegen::{Bytes, Service as _, http},
    transport::Channel,
};

const METHODS: [&str; 12] = [
    "Describe",
    "Register",
    "RequestChallenge",
    "Authenticate",
    "PublishKeyPackages",
    "TakeKeyPackages",
    "CreateGroup",
    "Submit",
    "ReadLog",
    "FetchTree",
    "ReadMailbox",
    "Stream",
];

/// How many enemies there are at a time. Each waits for its answer.
const ENEMIES: u64 = 48;

/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_outlives_thousands_of_hostile_requests() {
    siege(6_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes many minutes: the long form, see docs/testing.md"]
async fn a_server_outlives_a_million_hostile_requests() {
    siege(1_000_000).await;
}

#[test]
#[ignore = "is the server of the others"]
fn server() {
    serve();
}

/// What an enemy needs to be taken seriously.
struct Loot {
    token: String,
    expired: String,
    /// Valid requests, by method.
    valid: Vec<(&'static str, Vec<u8>)>,
}

async fn siege(requests: u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut process = ServerProcess::start(folder.path(), "server");
    let world = World::at(folder, process.address);
    let mut people = world.group(&["alice", "bob"]).await;
    let loot = Arc::new(loot(&world, &mut people[0]).await);
    let (over, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let chat = tokio::spawn(chat(people, Arc::clone(&over)));

    let begun = Instant::now();
    let mut enemies = JoinSet::new();
    for seed in 0..ENEMIES {
        let enemy = Enemy {
            random: Random(seed),
            address: process.address,
            channel: world.channel(),
            loot: Arc::clone(&loot),
            answers: BTreeMap::new(),
        };
        enemies.spawn(enemy.attack(requests, Arc::clone(&sent)));
    }
    let mut warm_bytes = 0;
    while sent.load(Ordering::Relaxed) < requests {
        if warm_bytes == 0 && sent.load(Ordering::Relaxed) >= requests / 5 {
            warm_bytes = process.resident_bytes();
        }
        assert!(process.is_alive(), "the server crashed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut answers = BTreeMap::new();
    while let Some(enemy) = enemies.join_next().await {
        for (answer, count) in enemy.unwrap() {
            *answers.entry(answer).or_insert(0) += count;
        }
    }
    let took = begun.elapsed();
    let end_bytes = process.resident_bytes();
    over.store(true, Ordering::Relaxed);
    let mut waits = chat.await.unwrap();
    waits.sort_unstable();
    println!(
        "{requests} hostile requests in {took:?}: memory {} KiB after a fifth, {} KiB at the end; \
         {} messages of others meanwhile, median {:?}, slowest {:?}; answers {answers:?}",
        warm_bytes >> 10,
        end_bytes >> 10,
        waits.len(),
        waits[waits.len() / 2],
        waits[waits.len() - 1],
    );
    assert!(process.is_alive(), "the server crashed");
    let unanswered = answers.keys().any(|answer| answer.starts_with("none"));
    assert!(!unanswered, "some got no proper answer");
    // In the short form the allocator has hardly begun to reuse what it has.
    let share = if requests >= 100_000 { 10 } else { 2 };
    assert!(end_bytes <= warm_bytes + warm_bytes / share, "memory grew");
}

/// Two people who go on talking; how long each message took from one to the other.
async fn chat(mut people: Vec<Person>, over: Arc<AtomicBool>) -> Vec<Duration> {
    let [alice, bob] = people.get_disjoint_mut([0, 1]).unwrap();
    bob.read().await.unwrap();
    let mut waits = Vec::new();
    while waits.len() < 5 || !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let text = format!("message {}", waits.len());
        alice.send(&text).await.unwrap();
        assert_eq!(bob.read().await.unwrap(), [text]);
        waits.push(begun.elapsed());
        if waits.len() % 1000 == 0 {
            // Tokens last a quarter of an hour.
            alice.sign_in().await;
            bob.sign_in().await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    waits
}

async fn loot(world: &World, alice: &mut Person) -> Loot {
    let enemy = world.person("enemy").await;
    let group_id = || id(GROUP.as_bytes());
    let sent = alice.encrypt("overheard");
    let submit = v1::SubmitRequest {
        group_id: group_id(),
        request_id: id(&[9; 16]),
        body: Some(sent.clone()),
    };
    alice
        .rpc
        .submit(alice.signed(submit.clone()))
        .await
        .unwrap();
    let challenge = alice.challenge().await;
    let answer = v1::AuthenticateRequest {
        challenge: challenge.to_bytes().into(),
        signature: challenge.answer(&alice.key).to_vec().into(),
    };
    alice.rpc.authenticate(answer.clone()).await.unwrap();
    let register = v1::RegisterRequest {
        certificate: alice.engine.device().certificate().to_bytes().into(),
        proof_of_possession: alice
            .possession("localhost")
            .prove(&alice.key)
            .to_vec()
            .into(),
        registration_code: String::new(),
    };
    let prepared = alice.prepare(conclave_engine::Change::update());
    alice.discard();
    let commit = v1::SubmitRequest {
        request_id: id(&[8; 16]),
        body: Some(common::bundle(&prepared)),
        ..submit.clone()
    };
    let read = v1::ReadLogRequest {
        group_id: group_id(),
        ..v1::ReadLogRequest::default()
    };
    let valid = vec![
        ("Submit", submit.encode_to_vec()),
        ("Submit", commit.encode_to_vec()),
        ("Authenticate", answer.encode_to_vec()),
        ("Register", register.encode_to_vec()),
        ("ReadLog", read.encode_to_vec()),
    ];
    Loot {
        expired: expired(world, &enemy.token),
        token: enemy.token,
        valid,
    }
}

/// A token of the server's own making whose time is over: only its secret can make one.
fn expired(world: &World, token: &str) -> String {
    let path = world.folder.path().join("conclave.db");
    let database = rusqlite::Connection::open(path).unwrap();
    let secret: Vec<u8> = database
        .query_row("SELECT secret FROM identity", [], |row| row.get(0))
        .unwrap();
    let byte = |at: usize| u8::from_str_radix(&token[2 * at..2 * at + 2], 16).unwrap();
    let mut claims: Vec<u8> = (0..40).map(byte).collect();
    claims[32..].copy_from_slice(&1u64.to_be_bytes());
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&secret).unwrap();
    mac.update(b"token\0");
    mac.update(&claims);
    claims.extend(mac.finalize().into_bytes());
    claims.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SplitMix64: the same enemies each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

struct Enemy {
    random: Random,
    address: std::net::SocketAddr,
    channel: Channel,
    loot: Arc<Loot>,
    answers: BTreeMap<String, u64>,
}

/// A request as it goes onto the wire.
struct Forged {
    method: &'static str,
    content_type: &'static str,
    token: Option<String>,
    body: Vec<u8>,
    /// Whether the rest of the body never comes.
    stalls: bool,
}

impl Enemy {
    async fn attack(mut self, requests: u64, sent: Arc<AtomicU64>) -> BTreeMap<String, u64> {
        while sent.fetch_add(1, Ordering::Relaxed) < requests {
            let answer = match self.random.below(500) {
                0 => self.half_open().await,
                _ => {
                    let forged = self.forge();
                    self.send(forged).await
                }
            };
            *self.answers.entry(answer).or_default() += 1;
            // A connection lives for a while only, as an enemy's would.
            if self.random.below(2000) == 0 {
                let url = format!("http://{}", self.address);
                self.channel = Channel::from_shared(url).unwrap().connect_lazy();
            }
        }
        self.answers
    }

    fn forge(&mut self) -> Forged {
        let token = Some(self.loot.token.clone());
        let method = METHODS[self.random.below(METHODS.len())];
        let (valid_method, valid) = self.overheard();
        let plain = Forged {
            method,
            content_type: "application/grpc",
            token,
            body: Vec::new(),
            stalls: false,
        };
        match self.random.below(100) {
            // Bytes that are no frame, and a frame of bytes that are no message.
            0..15 => Forged {
                body: self.random.bytes(300),
                ..plain
            },
            15..35 => Forged {
                body: frame(&self.random.bytes(600)),
                ..plain
            },
            35..65 => {
                let body = frame(&self.mutate(valid));
                Forged {
                    method: valid_method,
                    body,
                    ..plain
                }
            }
            65..75 => Forged {
                method: valid_method,
                body: frame(&valid),
                ..plain
            },
            75..84 => {
                let token = Some(self.forged_token());
                Forged {
                    method: valid_method,
                    body: frame(&valid),
                    token,
                    ..plain
                }
            }
            84..88 => Forged {
                token: None,
                body: frame(&valid),
                ..plain
            },
            88..93 => {
                let types = ["text/html", "application/json", "application/grpc-web", ""];
                let content_type = types[self.random.below(types.len())];
                Forged {
                    content_type,
                    body: frame(&valid),
                    ..plain
                }
            }
            93..96 => {
                // More than it says, or than there may be.
                let mut body = frame(&vec![0; 20_000]);
                body[1] = u8::try_from(self.random.below(256)).unwrap();
                Forged { body, ..plain }
            }
            96..99 => Forged {
                method: "NoSuchMethod",
                ..plain
            },
            _ => Forged {
                body: frame(&valid)[..4].to_vec(),
                stalls: true,
                ..plain
            },
        }
    }

    fn overheard(&mut self) -> (&'static str, Vec<u8>) {
        let at = self.random.below(self.loot.valid.len());
        self.loot.valid[at].clone()
    }

    fn mutate(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        for _ in 0..=self.random.below(4) {
            let at = self.random.below(bytes.len().max(1));
            let with = self.random.next().to_le_bytes()[0];
            match self.random.below(3) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes.insert(at.min(bytes.len()), with),
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= with;
                    }
                }
            }
        }
        bytes
    }

    fn forged_token(&mut self) -> String {
        match self.random.below(3) {
            0 => self.loot.expired.clone(),
            1 => "0".repeat(self.random.below(300)),
            _ => {
                let mut token = self.loot.token.clone();
                let at = self.random.below(token.len());
                let changed = if &token[at..=at] == "0" { "1" } else { "0" };
                token.replace_range(at..=at, changed);
                token
            }
        }
    }

    /// The status that comes back; `none` where nothing proper does.
    async fn send(&mut self, forged: Forged) -> String {
        let mut request = http::Request::post(format!(
            "http://{}/conclave.delivery.v1.DeliveryService/{}",
            self.address, forged.method
        ))
        .header("te", "trailers")
        .header("content-type", forged.content_type);
        if let Some(token) = forged.token {
            request = request.header(AUTHORIZATION, format!("{BEARER}{token}"));
        }
        let body = Body::new(Sent {
            bytes: Some(forged.body.into()),
            stalls: forged.stalls,
        });
        let request = request.body(body).unwrap();
        // Who stalls does not wait for the end of it.
        let patience = if forged.stalls {
            Duration::from_millis(200)
        } else {
            PATIENCE
        };
        match tokio::time::timeout(patience, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) if forged.stalls => "given up".to_owned(),
            Err(_) => "none: too slow".to_owned(),
        }
    }

    async fn exchange(&mut self, request: http::Request<Body>) -> String {
        let ready = std::future::poll_fn(|context| self.channel.poll_ready(context)).await;
        if let Err(error) = ready {
            return format!("none: {}", root(&error));
        }
        let response = match self.channel.call(request).await {
            Ok(response) => response,
            Err(error) => return format!("none: {}", root(&error)),
        };
        let (head, mut body) = response.into_parts();
        if let Some(status) = Status::from_header_map(&head.headers) {
            return format!("{:?}", status.code());
        }
        if !head.status.is_success() {
            return format!("HTTP {}", head.status.as_u16());
        }
        loop {
            let frame = std::future::poll_fn(|context| {
                http_body::Body::poll_frame(Pin::new(&mut body), context)
            });
            match frame.await {
                Some(Ok(frame)) => {
                    if let Some(trailers) = frame.trailers_ref() {
                        let status = Status::from_header_map(trailers);
                        return status
                            .map_or("none: no status".to_owned(), |s| format!("{:?}", s.code()));
                    }
                }
                Some(Err(status)) => return format!("broken off: {:?}", status.code()),
                None => return "none: no trailers".to_owned(),
            }
        }
    }

    /// A connection that begins to speak and leaves it at that.
    async fn half_open(&mut self) -> String {
        let Ok(mut stream) = TcpStream::connect(self.address).await else {
            return "none: no connection".to_owned();
        };
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let said = &preface[..self.random.below(preface.len() + 1)];
        let _ = stream.write_all(said).await;
        let _ = stream.write_all(&self.random.bytes(60)).await;
        tokio::spawn(async move {
            // Some are still there when the next ones come.
            tokio::time::sleep(Duration::from_secs(2)).await;
            drop(stream);
        });
        "half-open".to_owned()
    }
}

/// What an error comes down to.
fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

fn frame(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    bytes.extend(message);
    bytes
}

/// A body of one piece, after which it ends or does not.
struct Sent {
    bytes: Option<Bytes>,
    stalls: bool,
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        match self.bytes.take() {
            Some(bytes) => Poll::Ready(Some(Ok(http_body::Frame::data(bytes)))),
            None if self.stalls => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}
