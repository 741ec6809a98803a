//! An enemy: what it forges, and what it hears in answer.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use conclave_rpc::{AUTHORIZATION, BEARER};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
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

/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an enemy needs to be taken seriously.
pub(super) struct Loot {
    pub(super) token: String,
    pub(super) expired: String,
    /// Valid requests, by method.
    pub(super) valid: Vec<(&'static str, Vec<u8>)>,
}

/// SplitMix64: the same enemies each time.
pub(super) struct Random(pub(super) u64);

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

pub(super) struct Enemy {
    pub(super) random: Random,
    pub(super) address: std::net::SocketAddr,
    pub(super) channel: Channel,
    pub(super) loot: Arc<Loot>,
    pub(super) answers: BTreeMap<String, u64>,
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
    pub(super) async fn attack(
        mut self,
        requests: u64,
        sent: Arc<AtomicU64>,
    ) -> BTreeMap<String, u64> {
        while sent.fetch_add(1, Ordering::Relaxed) < requests {
            let answer = match self.random.below(500) {
                0 => self.half_open().await,
                1 => self.babble().await,
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
            empty_frames: 0,
            bytes: Some(forged.body.into()).filter(|bytes: &Bytes| !bytes.is_empty()),
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

    /// A body of so many empty frames that HTTP/2 takes it for the attack that it is. The answer is
    /// the end of the connection, so it has one of its own.
    async fn babble(&mut self) -> String {
        let url = format!("http://{}", self.address);
        let mut channel = Channel::from_shared(url.clone()).unwrap().connect_lazy();
        let body = Body::new(Sent {
            empty_frames: 200,
            bytes: None,
            stalls: true,
        });
        let request = http::Request::post(format!("{url}/babble")).body(body);
        std::future::poll_fn(|context| channel.poll_ready(context))
            .await
            .unwrap();
        match tokio::time::timeout(PATIENCE, channel.call(request.unwrap())).await {
            Ok(_) => "babbled".to_owned(),
            Err(_) => "none: babbling goes on".to_owned(),
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

/// A body of empty frames and one piece, after which it ends or does not.
struct Sent {
    empty_frames: u32,
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
        if let Some(left) = self.empty_frames.checked_sub(1) {
            self.empty_frames = left;
            return Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::new()))));
        }
        match self.bytes.take() {
            Some(bytes) => Poll::Ready(Some(Ok(http_body::Frame::data(bytes)))),
            None if self.stalls => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}
