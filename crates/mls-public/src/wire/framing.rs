use std::io;

use tls_codec::{
    DeserializeBytes, Error, Serialize, Size, TlsDeserializeBytes, TlsSerialize, TlsSize,
};

use super::{Bytes, Commit, Proposal};

/// How content is wrapped (RFC 9420 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
#[repr(u16)]
pub enum WireFormat {
    /// Signed.
    PublicMessage = 1,
    /// Signed and encrypted.
    PrivateMessage = 2,
    /// A Welcome.
    Welcome = 3,
    /// A GroupInfo.
    GroupInfo = 4,
    /// A KeyPackage.
    KeyPackage = 5,
}

/// What kind of content (RFC 9420 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
#[repr(u8)]
pub enum ContentType {
    /// The application's bytes.
    Application = 1,
    /// A Proposal.
    Proposal = 2,
    /// A Commit.
    Commit = 3,
}

/// Who made a message (RFC 9420 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
#[repr(u8)]
pub enum Sender {
    /// The member at this leaf.
    #[tls_codec(discriminant = 1)]
    Member(u32),
    /// The external sender at this place in the GroupContext's list.
    #[tls_codec(discriminant = 2)]
    External(u32),
    /// Someone who proposes to be added.
    #[tls_codec(discriminant = 3)]
    NewMemberProposal,
    /// Someone who joins by an external Commit.
    #[tls_codec(discriminant = 4)]
    NewMemberCommit,
}

/// Content with its addressee and author (RFC 9420 §6).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct FramedContent {
    /// Which group.
    pub group_id: Bytes,
    /// Which epoch of it.
    pub epoch: u64,
    /// Who.
    pub sender: Sender,
    /// The application's, sent in clear.
    pub authenticated_data: Bytes,
    /// What.
    pub content: Content,
}

/// What a message says (RFC 9420 §6).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
#[repr(u8)]
pub enum Content {
    /// The application's bytes.
    #[tls_codec(discriminant = 1)]
    Application(Bytes),
    /// A Proposal.
    #[tls_codec(discriminant = 2)]
    Proposal(Box<Proposal>),
    /// A Commit.
    #[tls_codec(discriminant = 3)]
    Commit(Box<Commit>),
}

impl Content {
    /// Its kind.
    pub fn content_type(&self) -> ContentType {
        match self {
            Self::Application(_) => ContentType::Application,
            Self::Proposal(_) => ContentType::Proposal,
            Self::Commit(_) => ContentType::Commit,
        }
    }
}

/// What proves who made the content: `FramedContentAuthData` (RFC 9420 §6.1). It can be read only
/// by someone who knows the kind of content, hence no codec trait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthData {
    /// By the sender.
    pub signature: Bytes,
    /// The MAC under the new epoch's confirmation key: there if and only if it is a Commit.
    pub confirmation_tag: Option<Bytes>,
}

impl AuthData {
    /// Reads the auth data of content of this kind; gives what follows too.
    ///
    /// # Errors
    /// If these are no such bytes.
    pub fn read(bytes: &[u8], kind: ContentType) -> Result<(Self, &[u8]), Error> {
        let (signature, mut rest) = Bytes::tls_deserialize_bytes(bytes)?;
        let mut confirmation_tag = None;
        if kind == ContentType::Commit {
            let (tag, after) = Bytes::tls_deserialize_bytes(rest)?;
            (confirmation_tag, rest) = (Some(tag), after);
        }
        let auth = Self {
            signature,
            confirmation_tag,
        };
        Ok((auth, rest))
    }

    /// Writes it, and says how many bytes.
    ///
    /// # Errors
    /// If a part is too large.
    pub fn write<W: io::Write>(&self, writer: &mut W) -> Result<usize, Error> {
        let signature = self.signature.tls_serialize(writer)?;
        let tag = self.confirmation_tag.as_ref();
        Ok(signature + tag.map_or(Ok(0), |tag| tag.tls_serialize(writer))?)
    }

    /// Bytes that [`write`](Self::write) will write.
    pub fn encoded_len(&self) -> usize {
        let tag = self.confirmation_tag.as_ref();
        self.signature.tls_serialized_len() + tag.map_or(0, Size::tls_serialized_len)
    }
}

/// Content with the proof of who made it (RFC 9420 §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticatedContent {
    /// How it travelled, which the signature covers.
    pub wire_format: WireFormat,
    /// The content.
    pub content: FramedContent,
    /// The proof.
    pub auth: AuthData,
}

impl Size for AuthenticatedContent {
    fn tls_serialized_len(&self) -> usize {
        2 + self.content.tls_serialized_len() + self.auth.encoded_len()
    }
}

impl Serialize for AuthenticatedContent {
    fn tls_serialize<W: io::Write>(&self, writer: &mut W) -> Result<usize, Error> {
        let format = self.wire_format.tls_serialize(writer)?;
        let content = self.content.tls_serialize(writer)?;
        Ok(format + content + self.auth.write(writer)?)
    }
}

impl DeserializeBytes for AuthenticatedContent {
    fn tls_deserialize_bytes(bytes: &[u8]) -> Result<(Self, &[u8]), Error> {
        let (wire_format, rest) = WireFormat::tls_deserialize_bytes(bytes)?;
        let (content, rest) = FramedContent::tls_deserialize_bytes(rest)?;
        let (auth, rest) = AuthData::read(rest, content.content.content_type())?;
        let this = Self {
            wire_format,
            content,
            auth,
        };
        Ok((this, rest))
    }
}
