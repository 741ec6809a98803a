//! What whoever measures a server can say.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, ValueHint};

#[derive(Debug, ClapArgs)]
pub(crate) struct Load {
    /// The server's address, for example `http://127.0.0.1:4400`. The users and groups stay there: take a
    /// server of its own, started so that it lets them through (`conclave serve --unlimited`)
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) server: String,
    /// The certificate (PEM) that certifies the server's, where browsers would not know it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ca: Option<PathBuf>,
    /// Users to register
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) users: usize,
    /// Groups that they make
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) groups: usize,
    /// Users in each group at the beginning
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) size: usize,
    /// Messages a second, over all groups
    #[arg(long, value_name = "RATE", default_value_t = 5.0)]
    pub(crate) messages_per_second: f64,
    /// Joins and leaves a minute, over all groups
    #[arg(long, value_name = "RATE", default_value_t = 0.0)]
    pub(crate) churn_per_minute: f64,
    /// Let both rates rise from nothing over this time before they stay, for example 10s
    #[arg(long, value_name = "TIME", value_parser = super::time)]
    pub(crate) ramp: Option<Duration>,
    /// For how long they stay, for example 30s, 10m or 8h
    #[arg(long, value_name = "TIME", value_parser = super::time, default_value = "30s")]
    pub(crate) duration: Duration,
    /// What all that is left to chance follows from: the same number makes the same schedule
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Where the server shows its metrics (`conclave serve --metrics`), to show by how much they change;
    /// plain HTTP
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) metrics: Option<String>,
}
