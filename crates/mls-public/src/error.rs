use conclave_crypto::CryptoError;
use thiserror::Error as ThisError;

/// Which clause does not hold. No variant holds an id, a key or a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that are not the one encoding of what they should be (RFC 9420 §2.1).
    #[error("the bytes are not a well-formed MLS structure")]
    Malformed,
    /// More bytes, leaves or members than a limit of this crate allows.
    #[error("a structure is larger than this implementation allows")]
    TooLarge,
    /// The cryptography itself failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// RFC 9420 §13.4
    #[error("an extension type occurs twice")]
    DuplicateExtension,
    /// RFC 9420 §7.3
    #[error("a leaf's signature is not valid")]
    LeafSignature,
    /// RFC 9420 §7.3
    #[error("a leaf does not come from where its source says")]
    LeafSource,
    /// RFC 9420 §7.3
    #[error("a leaf's capabilities do not cover its group or itself")]
    LeafCapabilities,
    /// RFC 9420 §7.3
    #[error("two members share a signature key or an encryption key")]
    DuplicateKey,
    /// RFC 9420 §10.1
    #[error("a KeyPackage is for another version or suite")]
    KeyPackageSuite,
    /// RFC 9420 §10.1
    #[error("a KeyPackage's init key is its leaf's encryption key")]
    InitKeyReused,
    /// RFC 9420 §10.1
    #[error("a KeyPackage's signature is not valid")]
    KeyPackageSignature,
    /// RFC 9420 §12.4.3.1
    #[error("a GroupInfo's signature is not valid")]
    GroupInfoSignature,
    /// RFC 9420 §7.7, §12.4.3.3
    #[error("a ratchet tree's nodes are not where they must be")]
    TreeShape,
    /// RFC 9420 §12.4.3.1
    #[error("a ratchet tree has not the hash that was signed")]
    TreeHash,
    /// RFC 9420 §12.4.3.1
    #[error("a parent's unmerged leaves are not valid")]
    UnmergedLeaves,
    /// RFC 9420 §7.9
    #[error("a parent hash does not match")]
    ParentHash,
    /// RFC 9420 §12.2
    #[error("no member is at the leaf")]
    UnknownLeaf,
    /// RFC 9420 §7.5
    #[error("an update path has not one node for each of the filtered direct path")]
    PathLength,
    /// RFC 9420 §12.4.2
    #[error("a path secret is not encrypted to exactly those who should have it")]
    PathCiphertexts,
    /// The Partial MLS draft, "Membership Proofs and Partial Trees"
    #[error("a membership proof has not the form of one")]
    MembershipProof,
    /// RFC 9420 §6.1
    #[error("a message's signature is not valid")]
    MessageSignature,
    /// RFC 9420 §6.2
    #[error("a membership tag is not valid")]
    MembershipTag,
    /// RFC 9420 §6
    #[error("the content may not travel in this wire format")]
    WireFormat,
    /// RFC 9420 §6
    #[error("the content is not of the kind that is expected")]
    ContentType,
    /// RFC 9420 §6
    #[error("the message is for another group")]
    WrongGroup,
    /// RFC 9420 §6
    #[error("the message is for another epoch")]
    WrongEpoch,
    /// RFC 9420 §6
    #[error("the group is of another version of MLS")]
    Version,
    /// RFC 9420 §12.1.8.1
    #[error("the group knows no such external sender")]
    ExternalSender,
    /// RFC 9420 §12.1.8, §12.4
    #[error("the sender may not send such a proposal or Commit")]
    ProposalSender,
    /// RFC 9420 §12.1
    #[error("a proposal's content is not valid")]
    ProposalContent,
    /// RFC 9420 §12.2
    #[error("a proposal is of a kind that is not understood")]
    UnknownProposal,
    /// RFC 9420 §12.2
    #[error("the proposals of a Commit do not go together")]
    ProposalList,
    /// RFC 9420 §12.4
    #[error("a Commit refers to a proposal that was not seen")]
    UnknownReference,
    /// RFC 9420 §12.4
    #[error("a Commit has no path and must have one")]
    NoPath,
    /// RFC 9420 §12.4.3.1
    #[error("there is no ratchet tree")]
    NoTree,
}
