use conclave_crypto::{CipherSuite, Hash, SigningKey};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::{Bytes, Extensions, LeafNode, MLS10, encode};
use crate::Error;

const LABEL: &str = "KeyPackageTBS";

/// What a client publishes so that others can add it (RFC 9420 §10).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct KeyPackage {
    /// Always `mls10`.
    pub version: u16,
    /// The suite it is for.
    pub cipher_suite: u16,
    /// The HPKE public key that the Welcome is encrypted to.
    pub init_key: Bytes,
    /// The leaf that the client will have.
    pub leaf_node: LeafNode,
    /// Extensions.
    pub extensions: Extensions,
    /// By the leaf's signature key.
    pub signature: Bytes,
}

#[derive(TlsSerialize, TlsSize)]
struct ToBeSigned<'a> {
    version: u16,
    cipher_suite: u16,
    init_key: &'a Bytes,
    leaf_node: &'a LeafNode,
    extensions: &'a Extensions,
}

impl KeyPackage {
    /// Signs the package, replacing its signature.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the library fails, [`Error::TooLarge`].
    pub fn sign(&mut self, key: &SigningKey) -> Result<(), Error> {
        let signature = key.sign_with_label(LABEL, &self.to_be_signed()?)?;
        self.signature = signature.into();
        Ok(())
    }

    /// Checks the package for a group of this suite, its leaf's signature included. What the group
    /// demands of the leaf beside it is checked when the leaf is added; whether the lifetime is
    /// current, by whoever has a clock.
    ///
    /// # Errors
    /// The clause of RFC 9420 §10.1 that does not hold.
    pub fn verify(&self, suite: CipherSuite) -> Result<(), Error> {
        // RFC 9420 §10.1
        if self.version != MLS10 || self.cipher_suite != u16::from(suite) {
            return Err(Error::KeyPackageSuite);
        }
        if !self.leaf_node.is_from_key_package() {
            return Err(Error::LeafSource);
        }
        if self.init_key == self.leaf_node.encryption_key {
            return Err(Error::InitKeyReused);
        }
        self.leaf_node.verify(suite, (&[], 0))?;
        suite
            .verify_with_label(
                self.leaf_node.signature_key.as_slice(),
                LABEL,
                &self.to_be_signed()?,
                self.signature.as_slice(),
            )
            .map_err(|_| Error::KeyPackageSignature)
    }

    /// The name by which a Welcome calls it: `KeyPackageRef` (RFC 9420 §5.2).
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn reference(&self, suite: CipherSuite) -> Result<Hash, Error> {
        Ok(suite.ref_hash("MLS 1.0 KeyPackage Reference", &encode(self)?))
    }

    fn to_be_signed(&self) -> Result<Vec<u8>, Error> {
        encode(&ToBeSigned {
            version: self.version,
            cipher_suite: self.cipher_suite,
            init_key: &self.init_key,
            leaf_node: &self.leaf_node,
            extensions: &self.extensions,
        })
    }
}
