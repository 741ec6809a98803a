use std::io;

use tls_codec::{DeserializeBytes, Error, Serialize, Size};

use super::Bytes;

const BASIC: u16 = 1;
const X509: u16 = 2;

/// Whom a leaf claims to be (RFC 9420 §5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A bare identity.
    Basic(Bytes),
    /// A chain of DER certificates, the client's own first.
    X509(Vec<Bytes>),
    /// Another type, whose content is one `opaque<V>`: the RFC gives no other way to find its end,
    /// and every implementation that allows types of its own does it so.
    Other(u16, Bytes),
}

impl Credential {
    /// The `CredentialType`.
    pub fn credential_type(&self) -> u16 {
        match self {
            Self::Basic(_) => BASIC,
            Self::X509(_) => X509,
            Self::Other(kind, _) => *kind,
        }
    }
}

impl Size for Credential {
    fn tls_serialized_len(&self) -> usize {
        2 + match self {
            Self::Basic(content) | Self::Other(_, content) => content.tls_serialized_len(),
            Self::X509(chain) => chain.tls_serialized_len(),
        }
    }
}

impl Serialize for Credential {
    fn tls_serialize<W: io::Write>(&self, writer: &mut W) -> Result<usize, Error> {
        let written = self.credential_type().tls_serialize(writer)?;
        Ok(written
            + match self {
                Self::Basic(content) | Self::Other(_, content) => content.tls_serialize(writer)?,
                Self::X509(chain) => chain.tls_serialize(writer)?,
            })
    }
}

impl DeserializeBytes for Credential {
    fn tls_deserialize_bytes(bytes: &[u8]) -> Result<(Self, &[u8]), Error> {
        let (kind, bytes) = u16::tls_deserialize_bytes(bytes)?;
        if kind == X509 {
            let (chain, rest) = DeserializeBytes::tls_deserialize_bytes(bytes)?;
            return Ok((Self::X509(chain), rest));
        }
        let (content, rest) = Bytes::tls_deserialize_bytes(bytes)?;
        let credential = match kind {
            BASIC => Self::Basic(content),
            kind => Self::Other(kind, content),
        };
        Ok((credential, rest))
    }
}
