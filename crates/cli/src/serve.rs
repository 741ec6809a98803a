//! `conclave serve`.

use std::time::Duration;

use conclave_client::UserId;
use conclave_delivery_service::{Config, RateLimits, Registration, Retention, Server, Tls};
use serde_json::json;
use tracing_subscriber::EnvFilter;

use crate::{
    args::{self, NamedRate, Serve},
    output::Output,
};

pub(crate) async fn run(serve: Serve, output: &Output) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()))
        .init();
    let tls = serve.tls_cert.zip(serve.tls_key);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let moderators = serve.moderator.iter();
    let moderators = moderators.map(|user| named(user, &serve.name));
    let config = Config {
        moderators: moderators.collect::<Result<_, _>>()?,
        server_name: serve.name,
        listen: serve.listen,
        insecure: serve.insecure,
        tls: tls.map(|(certificate, key)| Tls { certificate, key }),
        registration: match serve.registration {
            args::Registration::Open => Registration::Open,
            args::Registration::Invite => Registration::Code,
        },
        minimum_client: serve.minimum_client,
        rates: rates(serve.unlimited, &serve.rate),
        retention: Retention {
            log_age: days(serve.keep_days),
            log_bytes: mebibytes(serve.keep_mib),
            blob_age: days(serve.attachment_days),
            blob_bytes_per_user: mebibytes(serve.attachment_mib),
            ..Retention::default()
        },
        metrics: serve.metrics,
        connections: serve.connections,
        connections_per_address: serve.connections_per_address,
        notice: Duration::from_secs(serve.notice),
        ..Config::new(serve.data)
    };
    let server = Server::bind(config).await?;
    // Before anybody is told of the server: whoever stops it at once finds it listening to that too.
    let stop = stop_signal()?;
    let address = format!("{scheme}://{}", server.local_addr());
    output.show(
        &format!("listening on {address}"),
        &json!({ "listening": address }),
    )?;
    if let Some(metrics) = server.metrics_addr() {
        let metrics = format!("http://{metrics}/metrics");
        output.show(
            &format!("metrics on {metrics}"),
            &json!({ "metrics": metrics }),
        )?;
    }
    server.run(stop).await?;
    output.remark("stopped")?;
    Ok(())
}

/// A user of this server, with or without the part after the @.
fn named(user: &str, server_name: &str) -> anyhow::Result<UserId> {
    let user = match user.contains('@') {
        true => user.parse(),
        false => UserId::new(user, server_name),
    };
    Ok(user?)
}

fn rates(unlimited: bool, changed: &[NamedRate]) -> RateLimits {
    let mut rates = if unlimited {
        RateLimits::unlimited()
    } else {
        RateLimits::default()
    };
    for NamedRate { name, rate } in changed {
        // The arguments hold known names only.
        if let Some(limit) = rates.named(name) {
            *limit = *rate;
        }
    }
    rates
}

fn days(count: u16) -> Duration {
    Duration::from_hours(24 * u64::from(count))
}

fn mebibytes(count: u32) -> u64 {
    u64::from(count) << 20
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
