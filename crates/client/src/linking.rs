//! What two devices of a user show each other when one is linked: text that a person copies, or that
//! a camera reads.
//!
//! The new device shows `CONCLAVE-LINK:` with its id, the key that it signs with and a key that
//! something can be sealed to; the old one shows `CONCLAVE-DEVICE:` with the certificate and, where
//! the user wants that, the seed of the identity key, sealed to the new device. Neither tells a
//! secret to whoever reads along. Both are in Crockford's base32, so that a QR code takes them in
//! its compact form for digits and capitals, with four bytes of a checksum against slips.

use std::sync::LazyLock;

use conclave_engine::{SealingKey, seal};
use conclave_protocol::{DeviceCertificate, DeviceId, SigningKey, VerifyingKey};
use data_encoding::{Encoding, Specification};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::ClientError;

/// What the new device shows begins so.
const REQUEST: &str = "CONCLAVE-LINK:";

/// What the old device shows begins so.
const ANSWER: &str = "CONCLAVE-DEVICE:";

/// Bytes of the checksum, against a slip in copying.
const CHECK_BYTES: usize = 4;

/// What the identity key is sealed for.
const PURPOSE: &str = "Conclave identity key";

/// What the new device says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) device: DeviceId,
    /// The key that it signs with.
    pub(crate) key: VerifyingKey,
    /// The key that the identity key may be sealed to.
    pub(crate) sealing_key: [u8; SealingKey::PUBLIC_BYTES],
}

impl Request {
    pub(crate) fn to_text(&self) -> String {
        encode(REQUEST, &self.to_bytes())
    }

    pub(crate) fn from_text(text: &str) -> Result<Self, ClientError> {
        let bytes = decode(REQUEST, text).ok_or(ClientError::LinkCode)?;
        Self::from_bytes(&bytes).ok_or(ClientError::LinkCode)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let parts = [self.device.as_bytes().as_slice(), self.key.as_bytes()];
        [parts.concat().as_slice(), &self.sealing_key].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (device, keys) = bytes.split_at_checked(16)?;
        let (key, sealing_key) = keys.split_at_checked(32)?;
        Some(Self {
            device: DeviceId::try_from(device).ok()?,
            key: VerifyingKey::try_from(key).ok()?,
            sealing_key: sealing_key.try_into().ok()?,
        })
    }
}

/// What the old device says of the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) certificate: DeviceCertificate,
    /// Empty where the identity key stays where it is.
    sealed_identity: Vec<u8>,
}

impl Answer {
    /// A certificate alone.
    pub(crate) fn new(certificate: DeviceCertificate) -> Self {
        Self {
            certificate,
            sealed_identity: Vec::new(),
        }
    }

    /// A certificate, and the identity key for the device that made the request.
    pub(crate) fn with_identity(
        certificate: DeviceCertificate,
        request: &Request,
        identity: &SigningKey,
        random: &Zeroizing<[u8; 32]>,
    ) -> Result<Self, ClientError> {
        let sealed_identity = seal(
            &request.sealing_key,
            PURPOSE,
            &certificate.to_bytes(),
            identity.seed().as_slice(),
            random,
        )?;
        Ok(Self {
            certificate,
            sealed_identity,
        })
    }

    pub(crate) fn to_text(&self) -> String {
        let certificate = self.certificate.to_bytes();
        // A certificate has less than 2^16 bytes by its own limit.
        let length = u16::try_from(certificate.len()).unwrap_or(u16::MAX);
        let parts = [&length.to_be_bytes(), &certificate[..]].concat();
        encode(ANSWER, &[parts, self.sealed_identity.clone()].concat())
    }

    pub(crate) fn from_text(text: &str) -> Result<Self, ClientError> {
        let bytes = decode(ANSWER, text).ok_or(ClientError::LinkCode)?;
        Self::from_bytes(&bytes).ok_or(ClientError::LinkCode)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk()?;
        let (certificate, sealed) =
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        Some(Self {
            certificate: DeviceCertificate::from_bytes(certificate).ok()?,
            sealed_identity: sealed.to_vec(),
        })
    }

    /// The identity key, where it is handed over and is the one that signed the certificate.
    pub(crate) fn identity(&self, key: &SealingKey) -> Result<Option<SigningKey>, ClientError> {
        if self.sealed_identity.is_empty() {
            return Ok(None);
        }
        let context = self.certificate.to_bytes();
        let opened = key.open(PURPOSE, &context, &self.sealed_identity);
        let opened = opened.map_err(|_| ClientError::LinkCode)?;
        let seed = opened.as_slice().try_into();
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(seed.map_err(|_| ClientError::LinkCode)?);
        let identity = SigningKey::from_seed(&seed);
        if identity.verifying_key() == *self.certificate.identity_key() {
            Ok(Some(identity))
        } else {
            Err(ClientError::LinkCode)
        }
    }
}

