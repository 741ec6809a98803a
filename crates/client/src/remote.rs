//! The connection to the delivery service: one channel, a token when it is needed, retries where
//! they can help. Every request may be sent twice: the service applies it once.

mod blobs;
mod requests;

use std::{future::Future, sync::Mutex, time::Duration};

use conclave_protocol::{Challenge, DeviceId, SigningKey, limits::RPC_MESSAGE_BYTES_MAX};
use conclave_rpc::{
    BEARER, ErrorDetail, VERSION,
    v1::{self, delivery_service_client::DeliveryServiceClient},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Status, Streaming,
    metadata::MetadataValue,
    service::interceptor::InterceptedService,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use crate::{
    ClientError,
    entropy::random,
    local::Account,
    perform::{Token, perform, signed},
    session::{Call, Rejection, Reply},
};

type Service = DeliveryServiceClient<InterceptedService<Channel, Stamp>>;
type Stamp = fn(Request<()>) -> Result<Request<()>, Status>;

/// What every request says of the program that sends it.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a connection that is idle is tried, so that a dead one is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How often a request is sent when the service does not answer, and what is waited before each
/// time after the first: a restart of the service takes about a second.
const RETRY_DELAYS: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
];

/// How often a request is sent again because the service asked to come back later.
const WAITS_MAX: usize = 5;

/// The longest wait that is not left to the application.
const WAIT_MAX: Duration = Duration::from_secs(30);

pub(crate) struct Remote {
    pub(crate) url: String,
    service: Service,
    key: SigningKey,
    device: DeviceId,
    token: Mutex<Option<Token>>,
}

impl Remote {
    /// A connection for a device; it is made when it is first used.
    pub(crate) fn new(account: &Account) -> Result<Self, ClientError> {
        Ok(Self {
            url: account.server_url.clone(),
            service: connect(&account.server_url, account.server_ca.as_deref())?,
            key: account.signature_key.clone(),
            device: account.device(),
            token: Mutex::new(None),
        })
    }

    /// Asks the service what a session wants to know or done.
    pub(crate) async fn perform(&self, call: &Call) -> Result<Reply, Rejection> {
        let answered = match call {
            // The identity key signs a device list, and a device that is not known yet may publish one.
            Call::Register(_) | Call::PublishDeviceList(_) | Call::Describe(_) => {
                self.retry(|| perform(&self.service, None, call)).await
            }
            _ => {
                self.authorised(|token| perform(&self.service, Some(token), call))
                    .await
            }
        };
        answered.map_err(|status| Rejection::from(&status))
    }

    /// Opens the live stream of this device; further requests go into `requests`' other end.
    pub(crate) async fn stream(
        &self,
        requests: mpsc::Receiver<v1::StreamRequest>,
    ) -> Result<Streaming<v1::StreamResponse>, ClientError> {
        let token = self.token().await.map_err(|status| self.error(&status))?;
        let request = signed(ReceiverStream::new(requests), token);
        match self.service.clone().stream(request).await {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => {
                self.forget_token();
                Err(self.error(&status))
            }
        }
    }

    /// Sends a request with a token, with a fresh one and again where that can help.
    async fn authorised<A, F>(&self, send: impl Fn(Token) -> F) -> Result<A, Status>
    where
        F: Future<Output = Result<A, Status>>,
    {
        let attempt = || async { send(self.token().await?).await };
        match self.retry(attempt).await {
            Err(status) if status.code() == Code::Unauthenticated => {
                self.forget_token();
                self.retry(attempt).await
            }
            other => other,
        }
    }

