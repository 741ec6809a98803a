//! The server: a folder, a listener, and the service between them.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use conclave_protocol::{UserId, limits::RPC_MESSAGE_BYTES_MAX};
use conclave_rpc::v1::delivery_service_server::DeliveryServiceServer;
use tokio::{net::TcpListener, sync::watch};
use tonic::transport::server::{Router, TcpIncoming};

use crate::{
    accounts::Accounts,
    auth::Authenticator,
    blobs::Blobs,
    error::ServeError,
    folder::Folder,
    groups::Groups,
    hub::Hub,
    limits::{
        CONNECTION_WINDOW_BYTES, DRAIN_TIMEOUT, HEADER_BYTES_MAX, KEEPALIVE, REQUEST_TIMEOUT,
        REQUESTS_PER_CONNECTION_MAX, RESETS_MAX, STREAM_WINDOW_BYTES,
    },
    retention::{self, Retention},
    service::{Rooms, Service},
    store::{Identity, Store},
};

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
        }
    }
}

/// A server that listens and has its store open, but does not answer yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    folder: Folder,
    retention: Retention,
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
        if !config.insecure && !config.listen.ip().is_loopback() {
            return Err(ServeError::Plaintext(config.listen));
        }
        let folder = open_folder(config.data, config.server_name).await?;
        let failed = |source| ServeError::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            folder,
            retention: config.retention,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` resolves, then ends the live streams, finishes the requests that
    /// run, and closes the store.
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
        let store: Arc<dyn Store> = Arc::new(store);
        let kept = retention::keep(Arc::clone(&store), self.retention, stopping.clone());
        let kept = tokio::spawn(kept);
        let service = service(store, identity, &self.retention, stopping.clone());
        let incoming = TcpIncoming::from(self.listener).with_nodelay(Some(true));
        let mut stopped = stopping;
        let serving = router(service).serve_with_incoming_shutdown(incoming, async move {
            // An error means that nobody can say stop any more, which is said thereby.
            let _ = stopped.wait_for(|stopping| *stopping).await;
        });
        tokio::pin!(serving);
        tracing::info!("serving");
        tokio::select! {
            served = &mut serving => return Ok(served?),
            () = shutdown => {}
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

async fn open_folder(path: PathBuf, server_name: String) -> Result<Folder, ServeError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|_| ServeError::Randomness)?;
    let fresh = Identity {
        server_name,
        secret,
    };
    let opening = tokio::task::spawn_blocking(move || Folder::open(&path, &fresh));
    match opening.await {
        Ok(folder) => folder,
        // Nobody cancels it, so it panicked, and so does who waits for it.
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn service(
    store: Arc<dyn Store>,
    identity: Identity,
    retention: &Retention,
    stopping: watch::Receiver<bool>,
) -> DeliveryServiceServer<Service> {
    let hub = Arc::new(Hub::default());
    let auth = Authenticator::new(identity.server_name, identity.secret);
    let rooms = Rooms {
        accounts: Accounts::new(Arc::clone(&store), Arc::clone(&hub), auth),
        groups: Groups::new(Arc::clone(&store), Arc::clone(&hub)),
        blobs: Blobs::new(Arc::clone(&store), retention),
        hub,
        store,
    };
    DeliveryServiceServer::new(Service::new(rooms, stopping))
        .max_decoding_message_size(RPC_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(RPC_MESSAGE_BYTES_MAX)
}

/// No limit of the transport is left to its default.
fn router(service: DeliveryServiceServer<Service>) -> Router {
    tonic::transport::Server::builder()
        .timeout(REQUEST_TIMEOUT)
        .concurrency_limit_per_connection(REQUESTS_PER_CONNECTION_MAX as usize)
        .max_concurrent_streams(REQUESTS_PER_CONNECTION_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .http2_max_pending_accept_reset_streams(Some(RESETS_MAX))
        .http2_max_local_error_reset_streams(Some(RESETS_MAX))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .add_service(service)
}
