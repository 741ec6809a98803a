//! What two devices of a user show each other when one is linked: text that a person copies, or that
//! a camera reads. Neither holds a secret.

use conclave_protocol::{DeviceCertificate, DeviceId, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::ClientError;

/// What the new device shows.
const REQUEST: &str = "conclave-link";

/// What the old device shows.
const ANSWER: &str = "conclave-device";

/// Digits of the checksum, against a slip in copying.
const CHECK_BYTES: usize = 4;

/// The new device's id and the key that it signs with, as text.
pub(crate) fn request(device: DeviceId, key: &VerifyingKey) -> String {
    encode(
        REQUEST,
        &[device.as_bytes().as_slice(), key.as_bytes()].concat(),
    )
}

/// Reads what [`request`] wrote.
pub(crate) fn read_request(text: &str) -> Result<(DeviceId, VerifyingKey), ClientError> {
    let bytes = decode(REQUEST, text).ok_or(ClientError::LinkCode)?;
    let (device, key) = bytes.split_at_checked(16).ok_or(ClientError::LinkCode)?;
    let device = DeviceId::try_from(device).map_err(|_| ClientError::LinkCode)?;
    let key = VerifyingKey::try_from(key).map_err(|_| ClientError::LinkCode)?;
    Ok((device, key))
}

/// The new device's certificate, as text.
pub(crate) fn answer(certificate: &DeviceCertificate) -> String {
    encode(ANSWER, &certificate.to_bytes())
}

/// Reads what [`answer`] wrote.
pub(crate) fn read_answer(text: &str) -> Result<DeviceCertificate, ClientError> {
    let bytes = decode(ANSWER, text).ok_or(ClientError::LinkCode)?;
    DeviceCertificate::from_bytes(&bytes).map_err(|_| ClientError::LinkCode)
}

fn encode(kind: &str, bytes: &[u8]) -> String {
    let check = check(kind, bytes);
    let digits = bytes.iter().chain(&check).map(|byte| format!("{byte:02x}"));
    format!("{kind}:{}", digits.collect::<String>())
}

fn decode(kind: &str, text: &str) -> Option<Vec<u8>> {
    let digits = text.trim().strip_prefix(kind)?.strip_prefix(':')?;
    let digits = digits.as_bytes().chunks(2);
    let mut bytes = digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect::<Option<Vec<u8>>>()?;
    let given = bytes.split_off(bytes.len().checked_sub(CHECK_BYTES)?);
    (given == check(kind, &bytes)).then_some(bytes)
}

fn check(kind: &str, bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = Sha256::new()
        .chain_update(kind)
        .chain_update(bytes)
        .finalize();
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&hash[..CHECK_BYTES]);
    check
}

#[cfg(test)]
mod tests {
    use conclave_protocol::SigningKey;

    use super::*;

    #[test]
    fn a_code_is_read_back_and_a_slip_is_noticed() {
        let key = SigningKey::from_seed(&[1; 32]).verifying_key();
        let device = DeviceId::from_bytes([2; 16]);
        let text = request(device, &key);
        assert_eq!(read_request(&format!(" {text}\n")).unwrap(), (device, key));
        for at in 0..text.len() {
            let mut slip = text.clone().into_bytes();
            slip[at] = if slip[at] == b'0' { b'1' } else { b'0' };
            assert!(read_request(std::str::from_utf8(&slip).unwrap()).is_err());
            assert!(read_request(&text[..at]).is_err());
        }
        assert!(read_answer(&text).is_err());
    }
}
