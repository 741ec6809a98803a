//! A real server on a free port, and devices that speak to it with nothing between.

#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    unreachable_pub,
    missing_docs
)]

use std::{
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use conclave_delivery_service::{Config, RateLimits, Server, Tls};
use conclave_protocol::{GroupId, UnixMillis};
use conclave_rpc::v1::delivery_service_client::DeliveryServiceClient;
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Error};

mod member;
mod person;
pub mod process;
pub mod raw;

pub use member::{bundle, follow};
pub use person::Person;

pub type Rpc = DeliveryServiceClient<Channel>;

pub const GROUP: GroupId = GroupId::from_bytes([7; 16]);

pub fn now() -> UnixMillis {
    SystemTime::now().into()
}

pub fn id(bytes: &[u8; 16]) -> tonic::codegen::Bytes {
    bytes.to_vec().into()
}

pub struct World {
    pub folder: TempDir,
    pub address: SocketAddr,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(|config| config).await
    }

    /// A world whose server differs from the usual one.
    pub async fn start_with(change: impl FnOnce(Config) -> Config) -> Self {
        let mut world = Self::at(tempfile::tempdir().unwrap(), "127.0.0.1:0".parse().unwrap());
        world.run_server(change).await;
        world
    }

    /// A world whose server runs elsewhere.
    pub fn at(folder: TempDir, address: SocketAddr) -> Self {
        Self {
            folder,
            address,
            running: None,
        }
    }

    pub async fn start_server(&mut self) {
        self.run_server(|config| config).await;
    }

    async fn run_server(&mut self, change: impl FnOnce(Config) -> Config) {
        let config = change(Config {
            listen: self.address,
            // What is tried here is what lies behind.
            rates: RateLimits::unlimited(),
            ..Config::new(self.folder.path().to_owned())
        });
        self.start_server_with(config).await;
    }

    pub async fn start_server_with(&mut self, config: Config) {
        let server = Server::bind(config).await.unwrap();
        self.address = server.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = server.run(async { drop(stopped.await) });
        let task = tokio::spawn(async { run.await.unwrap() });
        self.running = Some((stop, task));
    }

    pub async fn stop_server(&mut self) {
        let (stop, task) = self.running.take().unwrap();
        stop.send(()).unwrap();
        task.await.unwrap();
    }

    /// Whether the database holds these bytes anywhere. To be asked while the server is stopped.
    pub fn stores(&self, bytes: &[u8]) -> bool {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        entries.into_iter().any(|entry| {
            let file = std::fs::read(entry.unwrap().path()).unwrap_or_default();
            file.windows(bytes.len()).any(|window| window == bytes)
        })
    }

    pub fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect_lazy()
    }

    pub fn rpc(&self) -> Rpc {
        let most = conclave_protocol::limits::RPC_MESSAGE_BYTES_MAX;
        Rpc::new(self.channel())
            .max_decoding_message_size(most)
            .max_encoding_message_size(2 * most)
    }

    /// A device that is registered, signed in, and has KeyPackages in stock.
    pub async fn person(&self, name: &str) -> Person {
        let person = Person::new(self, name);
        person.admitted().await
    }

    /// A group of all these, made by the first.
    pub async fn group(&self, names: &[&str]) -> Vec<Person> {
        let mut people = Vec::new();
        for name in names {
            people.push(self.person(name).await);
        }
        let (first, others) = people.split_first_mut().unwrap();
        first.create().await.unwrap();
        if !others.is_empty() {
            let names: Vec<&str> = names[1..].to_vec();
            first.add(&names).await.unwrap();
            for other in others {
                other.join().await;
            }
        }
        people
    }
}

static DRAWN: AtomicU64 = AtomicU64::new(1000);

/// A number that was not drawn before; those below 1000 are for tests to name.
pub fn draw() -> u64 {
    DRAWN.fetch_add(1, Ordering::Relaxed)
}

pub fn spread<const BYTES: usize>(number: u64) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// A certificate that certifies itself for a name, with its key, as files in a folder.
pub fn certificate(folder: &Path, name: &str) -> Tls {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    std::fs::create_dir_all(folder).unwrap();
    let tls = Tls {
        certificate: folder.join("certificate.pem"),
        key: folder.join("key.pem"),
    };
    std::fs::write(&tls.certificate, made.cert.pem()).unwrap();
    std::fs::write(&tls.key, made.signing_key.serialize_pem()).unwrap();
    tls
}

/// An encrypted connection to a server that is called localhost.
pub async fn tls_channel(address: SocketAddr, tls: &Tls) -> Result<Channel, Error> {
    let trusted = Certificate::from_pem(std::fs::read(&tls.certificate).unwrap());
    let config = ClientTlsConfig::new()
        .ca_certificate(trusted)
        .domain_name("localhost");
    Channel::from_shared(format!("https://{address}"))
        .unwrap()
        .tls_config(config)?
        .connect()
        .await
}
