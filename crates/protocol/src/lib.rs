//! What every part of Conclave agrees on byte for byte, and nothing that does I/O.
//!
//! A *user* (`alice@example.org`) owns an identity key. With it the user certifies *devices*, each
//! of which is one MLS client. A [`DeviceCertificate`] is the content of the MLS credential in the
//! device's leaf, so every member can check who a leaf belongs to without asking the server.
//! A [`DeviceList`] says which devices a user has now, so that one that was lost can't come back.
//! Members of a group agree on [`GroupRules`], which stand in the GroupContext and say who may do what.
//! The delivery service orders opaque messages in a *log*, each at a [`Sequence`]; what a member
//! finds inside one after decryption is [`Content`].
//!
//! Bytes become these types at the edge, once; inside, a value that exists is valid.

mod approval;
mod certificate;
mod challenge;
mod commit_report;
mod content;
mod device_list;
mod franking;
mod ids;
mod intent;
pub mod limits;
mod rules;
mod signature;
mod succession;
mod successor_vote;

pub use approval::Approval;
pub use certificate::{CertificateError, DeviceCertificate, DeviceClaims};
pub use challenge::{Challenge, KeyPossession, UserDeletion};
pub use commit_report::{CommitReport, ReportedCommit};
pub use content::{
    Attachment, AttachmentKey, Content, ContentError, Mention, Message, MessageId, Profile,
    ProfileHash, padded_len,
};
pub use device_list::{DeviceList, DeviceListError};
pub use franking::{
    CertifiedKey, Commitment, Evidence, EvidenceError, Frank, FrankBatch, FrankError, Proved,
    SignedRoot, Stamp, StampingKey, StampingKeyCertificate,
};
pub use ids::{
    DeviceAddress, DeviceId, Epoch, GroupId, IdError, InstanceNonce, KeyId, ReportId, RequestId,
    Sequence, UnixMillis, UserId,
};
pub use intent::MembershipIntent;
pub use rules::{
    Acts, COMPONENT_FRANKING, COMPONENT_RULES, CREDENTIAL_TYPE, Forbidden, GroupRules, Permissions,
    RULES_VERSION, Role, RulesError, Unreportable,
};
pub use signature::{SignatureError, SigningKey, VerifyingKey};
pub use succession::{Bystander, Case, Heard, Judgement, Says, users_needed};
pub use successor_vote::{Successor, SuccessorVote};
