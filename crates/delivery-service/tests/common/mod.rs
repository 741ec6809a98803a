//! A real server on a free port, and devices that speak to it with nothing between.

#![allow(dead_code, clippy::unwrap_used, unreachable_pub, missing_docs)]

use std::{
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use conclave_delivery_service::{Config, RateLimits, Server, Tls};
use conclave_engine::{
    Change, Device, Effects, Engine, EngineError, KeyPackage, MemoryState, Opening, PreparedCommit,
    Processed, State,
};
use conclave_protocol::{
    Challenge, DeviceAddress, DeviceCertificate, DeviceClaims, DeviceId, GroupId, KeyPossession,
    SigningKey, UnixMillis,
};
use conclave_rpc::{AUTHORIZATION, BEARER, v1, v1::delivery_service_client::DeliveryServiceClient};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::{
    Request, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Error},
};

pub mod process;

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

pub struct Person {
    pub engine: Engine,
    pub key: SigningKey,
    pub state: MemoryState,
    pub rpc: Rpc,
    pub token: String,
    pub cursor: u64,
}

static DRAWN: AtomicU64 = AtomicU64::new(1000);

/// A number that was not drawn before; those below 1000 are for tests to name.
fn draw() -> u64 {
    DRAWN.fetch_add(1, Ordering::Relaxed)
}

pub fn spread<const BYTES: usize>(number: u64) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes
}

impl Person {
    pub fn new(world: &World, name: &str) -> Self {
        Self::with(world, name, draw(), draw())
    }

    /// A device whose keys and id come from `device`, of a user whose key comes from `identity`.
    pub fn with(world: &World, name: &str, device: u64, identity: u64) -> Self {
        let key = SigningKey::from_seed(&spread(device));
        let address = DeviceAddress {
            user: format!("{name}@localhost").parse().unwrap(),
            device: DeviceId::from_bytes(spread(device)),
        };
        let claims = DeviceClaims::starting(address, key.verifying_key(), now());
        let identity = SigningKey::from_seed(&spread(identity));
        let certificate = DeviceCertificate::issue(claims, &identity);
        Self {
            engine: Engine::new(Device::new(certificate, key.clone()).unwrap()),
            key,
            state: MemoryState::default(),
            rpc: world.rpc(),
            token: String::new(),
            cursor: 0,
        }
    }

    /// A device that speaks over a connection of its own.
    pub fn over(world: &World, channel: Channel, name: &str) -> Self {
        Self {
            rpc: Rpc::new(channel),
            ..Self::new(world, name)
        }
    }

    /// A device over a connection that it may share, with the id that `device` spreads to.
    pub fn with_device(world: &World, channel: Channel, name: &str, device: u64) -> Self {
        Self {
            rpc: Rpc::new(channel),
            ..Self::with(world, name, device, device)
        }
    }

    /// The same, registered and signed in.
    pub async fn admitted_alone(mut self) -> Self {
        self.register().await.unwrap();
        self.sign_in().await;
        self
    }

    /// The same, registered, signed in, and with KeyPackages in stock.
    pub async fn admitted(mut self) -> Self {
        self.register().await.unwrap();
        self.sign_in().await;
        self.publish(4).await.unwrap();
        self
    }

    pub fn device(&self) -> DeviceId {
        self.engine.device().address().device
    }

    pub fn possession(&self, server: &str) -> KeyPossession {
        let address = self.engine.device().address().clone();
        KeyPossession {
            server: server.into(),
            user: address.user,
            device: address.device,
        }
    }

    pub async fn register(&mut self) -> Result<(), Status> {
        self.register_with("").await
    }

    pub async fn register_with(&mut self, code: &str) -> Result<(), Status> {
        let proof = self.possession("localhost").prove(&self.key);
        let request = v1::RegisterRequest {
            certificate: self.engine.device().certificate().to_bytes().into(),
            proof_of_possession: proof.to_vec().into(),
            registration_code: code.to_owned(),
        };
        self.rpc.register(request).await.map(drop)
    }

    pub async fn challenge(&mut self) -> Challenge {
        let device_id = id(self.device().as_bytes());
        let request = v1::RequestChallengeRequest { device_id };
        let response = self.rpc.request_challenge(request).await.unwrap();
        Challenge::from_bytes(&response.into_inner().challenge).unwrap()
    }

    pub async fn answer(
        &mut self,
        challenge: &Challenge,
        signature: [u8; 64],
    ) -> Result<String, Status> {
        let request = v1::AuthenticateRequest {
            challenge: challenge.to_bytes().into(),
            signature: signature.to_vec().into(),
        };
        let response = self.rpc.authenticate(request).await?;
        Ok(response.into_inner().token)
    }

    pub async fn sign_in(&mut self) {
        let challenge = self.challenge().await;
        let signature = challenge.answer(&self.key);
        self.token = self.answer(&challenge, signature).await.unwrap();
    }

