//! The keys of a PrivateMessage's sender data (RFC 9420 §6.3.2).

use conclave_crypto::{CipherSuite, CryptoError, Secret};

/// The key and nonce that hide who sent the message with this ciphertext: both depend on a sample of
/// it, so that no two messages share them.
///
/// # Errors
/// As [`CipherSuite::expand_with_label`].
pub fn sender_data_keys(
    suite: CipherSuite,
    sender_data_secret: &Secret,
    ciphertext: &[u8],
) -> Result<(Secret, Secret), CryptoError> {
    // RFC 9420 §6.3.2: a shorter ciphertext is its own sample.
    let sample = &ciphertext[..suite.hash_len().min(ciphertext.len())];
    let derive = |label, len| suite.expand_with_label(sender_data_secret, label, sample, len);
    Ok((
        derive("key", suite.key_len())?,
        derive("nonce", suite.nonce_len())?,
    ))
}
