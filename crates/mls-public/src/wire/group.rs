use conclave_crypto::{CipherSuite, SigningKey};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::{Bytes, Extensions, encode};
use crate::Error;

const LABEL: &str = "GroupInfoTBS";

/// What all members agree on in an epoch (RFC 9420 §8.1).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct GroupContext {
    /// Always `mls10`.
    pub version: u16,
    /// The suite.
    pub cipher_suite: u16,
    /// The group's id.
    pub group_id: Bytes,
    /// Grows by one with each Commit.
    pub epoch: u64,
    /// The hash of the ratchet tree's root (§7.8).
    pub tree_hash: Bytes,
    /// The hash over all Commits so far (§8.2).
    pub confirmed_transcript_hash: Bytes,
    /// Extensions.
    pub extensions: Extensions,
}

/// A group's public state, signed by a member (RFC 9420 §12.4.3).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct GroupInfo {
    /// What the members agree on.
    pub group_context: GroupContext,
    /// Extensions: the tree, the key for external init.
    pub extensions: Extensions,
    /// The tag of the Commit that began the epoch.
    pub confirmation_tag: Bytes,
    /// The leaf of the member that signed.
    pub signer: u32,
    /// By the signer.
    pub signature: Bytes,
}

#[derive(TlsSerialize, TlsSize)]
struct ToBeSigned<'a> {
    group_context: &'a GroupContext,
    extensions: &'a Extensions,
    confirmation_tag: &'a Bytes,
    signer: u32,
}

impl GroupInfo {
    /// Signs, replacing the signature.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the library fails, [`Error::TooLarge`].
    pub fn sign(&mut self, key: &SigningKey) -> Result<(), Error> {
        let signature = key.sign_with_label(LABEL, &self.to_be_signed()?)?;
        self.signature = signature.into();
        Ok(())
    }

    /// Checks the signature against the signer's key.
    ///
    /// # Errors
    /// [`Error::GroupInfoSignature`].
    pub fn verify(&self, suite: CipherSuite, signature_key: &[u8]) -> Result<(), Error> {
        let content = self.to_be_signed()?;
        // RFC 9420 §12.4.3.1
        suite
            .verify_with_label(signature_key, LABEL, &content, self.signature.as_slice())
            .map_err(|_| Error::GroupInfoSignature)
    }

    fn to_be_signed(&self) -> Result<Vec<u8>, Error> {
        encode(&ToBeSigned {
            group_context: &self.group_context,
            extensions: &self.extensions,
            confirmation_tag: &self.confirmation_tag,
            signer: self.signer,
        })
    }
}
