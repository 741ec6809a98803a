//! As much of a Welcome as it takes to say how large the part of one who joins is.

use anyhow::ensure;
use tls_codec::{
    DeserializeBytes as _, Size as _, TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes,
};

/// `mls_welcome`, RFC 9420 §6.
const WELCOME: u16 = 3;

/// RFC 9420 §12.4.3.1, in an MLSMessage.
#[derive(Debug, TlsDeserializeBytes, TlsSerialize, TlsSize)]
struct Welcome {
    version: u16,
    wire_format: u16,
    cipher_suite: u16,
    secrets: Vec<EncryptedGroupSecrets>,
    encrypted_group_info: VLBytes,
}

#[derive(Debug, TlsDeserializeBytes, TlsSerialize, TlsSize)]
struct EncryptedGroupSecrets {
    new_member: VLBytes,
    kem_output: VLBytes,
    ciphertext: VLBytes,
}

/// The bytes of a Welcome for one of those who join: what all share, and the own secrets.
///
/// # Errors
/// If it is none.
pub fn slice_of(welcome: &[u8]) -> anyhow::Result<usize> {
    let mut welcome = Welcome::tls_deserialize_exact_bytes(welcome)?;
    ensure!(welcome.wire_format == WELCOME, "no Welcome");
    welcome.secrets.truncate(1);
    Ok(welcome.tls_serialized_len())
}
