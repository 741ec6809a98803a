//! Where the numbers are shown: `GET /metrics` over plain HTTP/1.1, on an address of their own.

use std::{convert::Infallible, future::ready, sync::Arc};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header::CONTENT_TYPE,
    server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::registry::Registry;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time,
};
use tonic::codegen::Bytes;

use super::render;
use crate::limits::{
    ACCEPT_PAUSE, METRICS_CONNECTIONS_MAX, METRICS_HEADER_BYTES_MAX, METRICS_TIMEOUT,
};

const PATH: &str = "/metrics";

/// As Prometheus asks for it.
const FORM: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers until it is dropped. One request a connection; who does not get on is hung up on.
pub(crate) async fn serve(listener: TcpListener, registry: Registry) {
    let registry = Arc::new(registry);
    let seats = Arc::new(Semaphore::new(METRICS_CONNECTIONS_MAX));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if let Ok(seat) = Arc::clone(&seats).try_acquire_owned() {
            let registry = Arc::clone(&registry);
            tokio::spawn(async move {
                // Whatever went wrong, it was the reader's connection.
                let _ = time::timeout(METRICS_TIMEOUT, answer(stream, &registry)).await;
                drop(seat);
            });
        }
    }
}

async fn answer(stream: TcpStream, registry: &Registry) -> hyper::Result<()> {
    let shown = service_fn(|request| ready(Ok::<_, Infallible>(show(&request, registry))));
    http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(METRICS_HEADER_BYTES_MAX)
        .timer(TokioTimer::new())
        .header_read_timeout(METRICS_TIMEOUT)
        .serve_connection(TokioIo::new(stream), shown)
        .await
}

fn show(request: &Request<Incoming>, registry: &Registry) -> Response<Full<Bytes>> {
    let status = match (request.method(), request.uri().path()) {
        (&Method::GET, PATH) => {
            let mut shown = Response::new(Full::from(render(registry)));
            let form = hyper::header::HeaderValue::from_static(FORM);
            shown.headers_mut().insert(CONTENT_TYPE, form);
            return shown;
        }
        (_, PATH) => StatusCode::METHOD_NOT_ALLOWED,
        _ => StatusCode::NOT_FOUND,
    };
    let mut refused = Response::new(Full::default());
    *refused.status_mut() = status;
    refused
}
