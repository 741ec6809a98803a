//! What whoever runs a server can say.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args as ClapArgs, Subcommand, ValueEnum, ValueHint};
use conclave_client::UserId;
use conclave_delivery_service::{ClientVersion, Rate, RateLimits};

#[derive(Debug, ClapArgs)]
pub(crate) struct Serve {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4400")]
    pub(crate) listen: SocketAddr,
    /// Folder for the server's data
    #[arg(long, value_name = "DIR", default_value = "conclave-data", value_hint = ValueHint::DirPath)]
    pub(crate) data: PathBuf,
    /// The server's name, which is the part after the @ of its users; it can't be changed later
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    pub(crate) name: String,
    /// Listen without encryption on an address that others can reach
    #[arg(long, conflicts_with = "tls_cert")]
    pub(crate) insecure: bool,
    /// The server's certificate chain (PEM), to encrypt with
    #[arg(long, value_name = "FILE", requires = "tls_key", value_hint = ValueHint::FilePath)]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert", value_hint = ValueHint::FilePath)]
    pub(crate) tls_key: Option<PathBuf>,
    /// Who may register: anybody, or who has a code from `conclave admin invite`
    #[arg(long, value_enum, default_value_t = Registration::Open)]
    pub(crate) registration: Registration,
    /// Tell clients older than this to update
    #[arg(long, value_name = "VERSION")]
    pub(crate) minimum_client: Option<ClientVersion>,
    /// Make this user a chief moderator, who sees reports, decides on them and appoints others; may be given
    /// several times. The role stays when the server is started without it
    #[arg(long, value_name = "USER")]
    pub(crate) moderator: Vec<String>,
    /// Address to show metrics on, in the form that Prometheus reads: `http://ADDR/metrics`, in plain text, for whoever
    /// reaches it; they name nobody
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Connections at one moment; each needs an open file
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub(crate) connections: usize,
    /// Connections from one address at one moment; loopback is not counted
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub(crate) connections_per_address: usize,
    /// Days for which messages are kept for devices that are away; those away for longer join again
    #[arg(
        long,
        value_name = "DAYS",
        default_value_t = 28,
        value_parser = clap::value_parser!(u16).range(1..=28)
    )]
    pub(crate) keep_days: u16,
    /// MiB of messages that one group keeps; of more, the oldest go
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 1024,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) keep_mib: u32,
    /// Days for which attachments are kept
    #[arg(
        long,
        value_name = "DAYS",
        default_value_t = 28,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub(crate) attachment_days: u16,
    /// MiB of attachments that one user may have stored
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    pub(crate) attachment_mib: u32,
    /// How often somebody may ask, for example `user-messages=20/s,600`: 20 a second, and 600 at
    /// once after a pause; also /min and /h. Names: address-requests, address-registrations,
    /// device-requests, user-requests, user-messages, user-takes, user-lists,
    /// user-groups, user-reports
    #[arg(long, value_name = "NAME=RATE", value_parser = named_rate)]
    pub(crate) rate: Vec<NamedRate>,
    /// Seconds between saying, as gRPC health, that the end is near, and stopping
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) notice: u64,
    /// Set no rate limits, to measure: never where strangers can reach it
    #[arg(long, conflicts_with = "rate")]
    pub(crate) unlimited: bool,
}

/// A limit that differs from the default.
#[derive(Debug, Clone)]
pub(crate) struct NamedRate {
    pub(crate) name: String,
    pub(crate) rate: Rate,
}

fn named_rate(text: &str) -> Result<NamedRate, String> {
    let (name, rate) = text.split_once('=').ok_or("write it as NAME=RATE")?;
    if !RateLimits::NAMES.contains(&name) {
        let names = RateLimits::NAMES.join(", ");
        return Err(format!("there is no limit of this name; there are {names}"));
    }
    Ok(NamedRate {
        name: name.to_owned(),
        rate: rate.parse()?,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Registration {
    /// Anybody
    Open,
    /// Who has a code from `conclave admin invite`
    Invite,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Make a code that lets one user register; the server may be running
    Invite {
        /// Folder with the server's data
        #[arg(long, value_name = "DIR", default_value = "conclave-data", value_hint = ValueHint::DirPath)]
        data: PathBuf,
        /// How many days it can be used
        #[arg(long, value_name = "DAYS", default_value_t = 7)]
        days: u16,
    },
    /// Delete a user who lost every device and the recovery phrase, so that the name is free again
    ///
    /// The server must not be running. Whoever registers the name next has another identity key: all
    /// who knew the user are told by their own devices, and have to accept it.
    DeleteUser {
        /// The user, for example alice@example.org
        user: UserId,
        /// Folder with the server's data
        #[arg(long, value_name = "DIR", default_value = "conclave-data", value_hint = ValueHint::DirPath)]
        data: PathBuf,
    },
    /// Give somebody a moderator's role, or take it
    ///
    /// The server must not be running. It stands in the audit log as the operator's doing.
    Moderator {
        /// The user, for example alice@example.org
        user: UserId,
        /// What they may do from then on
        role: super::ModeratorRole,
        /// Folder with the server's data
        #[arg(long, value_name = "DIR", default_value = "conclave-data", value_hint = ValueHint::DirPath)]
        data: PathBuf,
    },
    /// Copy a server's data into one file; the server may be running
    Backup {
        /// Folder with the server's data
        #[arg(long, value_name = "DIR", default_value = "conclave-data", value_hint = ValueHint::DirPath)]
        data: PathBuf,
        /// The copy, a file that does not exist yet; restore it as conclave.db in an empty folder
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        to: PathBuf,
    },
}
