//! Who is asking: a signed challenge buys a token, and the token names a device.
//!
//! Neither is stored. A challenge's nonce is half random and half an authenticator over the rest,
//! so the service knows its own challenges again; a token is a device and an expiry under an
//! authenticator. What is kept in memory is which challenges were answered, until they expire.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use conclave_protocol::{
    Challenge, DeviceId, UnixMillis, UserId,
    limits::{CHALLENGE_LIFETIME, TOKEN_LIFETIME},
};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::{error::Refusal, limits::USED_CHALLENGES_MAX, store::Device};

const RANDOM_BYTES: usize = 8;
const CLAIMS_BYTES: usize = 16 + 16 + 8;
const TOKEN_BYTES: usize = CLAIMS_BYTES + 32;

/// A token, and when it expires.
pub(crate) struct Token {
    /// What goes into the `authorization` header.
    pub(crate) text: String,
    /// When it is worth nothing any more.
    pub(crate) expires: UnixMillis,
}

/// Who a token was given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The device.
    pub(crate) device: DeviceId,
    /// Its user: half a hash of the name, to tell users apart without asking the store.
    pub(crate) user: [u8; 16],
}

/// Makes and checks challenges and tokens.
pub(crate) struct Authenticator {
    server_name: String,
    secret: [u8; 32],
    /// By expiry, so that those that no longer matter are the first.
    used: Mutex<BTreeSet<(UnixMillis, [u8; 16])>>,
    /// Devices that were deleted, until the last of their tokens has expired. One that was deleted
    /// before a restart may still show a token; it is not registered, and gets nowhere with it.
    expelled: Mutex<HashMap<DeviceId, UnixMillis>>,
}

impl Authenticator {
    /// The authenticator of the server with this name and secret.
    pub(crate) fn new(server_name: String, secret: [u8; 32]) -> Self {
        Self {
            server_name,
            secret,
            used: Mutex::default(),
            expelled: Mutex::default(),
        }
    }

    /// The server's name.
    pub(crate) fn server_name(&self) -> &str {
        &self.server_name
    }

    /// A challenge for a device, registered or not: asking does not tell which devices are.
    pub(crate) fn challenge(
        &self,
        device: DeviceId,
        random: [u8; RANDOM_BYTES],
        now: UnixMillis,
    ) -> Challenge {
        let mut challenge = Challenge {
            server: self.server_name.clone(),
            device,
            expires: now.after(CHALLENGE_LIFETIME),
            nonce: [0; 16],
        };
        challenge.nonce = self.nonce(&challenge, random);
        challenge
    }

    /// Reads a challenge that came back: whose answer is this to be?
    pub(crate) fn recognise(&self, bytes: &[u8], now: UnixMillis) -> Result<Challenge, Refusal> {
        let malformed = |_| Refusal::Invalid("challenge: malformed");
        let challenge = Challenge::from_bytes(bytes).map_err(malformed)?;
        let mut random = [0; RANDOM_BYTES];
        random.copy_from_slice(&challenge.nonce[..RANDOM_BYTES]);
        // A challenge is no secret, so comparing it needs no constant time.
        if challenge.server != self.server_name || challenge.nonce != self.nonce(&challenge, random)
        {
            return Err(Refusal::Unauthenticated(
                "the challenge is not this server's",
            ));
        }
        if challenge.expires < now {
            return Err(Refusal::Unauthenticated("the challenge has expired"));
        }
        Ok(challenge)
    }

    /// Exchanges the device's answer to its challenge for a token, once.
    pub(crate) fn answer(
        &self,
        challenge: &Challenge,
        signature: &[u8],
        device: Option<&Device>,
        now: UnixMillis,
    ) -> Result<Token, Refusal> {
        // The same words for both, so that nobody learns which devices are registered.
        let refused = Refusal::Unauthenticated("no registered device signed the challenge");
        let device = device
            .filter(|device| device.address.device == challenge.device)
            .filter(|device| challenge.verify(&device.signature_key, signature).is_ok())
            .ok_or(refused)?;
        self.use_up(challenge, now)?;
        let caller = Caller {
            device: challenge.device,
            user: tag(&device.address.user),
        };
        Ok(self.token(caller, now.after(TOKEN_LIFETIME)))
    }

    /// Who a token was given to.
    pub(crate) fn verify(&self, token: &str, now: UnixMillis) -> Result<Caller, Refusal> {
        let refused = || Refusal::Unauthenticated("the token is not valid");
        let bytes = parse_hex(token).ok_or_else(refused)?;
        let (claims, authenticator) = bytes.split_at(CLAIMS_BYTES);
        self.mac("token", claims)
            .verify_slice(authenticator)
            .map_err(|_| refused())?;
        let (device, rest) = claims.split_at(16);
        let (user, expires) = rest.split_at(16);
        let expires = expires.try_into().map(u64::from_be_bytes);
        if expires.map_err(|_| refused())? < now.0 {
            return Err(Refusal::Unauthenticated("the token has expired"));
        }
        let device = DeviceId::try_from(device).map_err(|_| refused())?;
        if self.expelled().contains_key(&device) {
            return Err(Refusal::Unauthenticated("the device is not registered"));
        }
        Ok(Caller {
            device,
            user: user.try_into().map_err(|_| refused())?,
        })
    }

    /// Lets a device's tokens count no longer: it was deleted.
    pub(crate) fn expel(&self, device: DeviceId, now: UnixMillis) {
        let mut expelled = self.expelled();
        expelled.retain(|_, until| *until >= now);
        expelled.insert(device, now.after(TOKEN_LIFETIME));
    }

