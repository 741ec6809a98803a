//! Who this device is.

use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceClaims, DeviceId, SigningKey, UnixMillis, UserId,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use rusqlite::{Connection, OptionalExtension as _, Row};
use zeroize::Zeroizing;

use super::{Database, Local, Seed, random, random_key};
use crate::{ClientError, Registration, linking};

/// A device, its user, and where they are registered.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) server_url: String,
    /// What certifies the server, in PEM, where that is not who certifies everybody's.
    pub(crate) server_ca: Option<String>,
    pub(crate) server_name: String,
    pub(crate) certificate: DeviceCertificate,
    pub(crate) signature_key: SigningKey,
    /// Certifies the user's devices. Only on a device that may do so.
    pub(crate) identity_key: Option<SigningKey>,
    registered: bool,
}

impl Account {
    pub(crate) fn user(&self) -> &UserId {
        &self.certificate.address().user
    }

    pub(crate) fn device(&self) -> DeviceId {
        self.certificate.address().device
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.registered
    }

    pub(super) fn load(database: &Connection) -> Result<Option<Self>, ClientError> {
        let row = database
            .query_row(
                "SELECT server_url, server_name, certificate, signature_seed, identity_seed,
                        registered, server_ca
                 FROM account",
                [],
                |row| Ok(Self::from_row(row)),
            )
            .optional()?;
        row.transpose()
    }

    /// A new account that the service does not know yet, or the one that an earlier attempt left.
    pub(super) fn draft(
        database: &Connection,
        registration: &Registration,
        server_name: &str,
        name: &str,
        source: &mut ChaCha20Rng,
        now: UnixMillis,
    ) -> Result<Self, ClientError> {
        let user = UserId::new(name, server_name)?;
        match Self::load(database)? {
            Some(account) if account.registered => {
                Err(ClientError::AlreadyRegistered(account.user().to_string()))
            }
            Some(account) if *account.user() == user && account.is_at(registration) => Ok(account),
            _ => {
                let account = Self::new(user, registration, source, now);
                account.store(database)?;
                Ok(account)
            }
        }
    }

    fn is_at(&self, registration: &Registration) -> bool {
        self.server_url == registration.server && self.server_ca == registration.authority
    }

    fn new(
        user: UserId,
        registration: &Registration,
        source: &mut ChaCha20Rng,
        now: UnixMillis,
    ) -> Self {
        let (identity_key, signature_key) = (random_key(source), random_key(source));
        let server_name = user.domain().to_owned();
        let address = DeviceAddress {
            user,
            device: DeviceId::from_bytes(random(source)),
        };
        let claims = DeviceClaims::starting(address, signature_key.verifying_key(), now);
        Self {
            server_url: registration.server.clone(),
            server_ca: registration.authority.clone(),
            server_name,
            certificate: DeviceCertificate::issue(claims, &identity_key),
            signature_key,
            identity_key: Some(identity_key),
            registered: false,
        }
    }

    fn store(&self, database: &Connection) -> Result<(), ClientError> {
        database.execute(
            "INSERT OR REPLACE INTO account VALUES (1, ?, ?, ?, ?, ?, ?, 1, ?)",
            (
                &self.server_url,
                &self.server_name,
                self.certificate.to_bytes(),
                self.signature_key.seed().as_slice(),
                self.identity_key
                    .as_ref()
                    .map(|key| key.seed().to_vec())
                    .unwrap_or_default(),
                self.registered,
                &self.server_ca,
            ),
        )?;
        Ok(())
    }

    fn from_row(row: &Row<'_>) -> Result<Self, ClientError> {
        let certificate: Vec<u8> = row.get(2)?;
        Ok(Self {
            server_url: row.get(0)?,
            server_name: row.get(1)?,
            certificate: DeviceCertificate::from_bytes(&certificate)
                .map_err(conclave_engine::EngineError::from)?,
            signature_key: SigningKey::from_seed(&Zeroizing::new(row.get(3)?)),
            identity_key: row
                .get::<_, Vec<u8>>(4)?
                .try_into()
                .ok()
                .map(|seed| SigningKey::from_seed(&Zeroizing::new(seed))),
            registered: row.get(5)?,
            server_ca: row.get(6)?,
        })
    }
}

impl Local {
    /// Makes the keys of a device that is to be linked, or shows those that were made.
    pub(crate) fn begin_link(database: &Database, seed: &Seed) -> Result<String, ClientError> {
        let database = database.connection();
        if let Some(account) = Account::load(database)? {
            return Err(ClientError::AlreadyRegistered(account.user().to_string()));
        }
        let mut source = ChaCha20Rng::from_seed(**seed);
        let device: [u8; 16] = random(&mut source);
        database.execute(
            "INSERT OR IGNORE INTO linking VALUES (1, ?, ?)",
            (device, random_key(&mut source).seed().as_slice()),
        )?;
        let (device, key) = linked_keys(database)?;
        Ok(linking::request(device, &key.verifying_key()))
    }

    /// Makes the account of a linked device from its certificate.
    pub(crate) fn finish_link(
        database: Database,
        registration: &Registration,
        certificate: DeviceCertificate,
        seed: &Seed,
    ) -> Result<Self, ClientError> {
        let database = database.into_connection();
        match Account::load(&database)? {
            Some(known) if known.registered || known.certificate != certificate => {
                return Err(ClientError::AlreadyRegistered(known.user().to_string()));
            }
            _ => {}
        }
        let (device, signature_key) = linked_keys(&database)?;
        let is_ours = certificate.address().device == device
            && certificate.claims().signature_key == signature_key.verifying_key();
        if !is_ours {
            return Err(ClientError::LinkCode);
        }
        let account = Account {
            server_url: registration.server.clone(),
            server_ca: registration.authority.clone(),
            server_name: certificate.address().user.domain().to_owned(),
            certificate,
            signature_key,
            identity_key: None,
            registered: false,
        };
        account.store(&database)?;
        Self::new(database, account, ChaCha20Rng::from_seed(**seed))
    }

    /// Notes that the service knows the account now.
    pub(crate) fn registered(&mut self) -> Result<(), ClientError> {
        self.database
            .execute("UPDATE account SET registered = 1", [])?;
        self.account.registered = true;
        Ok(())
    }
}

/// The keys of a device that is being linked.
fn linked_keys(database: &Connection) -> Result<(DeviceId, SigningKey), ClientError> {
    let keys = database.query_row("SELECT device, signature_seed FROM linking", [], |row| {
        let seed = Zeroizing::new(row.get(1)?);
        Ok((
            DeviceId::from_bytes(row.get(0)?),
            SigningKey::from_seed(&seed),
        ))
    });
    keys.optional()?.ok_or(ClientError::LinkCode)
}
