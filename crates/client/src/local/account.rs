//! Who this device is.

use conclave_engine::SealingKey;
use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceClaims, DeviceId, SigningKey, UnixMillis, UserId,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use rusqlite::{Connection, OptionalExtension as _, Row};
use zeroize::Zeroizing;

use super::{Database, Local, Seed, devices::change_device, random, random_key};
use crate::{
    ClientError, Recovery, Registration,
    linking::{Answer, Request},
};

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
    /// Whether another device certified it, and the service does not know it yet.
    is_linked: bool,
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

    /// Whether it waits for another device to put it on the user's list.
    pub(crate) fn is_linked(&self) -> bool {
        self.is_linked
    }

    pub(super) fn load(database: &Connection) -> Result<Option<Self>, ClientError> {
        let row = database
            .query_row(
                "SELECT server_url, server_name, certificate, signature_seed, identity_seed,
                        registered, server_ca, EXISTS (SELECT 1 FROM linking)
                 FROM account",
                [],
                |row| Ok(Self::from_row(row)),
            )
            .optional()?;
        row.transpose()
    }

    /// A new account that the service does not know yet, or the one that an earlier attempt left. A
    /// recovered one has the identity key that was written down.
    pub(super) fn draft(
        database: &Connection,
        registration: &Registration,
        user: UserId,
        recovery: Option<&Recovery>,
        source: &mut ChaCha20Rng,
        now: UnixMillis,
    ) -> Result<Self, ClientError> {
        let identity = recovery.map(|recovery| recovery.phrase.identity());
        let known = match Self::load(database)? {
            Some(known) if known.registered => {
                return Err(ClientError::AlreadyRegistered(known.user().to_string()));
            }
            known => known.filter(|known| *known.user() == user && known.is_at(registration)),
        };
        let is_of = |known: &Self| match &identity {
            Some(identity) => known.has_identity(identity),
            None => true,
        };
        let is_recovery = database.prepare("SELECT 1 FROM recovery")?.exists([])?;
        let sql = database.unchecked_transaction()?;
        let account = match known.filter(is_of) {
            Some(known) if is_recovery == recovery.is_some() => known,
            _ => {
                let identity = identity.unwrap_or_else(|| random_key(source));
                let account = Self::new(user, registration, identity, source, now);
                account.store(&sql)?;
                sql.execute("DELETE FROM device_changes", [])?;
                let key = account.signature_key.verifying_key();
                change_device(&sql, account.device(), Some(&key))?;
                account
            }
        };
        sql.execute("DELETE FROM recovery", [])?;
        if let Some(recovery) = recovery {
            sql.execute(
                "INSERT INTO recovery VALUES (1, ?, 0)",
                [recovery.revokes_others],
            )?;
        }
        sql.commit()?;
        Ok(account)
    }

    fn has_identity(&self, identity: &SigningKey) -> bool {
        *self.certificate.identity_key() == identity.verifying_key()
    }

    fn is_at(&self, registration: &Registration) -> bool {
        self.server_url == registration.server && self.server_ca == registration.authority
    }

    fn new(
        user: UserId,
        registration: &Registration,
        identity_key: SigningKey,
        source: &mut ChaCha20Rng,
        now: UnixMillis,
    ) -> Self {
        let signature_key = random_key(source);
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
            is_linked: false,
        }
    }

    fn store(&self, database: &Connection) -> Result<(), ClientError> {
        let identity_seed = self.identity_key.as_ref().map(SigningKey::seed);
        database.execute(
            "INSERT OR REPLACE INTO account VALUES (1, ?, ?, ?, ?, ?, ?, 1, ?)",
            (
                &self.server_url,
                &self.server_name,
                self.certificate.to_bytes(),
                self.signature_key.seed().as_slice(),
                identity_seed
                    .as_ref()
                    .map_or(&[][..], |seed| seed.as_slice()),
                self.registered,
                &self.server_ca,
            ),
        )?;
        Ok(())
    }

    fn from_row(row: &Row<'_>) -> Result<Self, ClientError> {
        let certificate: Vec<u8> = row.get(2)?;
        let identity_seed = Zeroizing::new(row.get::<_, Vec<u8>>(4)?);
        Ok(Self {
            server_url: row.get(0)?,
            server_name: row.get(1)?,
            certificate: DeviceCertificate::from_bytes(&certificate)
                .map_err(conclave_engine::EngineError::from)?,
            signature_key: SigningKey::from_seed(&Zeroizing::new(row.get(3)?)),
            identity_key: <[u8; SigningKey::SEED_BYTES]>::try_from(identity_seed.as_slice())
                .ok()
                .map(|seed| SigningKey::from_seed(&Zeroizing::new(seed))),
            registered: row.get(5)?,
            server_ca: row.get(6)?,
            is_linked: row.get(7)?,
        })
    }
}

