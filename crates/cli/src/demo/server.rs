//! The delivery service as a process of its own, so that it can be killed for real.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// How long a server may take to come up.
const START_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) struct ServerProcess {
    child: Child,
    data: PathBuf,
    moderators: Vec<String>,
    url: String,
}

impl ServerProcess {
    /// Starts a server on a free port of this machine, with these users as its moderators.
    pub(super) async fn start(data: &Path, moderators: &[&str]) -> anyhow::Result<Self> {
        let moderators = moderators.iter().map(ToString::to_string).collect();
        Self::listen(data, "127.0.0.1:0", moderators).await
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Kills the server with no chance to clean up (SIGKILL on Unix).
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("can't kill the server")
    }

    /// Starts a server on the same data and the same port as the one that was killed.
    pub(super) async fn restart(&mut self) -> anyhow::Result<()> {
        let address = self.url.trim_start_matches("http://").to_owned();
        let moderators = std::mem::take(&mut self.moderators);
        *self = Self::listen(&self.data, &address, moderators).await?;
        Ok(())
    }

    async fn listen(data: &Path, address: &str, moderators: Vec<String>) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program can't find itself")?;
        let mut child = Command::new(program)
            .args(["serve", "--listen", address, "--data"])
            .arg(data)
            .args(moderators.iter().flat_map(|user| ["--moderator", user]))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("can't start the server")?;
        let output = child.stdout.take().context("the server has no output")?;
        let mut lines = BufReader::new(output).lines();
        let line = tokio::time::timeout(START_TIMEOUT, lines.next_line())
            .await
            .context("the server did not come up in time")??
            .context("the server ended at once")?;
        let url = line
            .strip_prefix("listening on ")
            .context("the server did not say where")?;
        Ok(Self {
            url: url.to_owned(),
            data: data.to_owned(),
            moderators,
            child,
        })
    }
}
