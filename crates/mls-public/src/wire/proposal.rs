use std::io;

use tls_codec::{
    DeserializeBytes, Error, Serialize, Size, TlsDeserializeBytes, TlsSerialize, TlsSize,
};

use super::{Bytes, Extensions, KeyPackage, LeafNode, PreSharedKeyId, open_number};

open_number! {
    /// The type of a proposal (RFC 9420 §17.4).
    ProposalType {
        /// `add` (§12.1.1)
        ADD = 1,
        /// `update` (§12.1.2)
        UPDATE = 2,
        /// `remove` (§12.1.3)
        REMOVE = 3,
        /// `psk` (§12.1.4)
        PSK = 4,
        /// `reinit` (§12.1.5)
        REINIT = 5,
        /// `external_init` (§12.1.6)
        EXTERNAL_INIT = 6,
        /// `group_context_extensions` (§12.1.7)
        GROUP_CONTEXT_EXTENSIONS = 7,
        /// `self_remove` (the MLS Extensions draft)
        SELF_REMOVE = 0x000a,
    }
}

impl ProposalType {
    /// Whether every client knows it, so that capabilities don't list it (§7.2).
    pub fn is_default(self) -> bool {
        (1..=7).contains(&self.0)
    }
}

/// A change that a Commit can make (RFC 9420 §12.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposal {
    /// Add the client of a KeyPackage.
    Add(Box<KeyPackage>),
    /// Replace the sender's leaf.
    Update(Box<LeafNode>),
    /// Remove the member at this leaf.
    Remove(u32),
    /// Mix a pre-shared key in.
    PreSharedKey(PreSharedKeyId),
    /// End the group, to begin it anew with other parameters.
    ReInit(ReInit),
    /// An external joiner's `kem_output`.
    ExternalInit(Bytes),
    /// Replace the GroupContext's extensions.
    GroupContextExtensions(Extensions),
    /// Remove the sender.
    SelfRemove,
    /// Another type, whose content is one `opaque<V>`: as for credentials, the only way to find its
    /// end.
    Other(ProposalType, Bytes),
}

/// What the group is to be begun anew with (RFC 9420 §12.1.5).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct ReInit {
    /// The new group's id.
    pub group_id: Bytes,
    /// Its protocol version, no lower than this group's.
    pub version: u16,
    /// Its suite.
    pub cipher_suite: u16,
    /// Its extensions.
    pub extensions: Extensions,
}

/// A proposal in a Commit: itself, or the name of one that was sent before (RFC 9420 §12.4).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
#[repr(u8)]
pub enum ProposalOrRef {
    /// By value.
    #[tls_codec(discriminant = 1)]
    Proposal(Box<Proposal>),
    /// By `ProposalRef` (§5.2).
    #[tls_codec(discriminant = 2)]
    Reference(Bytes),
}

impl Proposal {
    /// Its type.
    pub fn proposal_type(&self) -> ProposalType {
        match self {
            Self::Add(_) => ProposalType::ADD,
            Self::Update(_) => ProposalType::UPDATE,
            Self::Remove(_) => ProposalType::REMOVE,
            Self::PreSharedKey(_) => ProposalType::PSK,
            Self::ReInit(_) => ProposalType::REINIT,
            Self::ExternalInit(_) => ProposalType::EXTERNAL_INIT,
            Self::GroupContextExtensions(_) => ProposalType::GROUP_CONTEXT_EXTENSIONS,
            Self::SelfRemove => ProposalType::SELF_REMOVE,
            Self::Other(kind, _) => *kind,
        }
    }

    /// Whether a Commit that holds it must have a path (RFC 9420 §17.4, "Path Required"). What is
    /// unknown does, to be on the safe side.
    pub fn requires_path(&self) -> bool {
        !matches!(self, Self::Add(_) | Self::PreSharedKey(_) | Self::ReInit(_))
    }
}

impl Size for Proposal {
    fn tls_serialized_len(&self) -> usize {
        2 + match self {
            Self::Add(content) => content.tls_serialized_len(),
            Self::Update(content) => content.tls_serialized_len(),
            Self::Remove(leaf) => leaf.tls_serialized_len(),
            Self::PreSharedKey(content) => content.tls_serialized_len(),
            Self::ReInit(content) => content.tls_serialized_len(),
            Self::ExternalInit(content) | Self::Other(_, content) => content.tls_serialized_len(),
            Self::GroupContextExtensions(content) => content.tls_serialized_len(),
            Self::SelfRemove => 0,
        }
    }
}

impl Serialize for Proposal {
    fn tls_serialize<W: io::Write>(&self, writer: &mut W) -> Result<usize, Error> {
        let written = self.proposal_type().tls_serialize(writer)?;
        Ok(written
            + match self {
                Self::Add(content) => content.tls_serialize(writer)?,
                Self::Update(content) => content.tls_serialize(writer)?,
                Self::Remove(leaf) => leaf.tls_serialize(writer)?,
                Self::PreSharedKey(content) => content.tls_serialize(writer)?,
                Self::ReInit(content) => content.tls_serialize(writer)?,
                Self::ExternalInit(content) | Self::Other(_, content) => {
                    content.tls_serialize(writer)?
                }
                Self::GroupContextExtensions(content) => content.tls_serialize(writer)?,
                Self::SelfRemove => 0,
            })
    }
}

impl DeserializeBytes for Proposal {
    fn tls_deserialize_bytes(bytes: &[u8]) -> Result<(Self, &[u8]), Error> {
        fn read<T: DeserializeBytes>(
            bytes: &[u8],
            make: impl FnOnce(T) -> Proposal,
        ) -> Result<(Proposal, &[u8]), Error> {
            let (content, rest) = T::tls_deserialize_bytes(bytes)?;
            Ok((make(content), rest))
        }
        let (kind, bytes) = ProposalType::tls_deserialize_bytes(bytes)?;
        match kind {
            ProposalType::ADD => read(bytes, Self::Add),
            ProposalType::UPDATE => read(bytes, Self::Update),
            ProposalType::REMOVE => read(bytes, Self::Remove),
            ProposalType::PSK => read(bytes, Self::PreSharedKey),
            ProposalType::REINIT => read(bytes, Self::ReInit),
            ProposalType::EXTERNAL_INIT => read(bytes, Self::ExternalInit),
            ProposalType::GROUP_CONTEXT_EXTENSIONS => read(bytes, Self::GroupContextExtensions),
            ProposalType::SELF_REMOVE => Ok((Self::SelfRemove, bytes)),
            kind => read(bytes, |content| Self::Other(kind, content)),
        }
    }
}