impl Local {
    /// Makes the keys of a device that is to be linked, or shows those that were made.
    pub(crate) fn begin_link(database: &Database, seed: &Seed) -> Result<Request, ClientError> {
        let database = database.connection();
        if let Some(account) = Account::load(database)? {
            return Err(ClientError::AlreadyRegistered(account.user().to_string()));
        }
        let mut source = ChaCha20Rng::from_seed(**seed);
        let device: [u8; 16] = random(&mut source);
        let signature_seed = random_key(&mut source).seed();
        let sealing_seed = Zeroizing::new(random::<32>(&mut source));
        database.execute(
            "INSERT INTO linking VALUES (1, ?, ?, ?)
             ON CONFLICT (only) DO UPDATE SET sealing_seed = excluded.sealing_seed
             WHERE sealing_seed IS NULL",
            (device, signature_seed.as_slice(), sealing_seed.as_slice()),
        )?;
        let keys = LinkedKeys::load(database)?;
        Ok(Request {
            device: keys.device,
            key: keys.signature_key.verifying_key(),
            sealing_key: keys.sealing_key.public()?,
        })
    }

    /// Makes the account of a linked device from what the old one answered.
    pub(crate) fn finish_link(
        database: Database,
        registration: &Registration,
        answer: Answer,
        seed: &Seed,
    ) -> Result<Self, ClientError> {
        let database = database.into_connection();
        match Account::load(&database)? {
            Some(known) if known.registered || known.certificate != answer.certificate => {
                return Err(ClientError::AlreadyRegistered(known.user().to_string()));
            }
            _ => {}
        }
        let keys = LinkedKeys::load(&database)?;
        let is_ours = answer.certificate.address().device == keys.device
            && answer.certificate.claims().signature_key == keys.signature_key.verifying_key();
        if !is_ours {
            return Err(ClientError::LinkCode);
        }
        let account = Account {
            server_url: registration.server.clone(),
            server_ca: registration.authority.clone(),
            server_name: answer.certificate.address().user.domain().to_owned(),
            identity_key: answer.identity(&keys.sealing_key)?,
            certificate: answer.certificate,
            signature_key: keys.signature_key,
            registered: false,
            is_linked: true,
        };
        account.store(&database)?;
        Self::new(database, account, ChaCha20Rng::from_seed(**seed))
    }

    /// Notes that the service knows the account now.
    pub(crate) fn registered(&mut self) -> Result<(), ClientError> {
        // What it was linked with has served, but for the key that history is sealed to.
        self.database.execute_batch(
            "BEGIN; UPDATE account SET registered = 1;
             INSERT OR IGNORE INTO past_key SELECT 1, sealing_seed FROM linking
             WHERE sealing_seed IS NOT NULL;
             DELETE FROM linking; COMMIT",
        )?;
        self.account.registered = true;
        self.account.is_linked = false;
        Ok(())
    }
}

/// The keys of a device that is being linked.
struct LinkedKeys {
    device: DeviceId,
    signature_key: SigningKey,
    sealing_key: SealingKey,
}

impl LinkedKeys {
    fn load(database: &Connection) -> Result<Self, ClientError> {
        let row = database.query_row(
            "SELECT device, signature_seed, sealing_seed FROM linking
             WHERE sealing_seed IS NOT NULL",
            [],
            |row| {
                let (signature, sealing) =
                    (Zeroizing::new(row.get(1)?), Zeroizing::new(row.get(2)?));
                Ok((DeviceId::from_bytes(row.get(0)?), signature, sealing))
            },
        );
        let (device, signature, sealing) = row.optional()?.ok_or(ClientError::LinkCode)?;
        Ok(Self {
            device,
            signature_key: SigningKey::from_seed(&signature),
            sealing_key: SealingKey::from_seed(&sealing)?,
        })
    }
}
