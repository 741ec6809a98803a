//! Everything durable about one device, and every decision that needs no network.
//!
//! Each call of [`Local::write`] is one transaction: MLS state, history, cursor and outbox change
//! together or not at all. Nothing here waits for the network or asks for the time, so the same
//! code runs under any scheduler.

mod account;
mod asked;
mod cases;
mod contacts;
mod content;
mod database;
mod devices;
mod evidence;
mod farewell;
mod files;
mod gather;
mod groups;
mod handover;
mod history;
mod instance;
mod invitations;
mod line;
mod lock;
mod log;
mod messages;
mod outbox;
mod past;
mod prepare;
mod profile;
mod reading;
mod recovery;
mod repair;
mod report;
mod reporting;
mod resync;
mod rules;
mod schema;
mod service;
mod signals;
mod state;
mod stay;
mod successor;
mod takeover;
mod unlisted;
mod welcome;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
};

use conclave_engine::{Device, Engine, LoadedGroups};
use conclave_protocol::{DeviceCertificate, SigningKey, UnixMillis, UserId};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use zeroize::Zeroizing;

pub use self::database::Database;
pub(crate) use self::{
    account::Account,
    asked::Asked,
    database::{delete, is_new, relock},
    groups::user_named,
    instance::Checked,
    lock::Lock,
    log::Run,
    outbox::{Outcome, add_intents},
    past::Heir,
    resync::{Opened, Reason},
    successor::Duty,
    welcome::{Wanted, welcome_group},
};
use crate::{ClientError, Recovery, Registration};

/// Statements that are kept ready: more than a message needs, or each would be prepared anew for each.
const STATEMENTS_MAX: usize = 128;

/// What the randomness of one opening of a database is drawn from; never the same twice.
pub type Seed = Zeroizing<[u8; 32]>;

/// The local database of a device, and the engine that acts for it.
pub(crate) struct Local {
    database: Connection,
    engine: Engine,
    loaded: LoadedGroups,
    account: Account,
    random: RefCell<ChaCha20Rng>,
    known: RefCell<evidence::Known>,
    /// Rows of the outbox whose outcomes were taken out.
    taken: RefCell<BTreeSet<i64>>,
    #[cfg(feature = "planted-bugs")]
    planted: Option<crate::Planted>,
}

impl Local {
    /// Opens the database of an account, registered or about to be.
    pub(crate) fn open(database: Database, seed: &Seed) -> Result<Self, ClientError> {
        let database = database.into_connection();
        let account = Account::load(&database)?.ok_or(ClientError::NotRegistered)?;
        let mut local = Self::new(database, account, ChaCha20Rng::from_seed(**seed))?;
        local.write(|tx| tx.forget_old_outcomes())?;
        Ok(local)
    }

    /// The first device of alice, in memory.
    #[cfg(test)]
    fn of_alice(now: UnixMillis) -> Self {
        Self::create(
            Database::in_memory().unwrap(),
            &Registration::at("http://here"),
            "alice@here".parse().unwrap(),
            None,
            &[7; 32].into(),
            now,
        )
        .unwrap()
    }

    /// Makes the account of a device that is about to be registered, of a new user or with the
    /// identity key of a known one. What was cut off earlier goes on with the keys it had.
    pub(crate) fn create(
        database: Database,
        registration: &Registration,
        user: UserId,
        recovery: Option<&Recovery>,
        seed: &Seed,
        now: UnixMillis,
    ) -> Result<Self, ClientError> {
        let database = database.into_connection();
        let mut random = ChaCha20Rng::from_seed(**seed);
        let account = Account::draft(&database, registration, user, recovery, &mut random, now)?;
        Self::new(database, account, random)
    }

    fn new(
        database: Connection,
        account: Account,
        random: ChaCha20Rng,
    ) -> Result<Self, ClientError> {
        database.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        let device = Device::new(account.certificate.clone(), account.signature_key.clone())
            .map_err(conclave_engine::EngineError::from)?;
        Ok(Self {
            database,
            engine: Engine::new(device),
            loaded: LoadedGroups::default(),
            account,
            random: RefCell::new(random),
            known: RefCell::default(),
            taken: RefCell::default(),
            #[cfg(feature = "planted-bugs")]
            planted: None,
        })
    }

