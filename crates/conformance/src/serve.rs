//! An engine as an MLSClient server.
//!
//! What an engine does runs on a thread that may block, one request after the other for each state. An
//! engine that panics answers INTERNAL, and its state is gone; everything else that goes wrong is a
//! status too: NOT_FOUND for a number that names nothing, FAILED_PRECONDITION for one that names
//! something else, ABORTED if the engine refuses, UNIMPLEMENTED if it can't.

mod ask;
mod enter;
mod epoch;
mod outside;
mod propose;
mod service;
mod states;
mod successor;

use std::{future::Future, net::SocketAddr, sync::Arc};

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use crate::{
    client::identity::Names, engine::EngineName, mls_client::mls_client_server::MlsClientServer,
};
use states::States;

/// Bytes of one request or answer: a ratchet tree of 10,000 members has about 3 MB.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Requests of one connection that are worked on at once.
const REQUESTS_MAX: usize = 64;

/// One engine with what it was asked to keep.
#[derive(Clone)]
pub(crate) struct Bench {
    engine: EngineName,
    names: Names,
    states: Arc<States>,
}

impl Bench {
    pub(crate) fn new(engine: EngineName) -> Self {
        Self {
            engine,
            names: Names::default(),
            states: Arc::default(),
        }
    }

    pub(crate) fn service(self) -> MlsClientServer<Self> {
        MlsClientServer::new(self)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }
}

/// A server that has its address and was not started yet.
pub struct Listening {
    bench: Bench,
    listener: TcpListener,
}

impl Listening {
    /// Serves this engine at this address; port 0 takes any.
    ///
    /// # Errors
    /// If the address is taken.
    pub async fn bind(engine: EngineName, address: &str) -> anyhow::Result<Self> {
        Ok(Self {
            bench: Bench::new(engine),
            listener: TcpListener::bind(address).await?,
        })
    }

    /// Where.
    ///
    /// # Errors
    /// If the system does not know.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Answers in plain HTTP/2 until `stop` is ready.
    ///
    /// # Errors
    /// If the connections fail altogether.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        Server::builder()
            .concurrency_limit_per_connection(REQUESTS_MAX)
            .add_service(self.bench.service())
            .serve_with_incoming_shutdown(TcpListenerStream::new(self.listener), stop)
            .await?;
        Ok(())
    }
}
