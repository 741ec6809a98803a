use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::Bytes;

/// Which pre-shared key, and a nonce that makes this use of it new (RFC 9420 §8.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct PreSharedKeyId {
    /// Which key.
    pub psk: Psk,
    /// Fresh bytes, as many as the suite's hash.
    pub psk_nonce: Bytes,
}

/// A pre-shared key's name (RFC 9420 §8.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash, TlsSerialize, TlsDeserializeBytes, TlsSize)]
#[repr(u8)]
pub enum Psk {
    /// A key that the members have from elsewhere.
    #[tls_codec(discriminant = 1)]
    External(Bytes),
    /// A key of a former epoch.
    #[tls_codec(discriminant = 2)]
    Resumption {
        /// What the key is used for.
        usage: ResumptionPskUsage,
        /// Whose epoch.
        psk_group_id: Bytes,
        /// Which epoch.
        psk_epoch: u64,
    },
}

/// What a resumption key is used for (RFC 9420 §8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, TlsSerialize, TlsDeserializeBytes, TlsSize)]
#[repr(u8)]
pub enum ResumptionPskUsage {
    /// Injected into the group's own key schedule.
    Application = 1,
    /// The first epoch after a ReInit (§11.2).
    Reinit = 2,
    /// The first epoch of a subgroup (§11.3).
    Branch = 3,
}
