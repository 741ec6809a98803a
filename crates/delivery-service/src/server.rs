//! The server: a folder, a listener, and the service between them.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use conclave_protocol::{UserId, limits::RPC_MESSAGE_BYTES_MAX};
use conclave_rpc::v1::delivery_service_server::DeliveryServiceServer;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_rustls::TlsAcceptor;
use tonic::server::NamedService;
use tonic_health::{
    ServingStatus,
    server::{HealthReporter, health_reporter},
};

use crate::{
    accounts::Accounts,
    auth::Authenticator,
    blobs::Blobs,
    clock::{self, Clock},
    edge::{Bounds, ClientVersion, Gate, RateLimits, Rates, Rules, Tls, listen},
    error::ServeError,
    folder::Folder,
    groups::Groups,
    hub::Hub,
    limits::{
        CONNECTION_WINDOW_BYTES, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, DRAIN_TIMEOUT,
        HEADER_BYTES_MAX, KEEPALIVE, RATES_TIDIED_EVERY, REQUESTS_PER_CONNECTION_MAX, RESETS_MAX,
        STREAM_WINDOW_BYTES,
    },
    metrics::{self, Metrics},
    moderation::{Moderation, appoint_chiefs},
    retention::{self, Retention},
    service::{Rooms, Service},
    stamping::Stamper,
    store::{Identity, SqliteStore, Store},
};

type Delivery = DeliveryServiceServer<Service>;

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The name that challenges are bound to, and the domain of the users registered here. A data
    /// folder keeps the name it was created with.
    pub server_name: String,
    /// Where to listen; port 0 takes any free port.
    pub listen: SocketAddr,
    /// The folder that holds all that the service keeps; made where it does not exist.
    pub data: PathBuf,
    /// Whether to listen in plain text on an address that other machines reach.
    pub insecure: bool,
    /// How long things are kept, and how much of them.
    pub retention: Retention,
    /// The certificate to encrypt with; `None` for plain text.
    pub tls: Option<Tls>,
    /// Who may register.
    pub registration: Registration,
    /// Clients older than this are told to update.
    pub minimum_client: Option<ClientVersion>,
    /// Users who are made chief moderators, where they are none yet.
    pub moderators: Vec<UserId>,
    /// How often devices, users and addresses may ask.
    pub rates: RateLimits,
    /// Where to show what is counted, as plain HTTP; `None` for nowhere.
    pub metrics: Option<SocketAddr>,
    /// Whether the metrics name whatever path is asked for, as they must not.
    #[cfg(feature = "planted-bugs")]
    pub names_paths: bool,
    /// Whether messages are left unstamped, to tell what their franks cost a recipient.
    #[cfg(feature = "planted-bugs")]
    pub stamps_nothing: bool,
    /// Connections at one moment. Each needs an open file.
    pub connections: usize,
    /// Connections from one address at one moment; loopback is not counted.
    pub connections_per_address: usize,
    /// How long the health service says that the end is near before anything stops, so that
    /// whoever balances load looks elsewhere.
    pub notice: Duration,
}

/// Who may register a new user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Anybody.
    Open,
    /// Who has a registration code, which [`registration_code`](crate::registration_code) makes.
    Code,
}

impl Config {
    /// [`Self::server_name`] where none is given.
    pub const SERVER_NAME: &str = "localhost";

    /// A server on a free loopback port with its data in `data`, and the default for all else.
    #[must_use]
    pub fn new(data: PathBuf) -> Self {
        Self {
            server_name: Self::SERVER_NAME.to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data,
            insecure: false,
            retention: Retention::default(),
            tls: None,
            registration: Registration::Open,
            minimum_client: None,
            moderators: Vec::new(),
            rates: RateLimits::default(),
            metrics: None,
            #[cfg(feature = "planted-bugs")]
            names_paths: false,
            #[cfg(feature = "planted-bugs")]
            stamps_nothing: false,
            connections: CONNECTIONS_MAX,
            connections_per_address: CONNECTIONS_PER_ADDRESS_MAX,
            notice: Duration::ZERO,
        }
    }
}

/// A server that listens and has its store open, but does not answer yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    metrics: Option<(TcpListener, SocketAddr)>,
    folder: Folder,
    tls: Option<TlsAcceptor>,
    config: Config,
}

