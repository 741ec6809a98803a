//! What keeps a run from happening, and the kinds of what goes wrong in one.

use std::io;

use conclave_client::ClientError;
use thiserror::Error;

use crate::PlanError;

/// Why a run did not happen. What goes wrong once it runs stands in its report.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The plan is none.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// There is no folder to keep the users' homes in.
    #[error("there is no place for the users' homes: {0}")]
    Homes(#[from] io::Error),
    /// Somebody could not be registered.
    #[error("a user can't be registered")]
    Register(#[source] ClientError),
    /// A group could not be made.
    #[error("a group can't be made")]
    Group(#[source] ClientError),
    /// Those who were added did not come.
    #[error(
        "of {of} users who were added to groups, only {came} came in; the others are not heard of"
    )]
    NobodyComes {
        /// How many came.
        came: usize,
        /// How many were added.
        of: usize,
    },
    /// It was ended before it began.
    #[error("ended before the groups were made")]
    Interrupted,
    /// A part of the work ended without saying why.
    #[error("a part of the work broke off")]
    BrokenOff,
    /// The server's metrics can't be read.
    #[error("the server's metrics can't be read: {0}")]
    Metrics(String),
}

/// What kind of error it is, in words that hold nothing of the run.
pub(crate) fn kind(error: &ClientError) -> &'static str {
    match error {
        ClientError::Unreachable { .. } => "the server can't be reached",
        ClientError::RateLimited(_) => "the server asks to wait",
        ClientError::Refused(_) => "the server refused",
        ClientError::Protocol(_) => "the server's answer makes no sense",
        ClientError::GivenUp(_) => "given up",
        ClientError::TooManyRaces => "others kept committing first",
        ClientError::NotMember => "no longer a member",
        ClientError::Joining => "still joining",
        ClientError::Leaving => "leaving",
        ClientError::NoKeyPackages(_) => "no KeyPackage left",
        ClientError::AlreadyMember(_) => "already a member",
        ClientError::NoSuchMember(_) => "not a member",
        ClientError::Forbidden(_) => "the group's rules forbid it",
        ClientError::Database(_) | ClientError::Io(_) => "the home's database",
        ClientError::Engine(_) => "the group's cryptographic state",
        ClientError::ShuttingDown => "shutting down",
        _ => "another error",
    }
}
