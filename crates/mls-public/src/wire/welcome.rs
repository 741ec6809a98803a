use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::{Bytes, HpkeCiphertext};

/// What brings new members in (RFC 9420 §12.4.3.1).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct Welcome {
    /// The group's suite.
    pub cipher_suite: u16,
    /// For each new member, what it needs to read the rest.
    pub secrets: Vec<EncryptedGroupSecrets>,
    /// The GroupInfo, encrypted to all of them.
    pub encrypted_group_info: Bytes,
}

/// One new member's part of a Welcome (RFC 9420 §12.4.3.1).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct EncryptedGroupSecrets {
    /// `KeyPackageRef` of the package that it was added with.
    pub new_member: Bytes,
    /// Its GroupSecrets, encrypted to the package's init key.
    pub encrypted_group_secrets: HpkeCiphertext,
}
