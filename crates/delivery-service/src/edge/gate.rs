//! What every request passes before a byte of its body is read.

use std::{
    convert::Infallible,
    future::ready,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use conclave_protocol::limits::RPC_MESSAGE_BYTES_MAX;
use conclave_rpc::{AUTHORIZATION, BEARER, VERSION};
use tonic::{
    Code, Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::NamedService,
};

use super::{
    ClientVersion, Peer, Rates,
    body::{Bounded, Budget, Charge, Watched},
};
use crate::{
    auth::Authenticator,
    clock,
    error::Refusal,
    limits::{
        BLOB_BODY_BYTES_MAX, OPEN_BODIES_BYTES_MAX, OPEN_BODY_BYTES_MAX, REQUEST_TIMEOUT,
        SIGNED_BODIES_BYTES_MAX, SMALL_BODY_BYTES_MAX, STREAM_BODY_BYTES_MAX,
    },
    metrics::Requests,
};

/// What the gate knows and counts.
pub(crate) struct Rules {
    auth: Arc<Authenticator>,
    rates: Arc<Rates>,
    minimum: Option<ClientVersion>,
    open_bodies: Arc<Budget>,
    signed_bodies: Arc<Budget>,
    requests: Requests,
}

/// What a method asks of a request.
struct Method {
    /// Whether it is for anybody, without a token.
    is_open: bool,
    /// Bytes of all that the client sends.
    body: usize,
    /// Whether the body is in memory as a whole until it is answered; if not, part by part.
    is_kept: bool,
    /// How long until the answer begins; `None` where a client gets on as it can.
    timeout: Option<Duration>,
    /// Whether the client is watched as it reads the answer. The sender of events sees to that
    /// itself: there may be none for long.
    is_watched: bool,
}

impl Method {
    fn named(path: &str) -> Self {
        let signed = |body| Self {
            is_open: false,
            body,
            is_kept: true,
            timeout: Some(REQUEST_TIMEOUT),
            is_watched: true,
        };
        match path.rsplit('/').next().unwrap_or_default() {
            "Describe" | "Register" | "RequestChallenge" | "Authenticate" | "PublishDeviceList"
            | "DeleteUser" => Self {
                is_open: true,
                ..signed(OPEN_BODY_BYTES_MAX)
            },
            "CreateGroup" | "Submit" => signed(RPC_MESSAGE_BYTES_MAX + 5),
            "UploadBlob" => Self {
                is_kept: false,
                timeout: None,
                ..signed(BLOB_BODY_BYTES_MAX)
            },
            "Stream" => Self {
                is_kept: false,
                is_watched: false,
                ..signed(STREAM_BODY_BYTES_MAX)
            },
            _ => signed(SMALL_BODY_BYTES_MAX),
        }
    }
}

impl Rules {
    pub(crate) fn new(
        auth: Arc<Authenticator>,
        rates: Arc<Rates>,
        minimum: Option<ClientVersion>,
        requests: Requests,
    ) -> Arc<Self> {
        Arc::new(Self {
            auth,
            rates,
            minimum,
            open_bodies: Budget::new(OPEN_BODIES_BYTES_MAX),
            signed_bodies: Budget::new(SIGNED_BODIES_BYTES_MAX),
            requests,
        })
    }

    /// Lets a request through, with its caller and a body that is bounded.
    fn admit(
        &self,
        request: http::Request<Body>,
        method: &Method,
    ) -> Result<(http::Request<Body>, Arc<Charge>), Refusal> {
        if let Some(peer) = request.extensions().get::<Peer>() {
            self.rates.request_from(peer.address().ip())?;
        }
        self.check_version(request.headers())?;
        let (mut parts, body) = request.into_parts();
        let budget = if method.is_open {
            &self.open_bodies
        } else {
            let caller = self.auth.verify(token(&parts.headers)?, clock::now())?;
            self.rates.request_of(&caller)?;
            parts.extensions.insert(caller);
            &self.signed_bodies
        };
        let charge = Charge::on(budget);
        let counted = method.is_kept.then(|| Arc::clone(&charge));
        let body = Body::new(Bounded::new(body, method.body, counted));
        Ok((http::Request::from_parts(parts, body), charge))
    }

    fn check_version(&self, headers: &http::HeaderMap) -> Result<(), Refusal> {
        let Some(minimum) = self.minimum else {
            return Ok(());
        };
        let version = headers
            .get(VERSION)
            .and_then(|version| version.to_str().ok()?.parse::<ClientVersion>().ok());
        if version.is_some_and(|version| version >= minimum) {
            Ok(())
        } else {
            Err(Refusal::ClientTooOld(minimum))
        }
    }
}

fn token(headers: &http::HeaderMap) -> Result<&str, Refusal> {
    headers
        .get(AUTHORIZATION)
        .and_then(|header| header.to_str().ok()?.strip_prefix(BEARER))
        .ok_or(Refusal::Unauthenticated("no token"))
}

/// The status of an answer that begins; where it has none, it is still well.
fn code_of(answer: &http::Response<Body>) -> Code {
    let status = answer.headers().get("grpc-status");
    status.map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()))
}

/// A service behind the rules.
#[derive(Clone)]
pub(crate) struct Gate<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S> Gate<S> {
    pub(crate) fn new(inner: S, rules: Arc<Rules>) -> Self {
        Self { inner, rules }
    }
}

impl<S: NamedService> NamedService for Gate<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Gate<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = Method::named(request.uri().path());
        let counted = self.rules.requests.begin(request.uri().path());
        let peer = request.extensions().get::<Peer>().cloned();
        let (request, charge) = match self.rules.admit(request, &method) {
            Ok(admitted) => admitted,
            Err(refusal) => {
                self.rules.requests.refusals().note(&refusal);
                let answer = Status::from(refusal).into_http();
                counted.answered(code_of(&answer));
                return Box::pin(ready(Ok(answer)));
            }
        };
        let answering = self.inner.call(request);
        Box::pin(async move {
            let answer = match method.timeout {
                None => answering.await?,
                Some(patience) => match tokio::time::timeout(patience, answering).await {
                    Ok(answer) => answer?,
                    Err(_) => Status::deadline_exceeded("the request took too long").into_http(),
                },
            };
            counted.answered(code_of(&answer));
            // Until here the request was in memory, or what was made of it.
            drop(charge);
            let Some(peer) = peer.filter(|_| method.is_watched) else {
                return Ok(answer);
            };
            Ok(answer.map(|inner| Body::new(Watched::new(inner, peer.watch()))))
        })
    }
}
