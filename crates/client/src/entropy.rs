//! The system's randomness and clock: asked here, at the edge, and nowhere else.

use std::time::SystemTime;

use conclave_protocol::UnixMillis;
use zeroize::Zeroizing;

use crate::session::Seed;

/// Bytes from the system's random source.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without randomness nothing here is safe to do, and no caller could do better than stop.
    #[expect(clippy::expect_used)]
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// What a session draws its randomness from.
pub(crate) fn seed() -> Seed {
    Zeroizing::new(random())
}

/// The present.
pub(crate) fn now() -> UnixMillis {
    SystemTime::now().into()
}
