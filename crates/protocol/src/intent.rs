//! What one member asks another to commit.

use prost::Message as _;
use tls_codec::{Serialize as _, TlsSerialize, TlsSize, VLByteSlice};

use crate::{
    GroupId, SigningKey, UnixMillis, UserId, VerifyingKey,
    content::wire,
    limits::{ADDS_PER_COMMIT_MAX, INTENT_BYTES_MAX},
};

const LABEL: &str = "MembershipIntent";

/// Users to be added to a group, and users to be removed from it.
///
/// The delivery service hands it to a member who is online. It is signed by the device that asks:
/// otherwise the service could have an honest member add whomever it likes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MembershipIntent {
    /// To be added, with all their devices.
    pub add: Vec<UserId>,
    /// To be removed, with all their devices.
    pub remove: Vec<UserId>,
}

impl MembershipIntent {
    /// What is handed over: the encoding of `conclave.content.v1.SignedIntent`, for one group,
    /// signed by a member's device and good until `expires`.
    #[must_use]
    pub fn sign(&self, group: GroupId, expires: UnixMillis, key: &SigningKey) -> Vec<u8> {
        let names = |users: &[UserId]| users.iter().map(ToString::to_string).collect();
        let intent = wire::MembershipIntent {
            add: names(&self.add),
            remove: names(&self.remove),
        }
        .encode_to_vec();
        let signature = key.sign(LABEL, &to_be_signed(group, expires, &intent));
        wire::SignedIntent {
            intent,
            expires_millis: expires.0,
            signature: signature.to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads what the device with this key [signed](Self::sign) for this group. `None` for anything
    /// else, after its expiry, and for what one Commit can't do.
    #[must_use]
    pub fn verify(
        bytes: &[u8],
        group: GroupId,
        key: &VerifyingKey,
        now: UnixMillis,
    ) -> Option<Self> {
        if bytes.len() > INTENT_BYTES_MAX {
            return None;
        }
        let signed = wire::SignedIntent::decode(bytes).ok()?;
        let expires = UnixMillis(signed.expires_millis);
        let content = to_be_signed(group, expires, &signed.intent);
        key.verify(LABEL, &content, &signed.signature).ok()?;
        let intent = wire::MembershipIntent::decode(signed.intent.as_slice()).ok()?;
        let users = |names: Vec<String>| -> Option<Vec<UserId>> {
            names.iter().map(|name| name.parse().ok()).collect()
        };
        let intent = Self {
            add: users(intent.add)?,
            remove: users(intent.remove)?,
        };
        let count = intent.add.len() + intent.remove.len();
        (now <= expires && (1..=ADDS_PER_COMMIT_MAX).contains(&count)).then_some(intent)
    }
}

#[derive(TlsSerialize, TlsSize)]
struct ToBeSigned<'a> {
    group: [u8; 16],
    expires: u64,
    intent: VLByteSlice<'a>,
}

fn to_be_signed(group: GroupId, expires: UnixMillis, intent: &[u8]) -> Vec<u8> {
    let content = ToBeSigned {
        group: *group.as_bytes(),
        expires: expires.0,
        intent: VLByteSlice(intent),
    };
    // Serializing fails only past 2^30 bytes, and an intent is bounded far below.
    content.tls_serialize_detached().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupId = GroupId::from_bytes([1; 16]);
    const EXPIRES: UnixMillis = UnixMillis(9);

    #[test]
    fn an_intent_is_good_for_its_group_and_time_and_from_its_sender() {
        let intent = MembershipIntent {
            add: vec!["a@x".parse().unwrap(), "b@x".parse().unwrap()],
            remove: vec!["c@x".parse().unwrap()],
        };
        let key = SigningKey::from_seed(&[1; 32]);
        let (public, other) = (key.verifying_key(), SigningKey::from_seed(&[2; 32]));
        let other = other.verifying_key();
        let bytes = intent.sign(GROUP, EXPIRES, &key);
        let verify = MembershipIntent::verify;
        assert_eq!(verify(&bytes, GROUP, &public, EXPIRES), Some(intent));
        assert_eq!(verify(&bytes, GROUP, &public, UnixMillis(10)), None);
        assert_eq!(verify(&bytes, GROUP, &other, EXPIRES), None);
        let elsewhere = GroupId::from_bytes([2; 16]);
        assert_eq!(verify(&bytes, elsewhere, &public, EXPIRES), None);
        for end in 0..bytes.len() {
            assert_eq!(verify(&bytes[..end], GROUP, &public, EXPIRES), None);
        }
        let nothing = MembershipIntent::default().sign(GROUP, EXPIRES, &key);
        assert_eq!(verify(&nothing, GROUP, &public, EXPIRES), None);
    }
}
