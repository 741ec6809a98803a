//! Why the server does not start, and why it refuses a request.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use conclave_protocol::{Forbidden, Sequence};
use conclave_safety::{Active, Refused, Verdict};
use thiserror::Error;

use crate::{edge::ClientVersion, ordering::Head, store::StoreError};

/// Why the server does not start, or stopped before it was told to.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is reachable from other machines, and the connection would be in plain text.
    #[error(
        "refusing to listen on {0}: other machines reach it, and the connection is in plain text; \
         listen on a loopback address such as 127.0.0.1, or pass --insecure if something in front \
         of the server encrypts"
    )]
    Plaintext(SocketAddr),
    /// The name can't be the domain of a user.
    #[error(
        "the server's name has to be 1 to 64 characters out of a-z, 0-9, '.', '-' and '_', \
         starting with a letter or digit: it is the part after the @ in its users' names"
    )]
    ServerName,
    /// The address can't be listened on.
    #[error("cannot listen on {address}: {source}; stop what uses it, or choose another address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The data folder can't be used.
    #[error("cannot use the data folder {}: {source}; choose one that this user may write", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process has the data folder open.
    #[error(
        "the data folder {} is in use by another process; stop that one, or choose another folder",
        .0.display()
    )]
    InUse(PathBuf),
    /// The database is not one, or is damaged.
    #[error(
        "cannot open the database {}: {problem}; restore it from a backup, or choose another data \
         folder", .path.display()
    )]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        problem: String,
    },
    /// A later version of this program wrote the database.
    #[error(
        "the database {} was written by a later version of this program (its schema is {found}, \
         this program knows {known}); use that version", .path.display()
    )]
    NewerDatabase {
        /// The file.
        path: PathBuf,
        /// The schema in the file.
        found: usize,
        /// The newest schema that this program knows.
        known: usize,
    },
    /// The data belongs to a server of another name.
    #[error(
        "the data folder belongs to the server named {stored}, not {given}: its users' names end \
         in @{stored}; start it under that name, or choose another data folder"
    )]
    OtherServerName {
        /// The name in the database.
        stored: String,
        /// The name that was asked for.
        given: String,
    },
    /// The system's random generator failed.
    #[error("the system gives no randomness, and keys cannot be made without")]
    Randomness,
    /// The certificate or its key can't be used.
    #[error(
        "cannot use {} for TLS: {problem}; give a certificate chain and its private key, both in \
         PEM", .path.display()
    )]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The transport failed.
    #[error("the server stopped: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Why a backup was not made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The folder is not a server's.
    #[error("there is no server's data in {}; name the folder that `conclave serve --data` uses", .0.display())]
    NoDatabase(PathBuf),
    /// The copy can't be written there.
    #[error("cannot write {}: {source}; name a new file in a folder that this user may write", .file.display())]
    Target {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database could not be copied.
    #[error("the database was not copied: {0}; see that the disk has room, and try again")]
    Copy(String),
}

/// Why a request is refused. The texts go to the client and into the log: they name no id, no key
/// and no content.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    /// Nobody is asking, as far as the service can tell.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// The request can't be right, whatever the state.
    #[error("{0}")]
    Invalid(&'static str),
    /// The group is not known here.
    #[error("there is no such group")]
    UnknownGroup,
    /// Something else is not known here.
    #[error("{0}")]
    NotFound(&'static str),
    /// The caller is not, or never was, a member.
    #[error("this device is not a member of the group")]
    NotMember,
    /// The group's rules leave it to others.
    #[error(transparent)]
    Forbidden(Forbidden),
    /// The message is of another epoch than the group.
    #[error("the group has moved on since the message was made; catch up and make it anew")]
    WrongEpoch(Head),
    /// A group is deleted by its last user.
    #[error("other users are members of the group; remove them first")]
    NotAlone,
    /// A Commit leaves somebody in the group who is leaving: its sender has not read that yet.
    #[error("a Commit has to remove every member that is leaving; catch up and make it anew")]
    LeavesStanding,
    /// What comes next for the reader is no longer kept.
    #[error("what was asked for is no longer kept; join the group again")]
    TooLate {
        /// The first entry for the reader that is.
        first_kept: Sequence,
    },
    /// A name or id belongs to somebody else.
    #[error("{0}")]
    Taken(&'static str),
    /// A device list of this version is there, which is not earlier than the one that came.
    #[error("the user has a device list of this version or a later one")]
    StaleList {
        /// Its version.
        version: u64,
        /// The list that is there, encoded; only its user asks.
        list: Vec<u8>,
    },
    /// There is no room, for now.
    #[error("{0}")]
    Busy(&'static str),
    /// The caller has asked as often as it may; it may ask again after this.
    #[error("too many requests; come back later")]
    TooOften(Duration),
    /// The service has no room for the request now.
    #[error("the service is busy; come back later")]
    Overloaded,
    /// The request has more bytes than it may.
    #[error("{0}")]
    TooLarge(&'static str),
    /// The program that asks is older than the service still speaks with.
    #[error("this server needs version {0} of Conclave or a later one; please update")]
    ClientTooOld(ClientVersion),
    /// The caller may not do this.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// Moderators have suspended the caller.
    #[error("moderators of this server have suspended this device or its user")]
    Suspended(Active),
    /// A report is not what it says it is.
    #[error(transparent)]
    Report(#[from] Verdict),
    /// Moderators' rules leave it to others, or it makes no sense.
    #[error(transparent)]
    Moderation(#[from] Refused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something that this program takes to be impossible.
    #[error("{0}")]
    Internal(&'static str),
}

impl Refusal {
    /// Its kind, as it is counted.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Invalid(_) => "invalid",
            Self::UnknownGroup => "unknown_group",
            Self::NotFound(_) => "not_found",
            Self::NotMember => "not_member",
            Self::Forbidden(_) => "forbidden",
            Self::WrongEpoch(_) => "wrong_epoch",
            Self::NotAlone => "not_alone",
            Self::LeavesStanding => "leaves_standing",
            Self::TooLate { .. } => "too_late",
            Self::Taken(_) => "taken",
            Self::StaleList { .. } => "stale_list",
            Self::Busy(_) => "busy",
            Self::TooOften(_) => "too_often",
            Self::Overloaded | Self::Store(StoreError::Overloaded) => "overloaded",
            Self::TooLarge(_) => "too_large",
            Self::ClientTooOld(_) => "client_too_old",
            Self::NotAllowed(_) => "not_allowed",
            Self::Suspended(_) => "suspended",
            Self::Report(_) => "report",
            Self::Moderation(_) => "moderation",
            Self::Store(_) => "store",
            Self::Internal(_) => "internal",
        }
    }
}