impl Server {
    /// Opens the store and binds the address.
    ///
    /// # Errors
    /// [`ServeError`]: what is wrong, and what to do, for the person who started it.
    pub async fn bind(config: Config) -> Result<Self, ServeError> {
        if UserId::new("user", &config.server_name).is_err() {
            return Err(ServeError::ServerName);
        }
        let tls = config.tls.as_ref().map(Tls::acceptor).transpose()?;
        if tls.is_none() && !config.insecure && !config.listen.ip().is_loopback() {
            return Err(ServeError::Plaintext(config.listen));
        }
        let folder = open_folder(&config).await?;
        let (listener, address) = bind(config.listen).await?;
        let metrics = match config.metrics {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        Ok(Self {
            listener,
            address,
            metrics,
            folder,
            tls,
            config,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where it shows what is counted.
    #[must_use]
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(_, address)| *address)
    }

    /// Serves until `shutdown` resolves, then says so to who asks for its health, ends the live
    /// streams, finishes the requests that run, and closes the store.
    ///
    /// # Errors
    /// [`ServeError::Transport`].
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let (stop, stopping) = watch::channel(false);
        // The folder stays locked until nothing serves from it any more.
        let Folder {
            lock: _lock,
            store,
            identity,
        } = self.folder;
        #[cfg_attr(not(feature = "planted-bugs"), expect(unused_mut))]
        let mut metrics = metrics_of(&store);
        #[cfg(feature = "planted-bugs")]
        metrics.requests.name_paths(self.config.names_paths);
        let _shown = self.metrics.map(|(listener, _)| {
            AbortOnDrop(tokio::spawn(metrics::serve(listener, metrics.registry())))
        });
        let store: Arc<dyn Store> = Arc::new(store);
        let kept = retention::keep(Arc::clone(&store), self.config.retention, stopping.clone());
        let kept = tokio::spawn(kept);
        let rates = Arc::new(Rates::new(&self.config.rates));
        let _tidying = AbortOnDrop(tokio::spawn(tidy(Arc::clone(&rates))));
        let behind = (store, identity);
        let service = service(behind, &self.config, rates, &metrics, stopping.clone());
        let bounds = Bounds {
            connections: self.config.connections,
            per_address: self.config.connections_per_address,
        };
        let incoming = listen(self.listener, self.tls, bounds, metrics.connections);
        let (health, health_service) = health_reporter();
        health.set_serving::<Delivery>().await;
        let router = builder().add_service(service).add_service(health_service);
        let mut stopped = stopping;
        let serving = router.serve_with_incoming_shutdown(incoming, async move {
            // An error means that nobody can say stop any more, which is said thereby.
            let _ = stopped.wait_for(|stopping| *stopping).await;
        });
        tokio::pin!(serving);
        tracing::info!("serving");
        tokio::select! {
            served = &mut serving => return Ok(served?),
            () = give_notice(shutdown, health, self.config.notice) => {}
        }
        tracing::info!("stopping");
        stop.send_replace(true);
        match tokio::time::timeout(DRAIN_TIMEOUT, serving).await {
            Ok(served) => served?,
            Err(_) => tracing::warn!("some requests did not finish in time"),
        }
        // It has been told to stop, and looks up between two transactions.
        if kept.await.is_err() {
            tracing::warn!("retention ended before it was told to");
        }
        Ok(())
    }
}

/// Completes some time after `shutdown` does, and after the health service has said so.
async fn give_notice(
    shutdown: impl Future<Output = ()>,
    mut health: HealthReporter,
    notice: Duration,
) {
    shutdown.await;
    let names = ["", <Delivery as NamedService>::NAME];
    for name in names {
        health
            .set_service_status(name, ServingStatus::NotServing)
            .await;
    }
    tokio::time::sleep(notice).await;
    for name in names {
        // Ends the streams of those who watch.
        health.clear_service_status(name).await;
    }
}

async fn tidy(rates: Arc<Rates>) {
    loop {
        tokio::time::sleep(RATES_TIDIED_EVERY).await;
        rates.tidy();
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn open_folder(config: &Config) -> Result<Folder, ServeError> {
    let (path, moderators) = (config.data.clone(), config.moderators.clone());
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|_| ServeError::Randomness)?;
    let fresh = Identity {
        server_name: config.server_name.clone(),
        secret,
    };
    let opening = tokio::task::spawn_blocking(move || {
        let folder = Folder::open(&path, &fresh)?;
        // Also where nobody is appointed: a log that does not hold is no log to go on with.
        appoint_chiefs(&folder.store, &moderators, clock::now()).map_err(|refusal| {
            ServeError::Database {
                path,
                problem: refusal.to_string(),
            }
        })?;
        Ok(folder)
    });
    match opening.await {
        Ok(folder) => folder,
        // Nobody cancels it, so it panicked, and so does who waits for it.
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn metrics_of(store: &SqliteStore) -> Metrics {
    Metrics {
        commits: store.commits(),
        ..Metrics::default()
    }
}

fn service(
    (store, identity): (Arc<dyn Store>, Identity),
    config: &Config,
    rates: Arc<Rates>,
    metrics: &Metrics,
    stopping: watch::Receiver<bool>,
) -> Gate<Delivery> {
    let hub = Arc::new(Hub::counting(metrics.readers.clone()));
    let stamper = Arc::new(Stamper::new(&identity.server_name, &identity.secret));
    let auth = Arc::new(Authenticator::new(identity.server_name, identity.secret));
    let rules = Rules::new(
        Arc::clone(&auth),
        Arc::clone(&rates),
        config.minimum_client,
        metrics.requests.clone(),
    );
    let groups = Groups::new(Arc::clone(&store), Arc::clone(&hub), Arc::clone(&stamper));
    #[cfg(feature = "planted-bugs")]
    let groups = groups.stamping_nothing(config.stamps_nothing);
    let rooms = Rooms {
        clock: Clock::System,
        accounts: Accounts::new(
            Arc::clone(&store),
            Arc::clone(&hub),
            auth,
            config.registration,
            Arc::clone(&stamper),
        ),
        groups,
        moderation: Moderation::new(
            Arc::clone(&store),
            Arc::clone(&hub),
            Arc::clone(&rates),
            (stamper, config.server_name.clone()),
        ),
        blobs: Blobs::new(Arc::clone(&store), &config.retention),
        hub,
        store,
        rates,
        refusals: metrics.requests.refusals().clone(),
    };
    let service = DeliveryServiceServer::new(Service::new(rooms, stopping))
        .max_decoding_message_size(RPC_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(RPC_MESSAGE_BYTES_MAX);
    Gate::new(service, rules)
}

/// No limit of the transport is left to its default; how long a request may take, the gate says.
fn builder() -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .concurrency_limit_per_connection(REQUESTS_PER_CONNECTION_MAX as usize)
        .max_concurrent_streams(REQUESTS_PER_CONNECTION_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .http2_max_pending_accept_reset_streams(Some(RESETS_MAX))
        .http2_max_local_error_reset_streams(Some(RESETS_MAX))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
}
