//! Everything durable about one device, and every decision that needs no network.
//!
//! Each public method of [`Local`] is one transaction: MLS state, history, cursor and outbox change
//! together or not at all. Nothing here waits for the network, so the same code can run under any
//! scheduler.

mod account;
mod gather;
mod groups;
mod history;
mod log;
mod outbox;
mod schema;
mod state;
mod welcome;

use std::path::Path;

use conclave_engine::{Device, Engine};
use conclave_protocol::{DeviceCertificate, SigningKey, UnixMillis};
use rusqlite::{Connection, Transaction, TransactionBehavior};

pub(crate) use self::{
    account::Account,
    groups::user_named,
    outbox::{Step, add_intents},
};
use crate::{ClientError, Registration};

/// The local database of a registered device, and the engine that acts for it.
pub(crate) struct Local {
    database: Connection,
    engine: Engine,
    account: Account,
}

impl Local {
    /// Opens the home of an account, registered or about to be.
    pub(crate) fn open(home: &Path) -> Result<Self, ClientError> {
        let database = schema::open(home, false)?;
        let account = Account::load(&database)?.ok_or(ClientError::NotRegistered)?;
        let mut local = Self::new(database, account)?;
        local.write(|tx| tx.forget_old_outcomes())?;
        Ok(local)
    }

    /// Makes a home for a device that is about to be registered. A registration that was cut off
    /// earlier goes on with the keys it had.
    pub(crate) fn create(
        home: &Path,
        registration: &Registration,
        server_name: &str,
        name: &str,
        now: UnixMillis,
    ) -> Result<Self, ClientError> {
        let database = schema::open(home, true)?;
        let account = Account::draft(&database, registration, server_name, name, now)?;
        Self::new(database, account)
    }

    fn new(database: Connection, account: Account) -> Result<Self, ClientError> {
        let device = Device::new(account.certificate.clone(), account.signature_key.clone())
            .map_err(conclave_engine::EngineError::from)?;
        Ok(Self {
            database,
            engine: Engine::new(device),
            account,
        })
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// Runs `work` in one transaction that is committed only if all of it succeeds.
    pub(crate) fn write<T>(
        &mut self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let sql = self
            .database
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = work(&Tx {
            sql: &sql,
            engine: &self.engine,
        })?;
        sql.commit()?;
        Ok(value)
    }

    /// Runs `work` on one consistent view of the database; what it writes is dropped.
    pub(crate) fn read<T>(
        &mut self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let sql = self.database.transaction()?;
        work(&Tx {
            sql: &sql,
            engine: &self.engine,
        })
    }
}

/// One transaction. What a transaction can do stands beside what it is about, in this folder.
pub(crate) struct Tx<'a> {
    sql: &'a Transaction<'a>,
    engine: &'a Engine,
}

impl Tx<'_> {
    fn own_certificate(&self) -> &DeviceCertificate {
        self.engine.device().certificate()
    }
}

/// Bytes from the system's random source.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without randomness nothing here is safe to do, and no caller could do better than stop.
    #[expect(clippy::expect_used)]
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

fn random_key() -> SigningKey {
    SigningKey::from_seed(&zeroize::Zeroizing::new(random()))
}
