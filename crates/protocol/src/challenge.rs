//! How a device proves to the service that it holds its signature key.
//!
//! The service makes a [`Challenge`]; the device signs it. The server's name and an expiry are
//! inside, so a signature made for one server is worth nothing at another, or later.

use tls_codec::{
    DeserializeBytes as _, Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes,
};

use crate::{DeviceId, IdError, SignatureError, SigningKey, UnixMillis, UserId, VerifyingKey};

const LABEL_AUTHENTICATE: &str = "Authenticate";
const LABEL_REGISTER: &str = "Register";
const LABEL_DELETE_USER: &str = "DeleteUser";

/// What a device signs to get a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The name of the server that asks.
    pub server: String,
    /// The device that is asked.
    pub device: DeviceId,
    /// When the challenge can no longer be answered.
    pub expires: UnixMillis,
    /// Drawn at random by the server.
    pub nonce: [u8; 16],
}

impl Challenge {
    /// The device's answer; 64 bytes.
    #[must_use]
    pub fn answer(&self, key: &SigningKey) -> [u8; 64] {
        key.sign(LABEL_AUTHENTICATE, &self.to_bytes())
    }

    /// Checks an answer under the device's certified key. The caller checks the expiry.
    ///
    /// # Errors
    /// [`SignatureError::Signature`].
    pub fn verify(&self, key: &VerifyingKey, answer: &[u8]) -> Result<(), SignatureError> {
        key.verify(LABEL_AUTHENTICATE, &self.to_bytes(), answer)
    }

    /// The encoding: `opaque server<V>; opaque device[16]; uint64 expires; opaque nonce[16]`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = ChallengeWire {
            server: self.server.as_bytes().into(),
            device: *self.device.as_bytes(),
            expires: self.expires.0,
            nonce: self.nonce,
        };
        // Serializing fails only past 2^30 bytes, and a server's name is no longer than a user's.
        wire.tls_serialize_detached().unwrap_or_default()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`IdError::Length`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdError> {
        let malformed = || IdError::Length {
            expected: 41,
            actual: bytes.len(),
        };
        let wire = ChallengeWire::tls_deserialize_exact_bytes(bytes).map_err(|_| malformed())?;
        Ok(Self {
            server: String::from_utf8(wire.server.into()).map_err(|_| malformed())?,
            device: DeviceId::from_bytes(wire.device),
            expires: UnixMillis(wire.expires),
            nonce: wire.nonce,
        })
    }
}

/// What a device signs, with its own key, to be registered: that it wants to be this user's.
/// The certificate alone would let anybody register somebody else's public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPossession {
    /// The name of the server.
    pub server: String,
    /// The user to be registered.
    pub user: UserId,
    /// The device to be registered.
    pub device: DeviceId,
}

impl KeyPossession {
    /// The proof; 64 bytes.
    #[must_use]
    pub fn prove(&self, key: &SigningKey) -> [u8; 64] {
        key.sign(LABEL_REGISTER, &self.to_bytes())
    }

    /// Checks the proof under the device's certified key.
    ///
    /// # Errors
    /// [`SignatureError::Signature`].
    pub fn verify(&self, key: &VerifyingKey, proof: &[u8]) -> Result<(), SignatureError> {
        key.verify(LABEL_REGISTER, &self.to_bytes(), proof)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let wire = PossessionWire {
            server: self.server.as_bytes().into(),
            user: self.user.as_str().as_bytes().into(),
            device: *self.device.as_bytes(),
        };
        // Serializing fails only past 2^30 bytes; names have at most 129.
        wire.tls_serialize_detached().unwrap_or_default()
    }
}

/// What a user signs, with the identity key, to be deleted with all devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserDeletion {
    /// The name of the server.
    pub server: String,
    /// The user to be deleted.
    pub user: UserId,
    /// When this can no longer be used.
    pub expires: UnixMillis,
}

impl UserDeletion {
    /// The signature; 64 bytes.
    #[must_use]
    pub fn sign(&self, identity_key: &SigningKey) -> [u8; 64] {
        identity_key.sign(LABEL_DELETE_USER, &self.to_bytes())
    }

    /// Checks the signature under the user's identity key. The caller checks the expiry.
    ///
    /// # Errors
    /// [`SignatureError::Signature`].
    pub fn verify(
        &self,
        identity_key: &VerifyingKey,
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        identity_key.verify(LABEL_DELETE_USER, &self.to_bytes(), signature)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let wire = DeletionWire {
            server: self.server.as_bytes().into(),
            user: self.user.as_str().as_bytes().into(),
            expires: self.expires.0,
        };
        // Serializing fails only past 2^30 bytes; names have at most 129.
        wire.tls_serialize_detached().unwrap_or_default()
    }
}

#[derive(TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct ChallengeWire {
    server: VLBytes,
    device: [u8; 16],
    expires: u64,
    nonce: [u8; 16],
}

#[derive(TlsSerialize, TlsSize)]
struct PossessionWire {
    server: VLBytes,
    user: VLBytes,
    device: [u8; 16],
}

#[derive(TlsSerialize, TlsSize)]
struct DeletionWire {
    server: VLBytes,
    user: VLBytes,
    expires: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_worth_nothing_elsewhere() {
        let key = SigningKey::from_seed(&[1; 32]);
        let challenge = Challenge {
            server: "here".into(),
            device: DeviceId::from_bytes([2; 16]),
            expires: UnixMillis(3),
            nonce: [4; 16],
        };
        let answer = challenge.answer(&key);
        let public = key.verifying_key();
        assert_eq!(challenge.verify(&public, &answer), Ok(()));
        assert_eq!(
            Challenge::from_bytes(&challenge.to_bytes()),
            Ok(challenge.clone())
        );
        let elsewhere = Challenge {
            server: "there".into(),
            ..challenge.clone()
        };
        let later = Challenge {
            expires: UnixMillis(4),
            ..challenge
        };
        assert!(elsewhere.verify(&public, &answer).is_err());
        assert!(later.verify(&public, &answer).is_err());
    }
}
