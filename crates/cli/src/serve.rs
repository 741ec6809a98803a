//! `conclave serve`.

use conclave_delivery_service::{Config, Server};
use serde_json::json;
use tracing_subscriber::EnvFilter;

use crate::{args::Serve, output::Output};

pub(crate) async fn run(serve: Serve, output: &Output) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()))
        .init();
    let config = Config {
        server_name: serve.name,
        listen: serve.listen,
        insecure: serve.insecure,
        ..Config::new(serve.data)
    };
    let server = Server::bind(config).await?;
    let address = format!("http://{}", server.local_addr());
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
