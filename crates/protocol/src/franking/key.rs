//! The keys that the service signs with, and the operator's word for them.

use std::fmt;

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use tls_codec::{
    DeserializeBytes as _, Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes,
};
use zeroize::Zeroizing;

use super::{FrankError, Stamp, frank::ROOT_LABEL};
use crate::{KeyId, SigningKey, UnixMillis, VerifyingKey};

const VERSION: u8 = 1;
const CERTIFICATE_LABEL: &str = "StampingKey";
const ID_LABEL: &[u8] = b"Conclave 1.0 StampingKeyId";
const MAC_KEY_LABEL: &[u8] = b"Conclave 1.0 FrankMacKey";

/// The service's private half of a stamping key, with what it authenticates its own stamps by.
pub struct StampingKey {
    signing: SigningKey,
    mac: Zeroizing<[u8; 32]>,
    id: KeyId,
}

impl StampingKey {
    /// The key of a seed, which the service draws at random.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let signing = SigningKey::from_seed(seed);
        let mac = Sha256::new().chain_update(MAC_KEY_LABEL).chain_update(seed);
        Self {
            id: id_of(&signing.verifying_key()),
            mac: Zeroizing::new(mac.finalize().into()),
            signing,
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        self.signing.verifying_key()
    }

    /// The service's own proof that a stamp is its, which costs it no look at a signature.
    #[must_use]
    pub fn authenticate(&self, stamp: &Stamp) -> [u8; 32] {
        // HMAC takes a key of any length.
        Hmac::<Sha256>::new_from_slice(&*self.mac)
            .map(|mac| {
                mac.chain_update(stamp.to_bytes())
                    .finalize()
                    .into_bytes()
                    .into()
            })
            .unwrap_or_default()
    }

    pub(super) fn sign_root(&self, root: &[u8]) -> [u8; 64] {
        self.signing.sign(ROOT_LABEL, root)
    }
}

impl fmt::Debug for StampingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StampingKey({:?})", self.id)
    }
}

/// The operator's word that a key stamps for a service, for a time.
///
/// ```text
/// struct {
///     uint8  version = 1;
///     opaque server<V>;            // what stands behind the @ of its users
///     opaque key[32];
///     uint64 not_before_millis;
///     uint64 not_after_millis;
///     opaque signature[64];        // by the operator's key, label "StampingKey", over all before it
/// } StampingKeyCertificate;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StampingKeyCertificate {
    server: String,
    key: VerifyingKey,
    not_before: UnixMillis,
    not_after: UnixMillis,
    signature: [u8; 64],
}

impl StampingKeyCertificate {
    /// The word of the operator whose key this is, for a key that stamps from one moment to another.
    #[must_use]
    pub fn issue(
        server: &str,
        key: VerifyingKey,
        (not_before, not_after): (UnixMillis, UnixMillis),
        operator: &SigningKey,
    ) -> Self {
        let signature = [0; 64];
        let server = server.to_owned();
        let mut issued = Self {
            server,
            key,
            not_before,
            not_after,
            signature,
        };
        issued.signature = operator.sign(CERTIFICATE_LABEL, &issued.to_be_signed());
        issued
    }

    /// The certified key's name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        id_of(&self.key)
    }

    /// The key that is certified.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The service that it stamps for.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Whether it stamps at that moment.
    #[must_use]
    pub fn covers(&self, moment: UnixMillis) -> bool {
        (self.not_before..=self.not_after).contains(&moment)
    }

    /// Checks that the operator said so.
    ///
    /// # Errors
    /// [`FrankError::Key`].
    pub fn verify(&self, operator: &VerifyingKey) -> Result<(), FrankError> {
        operator
            .verify(CERTIFICATE_LABEL, &self.to_be_signed(), &self.signature)
            .map_err(|_| FrankError::Key)
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.to_be_signed();
        bytes.extend_from_slice(&self.signature);
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (wire, signature) = Wire::tls_deserialize_bytes(bytes).ok()?;
        if wire.version != VERSION {
            return None;
        }
        Some(Self {
            server: String::from_utf8(wire.server.into()).ok()?,
            key: VerifyingKey::try_from(&wire.key[..]).ok()?,
            not_before: UnixMillis(wire.not_before),
            not_after: UnixMillis(wire.not_after),
            signature: signature.try_into().ok()?,
        })
    }

    fn to_be_signed(&self) -> Vec<u8> {
        let wire = Wire {
            version: VERSION,
            server: VLBytes::new(self.server.as_bytes().to_vec()),
            key: *self.key.as_bytes(),
            not_before: self.not_before.0,
            not_after: self.not_after.0,
        };
        // Serializing fails only past 2^30 bytes; a server's name is part of its users'.
        wire.tls_serialize_detached().unwrap_or_default()
    }
}

fn id_of(key: &VerifyingKey) -> KeyId {
    let hash = Sha256::new()
        .chain_update(ID_LABEL)
        .chain_update(key.as_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    let mut id = [0; KeyId::BYTES];
    id.copy_from_slice(&hash[..KeyId::BYTES]);
    KeyId::from_bytes(id)
}

#[derive(TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct Wire {
    version: u8,
    server: VLBytes,
    key: [u8; 32],
    not_before: u64,
    not_after: u64,
}
