//! How entities and keys become bytes: MessagePack.
//!
//! OpenMLS's types need a format that describes itself (bincode encodes them and can't load them).
//! `docs/storage.md` has the measurements behind the choice, and the test below that makes them
//! also holds that every entity reads back as it was written.

use rmp_serde::{Serializer, config::BytesMode};
use serde::{Serialize, de::DeserializeOwned};

/// Appends the encoding of `value`.
pub(crate) fn encode_into(
    bytes: &mut Vec<u8>,
    value: &impl Serialize,
) -> Result<(), rmp_serde::encode::Error> {
    // Byte strings of `tls_codec` call themselves sequences of numbers, and would take 1.5 bytes a
    // byte: they are written as what they are.
    let mut serializer = Serializer::new(bytes).with_bytes(BytesMode::ForceIterables);
    value.serialize(&mut serializer)
}

/// Reads one value, which has to fill all of `bytes`.
pub(crate) fn decode<E: DeserializeOwned>(bytes: &[u8]) -> Result<E, rmp_serde::decode::Error> {
    let mut list = decode_list(bytes)?;
    match (list.pop(), list.is_empty()) {
        (Some(value), true) => Ok(value),
        _ => Err(rmp_serde::decode::Error::LengthMismatch(1)),
    }
}

/// Reads values one after the other until the bytes end.
pub(crate) fn decode_list<E: DeserializeOwned>(
    bytes: &[u8],
) -> Result<Vec<E>, rmp_serde::decode::Error> {
    let mut rest = bytes;
    let mut list = Vec::new();
    while !rest.is_empty() {
        list.push(E::deserialize(&mut rmp_serde::Deserializer::new(
            &mut rest,
        ))?);
    }
    Ok(list)
}

#[cfg(test)]
pub(crate) mod tests;
