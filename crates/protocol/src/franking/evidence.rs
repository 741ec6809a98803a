//! All that proves one message to somebody who has seen nothing else of it.

use std::fmt;

use thiserror::Error;
use tls_codec::{
    DeserializeBytes as _, Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes,
};

use super::{Commitment, Frank, Stamp, StampingKeyCertificate};
use crate::{Content, MessageId, VerifyingKey, limits::CONTENT_BYTES_MAX};

const VERSION: u8 = 1;

/// Why something is not proved. The first six are of the stamp: nothing shows that the service stated it. With
/// [`Self::Commitment`] it did, and its sender sent something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The bytes are no evidence.
    #[error("it is not in the form of evidence")]
    Malformed,
    /// No certificate by the operator is for the key that stamped it.
    #[error("the operator has not certified the key that stamped it")]
    KeyUnknown,
    /// The operator certified the key for another time than the one at which the message was accepted.
    #[error("the key that stamped it was not to be used at that time")]
    KeyTime,
    /// The operator certified the key for users of another service.
    #[error("the key that stamped it is for users of another service")]
    KeyServer,
    /// The way from the stamp to the root is not one in a tree of that size.
    #[error("its way to the signed root is not one of the tree")]
    Path,
    /// The signature is not over the root above this stamp: the service did not state it.
    #[error("the service did not sign this stamp")]
    Root,
    /// The service stated the stamp, and what is shown is not what its sender committed to.
    #[error("its sender committed to something else")]
    Commitment,
}

/// One message with what proves it: the service's word on who sent what commitment to which group, when, and what
/// the sender committed to.
///
/// ```text
/// struct {
///     uint8  version = 1;
///     opaque stamp<V>;             // Stamp
///     opaque envelope<V>;          // what recipients decrypt, with its salt and padding
///     opaque frank<V>;             // Frank
/// } Evidence;
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What the service stated.
    pub stamp: Stamp,
    /// What was encrypted: the envelope with its salt and all its padding.
    pub envelope: Vec<u8>,
    /// What stood beside the entry of the log.
    pub frank: Frank,
}

/// A message that was proved.
#[derive(Debug, Clone, Copy)]
pub struct Proved<'a>(&'a Evidence);

impl Evidence {
    /// Bytes of the encoding, at most: the largest envelope, the longest names, and the deepest tree there may be.
    pub const BYTES_MAX: usize = CONTENT_BYTES_MAX + 2 * 1024;

    /// Checks all of it, under the operator's key; `certificates` are what the operator is said to have certified,
    /// and those that it has not, or that are of other keys, are passed over.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn verify(
        &self,
        operator: &VerifyingKey,
        certificates: &[StampingKeyCertificate],
    ) -> Result<Proved<'_>, EvidenceError> {
        let key = self.certified(operator, certificates)?;
        let root = self.frank.root(&self.stamp);
        let root = root.map_err(|_| EvidenceError::Path)?;
        root.verify(key).map_err(|_| EvidenceError::Root)?;
        let commitment = Commitment::to(self.stamp.group, &self.stamp.sender, &self.envelope);
        if commitment == Some(self.stamp.commitment) {
            Ok(Proved(self))
        } else {
            Err(EvidenceError::Commitment)
        }
    }

    /// The certificate of the key that stamped it. Of one key there may be several, for other times.
    fn certified<'a>(
        &self,
        operator: &VerifyingKey,
        certificates: &'a [StampingKeyCertificate],
    ) -> Result<&'a StampingKeyCertificate, EvidenceError> {
        let mut reason = EvidenceError::KeyUnknown;
        let of_key = certificates.iter().filter(|it| it.id() == self.frank.key());
        for certificate in of_key.filter(|it| it.verify(operator).is_ok()) {
            if certificate.server() != self.stamp.sender.user.domain() {
                reason = EvidenceError::KeyServer;
            } else if !certificate.covers(self.stamp.accepted) {
                reason = EvidenceError::KeyTime;
            } else {
                return Ok(certificate);
            }
        }
        Err(reason)
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = Wire {
            version: VERSION,
            stamp: VLBytes::new(self.stamp.to_bytes()),
            envelope: VLBytes::new(self.envelope.clone()),
            frank: VLBytes::new(self.frank.to_bytes()),
        };
        // Serializing fails only past 2^30 bytes; an envelope has at most 64 KiB.
        wire.tls_serialize_detached().unwrap_or_default()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`EvidenceError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EvidenceError> {
        Self::read(bytes).ok_or(EvidenceError::Malformed)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > Self::BYTES_MAX {
            return None;
        }
        let wire = Wire::tls_deserialize_exact_bytes(bytes).ok()?;
        let envelope: Vec<u8> = wire.envelope.into();
        (wire.version == VERSION && envelope.len() <= CONTENT_BYTES_MAX).then_some(())?;
        Some(Self {
            stamp: Stamp::from_bytes(wire.stamp.as_slice())?,
            envelope,
            frank: Frank::from_bytes(wire.frank.as_slice())?,
        })
    }
}

/// What was said is nobody's to see in a log.
impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Evidence({} bytes)", self.envelope.len())
    }
}

impl<'a> Proved<'a> {
    /// Who sent it, to which group, when.
    #[must_use]
    pub fn stamp(&self) -> &'a Stamp {
        &self.0.stamp
    }

    /// What was sent.
    #[must_use]
    pub fn content(&self) -> Content {
        Content::open(&self.0.envelope)
    }

    /// The message's name in its group.
    #[must_use]
    pub fn id(&self) -> MessageId {
        let Stamp { group, sender, .. } = self.stamp();
        MessageId::of(*group, sender.device, &self.0.envelope)
    }
}

#[derive(TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct Wire {
    version: u8,
    stamp: VLBytes,
    envelope: VLBytes,
    frank: VLBytes,
}
