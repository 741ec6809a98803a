//! What a group's rules say of reporting.

use tls_codec::{
    DeserializeBytes as _, Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes,
};

/// What members do with a message that none of them could report: whose sender did not commit to it, or which
/// the service did not stamp as what it is (`docs/franking.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Unreportable {
    /// They show it, with a mark: so nobody who is honest loses a message.
    #[default]
    Marked,
    /// They keep nothing of it but that somebody has sent it.
    Refused,
}

impl Unreportable {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Marked => "marked",
            Self::Refused => "refused",
        }
    }

    /// The byte that stands for it in [`GroupRules`](super::GroupRules).
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Marked => 0,
            Self::Refused => 1,
        }
    }

    /// What a byte of [`GroupRules`](super::GroupRules) stands for.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Marked, Self::Refused]
            .into_iter()
            .find(|it| it.code() == code)
    }
}

/// By whose word messages can be reported, and what becomes of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reporting {
    /// It is only ever compared, so that nothing depends on its being a point of the curve.
    pub(super) operator_key: Option<[u8; 32]>,
    pub(super) unreportable: Unreportable,
}

impl Reporting {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let key = self.operator_key.map(Vec::from).unwrap_or_default();
        let wire = Wire {
            operator_key: key.into(),
            unreportable: self.unreportable.code(),
        };
        // Serializing fails only past 2^30 bytes.
        wire.tls_serialize_detached().unwrap_or_default()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let wire = Wire::tls_deserialize_exact_bytes(bytes).ok()?;
        let operator_key = match wire.operator_key.as_slice() {
            [] => None,
            key => Some(key.try_into().ok()?),
        };
        Some(Self {
            operator_key,
            unreportable: Unreportable::from_code(wire.unreportable)?,
        })
    }
}

#[derive(Debug, TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct Wire {
    operator_key: VLBytes,
    unreportable: u8,
}
