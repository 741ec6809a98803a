use std::io;

use tls_codec::{
    DeserializeBytes, Error, Serialize, Size, TlsDeserializeBytes, TlsSerialize, TlsSize,
};

use super::{
    AuthData, AuthenticatedContent, Bytes, ContentType, FramedContent, GroupInfo, KeyPackage,
    MLS10, Sender, Welcome, WireFormat,
};

/// What travels between clients (RFC 9420 §6), always in version `mls10`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MlsMessage {
    /// Signed content.
    PublicMessage(PublicMessage),
    /// Signed and encrypted content.
    PrivateMessage(PrivateMessage),
    /// An invitation.
    Welcome(Welcome),
    /// A group's public state.
    GroupInfo(GroupInfo),
    /// What a client can be added with.
    KeyPackage(KeyPackage),
}

/// Content that is signed and, if a member sent it, tagged (RFC 9420 §6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicMessage {
    /// The content.
    pub content: FramedContent,
    /// The proof of who made it.
    pub auth: AuthData,
    /// The MAC under the epoch's membership key: there if and only if a member sent it.
    pub membership_tag: Option<Bytes>,
}

impl From<PublicMessage> for AuthenticatedContent {
    fn from(message: PublicMessage) -> Self {
        Self {
            wire_format: WireFormat::PublicMessage,
            content: message.content,
            auth: message.auth,
        }
    }
}

/// Content that is signed and encrypted (RFC 9420 §6.3).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct PrivateMessage {
    /// Which group.
    pub group_id: Bytes,
    /// Which epoch of it.
    pub epoch: u64,
    /// What kind.
    pub content_type: ContentType,
    /// The application's, sent in clear.
    pub authenticated_data: Bytes,
    /// Who, and which of its messages.
    pub encrypted_sender_data: Bytes,
    /// What.
    pub ciphertext: Bytes,
}

impl MlsMessage {
    /// How it is wrapped.
    pub fn wire_format(&self) -> WireFormat {
        match self {
            Self::PublicMessage(_) => WireFormat::PublicMessage,
            Self::PrivateMessage(_) => WireFormat::PrivateMessage,
            Self::Welcome(_) => WireFormat::Welcome,
            Self::GroupInfo(_) => WireFormat::GroupInfo,
            Self::KeyPackage(_) => WireFormat::KeyPackage,
        }
    }
}

impl Size for MlsMessage {
    fn tls_serialized_len(&self) -> usize {
        4 + match self {
            Self::PublicMessage(message) => message.tls_serialized_len(),
            Self::PrivateMessage(message) => message.tls_serialized_len(),
            Self::Welcome(message) => message.tls_serialized_len(),
            Self::GroupInfo(message) => message.tls_serialized_len(),
            Self::KeyPackage(message) => message.tls_serialized_len(),
        }
    }
}

impl Serialize for MlsMessage {
    fn tls_serialize<W: io::Write>(&self, writer: &mut W) -> Result<usize, Error> {
        let version = MLS10.tls_serialize(writer)?;
        let format = self.wire_format().tls_serialize(writer)?;
        let message = match self {
            Self::PublicMessage(message) => message.tls_serialize(writer)?,
            Self::PrivateMessage(message) => message.tls_serialize(writer)?,
            Self::Welcome(message) => message.tls_serialize(writer)?,
            Self::GroupInfo(message) => message.tls_serialize(writer)?,
            Self::KeyPackage(message) => message.tls_serialize(writer)?,
        };
        Ok(version + format + message)
    }
}

impl DeserializeBytes for MlsMessage {
    fn tls_deserialize_bytes(bytes: &[u8]) -> Result<(Self, &[u8]), Error> {
        fn read<T: DeserializeBytes>(
            bytes: &[u8],
            make: impl FnOnce(T) -> MlsMessage,
        ) -> Result<(MlsMessage, &[u8]), Error> {
            let (message, rest) = T::tls_deserialize_bytes(bytes)?;
            Ok((make(message), rest))
        }
        let (version, bytes) = u16::tls_deserialize_bytes(bytes)?;
        if version != MLS10 {
            return Err(Error::UnknownValue(version.into()));
        }
        let (format, bytes) = WireFormat::tls_deserialize_bytes(bytes)?;
        match format {
            WireFormat::PublicMessage => read(bytes, Self::PublicMessage),
            WireFormat::PrivateMessage => read(bytes, Self::PrivateMessage),
            WireFormat::Welcome => read(bytes, Self::Welcome),
            WireFormat::GroupInfo => read(bytes, Self::GroupInfo),
            WireFormat::KeyPackage => read(bytes, Self::KeyPackage),
        }
    }
}

impl Size for PublicMessage {
    fn tls_serialized_len(&self) -> usize {
        let tag = self.membership_tag.as_ref();
        self.content.tls_serialized_len()
            + self.auth.encoded_len()
            + tag.map_or(0, Size::tls_serialized_len)
    }
}

impl Serialize for PublicMessage {
    fn tls_serialize<W: io::Write>(&self, writer: &mut W) -> Result<usize, Error> {
        let content = self.content.tls_serialize(writer)?;
        let auth = self.auth.write(writer)?;
        let tag = self.membership_tag.as_ref();
        Ok(content + auth + tag.map_or(Ok(0), |tag| tag.tls_serialize(writer))?)
    }
}

impl DeserializeBytes for PublicMessage {
    fn tls_deserialize_bytes(bytes: &[u8]) -> Result<(Self, &[u8]), Error> {
        let (content, rest) = FramedContent::tls_deserialize_bytes(bytes)?;
        let (auth, mut rest) = AuthData::read(rest, content.content.content_type())?;
        let mut membership_tag = None;
        if matches!(content.sender, Sender::Member(_)) {
            let (tag, after) = Bytes::tls_deserialize_bytes(rest)?;
            (membership_tag, rest) = (Some(tag), after);
        }
        let message = Self {
            content,
            auth,
            membership_tag,
        };
        Ok((message, rest))
    }
}