    async fn retry<A, F>(&self, attempt: impl Fn() -> F) -> Result<A, Status>
    where
        F: Future<Output = Result<A, Status>>,
    {
        let mut delays = RETRY_DELAYS.iter().copied();
        let mut waits = 0;
        loop {
            let status = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(status) => status,
            };
            let delay = match asked_to_wait(&status) {
                Some(wait) if waits < WAITS_MAX && wait <= WAIT_MAX => {
                    waits += 1;
                    Some(spread(wait))
                }
                None if is_passing(&status) => delays.next(),
                _ => None,
            };
            match delay {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return Err(status),
            }
        }
    }

    async fn token(&self) -> Result<Token, Status> {
        if let Some(token) = self.lock_token().clone() {
            return Ok(token);
        }
        let mut service = self.service.clone();
        let device_id = self.device.as_bytes().to_vec().into();
        let asked = service
            .request_challenge(v1::RequestChallengeRequest { device_id })
            .await?;
        let bytes = asked.into_inner().challenge;
        let challenge = Challenge::from_bytes(&bytes)
            .map_err(|_| Status::internal("the server's challenge makes no sense"))?;
        let signature = challenge.answer(&self.key).to_vec().into();
        let request = v1::AuthenticateRequest {
            challenge: bytes,
            signature,
        };
        let token = service.authenticate(request).await?.into_inner().token;
        let token: Token = format!("{BEARER}{token}")
            .parse()
            .map_err(|_| Status::internal("the server's token makes no sense"))?;
        *self.lock_token() = Some(token.clone());
        Ok(token)
    }

    fn forget_token(&self) {
        *self.lock_token() = None;
    }

    fn lock_token(&self) -> std::sync::MutexGuard<'_, Option<Token>> {
        // Nothing panics while it is held, and a token is whole at any moment.
        self.token
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn error(&self, status: &Status) -> ClientError {
        error_of(&self.url, status)
    }
}

/// Asks a server for its name, before there is an account.
pub(crate) async fn server_name(url: &str, ca: Option<&str>) -> Result<String, ClientError> {
    let answer = connect(url, ca)?.describe(v1::DescribeRequest {}).await;
    Ok(answer
        .map_err(|status| error_of(url, &status))?
        .into_inner()
        .server_name)
}

/// A connection that is made when it is first used: encrypted unless the address begins with
/// `http://`. Where a certificate authority is given, only that one counts.
fn connect(url: &str, ca: Option<&str>) -> Result<Service, ClientError> {
    let invalid = || ClientError::ServerUrl(url.to_owned());
    let mut endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|_| invalid())?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .tcp_nodelay(true);
    match endpoint.uri().scheme_str() {
        Some("http") if ca.is_none() => {}
        Some("https") => {
            let trusted = match ca {
                Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
                None => ClientTlsConfig::new().with_webpki_roots(),
            };
            let encrypted = endpoint.tls_config(trusted);
            endpoint = encrypted.map_err(|_| ClientError::Authority)?;
        }
        _ => return Err(invalid()),
    }
    let service = DeliveryServiceClient::with_interceptor(endpoint.connect_lazy(), stamp as Stamp);
    Ok(service
        .max_decoding_message_size(RPC_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(RPC_MESSAGE_BYTES_MAX))
}

fn stamp(mut request: Request<()>) -> Result<Request<()>, Status> {
    let version = MetadataValue::from_static(OWN_VERSION);
    request.metadata_mut().insert(VERSION, version);
    Ok(request)
}

fn asked_to_wait(status: &Status) -> Option<Duration> {
    match ErrorDetail::of(status)? {
        ErrorDetail::RateLimited(limit) => Some(Duration::from_millis(limit.retry_after_millis)),
        _ => None,
    }
}

/// Up to a quarter longer, so that those who were sent away together do not come back together.
fn spread(wait: Duration) -> Duration {
    let share = u32::from(u16::from_le_bytes(random())) + 1;
    wait + wait / 4 * share / (u32::from(u16::MAX) + 1)
}

fn is_passing(status: &Status) -> bool {
    status.code() == Code::Unavailable
}

fn error_of(url: &str, status: &Status) -> ClientError {
    Rejection::from(status).into_error(url)
}
