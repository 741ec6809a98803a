use conclave_crypto::{CipherSuite, SigningKey};
use tls_codec::{Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::{Bytes, Capabilities, Credential, Extensions};
use crate::Error;

const LABEL: &str = "LeafNodeTBS";

/// A member's place in the tree: its keys, who it is and what it can do (RFC 9420 §7.2).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct LeafNode {
    /// HPKE public key.
    pub encryption_key: Bytes,
    /// The public key that this member's signatures verify with.
    pub signature_key: Bytes,
    /// Whom the signature key belongs to.
    pub credential: Credential,
    /// What the client can do.
    pub capabilities: Capabilities,
    /// What brought the leaf into the tree.
    pub leaf_node_source: LeafNodeSource,
    /// Extensions.
    pub extensions: Extensions,
    /// By the signature key, over all of the above and, inside a group, over the place.
    pub signature: Bytes,
}

/// What brought a leaf into the tree (RFC 9420 §7.2).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
#[repr(u8)]
pub enum LeafNodeSource {
    /// A KeyPackage; it says for how long the leaf may be used to add its client.
    #[tls_codec(discriminant = 1)]
    KeyPackage(Lifetime),
    /// An Update proposal.
    #[tls_codec(discriminant = 2)]
    Update,
    /// A Commit; the bytes are the parent hash of the leaf (§7.9).
    #[tls_codec(discriminant = 3)]
    Commit(Bytes),
}

/// When a KeyPackage may be used, in seconds since 1970 (RFC 9420 §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct Lifetime {
    /// From then on.
    pub not_before: u64,
    /// Until then.
    pub not_after: u64,
}

impl LeafNode {
    /// Signs the leaf, replacing its signature. `place` is the group's id and the leaf's index; a
    /// leaf for a KeyPackage has none.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the library fails, [`Error::TooLarge`].
    pub fn sign(&mut self, key: &SigningKey, place: Option<(&[u8], u32)>) -> Result<(), Error> {
        let signature = key.sign_with_label(LABEL, &self.to_be_signed(place)?)?;
        self.signature = signature.into();
        Ok(())
    }

    /// Checks the leaf's signature. `place` is where it stands; a leaf from a KeyPackage is signed
    /// for no place, and its is ignored.
    ///
    /// # Errors
    /// [`Error::LeafSignature`].
    pub fn verify(&self, suite: CipherSuite, place: (&[u8], u32)) -> Result<(), Error> {
        let content = self.to_be_signed(Some(place))?;
        let key = self.signature_key.as_slice();
        // RFC 9420 §7.3
        suite
            .verify_with_label(key, LABEL, &content, self.signature.as_slice())
            .map_err(|_| Error::LeafSignature)
    }

    /// `LeafNodeTBS`.
    fn to_be_signed(&self, place: Option<(&[u8], u32)>) -> Result<Vec<u8>, Error> {
        let mut out = Vec::with_capacity(self.tls_serialized_len() + 64);
        self.write_to_be_signed(place, &mut out)
            .map_err(|_| Error::TooLarge)?;
        Ok(out)
    }

    fn write_to_be_signed(
        &self,
        place: Option<(&[u8], u32)>,
        out: &mut Vec<u8>,
    ) -> Result<(), tls_codec::Error> {
        self.encryption_key.tls_serialize(out)?;
        self.signature_key.tls_serialize(out)?;
        self.credential.tls_serialize(out)?;
        self.capabilities.tls_serialize(out)?;
        self.leaf_node_source.tls_serialize(out)?;
        self.extensions.tls_serialize(out)?;
        if let (Some((group_id, leaf)), false) = (place, self.is_from_key_package()) {
            tls_codec::VLByteSlice(group_id).tls_serialize(out)?;
            leaf.tls_serialize(out)?;
        }
        Ok(())
    }

    /// Whether the leaf came in a KeyPackage.
    pub fn is_from_key_package(&self) -> bool {
        matches!(self.leaf_node_source, LeafNodeSource::KeyPackage(_))
    }
}

use tls_codec::Size as _;
