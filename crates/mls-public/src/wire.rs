//! The structures of RFC 9420 as they travel, one file to one family.
//!
//! Decoding is strict, so that whatever decodes encodes to the same bytes: lengths are minimal
//! (§2.1.2), nothing may trail, optional values are marked 0 or 1. No structure contains itself, so
//! nesting is bounded by the types. What is allocated is of the order of the input, whose size is
//! held against [`OBJECT_BYTES_MAX`] first.

mod capabilities;
mod commit;
mod credential;
mod extension;
mod framing;
mod group;
mod key_package;
mod leaf_node;
mod message;
mod node;
mod partial;
mod proposal;
mod psk;
mod welcome;

pub use capabilities::{Capabilities, RequiredCapabilities};
pub use commit::{Commit, HpkeCiphertext, UpdatePath, UpdatePathNode};
pub use credential::Credential;
pub use extension::{Extension, ExtensionType, Extensions, ExternalSender};
pub use framing::{
    AuthData, AuthenticatedContent, Content, ContentType, FramedContent, Sender, WireFormat,
};
pub use group::{GroupContext, GroupInfo};
pub use key_package::KeyPackage;
pub use leaf_node::{LeafNode, LeafNodeSource, Lifetime};
pub use message::{MlsMessage, PrivateMessage, PublicMessage};
pub use node::{Node, ParentNode};
pub use partial::{
    AnnotatedCommit, AnnotatedWelcome, CopathHash, MembershipProof, SenderAuthenticated,
};
pub use proposal::{Proposal, ProposalOrRef, ProposalType, ReInit};
pub use psk::{PreSharedKeyId, Psk, ResumptionPskUsage};
pub use welcome::{EncryptedGroupSecrets, Welcome};

use tls_codec::{DeserializeBytes, Serialize};

use crate::{Error, limits::OBJECT_BYTES_MAX};

/// `opaque<V>`: bytes behind their length (RFC 9420 §2.1.2).
pub type Bytes = tls_codec::VLBytes;

/// Protocol version `mls10` (RFC 9420 §6).
pub const MLS10: u16 = 1;

/// Reads one object that fills `bytes`.
///
/// # Errors
/// [`Error::TooLarge`] if `bytes` are over the bound, [`Error::Malformed`] if they are no encoding
/// of a `T`, not its only encoding, or more than one.
pub fn decode<T: DeserializeBytes>(bytes: &[u8]) -> Result<T, Error> {
    if bytes.len() > OBJECT_BYTES_MAX {
        return Err(Error::TooLarge);
    }
    T::tls_deserialize_exact_bytes(bytes).map_err(|_| Error::Malformed)
}

/// Writes one object.
///
/// # Errors
/// [`Error::TooLarge`] if a part is over 2^30 bytes, which nothing that was decoded is.
pub fn encode<T: Serialize>(object: &T) -> Result<Vec<u8>, Error> {
    object.tls_serialize_detached().map_err(|_| Error::TooLarge)
}

/// `uint16` values that may name something unknown, GREASE included (RFC 9420 §13.5).
macro_rules! open_number {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $known:ident = $number:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            tls_codec::TlsSerialize, tls_codec::TlsDeserializeBytes, tls_codec::TlsSize,
        )]
        pub struct $name(pub u16);

        impl $name {
            $($(#[$of])* pub const $known: Self = Self($number);)+
        }
    };
}
pub(crate) use open_number;
