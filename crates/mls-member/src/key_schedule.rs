//! The key schedule (RFC 9420 §8): from one epoch's init secret, a Commit's secret and the PSKs to
//! all secrets of the next epoch.

use conclave_crypto::{CipherSuite, CryptoError, HpkeKeyPair, Random, Secret};

/// The secret that all joiners of an epoch get in their Welcome, and with the PSKs the root of the
/// epoch's secrets.
#[derive(Debug, Clone)]
pub struct JoinerSecret(Secret);

/// What `joiner_secret` and `psk_secret` give together: the secret from which the Welcome's key and
/// the epoch's secrets come.
#[derive(Debug, Clone)]
pub struct MemberSecret {
    suite: CipherSuite,
    secret: Secret,
}

/// The secret of one epoch that goes into the next (RFC 9420 §8), unless an external Commit
/// replaces it (§8.3).
#[derive(Debug, Clone)]
pub struct InitSecret(Secret);

/// Root of the epoch's secret tree (RFC 9420 §9). It is no part of [`EpochSecrets`], since the tree
/// consumes it.
#[derive(Debug, Clone)]
pub struct EncryptionSecret(pub(crate) Secret);

impl EncryptionSecret {
    /// From its bytes, as test vectors and stores hold them.
    pub fn from_secret(secret: Secret) -> Self {
        Self(secret)
    }

    /// The bytes.
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

/// The secrets of one epoch, in the order of RFC 9420 §8, table 4.
#[derive(Debug, Clone)]
pub struct EpochSecrets {
    suite: CipherSuite,
    sender_data: Secret,
    exporter: Secret,
    external: Secret,
    confirmation_key: Secret,
    membership_key: Secret,
    resumption_psk: Secret,
    epoch_authenticator: Secret,
    init: InitSecret,
}

impl JoinerSecret {
    /// The joiner secret of the epoch that a Commit opens. `group_context` is the new epoch's,
    /// serialized; without a path `commit_secret` is [`CipherSuite::hash_len`] zero bytes.
    ///
    /// # Errors
    /// As [`CipherSuite::expand_with_label`].
    pub fn derive(
        suite: CipherSuite,
        init: &InitSecret,
        commit_secret: &Secret,
        group_context: &[u8],
    ) -> Result<Self, CryptoError> {
        let extracted = suite.extract(init.0.as_bytes(), commit_secret.as_bytes());
        suite
            .expand_with_label(&extracted, "joiner", group_context, suite.hash_len())
            .map(Self)
    }

    /// As it stood in a Welcome's GroupSecrets.
    pub fn from_welcome(secret: Secret) -> Self {
        Self(secret)
    }

    /// The bytes, for a Welcome's GroupSecrets.
    pub fn secret(&self) -> &Secret {
        &self.0
    }

    /// Mixes the PSKs in; without any, `psk_secret` is [`CipherSuite::hash_len`] zero bytes
    /// (RFC 9420 §8.4).
    pub fn with_psks(&self, suite: CipherSuite, psk_secret: &Secret) -> MemberSecret {
        let secret = suite.extract(self.0.as_bytes(), psk_secret.as_bytes());
        MemberSecret { suite, secret }
    }
}

impl MemberSecret {
    /// The secret under which a Welcome's GroupInfo is sealed (RFC 9420 §12.4.3.1).
    ///
    /// # Errors
    /// As [`CipherSuite::derive_secret`].
    pub fn welcome_secret(&self) -> Result<Secret, CryptoError> {
        self.suite.derive_secret(&self.secret, "welcome")
    }

    /// All secrets of the epoch whose GroupContext, serialized, is given.
    ///
    /// # Errors
    /// As [`CipherSuite::expand_with_label`].
    pub fn epoch(
        &self,
        group_context: &[u8],
    ) -> Result<(EpochSecrets, EncryptionSecret), CryptoError> {
        let suite = self.suite;
        let epoch =
            suite.expand_with_label(&self.secret, "epoch", group_context, suite.hash_len())?;
        let derive = |label| suite.derive_secret(&epoch, label);
        let secrets = EpochSecrets {
            suite,
            sender_data: derive("sender data")?,
            exporter: derive("exporter")?,
            external: derive("external")?,
            confirmation_key: derive("confirm")?,
            membership_key: derive("membership")?,
            resumption_psk: derive("resumption")?,
            epoch_authenticator: derive("authentication")?,
            init: InitSecret(derive("init")?),
        };
        Ok((secrets, EncryptionSecret(derive("encryption")?)))
    }
}

impl InitSecret {
    /// That of a new group's epoch before the first: fresh randomness (RFC 9420 §11).
    ///
    /// # Errors
    /// [`CryptoError::Random`] if there is none.
    pub fn random(suite: CipherSuite, random: &mut dyn Random) -> Result<Self, CryptoError> {
        random_secret(suite, random).map(Self)
    }

