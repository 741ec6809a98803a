//! What binds a sender to exactly what recipients decrypt.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::{DeviceAddress, GroupId};

const VERSION: u8 = 1;

/// What the authenticated bytes begin with, so that they are a commitment and nothing else.
const LABEL: &[u8] = b"Conclave 1.0 FrankCommitment";

/// Where the salt stands in what is encrypted, in each version of the envelope.
const SALT: std::ops::Range<usize> = 1..33;

/// A sender's commitment to one message: HMAC-SHA256 (RFC 2104) under the message's own salt, so that it says
/// nothing of the message to who does not have it, and two messages never have one.
///
/// ```text
/// HMAC-SHA256(salt, "Conclave 1.0 FrankCommitment" || group_id[16] || device_id[16]
///                   || uint8 length || user[length] || content)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Commitment([u8; 32]);

impl Commitment {
    /// Bytes of what stands in the Safe AAD: a version and the commitment.
    pub const ITEM_BYTES: usize = 1 + 32;

    /// The commitment to what `sender` encrypts for a group: `content` is the envelope with all its padding.
    /// `None` where it is too short to have a salt: nobody can report that.
    #[must_use]
    pub fn to(group: GroupId, sender: &DeviceAddress, content: &[u8]) -> Option<Self> {
        let user = sender.user.as_str().as_bytes();
        let user_len = u8::try_from(user.len()).ok()?;
        // HMAC takes a key of any length.
        let mac = Hmac::<Sha256>::new_from_slice(content.get(SALT)?).ok()?;
        let mac = mac
            .chain_update(LABEL)
            .chain_update(group.as_bytes())
            .chain_update(sender.device.as_bytes())
            .chain_update([user_len])
            .chain_update(user)
            .chain_update(content);
        Some(Self(mac.finalize().into_bytes().into()))
    }

    /// A commitment of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What stands in the Safe AAD under [`COMPONENT_FRANKING`](crate::COMPONENT_FRANKING).
    #[must_use]
    pub fn to_item(self) -> [u8; Self::ITEM_BYTES] {
        let mut item = [VERSION; Self::ITEM_BYTES];
        item[1..].copy_from_slice(&self.0);
        item
    }

    /// Reads what [`Self::to_item`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_item(item: &[u8]) -> Option<Self> {
        let (&VERSION, commitment) = item.split_first()? else {
            return None;
        };
        commitment.try_into().ok().map(Self)
    }
}
