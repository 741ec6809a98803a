//! A member's word that somebody may join, which every member checks.

use tls_codec::{
    DeserializeBytes as _, Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize, VLByteSlice,
};

use crate::{
    DeviceAddress, DeviceId, GroupId, SignatureError, SigningKey, UnixMillis, VerifyingKey,
};

const LABEL: &str = "Approval";

/// Lets one device of a user who has none in the group join by an external Commit
/// (RFC 9420 §12.4.3.2), as the Commit's authenticated data behind the Safe AAD:
///
/// ```text
/// struct {
///     opaque approver[16];
///     uint64 expires;
///     opaque signature[64];
/// } Approval;
/// ```
///
/// A member's device signs it. So the delivery service alone can let nobody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    approver: DeviceId,
    expires: UnixMillis,
    signature: [u8; 64],
}

impl Approval {
    /// Bytes of the encoding.
    pub const BYTES: usize = 16 + 8 + 64;

    /// The approval of `joiner` by the member's device `approver`, which signs with `key`.
    #[must_use]
    pub fn issue(
        group: GroupId,
        joiner: &DeviceAddress,
        approver: DeviceId,
        expires: UnixMillis,
        key: &SigningKey,
    ) -> Self {
        let signature = key.sign(LABEL, &to_be_signed(group, joiner, expires));
        Self {
            approver,
            expires,
            signature,
        }
    }

    /// The device that has to be a member for this to count.
    #[must_use]
    pub fn approver(&self) -> DeviceId {
        self.approver
    }

    /// Checks it for a Commit by `joiner` that was accepted at `at`, under the approver's key.
    ///
    /// # Errors
    /// [`SignatureError::Signature`], also after its expiry.
    pub fn verify(
        &self,
        group: GroupId,
        joiner: &DeviceAddress,
        approver_key: &VerifyingKey,
        at: UnixMillis,
    ) -> Result<(), SignatureError> {
        if at > self.expires {
            return Err(SignatureError::Signature);
        }
        let content = to_be_signed(group, joiner, self.expires);
        approver_key.verify(LABEL, &content, &self.signature)
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = Wire {
            approver: *self.approver.as_bytes(),
            expires: self.expires.0,
            signature: self.signature,
        };
        // Serializing fails only past 2^30 bytes, and this has 88.
        wire.tls_serialize_detached().unwrap_or_default()
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let wire = Wire::tls_deserialize_exact_bytes(bytes).ok()?;
        Some(Self {
            approver: DeviceId::from_bytes(wire.approver),
            expires: UnixMillis(wire.expires),
            signature: wire.signature,
        })
    }
}

#[derive(TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct Wire {
    approver: [u8; 16],
    expires: u64,
    signature: [u8; 64],
}

#[derive(TlsSerialize, TlsSize)]
struct ToBeSigned<'a> {
    group: [u8; 16],
    user: VLByteSlice<'a>,
    device: [u8; 16],
    expires: u64,
}

fn to_be_signed(group: GroupId, joiner: &DeviceAddress, expires: UnixMillis) -> Vec<u8> {
    let content = ToBeSigned {
        group: *group.as_bytes(),
        user: VLByteSlice(joiner.user.as_str().as_bytes()),
        device: *joiner.device.as_bytes(),
        expires: expires.0,
    };
    // Serializing fails only past 2^30 bytes; names have at most 129.
    content.tls_serialize_detached().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approval_is_good_for_its_group_joiner_and_time() {
        let key = SigningKey::from_seed(&[1; 32]);
        let public = key.verifying_key();
        let group = |byte| GroupId::from_bytes([byte; 16]);
        let joiner = |byte| DeviceAddress {
            user: "bob@x".parse().unwrap(),
            device: DeviceId::from_bytes([byte; 16]),
        };
        let approver = DeviceId::from_bytes([9; 16]);
        let issued = Approval::issue(group(1), &joiner(1), approver, UnixMillis(5), &key);
        let bytes = issued.to_bytes();
        assert_eq!(bytes.len(), Approval::BYTES);
        let approval = Approval::from_bytes(&bytes).unwrap();
        assert_eq!((approval.approver(), &approval), (approver, &issued));
        let good = approval.verify(group(1), &joiner(1), &public, UnixMillis(5));
        assert_eq!(good, Ok(()));
        for (group, joiner, at) in [
            (group(2), joiner(1), 5),
            (group(1), joiner(2), 5),
            (group(1), joiner(1), 6),
        ] {
            let refused = approval.verify(group, &joiner, &public, UnixMillis(at));
            assert_eq!(refused, Err(SignatureError::Signature));
        }
        assert_eq!(Approval::from_bytes(&bytes[1..]), None);
        assert_eq!(Approval::from_bytes(&[&bytes[..], &[0]].concat()), None);
    }
}
