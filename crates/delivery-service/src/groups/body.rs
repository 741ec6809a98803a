//! What a request carries: bounded before anything parses it.

use conclave_protocol::{GroupId, limits};
use sha2::{Digest as _, Sha256};

use crate::{error::Refusal, wire::Framing};

/// The message of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body<'a> {
    /// A message that the group's follower takes in.
    Handshake(Handshake<'a>),
    /// An application message.
    Application(&'a [u8]),
}

/// A handshake message (RFC 9420 §2).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Handshake<'a> {
    /// A Commit with what belongs to it; the Welcome is empty where nobody is added.
    Commit {
        commit: &'a [u8],
        welcome: &'a [u8],
        group_info: &'a [u8],
    },
    /// A Proposal.
    Proposal(&'a [u8]),
}

impl Body<'_> {
    /// Bytes are bounded before anything parses them.
    pub(super) fn check_sizes(&self) -> Result<(), Refusal> {
        match self {
            Self::Handshake(Handshake::Commit {
                commit,
                welcome,
                group_info,
            }) => {
                check_size("the Commit is too large", commit, limits::COMMIT_BYTES_MAX)?;
                check_size(
                    "the Welcome is too large",
                    welcome,
                    limits::WELCOME_BYTES_MAX,
                )?;
                check_size(
                    "the GroupInfo is too large",
                    group_info,
                    limits::GROUP_INFO_BYTES_MAX,
                )
            }
            Self::Handshake(Handshake::Proposal(message)) => check_size(
                "the Proposal is too large",
                message,
                limits::KEY_PACKAGE_BYTES_MAX,
            ),
            Self::Application(message) => check_size(
                "the message is too large",
                message,
                limits::APPLICATION_MESSAGE_BYTES_MAX,
            ),
        }
    }

    pub(super) fn framing(&self) -> Result<Framing, Refusal> {
        match self {
            Self::Handshake(
                Handshake::Commit {
                    commit: message, ..
                }
                | Handshake::Proposal(message),
            ) => Framing::of_handshake(message),
            Self::Application(message) => Framing::of_application(message),
        }
    }

    pub(super) fn hash(&self, group: GroupId) -> [u8; 32] {
        match self {
            Self::Handshake(Handshake::Commit {
                commit,
                welcome,
                group_info,
            }) => hash(1, group, &[commit, welcome, group_info]),
            Self::Handshake(Handshake::Proposal(message)) => hash(2, group, &[message]),
            Self::Application(message) => hash(3, group, &[message]),
        }
    }
}

pub(super) fn check_size(problem: &'static str, bytes: &[u8], most: usize) -> Result<(), Refusal> {
    if bytes.len() <= most {
        Ok(())
    } else {
        Err(Refusal::Invalid(problem))
    }
}

/// A hash of what a request asks for, unambiguous about where its parts end.
pub(super) fn hash(kind: u8, group: GroupId, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update([kind]);
    hash.update(group.as_bytes());
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
