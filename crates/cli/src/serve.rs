//! `conclave serve`.

use std::time::Duration;

use conclave_delivery_service::{Config, RateLimits, Registration, Server, Tls};
use serde_json::json;
use tracing_subscriber::EnvFilter;

use crate::{
    args::{self, Serve},
    output::Output,
};

pub(crate) async fn run(serve: Serve, output: &Output) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()))
        .init();
    let tls = serve.tls_cert.zip(serve.tls_key);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let config = Config {
        server_name: serve.name,
        listen: serve.listen,
        insecure: serve.insecure,
        tls: tls.map(|(certificate, key)| Tls { certificate, key }),
        registration: match serve.registration {
            args::Registration::Open => Registration::Open,
            args::Registration::Invite => Registration::Code,
        },
        minimum_client: serve.minimum_client,
        rates: if serve.unlimited {
            RateLimits::unlimited()
        } else {
            RateLimits::default()
        },
        connections: serve.connections,
        connections_per_address: serve.connections_per_address,
        notice: Duration::from_secs(serve.notice),
        ..Config::new(serve.data)
    };
    let server = Server::bind(config).await?;
    let address = format!("{scheme}://{}", server.local_addr());
    output.show(
        &format!("listening on {address}"),
        &json!({ "listening": address }),
    )?;
    server.run(stop_signal()?).await?;
    output.remark("stopped")?;
    Ok(())
}

/// Completes on Ctrl-C or SIGTERM.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a handler the process is ended from outside, which loses nothing.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
