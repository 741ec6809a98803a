//! Welcome (RFC 9420 §12.4.3.1): how joiners get an epoch's secrets.

use conclave_crypto::{CipherSuite, HpkeKeyPair, Random, Secret};
use conclave_mls_public::wire::{
    EncryptedGroupSecrets, GroupInfo, HpkeCiphertext, KeyPackage, PreSharedKeyId, Welcome, decode,
    encode,
};
use tls_codec::{SecretVLBytes, TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::{JoinerSecret, MemberError, MemberSecret, error::Result};

const LABEL: &str = "Welcome";

/// What a Welcome says to one joiner alone: `GroupSecrets`.
#[derive(TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct GroupSecrets {
    joiner_secret: SecretVLBytes,
    path_secret: Option<SecretVLBytes>,
    psks: Vec<PreSharedKeyId>,
}

impl GroupSecrets {
    /// For a joiner; `path_secret` is that of the lowest node above it and the committer, if the
    /// Commit has a path.
    pub fn new(
        joiner: &JoinerSecret,
        path_secret: Option<&Secret>,
        psks: Vec<PreSharedKeyId>,
    ) -> Self {
        let bytes = |secret: &Secret| SecretVLBytes::new(secret.as_bytes().to_vec());
        Self {
            joiner_secret: bytes(joiner.secret()),
            path_secret: path_secret.map(bytes),
            psks,
        }
    }

    /// The secret that all joiners share.
    pub fn joiner_secret(&self) -> JoinerSecret {
        JoinerSecret::from_welcome(self.joiner_secret.as_slice().into())
    }

    /// The path secret of the lowest node above the joiner and the committer.
    pub fn path_secret(&self) -> Option<Secret> {
        self.path_secret
            .as_ref()
            .map(|secret| secret.as_slice().into())
    }

    /// Which PSKs the joiner must know, in the order in which they are mixed in.
    pub fn psks(&self) -> &[PreSharedKeyId] {
        &self.psks
    }

    /// Finds and opens the part of a Welcome that is for this KeyPackage.
    ///
    /// # Errors
    /// [`MemberError::NotInvited`] if there is none, [`MemberError::WrongSuite`],
    /// [`MemberError::KeyMismatch`] if `init` is not the package's key; [`MemberError::Crypto`] if
    /// it does not open.
    pub fn open(
        suite: CipherSuite,
        welcome: &Welcome,
        key_package: &KeyPackage,
        init: &HpkeKeyPair,
    ) -> Result<Self> {
        // RFC 9420 §12.4.3.1: the suite is that of the KeyPackage.
        if welcome.cipher_suite != u16::from(suite)
            || key_package.cipher_suite != welcome.cipher_suite
        {
            return Err(MemberError::WrongSuite);
        }
        if key_package.init_key.as_slice() != init.public() {
            return Err(MemberError::KeyMismatch);
        }
        let reference = key_package.reference(suite)?;
        let mut secrets = welcome.secrets.iter();
        let mine = secrets
            .find(|secrets| secrets.new_member.as_slice() == reference.as_bytes())
            .ok_or(MemberError::NotInvited)?;
        let plaintext = suite.decrypt_with_label(
            init,
            LABEL,
            welcome.encrypted_group_info.as_slice(),
            mine.encrypted_group_secrets.kem_output.as_slice(),
            mine.encrypted_group_secrets.ciphertext.as_slice(),
        )?;
        Ok(decode(plaintext.as_bytes())?)
    }

    /// Encrypts them to a joiner. `encrypted_group_info` is the Welcome's.
    ///
    /// # Errors
    /// [`MemberError::Crypto`] if the package's init key is none.
    pub fn seal(
        &self,
        suite: CipherSuite,
        key_package: &KeyPackage,
        encrypted_group_info: &[u8],
        random: &mut dyn Random,
    ) -> Result<EncryptedGroupSecrets> {
        let plaintext = Secret::from(encode(self)?);
        let public = key_package.init_key.as_slice();
        let sealed = suite.encrypt_with_label(
            public,
            LABEL,
            encrypted_group_info,
            plaintext.as_bytes(),
            random,
        )?;
        Ok(EncryptedGroupSecrets {
            new_member: key_package.reference(suite)?.as_bytes().into(),
            encrypted_group_secrets: HpkeCiphertext {
                kem_output: sealed.kem_output.into(),
                ciphertext: sealed.ciphertext.into(),
            },
        })
    }
}

impl std::fmt::Debug for GroupSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GroupSecrets(..)")
    }
}

/// Opens the GroupInfo of a Welcome. Its signature is not verified here: that takes the tree.
///
/// # Errors
/// [`MemberError::Crypto`] if the PSKs or the joiner secret are not those of the Welcome.
pub fn open_group_info(
    suite: CipherSuite,
    welcome: &Welcome,
    member: &MemberSecret,
) -> Result<GroupInfo> {
    let (key, nonce) = welcome_keys(suite, member)?;
    let sealed = welcome.encrypted_group_info.as_slice();
    let plaintext = suite.open(key.as_bytes(), nonce.as_bytes(), &[], sealed)?;
    Ok(decode(&plaintext)?)
}

/// Encrypts a signed GroupInfo for a Welcome.
///
/// # Errors
/// [`MemberError::Public`] if it is too large.
pub fn seal_group_info(
    suite: CipherSuite,
    group_info: &GroupInfo,
    member: &MemberSecret,
) -> Result<Vec<u8>> {
    let (key, nonce) = welcome_keys(suite, member)?;
    Ok(suite.seal(key.as_bytes(), nonce.as_bytes(), &[], &encode(group_info)?)?)
}

/// RFC 9420 §12.4.3.1
fn welcome_keys(suite: CipherSuite, member: &MemberSecret) -> Result<(Secret, Secret)> {
    let secret = member.welcome_secret()?;
    Ok((
        suite.expand_with_label(&secret, "key", &[], suite.key_len())?,
        suite.expand_with_label(&secret, "nonce", &[], suite.nonce_len())?,
    ))
}

#[cfg(test)]
mod tests {
    use conclave_mls_public::wire::Psk;
    use proptest::{collection::vec, option, prelude::*};

    use super::*;

    proptest! {
        /// What a joiner is told has one encoding, which nothing may follow.
        #[test]
        fn group_secrets_survive_their_encoding(
            joiner in vec(any::<u8>(), 0..70),
            path in option::of(vec(any::<u8>(), 0..70)),
            psks in vec((vec(any::<u8>(), 0..8), vec(any::<u8>(), 0..8)), 0..3),
        ) {
            let joiner = JoinerSecret::from_welcome(joiner.into());
            let path = path.map(Secret::from);
            let psks: Vec<_> = psks
                .into_iter()
                .map(|(name, nonce)| PreSharedKeyId {
                    psk: Psk::External(name.into()),
                    psk_nonce: nonce.into(),
                })
                .collect();
            let mut bytes = encode(&GroupSecrets::new(&joiner, path.as_ref(), psks.clone())).unwrap();
            let told: GroupSecrets = decode(&bytes).unwrap();
            let same = told.joiner_secret().secret() == joiner.secret();
            prop_assert!(same);
            prop_assert_eq!(told.path_secret(), path);
            prop_assert_eq!(told.psks(), psks);
            bytes.push(0);
            prop_assert!(decode::<GroupSecrets>(&bytes).is_err());
        }
    }
}