    /// From its bytes, as test vectors and stores hold them.
    pub fn from_secret(secret: Secret) -> Self {
        Self(secret)
    }

    /// The bytes.
    pub fn secret(&self) -> &Secret {
        &self.0
    }

    /// The joiner's side of an external init (RFC 9420 §8.3): what goes into the ExternalInit
    /// proposal, and the init secret. `external_public` is the GroupInfo's ExternalPub.
    ///
    /// # Errors
    /// As [`CipherSuite::hpke_export_to`].
    pub fn external_for(
        suite: CipherSuite,
        external_public: &[u8],
        random: &mut dyn Random,
    ) -> Result<(Vec<u8>, Self), CryptoError> {
        let (kem_output, secret) =
            suite.hpke_export_to(external_public, EXTERNAL_INIT, suite.hash_len(), random)?;
        Ok((kem_output, Self(secret)))
    }
}

/// The exporter context of an external init (RFC 9420 §8.3).
const EXTERNAL_INIT: &[u8] = b"MLS 1.0 external init secret";

impl EpochSecrets {
    /// The secret behind the keys of sender data (RFC 9420 §6.3.2).
    pub fn sender_data(&self) -> &Secret {
        &self.sender_data
    }

    /// The key of the epoch's confirmation tag (RFC 9420 §6.1).
    pub fn confirmation_key(&self) -> &Secret {
        &self.confirmation_key
    }

    /// The key of the membership tags of PublicMessages (RFC 9420 §6.2).
    pub fn membership_key(&self) -> &Secret {
        &self.membership_key
    }

    /// Proves in a later epoch or group that its holder was a member here (RFC 9420 §8.6).
    pub fn resumption_psk(&self) -> &Secret {
        &self.resumption_psk
    }

    /// What members compare to be sure that they are in one epoch (RFC 9420 §8.7).
    pub fn epoch_authenticator(&self) -> &Secret {
        &self.epoch_authenticator
    }

    /// The secret that goes into the next epoch.
    pub fn init(&self) -> &InitSecret {
        &self.init
    }

    /// The secret from which applications' secrets are exported (RFC 9420 §8.5).
    pub fn exporter(&self) -> &Secret {
        &self.exporter
    }

    /// The secret behind the key pair for external Commits (RFC 9420 §8.3).
    pub fn external(&self) -> &Secret {
        &self.external
    }

    /// `MLS-Exporter(label, context, len)` of RFC 9420 §8.5, of `len` bytes.
    ///
    /// # Errors
    /// [`CryptoError::DerivedLength`] if `len` is over 255 hashes.
    pub fn export(&self, label: &str, context: &[u8], len: usize) -> Result<Secret, CryptoError> {
        let derived = self.suite.derive_secret(&self.exporter, label)?;
        let context = self.suite.hash(context);
        self.suite
            .expand_with_label(&derived, "exported", context.as_bytes(), len)
    }

    /// The key pair to whose public half joiners encrypt an external init (RFC 9420 §8.3).
    ///
    /// # Errors
    /// As [`CipherSuite::derive_key_pair`].
    pub fn external_key_pair(&self) -> Result<HpkeKeyPair, CryptoError> {
        self.suite.derive_key_pair(&self.external)
    }

    /// The members' side of an external init (RFC 9420 §8.3): the init secret that replaces
    /// [`init`](Self::init).
    ///
    /// # Errors
    /// [`CryptoError::PublicKey`] if `kem_output` is no key.
    pub fn external_init(&self, kem_output: &[u8]) -> Result<InitSecret, CryptoError> {
        let (suite, pair) = (self.suite, self.external_key_pair()?);
        suite
            .hpke_export_from(&pair, kem_output, EXTERNAL_INIT, suite.hash_len())
            .map(InitSecret)
    }
}

/// One hash's worth of fresh secret bytes.
pub(crate) fn random_secret(
    suite: CipherSuite,
    random: &mut dyn Random,
) -> Result<Secret, CryptoError> {
    let mut bytes = vec![0; suite.hash_len()];
    random.fill(&mut bytes)?;
    Ok(bytes.into())
}
