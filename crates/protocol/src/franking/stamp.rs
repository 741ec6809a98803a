//! What the service states of one message.

use sha2::{Digest as _, Sha256};
use tls_codec::{
    DeserializeBytes as _, Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes,
};

use super::{Commitment, tree};
use crate::{DeviceAddress, DeviceId, Epoch, GroupId, Sequence, UnixMillis};

const VERSION: u8 = 1;

/// What the service states of one message that it accepted:
///
/// ```text
/// struct {
///     uint8  version = 1;
///     opaque group_id[16];
///     uint64 epoch;
///     uint64 sequence;
///     uint64 accepted_millis;
///     opaque user<V>;              // the sender, as the service authenticated the request
///     opaque device_id[16];
///     opaque commitment[32];       // as it stands in the Safe AAD
///     opaque message_hash[32];     // SHA-256 of the MLSMessage
/// } Stamp;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The group it was sent to.
    pub group: GroupId,
    /// The epoch that was current.
    pub epoch: Epoch,
    /// Its place in the group's log.
    pub sequence: Sequence,
    /// When the service accepted it.
    pub accepted: UnixMillis,
    /// Whose request it was.
    pub sender: DeviceAddress,
    /// What the sender committed to.
    pub commitment: Commitment,
    /// SHA-256 of the MLSMessage.
    pub message_hash: [u8; 32],
}

impl Stamp {
    /// The hash of an MLSMessage as stamps have it.
    #[must_use]
    pub fn hash_of(message: &[u8]) -> [u8; 32] {
        Sha256::digest(message).into()
    }

    /// What stands for it in a tree of stamps (RFC 9162 §2.1.1).
    #[must_use]
    pub fn leaf(&self) -> [u8; 32] {
        tree::leaf(&self.to_bytes())
    }

    /// The encoding, which is what counts.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = Wire {
            version: VERSION,
            group: *self.group.as_bytes(),
            epoch: self.epoch.0,
            sequence: self.sequence.0,
            accepted: self.accepted.0,
            user: VLBytes::new(self.sender.user.as_str().as_bytes().to_vec()),
            device: *self.sender.device.as_bytes(),
            commitment: *self.commitment.as_bytes(),
            message_hash: self.message_hash,
        };
        // Serializing fails only past 2^30 bytes; names have at most 129.
        wire.tls_serialize_detached().unwrap_or_default()
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let wire = Wire::tls_deserialize_exact_bytes(bytes).ok()?;
        let user = std::str::from_utf8(wire.user.as_slice()).ok()?;
        if wire.version != VERSION {
            return None;
        }
        Some(Self {
            group: GroupId::from_bytes(wire.group),
            epoch: Epoch(wire.epoch),
            sequence: Sequence(wire.sequence),
            accepted: UnixMillis(wire.accepted),
            sender: DeviceAddress {
                user: user.parse().ok()?,
                device: DeviceId::from_bytes(wire.device),
            },
            commitment: Commitment::from_bytes(wire.commitment),
            message_hash: wire.message_hash,
        })
    }
}

#[derive(TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct Wire {
    version: u8,
    group: [u8; 16],
    epoch: u64,
    sequence: u64,
    accepted: u64,
    user: VLBytes,
    device: [u8; 16],
    commitment: [u8; 32],
    message_hash: [u8; 32],
}