    /// Lets a device's tokens count again: it was registered anew.
    pub(crate) fn readmit(&self, device: DeviceId) {
        self.expelled().remove(&device);
    }

    fn expelled(&self) -> MutexGuard<'_, HashMap<DeviceId, UnixMillis>> {
        self.expelled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self, caller: Caller, expires: UnixMillis) -> Token {
        let mut bytes = Vec::with_capacity(TOKEN_BYTES);
        bytes.extend_from_slice(caller.device.as_bytes());
        bytes.extend_from_slice(&caller.user);
        bytes.extend_from_slice(&expires.0.to_be_bytes());
        let authenticator = self.mac("token", &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&authenticator);
        Token {
            text: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            expires,
        }
    }

    fn use_up(&self, challenge: &Challenge, now: UnixMillis) -> Result<(), Refusal> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.split_off(&(now, [0; 16]));
        if used.len() >= USED_CHALLENGES_MAX {
            return Err(Refusal::Busy("too many devices are signing in; try again"));
        }
        if used.insert((challenge.expires, challenge.nonce)) {
            Ok(())
        } else {
            Err(Refusal::Unauthenticated(
                "the challenge was answered before",
            ))
        }
    }

    fn nonce(&self, challenge: &Challenge, random: [u8; RANDOM_BYTES]) -> [u8; 16] {
        let mut nonce = [0; 16];
        nonce[..RANDOM_BYTES].copy_from_slice(&random);
        let unauthenticated = Challenge {
            nonce,
            ..challenge.clone()
        };
        let mac = self.mac("challenge", &unauthenticated.to_bytes());
        let authenticator = mac.finalize().into_bytes();
        nonce[RANDOM_BYTES..].copy_from_slice(&authenticator[..16 - RANDOM_BYTES]);
        nonce
    }

    fn mac(&self, purpose: &str, content: &[u8]) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("a key of any length");
        // The purposes are of different content lengths too, but that is easily changed.
        mac.chain_update(purpose)
            .chain_update([0])
            .chain_update(content)
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticator(redacted)")
    }
}

/// Half a hash of a user's name.
fn tag(user: &UserId) -> [u8; 16] {
    let hash = Sha256::digest(user.as_str());
    let mut tag = [0; 16];
    tag.copy_from_slice(&hash[..16]);
    tag
}

fn parse_hex(text: &str) -> Option<[u8; TOKEN_BYTES]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * TOKEN_BYTES {
        return None;
    }
    let mut bytes = [0; TOKEN_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |c: u8| char::from(c).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use conclave_protocol::{DeviceAddress, SigningKey};
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn key() -> SigningKey {
        SigningKey::from_seed(&[1; 32])
    }

    fn device() -> Device {
        Device {
            address: DeviceAddress {
                user: "alice@here".parse().unwrap(),
                device: DeviceId::from_bytes([3; 16]),
            },
            signature_key: key().verifying_key(),
            identity_key: key().verifying_key(),
        }
    }

    fn here() -> Authenticator {
        Authenticator::new("here".into(), [5; 32])
    }

    fn sign_in(server: &Authenticator, at: UnixMillis) -> Result<Token, Refusal> {
        let challenge = here().challenge(device().address.device, [9; 8], NOW);
        let challenge = server.recognise(&challenge.to_bytes(), at)?;
        server.answer(&challenge, &challenge.answer(&key()), Some(&device()), at)
    }

    #[test]
    fn an_answer_gives_one_token_here_and_now() {
        let server = here();
        let token = sign_in(&server, NOW).unwrap();
        assert_eq!(
            server.verify(&token.text, NOW).unwrap(),
            Caller {
                device: device().address.device,
                user: tag(&device().address.user),
            }
        );
        assert!(
            server
                .verify(&token.text, UnixMillis(token.expires.0 + 1))
                .is_err()
        );
        assert!(sign_in(&server, NOW).is_err(), "a second time");
        assert!(
            sign_in(&here(), UnixMillis(NOW.0 + 60_001)).is_err(),
            "too late"
        );
        let there = Authenticator::new("there".into(), [5; 32]);
        assert!(sign_in(&there, NOW).is_err(), "another name");
        let other = Authenticator::new("here".into(), [6; 32]);
        assert!(sign_in(&other, NOW).is_err(), "another secret");
        assert!(
            other.verify(&token.text, NOW).is_err(),
            "another server's token"
        );
    }

    #[test]
    fn only_the_registered_key_answers() {
        let server = here();
        let challenge = server.challenge(device().address.device, [9; 8], NOW);
        let forged = challenge.answer(&SigningKey::from_seed(&[2; 32]));
        assert!(
            server
                .answer(&challenge, &forged, Some(&device()), NOW)
                .is_err()
        );
        let answer = challenge.answer(&key());
        assert!(server.answer(&challenge, &answer, None, NOW).is_err());
        // Neither failure used the challenge up.
        assert!(
            server
                .answer(&challenge, &answer, Some(&device()), NOW)
                .is_ok()
        );
    }

    proptest! {
        #[test]
        fn no_changed_token_is_accepted(
            at in any::<prop::sample::Index>(), other in "[0-9a-f]", text in "\\PC{0,120}",
        ) {
            let server = here();
            let mut token = sign_in(&server, NOW).unwrap().text;
            let at = at.index(token.len());
            prop_assume!(token[at..=at] != other);
            token.replace_range(at..=at, &other);
            prop_assert!(server.verify(&token, NOW).is_err());
            prop_assert!(server.verify(&text, NOW).is_err());
        }
    }
}