    pub fn signed<T>(&self, body: T) -> Request<T> {
        let mut request = Request::new(body);
        let value = format!("{BEARER}{}", self.token);
        request
            .metadata_mut()
            .insert(AUTHORIZATION, value.parse().unwrap());
        request
    }

    pub fn apply<T>(&mut self, effects: Effects<T>) -> T {
        self.state.apply(effects.writes);
        effects.value
    }

    pub async fn publish(&mut self, count: usize) -> Result<u32, Status> {
        let packages = self.engine.key_packages(&self.state, count, now());
        let packages = self.apply(packages.unwrap());
        self.publish_these(packages, Vec::new()).await
    }

    pub async fn publish_these(
        &mut self,
        packages: Vec<Vec<u8>>,
        last_resort: Vec<u8>,
    ) -> Result<u32, Status> {
        let request = self.signed(v1::PublishKeyPackagesRequest {
            key_packages: packages.into_iter().map(Into::into).collect(),
            last_resort_key_package: last_resort.into(),
        });
        let response = self.rpc.publish_key_packages(request).await?;
        Ok(response.into_inner().stock)
    }

    pub async fn take(
        &mut self,
        request: u64,
        names: &[&str],
    ) -> Result<Vec<v1::UserKeyPackages>, Status> {
        let request = self.signed(v1::TakeKeyPackagesRequest {
            request_id: id(&spread(request)),
            users: names
                .iter()
                .map(|name| format!("{name}@localhost"))
                .collect(),
        });
        let response = self.rpc.take_key_packages(request).await?;
        Ok(response.into_inner().users)
    }

    pub async fn create(&mut self) -> Result<(), Status> {
        let created = self.engine.create_group(&self.state, GROUP, now());
        let created = self.apply(created.unwrap());
        self.create_with(created.group_info, created.ratchet_tree)
            .await
    }

    pub async fn create_with(
        &mut self,
        group_info: Vec<u8>,
        ratchet_tree: Vec<u8>,
    ) -> Result<(), Status> {
        let request = self.signed(v1::CreateGroupRequest {
            group_id: id(GROUP.as_bytes()),
            group_info: group_info.into(),
            ratchet_tree: ratchet_tree.into(),
        });
        self.rpc.create_group(request).await.map(drop)
    }

    /// Makes a Commit and keeps it as pending.
    pub fn prepare(&mut self, change: Change) -> PreparedCommit {
        let prepared = self.engine.commit(&self.state, GROUP, change, now());
        self.apply(prepared.unwrap())
    }

    pub async fn prepare_add(&mut self, names: &[&str]) -> PreparedCommit {
        let taken = self.take(draw(), names).await.unwrap();
        let packages = taken
            .iter()
            .flat_map(|user| &user.key_packages)
            .map(|package| KeyPackage::from_bytes(package, now()).unwrap())
            .collect();
        self.prepare(Change::add(packages))
    }

    pub fn merge(&mut self) {
        let merged = self.engine.merge_pending(&self.state, GROUP).unwrap();
        self.apply(merged);
    }

    pub fn discard(&mut self) {
        let discarded = self.engine.discard_pending(&self.state, GROUP).unwrap();
        self.apply(discarded);
    }

    pub async fn submit(
        &mut self,
        request: u64,
        body: v1::submit_request::Body,
    ) -> Result<u64, Status> {
        let request = self.signed(v1::SubmitRequest {
            group_id: id(GROUP.as_bytes()),
            request_id: id(&spread(request)),
            body: Some(body),
        });
        let response = self.rpc.submit(request).await?;
        Ok(response.into_inner().sequence)
    }

    pub async fn submit_new(&mut self, body: v1::submit_request::Body) -> Result<u64, Status> {
        self.submit(draw(), body).await
    }

    pub async fn add(&mut self, names: &[&str]) -> Result<u64, Status> {
        let prepared = self.prepare_add(names).await;
        self.commit(prepared).await
    }

    pub async fn commit(&mut self, prepared: PreparedCommit) -> Result<u64, Status> {
        let sequence = self.submit_new(bundle(&prepared)).await?;
        self.merge();
        self.cursor = sequence;
        Ok(sequence)
    }

    pub fn encrypt(&mut self, text: &str) -> v1::submit_request::Body {
        let effects = self
            .engine
            .encrypt(&self.state, GROUP, text.as_bytes(), None);
        let message = self.apply(effects.unwrap());
        v1::submit_request::Body::ApplicationMessage(message.into())
    }

    pub async fn send(&mut self, text: &str) -> Result<u64, Status> {
        let body = self.encrypt(text);
        self.submit_new(body).await
    }

