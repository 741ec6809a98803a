//! The hashes over all Commits of a group (RFC 9420 §8.2).

use conclave_crypto::{CipherSuite, Hash};
use tls_codec::{Serialize, TlsSerialize, TlsSize};

use crate::{
    Error,
    wire::{AuthenticatedContent, Bytes, FramedContent, WireFormat},
};

#[derive(TlsSerialize, TlsSize)]
struct ConfirmedInput<'a> {
    wire_format: WireFormat,
    content: &'a FramedContent,
    signature: &'a Bytes,
}

/// `confirmed_transcript_hash` after a Commit, from the interim hash before it.
///
/// # Errors
/// [`Error::TooLarge`].
pub fn confirmed_transcript_hash(
    suite: CipherSuite,
    interim_before: &[u8],
    commit: &AuthenticatedContent,
) -> Result<Hash, Error> {
    let input = ConfirmedInput {
        wire_format: commit.wire_format,
        content: &commit.content,
        signature: &commit.auth.signature,
    };
    hash_after(suite, interim_before, &input)
}

/// `interim_transcript_hash` of an epoch, from its confirmed hash and confirmation tag.
///
/// # Errors
/// [`Error::TooLarge`].
pub fn interim_transcript_hash(
    suite: CipherSuite,
    confirmed: &[u8],
    confirmation_tag: &Bytes,
) -> Result<Hash, Error> {
    hash_after(suite, confirmed, confirmation_tag)
}

fn hash_after(suite: CipherSuite, before: &[u8], input: &impl Serialize) -> Result<Hash, Error> {
    let mut bytes = before.to_vec();
    input
        .tls_serialize(&mut bytes)
        .map_err(|_| Error::TooLarge)?;
    Ok(suite.hash(&bytes))
}
