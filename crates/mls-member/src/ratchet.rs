//! One symmetric ratchet of one member (RFC 9420 §9.1).

use std::collections::BTreeMap;

use conclave_crypto::{CipherSuite, CryptoError, Secret};

use crate::{
    MemberError,
    limits::{FORWARD_GENERATIONS_MAX, SKIPPED_KEYS_MAX},
};

/// The AEAD key and nonce of one message.
#[derive(Debug, Clone)]
pub struct MessageKey {
    key: Secret,
    nonce: Secret,
}

impl MessageKey {
    /// The key, of the suite's length.
    pub fn key(&self) -> &Secret {
        &self.key
    }

    /// The nonce, before the reuse guard is applied.
    pub fn nonce(&self) -> &Secret {
        &self.nonce
    }
}

/// A chain of message keys. A generation's key is given out once.
#[derive(Debug, Clone)]
pub(crate) struct Ratchet {
    secret: Secret,
    generation: u32,
    skipped: BTreeMap<u32, MessageKey>,
}

impl Ratchet {
    /// The ratchet of a leaf's secret; `label` is `handshake` or `application`.
    pub(crate) fn new(suite: CipherSuite, leaf: &Secret, label: &str) -> Result<Self, CryptoError> {
        Ok(Self {
            secret: suite.expand_with_label(leaf, label, &[], suite.hash_len())?,
            generation: 0,
            skipped: BTreeMap::new(),
        })
    }

    /// The key of the next generation, and its number.
    pub(crate) fn next(&mut self, suite: CipherSuite) -> Result<(u32, MessageKey), MemberError> {
        let generation = self.generation;
        let following = generation
            .checked_add(1)
            .ok_or(MemberError::RatchetExhausted)?;
        let derive = |label, len| suite.derive_tree_secret(&self.secret, label, generation, len);
        let key = MessageKey {
            key: derive("key", suite.key_len())?,
            nonce: derive("nonce", suite.nonce_len())?,
        };
        self.secret = derive("secret", suite.hash_len())?;
        self.generation = following;
        Ok((generation, key))
    }

    /// The key of this generation, once; those that it skips are kept.
    pub(crate) fn take(
        &mut self,
        suite: CipherSuite,
        generation: u32,
    ) -> Result<MessageKey, MemberError> {
        let Some(ahead) = generation.checked_sub(self.generation) else {
            return self
                .skipped
                .remove(&generation)
                .ok_or(MemberError::GenerationGone);
        };
        // RFC 9420 §9.2: how far a sender may run ahead is bounded.
        if ahead > FORWARD_GENERATIONS_MAX {
            return Err(MemberError::GenerationTooFar);
        }
        for _ in 0..ahead {
            let (skipped, key) = self.next(suite)?;
            self.skipped.insert(skipped, key);
            if self.skipped.len() > SKIPPED_KEYS_MAX {
                self.skipped.pop_first();
            }
        }
        Ok(self.next(suite)?.1)
    }

    pub(crate) fn held(&self) -> usize {
        1 + self.skipped.len()
    }
}