    pub async fn mail(&mut self) -> Vec<v1::mailbox_item::Item> {
        let request = self.signed(v1::ReadMailboxRequest::default());
        let response = self.rpc.read_mailbox(request).await.unwrap();
        let items = response.into_inner().items.into_iter();
        items.filter_map(|item| item.item).collect()
    }

    pub async fn mailbox(&mut self) -> Vec<v1::Welcome> {
        let items = self.mail().await.into_iter();
        items
            .filter_map(|item| match item {
                v1::mailbox_item::Item::Welcome(welcome) => Some(welcome),
                _ => None,
            })
            .collect()
    }

    /// What an external Commit is made from, and the tree.
    pub async fn opening(&mut self) -> Result<(v1::FetchGroupInfoResponse, Vec<u8>), Status> {
        let request = self.signed(v1::FetchGroupInfoRequest {
            group_id: id(GROUP.as_bytes()),
        });
        let mut parts = self.rpc.fetch_group_info(request).await?.into_inner();
        let first = parts.message().await?.unwrap();
        let mut tree = first.tree_part.to_vec();
        while let Some(part) = parts.message().await? {
            tree.extend_from_slice(&part.tree_part);
        }
        Ok((first, tree))
    }

    /// An external Commit and what it would write.
    pub fn external_commit(
        &self,
        opening: &v1::FetchGroupInfoResponse,
        tree: &[u8],
    ) -> Effects<PreparedCommit> {
        let proposals: Vec<_> = opening
            .pending_proposals
            .iter()
            .map(|it| it.to_vec())
            .collect();
        let opening = Opening {
            group_info: &opening.group_info,
            ratchet_tree: tree,
            proposals: &proposals,
            approval: &opening.approval,
        };
        let joined = self
            .engine
            .external_join(&self.state, GROUP, opening, now());
        joined.unwrap()
    }

    /// Comes in by an external Commit.
    pub async fn come_in(&mut self) -> Result<u64, Status> {
        let (opening, tree) = self.opening().await?;
        let joined = self.external_commit(&opening, &tree);
        let sequence = self.submit_new(bundle(&joined.value)).await?;
        self.apply(joined);
        self.cursor = sequence;
        Ok(sequence)
    }

    pub fn authenticator(&self) -> Vec<u8> {
        self.engine.epoch_authenticator(&self.state, GROUP).unwrap()
    }

    pub async fn tree(&mut self, epoch: u64) -> Result<Vec<u8>, Status> {
        let request = self.signed(v1::FetchTreeRequest {
            group_id: id(GROUP.as_bytes()),
            epoch,
            tree_hash: Vec::new().into(),
        });
        let mut parts = self.rpc.fetch_tree(request).await?.into_inner();
        let mut tree = Vec::new();
        while let Some(part) = parts.message().await? {
            tree.extend_from_slice(&part.part);
        }
        Ok(tree)
    }

    /// Joins by the last Welcome in the mailbox.
    pub async fn join(&mut self) {
        let welcome = self.mailbox().await.pop().unwrap();
        let tree = self.tree(welcome.epoch).await.unwrap();
        let joined = self.engine.join(&self.state, &welcome.welcome, &tree);
        self.apply(joined.unwrap());
        self.cursor = welcome.sequence;
    }

    pub async fn page(&mut self, after: u64, limit: u32) -> Result<v1::ReadLogResponse, Status> {
        let request = self.signed(v1::ReadLogRequest {
            group_id: id(GROUP.as_bytes()),
            after_sequence: after,
            limit,
        });
        Ok(self.rpc.read_log(request).await?.into_inner())
    }

    /// Reads what is new, and gives the texts in it.
    pub async fn read(&mut self) -> Result<Vec<String>, Status> {
        let page = self.page(self.cursor, 0).await?;
        Ok(page
            .entries
            .into_iter()
            .filter_map(|entry| self.take_in(&entry))
            .collect())
    }

    pub fn take_in(&mut self, entry: &v1::LogEntry) -> Option<String> {
        self.cursor = entry.sequence;
        let at = UnixMillis(entry.accepted_millis);
        let processed = self.process(&entry.message, at).unwrap();
        match self.apply(processed) {
            Processed::Application { content, .. } => Some(String::from_utf8(content).unwrap()),
            Processed::OwnCommit => {
                self.merge();
                None
            }
            _ => None,
        }
    }

    fn process(&self, message: &[u8], at: UnixMillis) -> Result<Effects<Processed>, EngineError> {
        let state: &dyn State = &self.state;
        self.engine.process(state, GROUP, message, at)
    }
}

pub fn bundle(prepared: &PreparedCommit) -> v1::submit_request::Body {
    v1::submit_request::Body::Commit(v1::CommitBundle {
        commit: prepared.commit.clone().into(),
        welcome: prepared.welcome.clone().unwrap_or_default().into(),
        group_info: prepared.group_info.clone().into(),
    })
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
