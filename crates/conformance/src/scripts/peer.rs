//! Those who play: MLSClients, on the network or in this process, behind the same generated client.

use std::{convert::Infallible, time::Duration};

use anyhow::Context as _;
use tonic::{Status, body::Body, codegen::http, transport::Endpoint};
use tower::{
    ServiceExt as _,
    util::{BoxCloneSyncService, MapErr},
};

use crate::{
    engine::EngineName,
    mls_client::{NameRequest, SupportedCiphersuitesRequest, mls_client_client::MlsClientClient},
    serve::{Bench, MESSAGE_BYTES_MAX},
};

/// How long a peer may take for one answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

type Wire = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Status>;

/// Where somebody who plays is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Player {
    /// In this process.
    Engine(EngineName),
    /// At this address: `host:port`.
    Address(String),
}

/// Somebody who plays.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) suites: Vec<u16>,
    pub(super) client: MlsClientClient<Wire>,
}

impl Peer {
    pub(super) async fn reach(player: &Player) -> anyhow::Result<Self> {
        let wire = match player {
            Player::Engine(engine) => {
                let service = Bench::new(*engine).service();
                BoxCloneSyncService::new(MapErr::new(service, |never: Infallible| match never {}))
            }
            Player::Address(address) => {
                let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
                let channel = endpoint.timeout(ANSWER_TIME_MAX).connect().await;
                let channel = channel.with_context(|| format!("reaching {address}"))?;
                BoxCloneSyncService::new(channel.map_err(failure))
            }
        };
        let mut client = MlsClientClient::new(wire)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let name = client.name(NameRequest {}).await?.into_inner().name;
        let suites = client.supported_ciphersuites(SupportedCiphersuitesRequest {});
        let suites = suites.await?.into_inner().ciphersuites;
        let suites = suites.into_iter().map(u16::try_from);
        Ok(Self {
            name,
            suites: suites.collect::<Result<_, _>>()?,
            client,
        })
    }
}

fn failure(error: tonic::transport::Error) -> Status {
    Status::from_error(Box::new(error))
}