/// Crockford's base32. What people take for one another is read as one; lines and spaces do not count.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    specification
        .translate
        .from
        .push_str("oOiIlLabcdefghjkmnpqrstvwxyz");
    specification
        .translate
        .to
        .push_str("001111ABCDEFGHJKMNPQRSTVWXYZ");
    specification.ignore.push_str(" -\t\r\n");
    #[expect(
        clippy::expect_used,
        reason = "a constant, and every test of this module uses it"
    )]
    specification.encoding().expect("an alphabet of 32 symbols")
});

pub(crate) fn encode(kind: &str, bytes: &[u8]) -> String {
    let checked = [bytes, &check(kind, bytes)].concat();
    format!("{kind}{}", BASE32.encode(&checked))
}

pub(crate) fn decode(kind: &str, text: &str) -> Option<Vec<u8>> {
    let (given, symbols) = text.trim().split_at_checked(kind.len())?;
    if !given.eq_ignore_ascii_case(kind) {
        return None;
    }
    let mut bytes = BASE32.decode(symbols.as_bytes()).ok()?;
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
    use conclave_protocol::{DeviceAddress, DeviceClaims, UnixMillis};

    use super::*;

    fn request(sealing_key: &SealingKey) -> Request {
        Request {
            device: DeviceId::from_bytes([2; 16]),
            key: SigningKey::from_seed(&[1; 32]).verifying_key(),
            sealing_key: sealing_key.public().unwrap(),
        }
    }

    fn certificate(request: &Request, identity: &SigningKey) -> DeviceCertificate {
        let address = DeviceAddress {
            user: "alice@example.org".parse().unwrap(),
            device: request.device,
        };
        let claims = DeviceClaims::starting(address, request.key, UnixMillis(0));
        DeviceCertificate::issue(claims, identity)
    }

    #[test]
    fn a_code_is_read_back_however_it_is_copied_and_a_slip_is_noticed() {
        let request = request(&SealingKey::from_seed(&[5; 32]).unwrap());
        let text = request.to_text();
        // A QR code has a compact form for these.
        assert!(
            text.bytes()
                .all(|it| matches!(it, b'0'..=b'9' | b'A'..=b'Z' | b'-' | b':'))
        );
        let broken = format!(" {}\n{}\n", &text[..80], &text[80..]);
        let by_hand = text.to_lowercase().replace('0', "o").replace('1', "l");
        for copied in [&text, &broken, &by_hand] {
            assert_eq!(Request::from_text(copied).unwrap(), request);
        }
        for at in 0..text.len() {
            let mut slip = text.clone().into_bytes();
            slip[at] = if slip[at] == b'2' { b'3' } else { b'2' };
            assert!(Request::from_text(std::str::from_utf8(&slip).unwrap()).is_err());
            assert!(Request::from_text(&text[..at]).is_err());
        }
        assert!(Answer::from_text(&text).is_err());
    }

    #[test]
    fn an_identity_key_is_for_the_device_that_asked_and_must_be_the_certificate_s() {
        let [key, other] = [5, 6].map(|seed| SealingKey::from_seed(&[seed; 32]).unwrap());
        let [identity, stranger] = [7, 8].map(|seed| SigningKey::from_seed(&[seed; 32]));
        let request = request(&key);
        let random = Zeroizing::new([9; 32]);
        let certificate = certificate(&request, &identity);
        let hand_over = |identity| {
            Answer::with_identity(certificate.clone(), &request, identity, &random).unwrap()
        };

        let answer = hand_over(&identity);
        let read = Answer::from_text(&answer.to_text()).unwrap();
        assert_eq!(read, answer);
        let handed = read.identity(&key).unwrap().unwrap();
        assert_eq!(handed.seed(), identity.seed());
        assert!(read.identity(&other).is_err());
        assert!(hand_over(&stranger).identity(&key).is_err());

        let alone = Answer::from_text(&Answer::new(certificate.clone()).to_text()).unwrap();
        assert!(alone.identity(&key).unwrap().is_none());
        let mut changed = answer;
        changed.certificate = self::certificate(&request, &stranger);
        assert!(changed.identity(&key).is_err(), "of another certificate");
    }
}
