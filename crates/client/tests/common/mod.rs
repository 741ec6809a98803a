//! A real server on a free port, people with homes of their own, and a line between them that can
//! be bad.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    missing_docs
)]

use std::{net::SocketAddr, num::NonZeroU32, path::Path};

use aws_lc_rs::{
    cipher::{AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey},
    hmac::{self, HMAC_SHA512},
    iv::FixedLength,
    pbkdf2::{self, PBKDF2_HMAC_SHA512},
};
use conclave_client::{Client, Entry, GroupId, Sequence};
use conclave_delivery_service::{Config, Server};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::{Duration, sleep},
};

pub struct World {
    pub folder: TempDir,
    pub address: SocketAddr,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl World {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut world = Self {
            folder,
            address: "127.0.0.1:0".parse().unwrap(),
            running: None,
        };
        world.start_server().await;
        world
    }

    pub async fn start_server(&mut self) {
        let config = Config {
            listen: self.address,
            ..Config::new(self.folder.path().join("server"))
        };
        let server = Server::bind(config).await.unwrap();
        self.address = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            server.run(stopped).await.unwrap();
        });
        self.running = Some((stop, task));
    }

    pub async fn stop_server(&mut self) {
        if let Some((stop, task)) = self.running.take() {
            let _ = stop.send(());
            task.await.unwrap();
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn home(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub async fn person(&self, name: &str) -> Client {
        self.person_at(name, &self.url()).await
    }

    pub async fn person_at(&self, name: &str, url: &str) -> Client {
        Client::register(&self.home(name), name, url).await.unwrap()
    }

    /// People in a group that the first of them created.
    pub async fn group(&self, names: &[&str]) -> (Vec<Client>, GroupId) {
        let mut people = Vec::new();
        for name in names {
            people.push(self.person(name).await);
        }
        let group = people[0].create_group("club").await.unwrap();
        let others: Vec<_> = people[1..]
            .iter()
            .map(|person| person.user().clone())
            .collect();
        if !others.is_empty() {
            people[0].add(group, &others).await.unwrap();
        }
        sync_all(&people).await;
        (people, group)
    }
}

pub async fn sync_all(people: &[Client]) {
    for person in people {
        person.sync().await.unwrap();
    }
}

pub async fn history(person: &Client, group: GroupId) -> Vec<Entry> {
    person.history(group, Sequence(0), 100_000).await.unwrap()
}

pub async fn texts(person: &Client, group: GroupId) -> Vec<String> {
    let texts = history(person, group)
        .await
        .into_iter()
        .filter_map(|entry| entry.text().map(str::to_owned));
    texts.collect()
}

/// All are in one epoch with one authenticator and one roster.
pub async fn assert_agreement(people: &[Client], group: GroupId) {
    let first = (
        people[0].epoch(group).await.unwrap(),
        people[0].members(group).await.unwrap(),
    );
    for person in people {
        let own = (
            person.epoch(group).await.unwrap(),
            person.members(group).await.unwrap(),
        );
        assert_eq!(own, first, "{} differs", person.user());
    }
}

pub async fn damage(path: &Path) {
    tokio::fs::write(
        path,
        b"this is no database, but it is long enough to look like one",
    )
    .await
    .unwrap();
}

/// All pages of a home without a passphrase, also those in its write-ahead log and those that are
/// free, verified and decrypted with the key beside them as SQLCipher documents it.
pub fn decrypted(home: &Path) -> Vec<u8> {
    const PAGE: usize = 4096;
    // The IV and the tag.
    const RESERVED: usize = 16 + 64;
    let lock = std::fs::read(home.join("client.key")).unwrap();
    // After a name, a version and a kind.
    let file = std::fs::read(home.join("client.db")).unwrap();
    let salt: Vec<u8> = file[..16].iter().map(|byte| byte ^ 0x3a).collect();
    let (rounds, mut tag_key) = (NonZeroU32::new(2).unwrap(), [0; 32]);
    pbkdf2::derive(
        PBKDF2_HMAC_SHA512,
        rounds,
        &salt,
        &lock[14..46],
        &mut tag_key,
    );
    let tag_key = hmac::Key::new(HMAC_SHA512, &tag_key);
    let key = UnboundCipherKey::new(&AES_256, &lock[14..46]).unwrap();
    let key = DecryptingKey::cbc(key).unwrap();
    let log = std::fs::read(home.join("client.db-wal")).unwrap_or_default();
    let of_log = log.get(32..).unwrap_or_default().chunks(24 + PAGE);
    let of_log = of_log.map(|frame| {
        (
            u32::from_be_bytes(*frame.first_chunk().unwrap()),
            &frame[24..],
        )
    });
    let pages = (1..).zip(file.chunks(PAGE)).chain(of_log);
    let mut all = Vec::new();
    for (number, page) in pages {
        // The first page begins with the salt.
        let (encrypted, reserved) = page.split_at(PAGE - RESERVED);
        let encrypted = if number == 1 {
            &encrypted[16..]
        } else {
            encrypted
        };
        let (iv, tag) = reserved.split_at(16);
        let tagged = [encrypted, iv, &number.to_le_bytes()].concat();
        hmac::verify(&tag_key, &tagged, tag).expect("a page's tag");
        let mut bytes = encrypted.to_vec();
        let iv = FixedLength::from(iv.first_chunk::<16>().unwrap());
        all.extend(
            &*key
                .decrypt(&mut bytes, DecryptionContext::Iv128(iv))
                .unwrap(),
        );
    }
    all
}

/// A relay to the server whose connections break again and again, in the middle of anything.
pub async fn bad_line(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for turn in 0u64.. {
            let Ok((mut near, _)) = listener.accept().await else {
                return;
            };
            tokio::spawn(async move {
                let Ok(mut far) = TcpStream::connect(server).await else {
                    return;
                };
                // Long enough for a few requests, and never the same.
                let life = Duration::from_millis(15 + turn * 7 % 60);
                tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => {}
                    () = sleep(life) => {}
                }
            });
        }
    });
    address
}
