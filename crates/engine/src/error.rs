//! What can go wrong, by whose fault it is.

use std::error::Error as StdError;

use conclave_protocol::{CertificateError, Epoch, Forbidden, RulesError};
use thiserror::Error;

use crate::state::StateError;

/// Why the engine did not do something. Nothing has changed then: an error carries no writes.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    // The caller asked for something that can't be done now.
    /// There is no such group in the state.
    #[error("the group is not known here")]
    UnknownGroup,
    /// The state already has an active group of that id.
    #[error("the group is already known here")]
    GroupExists,
    /// This device was removed from the group.
    #[error("this device is no longer a member of the group")]
    Evicted,
    /// This device's own Commit waits to be merged or discarded.
    #[error("a commit of this device is still pending")]
    PendingCommit,
    /// There is no Commit to merge.
    #[error("no commit of this device is pending")]
    NoPendingCommit,
    /// Proposals wait to be committed, and no application message may be sent before
    /// (RFC 9420 §12.4).
    #[error("proposals have to be committed before a message can be sent")]
    PendingProposals,
    /// This device asked to leave; somebody else has to commit that.
    #[error("this device is leaving the group; another member has to commit that")]
    Leaving,
    /// A device to be added is a member already, or is added twice.
    #[error("a device to be added is a member already")]
    AlreadyMember,
    /// A device to be removed is not a member.
    #[error("a device to be removed is not a member")]
    NotAMember,
    /// A device leaves by [`Engine::leave`](crate::Engine::leave), not by its own Commit
    /// (RFC 9420 §12.2).
    #[error("a device cannot remove itself by a commit")]
    RemovesSelf,
    /// Larger than the limits of the protocol allow.
    #[error("the input is larger than the protocol's limits allow")]
    TooLarge,

    // A message from outside can't be used.
    /// The bytes are not what they should be an encoding of.
    #[error("the message is malformed")]
    Malformed,
    /// The message is of another group than the one it was given for.
    #[error("the message is of another group")]
    WrongGroup,
    /// The message is of another epoch than the group is in.
    #[error("the message is of another epoch than the group's, which is {current}")]
    WrongEpoch {
        /// The epoch that the group is in.
        current: Epoch,
    },
    /// The message can't be decrypted: it was altered, seen before, is too far out of order, or
    /// was not meant for this device.
    #[error("the message cannot be decrypted")]
    Undecryptable,
    /// The Welcome was made for a KeyPackage whose secrets are not in the state.
    #[error("the welcome is for no key package of this device")]
    NotForThisDevice,
    /// OpenMLS found the message invalid by RFC 9420: a signature, a tag, a tree or a Proposal. The
    /// source says which.
    #[error("the message is not valid in MLS")]
    Invalid(#[source] Box<dyn StdError + Send + Sync>),
    /// A leaf's certificate is not accepted.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The group's rules can't be followed.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The message is valid in MLS but breaks the group's rules.
    #[error("the message breaks the group's rules: {0}")]
    Violation(#[from] RuleViolation),

    // The state, or this program.
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The state holds something that this program did not write or can't read.
    #[error("the stored state of the group is corrupt")]
    Corrupt,
    /// Something that this program takes to be impossible.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl EngineError {
    pub(crate) fn invalid(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Invalid(Box::new(source))
    }
}

/// What breaks rules version 1 ([`GroupRules`](conclave_protocol::GroupRules)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleViolation {
    /// The credential is not of our type.
    #[error("a leaf has another credential than a device certificate")]
    CredentialType,
    /// A leaf changed its user, device, signature key or identity key.
    #[error("a leaf changed the device that it stands for")]
    ChangedDevice,
    /// Two leaves claim one device id.
    #[error("two leaves have the same device")]
    DuplicateDevice,
    /// Two leaves of one user are certified by different identity keys.
    #[error("a user's devices are certified by different identity keys")]
    ChangedIdentity,
    /// A leaf does not support what every leaf has to.
    #[error("a leaf lacks a required capability")]
    Capabilities,
    /// The GroupContext has other extensions than those that the rules fix.
    #[error("the group's context is not the one that the rules fix")]
    GroupContext,
    /// Somebody who is not a member sent a Proposal.
    #[error("the sender is not a member")]
    ExternalSender,
    /// A Proposal of a kind that the rules do not allow, or not in this way.
    #[error("the rules do not allow this proposal")]
    Proposal,
    /// Something that the group lets others do, but not its author.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// A second SelfRemove by the same member.
    #[error("the member is leaving already")]
    AlreadyLeaving,
    /// An external Commit by a user who has no device in the group.
    #[error("an external commit by a user who is not a member")]
    ExternalStranger,
    /// An external Commit that removes another leaf than the device's own older one.
    #[error("an external commit removes another device")]
    ExternalRemove,
}
