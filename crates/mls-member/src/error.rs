use conclave_crypto::CryptoError;
use thiserror::Error;

/// Which clause does not hold, of those that only a member can check. No variant holds an id, a key
/// or a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MemberError {
    /// A clause that anybody can check.
    #[error(transparent)]
    Public(#[from] conclave_mls_public::Error),
    /// The cryptography itself failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// RFC 9420 §6.1: content of this kind may not come from this sender, or not in this form.
    #[error("content of this kind may not be sent like this")]
    WrongSender,
    /// RFC 9420 §6.1: the confirmation tag is missing or another.
    #[error("the confirmation tag is not valid")]
    ConfirmationTag,
    /// RFC 9420 §6.3.1: the padding is not all zeros.
    #[error("the padding of a message is not all zeros")]
    Padding,
    /// RFC 9420 §9.2: no such leaf is in the epoch's tree.
    #[error("no member is at the sender's leaf")]
    UnknownLeaf,
    /// RFC 9420 §9.2: the key was used before, or is too old to be kept.
    #[error("the key of this generation is gone")]
    GenerationGone,
    /// RFC 9420 §9.2: the sender runs too far ahead.
    #[error("the generation is too far ahead")]
    GenerationTooFar,
    /// RFC 9420 §9.1: the ratchet has come to its end.
    #[error("the ratchet has no more keys in this epoch")]
    RatchetExhausted,
    /// RFC 9420 §8.4: a PSK is not known here.
    #[error("a pre-shared key is unknown")]
    UnknownPsk,
    /// RFC 9420 §12.4.3.1: the Welcome is not for this KeyPackage.
    #[error("the Welcome is for somebody else")]
    NotInvited,
    /// RFC 9420 §12.4.3.1: a joiner's private key does not belong to its KeyPackage.
    #[error("a private key does not belong to the public one")]
    KeyMismatch,
    /// RFC 9420 §12.4.3.1: the Welcome, the GroupInfo and the KeyPackage are for different suites.
    #[error("the suites of the Welcome, its GroupInfo and the KeyPackage differ")]
    WrongSuite,
    /// RFC 9420 §12.4.3.2: the GroupInfo has no key for external Commits.
    #[error("the group can't be joined from outside")]
    NoExternalPub,
    /// RFC 9420 §7.6: no ciphertext of the path is for this member.
    #[error("the update path holds nothing for this member")]
    NotInPath,
    /// RFC 9420 §7.4: a path secret does not lead to the public key that was sent.
    #[error("a path secret does not lead to its public key")]
    PathSecret,
    /// RFC 9420 §12.4: proposals wait for a Commit, which goes before application data.
    #[error("proposals wait to be committed")]
    ProposalsPending,
    /// RFC 9420 §12.4.3.1: the PSKs of a Welcome do not fit the group that it invites to.
    #[error("the Welcome's pre-shared keys do not fit its group")]
    WelcomePsks,
    /// RFC 9420 §12.4.2: the member was removed, and can't follow.
    #[error("this member was removed")]
    Removed,
    /// RFC 9420 §12.1.5: the group was ended by a ReInit.
    #[error("the group was ended to be begun anew")]
    Reinitialized,
    /// RFC 9420 §11.2: no ReInit was committed, so there is nothing to begin anew.
    #[error("the group was not ended to be begun anew")]
    NotReinitialized,
    /// RFC 9420 §11.2: a new group is not the one that the ReInit describes.
    #[error("the new group is not the one that was agreed on")]
    NotASuccessor,
    /// RFC 9420 §11.3: a new group is not made of members of the old one, in its suite.
    #[error("the new group is no subgroup of this one")]
    NotASubgroup,
    /// RFC 9420 §12.4: this member's own message came back.
    #[error("the message is this member's own")]
    OwnMessage,
    /// More than a limit of this crate allows.
    #[error("there are more of them than this implementation allows")]
    TooMany,
}

/// What this crate's functions give.
pub type Result<T, E = MemberError> = std::result::Result<T, E>;
