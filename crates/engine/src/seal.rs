//! Sealing something to one other device, outside of any group: HPKE (RFC 9180) with the algorithms
//! of the groups' cipher suite.

use std::fmt;

use conclave_crypto::{CipherSuite, CryptoError, HpkeKeyPair, Random, Secret};
use zeroize::Zeroizing;

use crate::EngineError;

const SUITE: CipherSuite = CipherSuite::X25519Aes128Sha256Ed25519;

/// Bytes of the encapsulated key, which stands before the ciphertext.
const KEM_OUTPUT_BYTES: usize = 32;

/// A private key that something can be sealed to. Wiped on drop; `Debug` shows nothing of it.
pub struct SealingKey(HpkeKeyPair);

impl SealingKey {
    /// Bytes of the public key.
    pub const PUBLIC_BYTES: usize = 32;

    /// The key of a seed, which the caller draws at random (RFC 9180 §7.1.3).
    ///
    /// # Errors
    /// [`EngineError::Internal`], which does not happen.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, EngineError> {
        let pair = SUITE.derive_key_pair(&Secret::from(seed.as_slice()));
        Ok(Self(pair.map_err(|_| INTERNAL)?))
    }

    /// The public key.
    ///
    /// # Errors
    /// [`EngineError::Internal`], which does not happen.
    pub fn public(&self) -> Result<[u8; Self::PUBLIC_BYTES], EngineError> {
        self.0.public().try_into().map_err(|_| INTERNAL)
    }

    /// Opens what [`seal`] made for this key with the same purpose and context.
    ///
    /// # Errors
    /// [`EngineError::Undecryptable`] for anything else.
    pub fn open(
        &self,
        purpose: &str,
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, EngineError> {
        let (kem_output, ciphertext) = sealed
            .split_at_checked(KEM_OUTPUT_BYTES)
            .ok_or(EngineError::Undecryptable)?;
        let opened = SUITE
            .decrypt_with_label(&self.0, purpose, context, kem_output, ciphertext)
            .map_err(|_| EngineError::Undecryptable)?;
        Ok(Zeroizing::new(opened.as_bytes().to_vec()))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(redacted)")
    }
}

/// Seals `content` so that only who has the private key of `public` can open it. `random` is drawn
/// anew each time.
///
/// # Errors
/// [`EngineError::Malformed`] where `public` is no key.
pub fn seal(
    public: &[u8],
    purpose: &str,
    context: &[u8],
    content: &[u8],
    random: &[u8; 32],
) -> Result<Vec<u8>, EngineError> {
    let mut random = Drawn(Zeroizing::new(*random));
    let sealed = SUITE
        .encrypt_with_label(public, purpose, context, content, &mut random)
        .map_err(|error| match error {
            CryptoError::PublicKey => EngineError::Malformed,
            _ => INTERNAL,
        })?;
    Ok([sealed.kem_output, sealed.ciphertext].concat())
}

const INTERNAL: EngineError = EngineError::Internal("HPKE failed");

/// Randomness that the caller drew. HPKE asks once, for the seed of the ephemeral key.
struct Drawn(Zeroizing<[u8; 32]>);

impl Random for Drawn {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), CryptoError> {
        if out.len() != self.0.len() {
            return Err(CryptoError::Random);
        }
        out.copy_from_slice(&*self.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_key_purpose_and_context_alone() {
        let [key, other] = [1, 2].map(|seed| SealingKey::from_seed(&[seed; 32]).unwrap());
        let public = key.public().unwrap();
        let sealed = seal(&public, "purpose", b"context", b"content", &[3; 32]).unwrap();
        let opened = key.open("purpose", b"context", &sealed).unwrap();
        assert_eq!(opened.as_slice(), b"content");
        assert!(!sealed.windows(7).any(|window| window == b"content"));
        assert!(other.open("purpose", b"context", &sealed).is_err());
        assert!(key.open("purposes", b"context", &sealed).is_err());
        assert!(key.open("purpose", b"contexts", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open("purpose", b"context", &changed).is_err());
            assert!(key.open("purpose", b"context", &sealed[..at]).is_err());
        }
        assert!(seal(&public[1..], "purpose", b"", b"", &[3; 32]).is_err());
    }
}
