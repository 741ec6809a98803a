//! Pre-shared keys (RFC 9420 §8.4).

use std::collections::HashMap;

use conclave_crypto::{CipherSuite, Secret};
use conclave_mls_public::wire::{PreSharedKeyId, Psk, encode};
use tls_codec::{TlsSerialize, TlsSize};

use crate::{MemberError, error::Result, limits::PSKS_MAX};

/// Where pre-shared keys come from: the application's, and those of epochs of other groups.
pub trait PskStore {
    /// The key of this name, if there is one.
    fn find(&self, psk: &Psk) -> Option<Secret>;
}

impl PskStore for HashMap<Psk, Secret> {
    fn find(&self, psk: &Psk) -> Option<Secret> {
        self.get(psk).cloned()
    }
}

#[derive(TlsSerialize, TlsSize)]
struct PskLabel<'a> {
    id: &'a PreSharedKeyId,
    index: u16,
    count: u16,
}

/// `psk_secret` of these keys, in this order; of none, as many zero bytes as a hash has.
///
/// # Errors
/// [`MemberError::TooMany`] if they are over [`PSKS_MAX`].
pub fn psk_secret(suite: CipherSuite, psks: &[(PreSharedKeyId, Secret)]) -> Result<Secret> {
    if psks.len() > PSKS_MAX {
        return Err(MemberError::TooMany);
    }
    let zero = Secret::zero(suite.hash_len());
    let count = u16::try_from(psks.len()).map_err(|_| MemberError::TooMany)?;
    let mut secret = zero.clone();
    for (index, (id, psk)) in (0..count).zip(psks) {
        let extracted = suite.extract(zero.as_bytes(), psk.as_bytes());
        let label = encode(&PskLabel { id, index, count })?;
        let input = suite.expand_with_label(&extracted, "derived psk", &label, suite.hash_len())?;
        secret = suite.extract(input.as_bytes(), secret.as_bytes());
    }
    Ok(secret)
}
