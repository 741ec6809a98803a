//! What a message costs without any protocol around it: a signature, and a seal. Nothing that sends signed and
//! encrypted messages can be faster.

use anyhow::Context as _;
use conclave_crypto::{Random as _, SigningKey, SystemRandomness};

use crate::SUITE;

const LABEL: &str = "FramedContentTBS";

/// A sender and a recipient who have agreed on a key.
pub struct Bare {
    signer: SigningKey,
    key: Vec<u8>,
    nonce: Vec<u8>,
}

impl Bare {
    /// With fresh keys.
    ///
    /// # Errors
    /// Without randomness.
    pub fn new() -> anyhow::Result<Self> {
        let (mut key, mut nonce) = (vec![0; SUITE.key_len()], vec![0; SUITE.nonce_len()]);
        SystemRandomness.fill(&mut key)?;
        SystemRandomness.fill(&mut nonce)?;
        Ok(Self {
            signer: SigningKey::generate(SUITE, &mut SystemRandomness)?,
            key,
            nonce,
        })
    }

    /// Signs and seals.
    ///
    /// # Errors
    /// If the cryptography fails.
    pub fn send(&self, content: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut signed = content.to_vec();
        signed.extend(self.signer.sign_with_label(LABEL, content)?);
        Ok(SUITE.seal(&self.key, &self.nonce, &[], &signed)?)
    }

    /// Opens and verifies: the content.
    ///
    /// # Errors
    /// If it is not what [`Self::send`] made.
    pub fn receive(&self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut content = SUITE.open(&self.key, &self.nonce, &[], message)?;
        let at = content.len().checked_sub(64).context("no signature")?;
        let signature = content.split_off(at);
        SUITE.verify_with_label(self.signer.public(), LABEL, &content, &signature)?;
        Ok(content)
    }
}
