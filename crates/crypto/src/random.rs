use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

use crate::CryptoError;

/// A source of randomness. It is an argument wherever randomness is needed, so that a test can
/// decide what is drawn.
pub trait Random {
    /// Fills `out` with random bytes.
    ///
    /// # Errors
    /// [`CryptoError::Random`] if there are none to be had.
    fn fill(&mut self, out: &mut [u8]) -> Result<(), CryptoError>;
}

/// The operating system's randomness, through the generator of AWS-LC.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandomness;

impl Random for SystemRandomness {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), CryptoError> {
        SystemRandom::new()
            .fill(out)
            .map_err(|_| CryptoError::Random)
    }
}