    #[cfg(feature = "planted-bugs")]
    pub(crate) fn plant(&mut self, bug: crate::Planted) {
        self.engine.be_outdated(bug == crate::Planted::Outdated);
        self.planted = Some(bug);
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn into_database(self) -> Database {
        Database::of(self.database)
    }

    /// Bytes from this opening's own randomness.
    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        random(&mut self.random.borrow_mut())
    }

    /// Takes the outcome of a settled intent out of the outbox; `None` while it waits. Its row is deleted
    /// later, with others.
    pub(crate) fn take_outcome(&mut self, row: i64) -> Result<Option<Outcome>, ClientError> {
        let outcome = self.read(|tx| tx.outcome(row))?;
        if let Some(Err(_)) = outcome {
            self.write(|tx| tx.forget_failure(row))?;
        }
        if outcome.is_some() {
            self.taken.borrow_mut().insert(row);
        }
        Ok(outcome)
    }

    /// Runs `work` in one transaction that is committed only if all of it succeeds.
    pub(crate) fn write<T>(
        &mut self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        // However this ends without being committed.
        let guard = LostUnlessKept(&self.loaded);
        let sql = self
            .database
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let tx = Tx {
            sql: &sql,
            engine: &self.engine,
            loaded: &self.loaded,
            random: &self.random,
            known: &self.known,
            taken: &self.taken,
            wipes: Cell::new(false),
            #[cfg(feature = "planted-bugs")]
            planted: self.planted,
        };
        let value = work(&tx)?;
        let wipes = tx.wipes.get();
        sql.commit()?;
        self.loaded.kept();
        drop(guard);
        if wipes {
            empty_write_ahead_log(&self.database)?;
        }
        Ok(value)
    }

    /// Runs `work` on one consistent view of the database; what it writes is dropped.
    pub(crate) fn read<T>(
        &mut self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let _guard = LostUnlessKept(&self.loaded);
        let sql = self.database.transaction()?;
        work(&Tx {
            sql: &sql,
            engine: &self.engine,
            loaded: &self.loaded,
            random: &self.random,
            known: &self.known,
            taken: &self.taken,
            wipes: Cell::new(false),
            #[cfg(feature = "planted-bugs")]
            planted: self.planted,
        })
    }
}

/// Says at its end that what was done with loaded groups is lost, unless it was kept before.
struct LostUnlessKept<'a>(&'a LoadedGroups);

impl Drop for LostUnlessKept<'_> {
    fn drop(&mut self) {
        self.0.lost();
    }
}

/// One transaction. What a transaction can do stands beside what it is about, in this folder.
pub(crate) struct Tx<'a> {
    sql: &'a Transaction<'a>,
    engine: &'a Engine,
    loaded: &'a LoadedGroups,
    random: &'a RefCell<ChaCha20Rng>,
    known: &'a RefCell<evidence::Known>,
    taken: &'a RefCell<BTreeSet<i64>>,
    /// Whether something was deleted that has to be gone from the disk.
    wipes: Cell<bool>,
    #[cfg(feature = "planted-bugs")]
    planted: Option<crate::Planted>,
}

impl Tx<'_> {
    fn own_certificate(&self) -> &DeviceCertificate {
        self.engine.device().certificate()
    }

    /// The user whose device this is.
    pub(crate) fn own_user(&self) -> &UserId {
        &self.own_certificate().address().user
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        random(&mut self.random.borrow_mut())
    }

    /// What this transaction deletes has to be gone from the disk.
    fn wipes(&self) {
        self.wipes.set(true);
    }
}

/// SQLite overwrites what is deleted in the database, but its write-ahead log still has it. Where
/// another program on the same home is reading, a later deletion or closing sees to that.
fn empty_write_ahead_log(database: &Connection) -> Result<(), ClientError> {
    Ok(database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
}

fn random<const N: usize>(source: &mut ChaCha20Rng) -> [u8; N] {
    let mut bytes = [0; N];
    source.fill_bytes(&mut bytes);
    bytes
}

fn random_key(source: &mut ChaCha20Rng) -> SigningKey {
    SigningKey::from_seed(&Zeroizing::new(random(source)))
}
