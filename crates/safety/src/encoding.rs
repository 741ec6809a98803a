//! How the values of other rooms stand in JSON: ids as text, bytes in hexadecimal digits, numbers as numbers.

use conclave_protocol::{
    Commitment, DeviceAddress, DeviceId, Epoch, Evidence, Frank, GroupId, Sequence, Stamp,
    UnixMillis, UserId,
};
use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use serde::{Deserialize, Serialize};

/// Ids and names: by their `Display` and `FromStr`.
pub(crate) mod text {
    use std::{fmt::Display, str::FromStr};

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<T: Display, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// A moment, in milliseconds.
pub(crate) mod millis {
    use conclave_protocol::UnixMillis;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &UnixMillis, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(value.0)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<UnixMillis, D::Error> {
        u64::deserialize(from).map(UnixMillis)
    }
}

/// Who sends, as one object.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireAddress {
    #[serde(with = "text")]
    user: UserId,
    #[serde(with = "text")]
    device_id: DeviceId,
}

impl From<DeviceAddress> for WireAddress {
    fn from(DeviceAddress { user, device }: DeviceAddress) -> Self {
        Self {
            user,
            device_id: device,
        }
    }
}

impl From<WireAddress> for DeviceAddress {
    fn from(WireAddress { user, device_id }: WireAddress) -> Self {
        Self {
            user,
            device: device_id,
        }
    }
}

/// Bytes as text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    HEX.encode(bytes)
}

/// The bytes of [`hex`]; capitals are no other bytes, but what is signed or hashed is written with small ones.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    HEX.decode(text.as_bytes()).ok()
}

/// [`Evidence`] by its parts, so that a person finds in a case file who said what to whom.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireEvidence {
    #[serde(with = "text")]
    group_id: GroupId,
    epoch: u64,
    sequence: u64,
    #[serde(with = "millis")]
    accepted_millis: UnixMillis,
    #[serde(with = "text")]
    user: UserId,
    #[serde(with = "text")]
    device_id: DeviceId,
    commitment: String,
    message_hash: String,
    envelope: String,
    frank: String,
}

impl From<&Evidence> for WireEvidence {
    fn from(evidence: &Evidence) -> Self {
        let stamp = &evidence.stamp;
        Self {
            group_id: stamp.group,
            epoch: stamp.epoch.0,
            sequence: stamp.sequence.0,
            accepted_millis: stamp.accepted,
            user: stamp.sender.user.clone(),
            device_id: stamp.sender.device,
            commitment: hex(stamp.commitment.as_bytes()),
            message_hash: hex(&stamp.message_hash),
            envelope: hex(&evidence.envelope),
            frank: hex(&evidence.frank.to_bytes()),
        }
    }
}

impl WireEvidence {
    /// `None` where the digits are none, or a part has not its size.
    pub(crate) fn evidence(&self) -> Option<Evidence> {
        let commitment: [u8; 32] = unhex(&self.commitment)?.try_into().ok()?;
        let evidence = Evidence {
            stamp: Stamp {
                group: self.group_id,
                epoch: Epoch(self.epoch),
                sequence: Sequence(self.sequence),
                accepted: self.accepted_millis,
                sender: DeviceAddress {
                    user: self.user.clone(),
                    device: self.device_id,
                },
                commitment: Commitment::from_bytes(commitment),
                message_hash: unhex(&self.message_hash)?.try_into().ok()?,
            },
            envelope: unhex(&self.envelope)?,
            frank: Frank::from_bytes(&unhex(&self.frank)?)?,
        };
        // The bounds are those of the other encoding.
        Evidence::from_bytes(&evidence.to_bytes()).ok()
    }
}
