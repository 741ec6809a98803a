//! The session of a device: a state machine that decides, and leaves all doing to its driver.
//!
//! A [`Session`] owns the local database. It has no clock, no socket and no thread: time is an
//! argument, and what it wants from the network it says as a [`Call`]. A driver goes round:
//!
//! ```text
//! while let Some(call) = session.next_call(now)? {
//!     let reply = perform(&call);                       // Result<Reply, Rejection>
//!     let events = session.take_in(&call, reply, now)?; // one local transaction, or nothing
//! }
//! wait until session.wake_at(), or until there is a hint or something to do
//! ```
//!
//! What a crash must not lose is in the database before a call that depends on it is given out. All
//! else (what may have news, waits, half-read mail) is rebuilt by opening again: a crash is
//! [`Session::close`] and [`Session::open`]. `next_call` changes nothing but the database, so asking
//! twice gives the same call; a reply finds its place by what the call says, so one that comes
//! twice, late, or to another opening does no harm. Randomness that the session itself needs comes
//! from the [`Seed`]; that of OpenMLS comes from the system.

mod ask;
mod call;
mod devices;
mod follow;
mod gather;
mod instance;
mod invitations;
mod messages;
mod next;
mod pace;
mod past;
mod profile;
mod reading;
mod rejoin;
mod repair;
mod reporting;
mod roles;
mod search;
mod service;
mod signals;
mod state;
mod successor;
mod take;
mod verbs;

use std::collections::{BTreeMap, VecDeque};

use conclave_protocol::{GroupId, UnixMillis, UserId};
use conclave_rpc::v1::{self, mailbox_item::Item};

pub use self::{
    call::{Call, Hint, Rejection, Reply},
    state::{IntentId, State},
};
use self::{
    devices::Devices,
    instance::Instance,
    pace::{Backoff, Due, Progress},
    search::Index,
    service::Keys,
    signals::Signals,
};
pub use crate::local::{Database, Seed};
use crate::{ClientError, Event, Group, Registration, Standing, local::Local};

/// One device as a state machine; see the [module](self).
pub struct Session {
    local: Local,
    /// The code to register with, where the service asks for one.
    code: Option<String>,
    registration_refused: bool,
    service: Backoff,
    instance: Instance,
    devices: Devices,
    keys: Keys,
    mail: Mail,
    stock: Stock,
    groups: BTreeMap<GroupId, Progress>,
    index: Index,
    signals: Signals,
    /// What the application hears with what comes next.
    news: Vec<Event>,
}

/// The mailbox as far as it was read and not yet taken in.
#[derive(Debug)]
struct Mail {
    due: Due,
    items: VecDeque<v1::MailboxItem>,
    /// Up to where it was taken in, while the service has not been told.
    unacknowledged: Option<u64>,
    /// Whether the log was read for the sake of the first item.
    log_was_read: bool,
    /// How often the tree of the first item was wrong.
    wrong_trees: u32,
}

impl Mail {
    /// The first item, where it is a Welcome; others are taken in as they come.
    fn welcome(&self) -> Option<&v1::Welcome> {
        match &self.items.front()?.item {
            Some(Item::Welcome(welcome)) => Some(welcome),
            _ => None,
        }
    }

    /// The first item has been taken in.
    fn pop(&mut self) {
        if let Some(item) = self.items.pop_front() {
            self.unacknowledged = Some(item.cursor);
        }
        self.log_was_read = false;
        self.wrong_trees = 0;
    }
}

/// What goes on about the stock of KeyPackages at the service.
#[derive(Debug, Default)]
enum Stock {
    /// Whether the stock is due is in the database.
    #[default]
    Unknown,
    /// It is well stocked, as far as is known.
    Enough,
    /// They were made and may not have arrived.
    Publishing(v1::PublishKeyPackagesRequest),
}

impl Session {
    /// Opens the session of a device that was made by [`Self::create`].
    ///
    /// # Errors
    /// [`ClientError::NotRegistered`] where the database holds no account,
    /// [`ClientError::Database`].
    pub fn open(database: Database, seed: &Seed) -> Result<Self, ClientError> {
        Self::new(Local::open(database, seed)?)
    }

    /// Makes a new user's first device, whose keys come from the seed. Its first call is to
    /// register; until that has succeeded there is no other. An account that is in the database and
    /// was not registered goes on with the keys it had.
    ///
    /// # Errors
    /// [`ClientError::Id`] for a name that is none, [`ClientError::AlreadyRegistered`].
    pub fn create(
        database: Database,
        registration: &Registration,
        server_name: &str,
        name: &str,
        seed: &Seed,
        now: UnixMillis,
    ) -> Result<Self, ClientError> {
        let user = UserId::new(name, server_name)?;
        let local = Local::create(database, registration, user, None, seed, now)?;
        let mut session = Self::new(local)?;
        session.code.clone_from(&registration.code);
        Ok(session)
    }

    fn new(local: Local) -> Result<Self, ClientError> {
        let mut session = Self {
            local,
            code: None,
            registration_refused: false,
            service: Backoff::default(),
            instance: Instance::default(),
            devices: Devices::default(),
            keys: Keys::default(),
            mail: Mail {
                due: Due::NOW,
                items: VecDeque::new(),
                unacknowledged: None,
                log_was_read: false,
                wrong_trees: 0,
            },
            stock: Stock::Unknown,
            groups: BTreeMap::new(),
            index: Index::default(),
            signals: Signals::default(),
            news: Vec::new(),
        };
        session.look_at_groups()?;
        session.look_at_devices()?;
        session.devices.look_again();
        Ok(session)
    }

    /// Ends the session and gives the database back, with what was committed.
    #[must_use]
    pub fn close(self) -> Database {
        self.local.into_database()
    }

    /// Takes note of news. Losing a hint loses nothing but time.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn hint(&mut self, hint: Hint) -> Result<(), ClientError> {
        match hint {
            Hint::Connected => {
                self.service.clear();
                self.instance = Instance::Unknown;
                self.mail.due.set();
                self.stock = Stock::Unknown;
                self.keys.look_again();
                self.look_at_groups()?;
                self.look_at_devices()?;
                self.devices.look_again();
                for progress in self.groups.values_mut() {
                    progress.look_again();
                }
            }
            Hint::Mailbox => self.mail.due.set(),
            Hint::Group(id) => {
                if let Some(progress) = self.groups.get_mut(&id) {
                    progress.log.set();
                }
            }
        }
        Ok(())
    }

    /// Has the session do something wrong from now on.
    #[cfg(feature = "planted-bugs")]
    pub fn plant(&mut self, bug: crate::Planted) {
        self.local.plant(bug);
    }

    /// Waits for the service are over: somebody asks for something now.
    pub fn try_now(&mut self) {
        self.service.clear();
    }

    /// When [`next_call`](Self::next_call) will have something to ask for, if nothing else happens;
    /// it may be in the past. `None` while only news can bring that about.
    #[must_use]
    pub fn wake_at(&self) -> Option<UnixMillis> {
        let groups = self.wake(|_| true);
        let devices = self.devices.wake_at();
        let devices = devices.map(|wake| wake.max(self.service.not_before()));
        groups.into_iter().chain(devices).min()
    }

    /// Like [`Self::wake_at`], without the groups that something keeps from going on.
    pub(crate) fn wake_where_well(&self) -> Option<UnixMillis> {
        self.wake(|progress| progress.problem.is_none())
    }

    fn wake(&self, counts: impl Fn(&Progress) -> bool) -> Option<UnixMillis> {
        let groups = self.groups.values().filter(|progress| counts(progress));
        let groups = groups.filter_map(Progress::wake_at).min();
        let own = self.has_own_business().then_some(UnixMillis(0));
        let wake = groups.into_iter().chain(own).min()?;
        Some(wake.max(self.service.not_before()))
    }

    /// Whether there is something to ask that is about no group. Mail that waits for a group's log
    /// is business of that group.
    fn has_own_business(&self) -> bool {
        if !self.local.account().is_registered() {
            return !self.registration_refused;
        }
        let checks = self.instance != Instance::Latest || self.keys.has_business();
        if checks || self.devices.has_business() {
            return true;
        }
        let mail = self.mail.due.is_due() || self.mail.unacknowledged.is_some();
        (mail && self.mail.items.is_empty()) || !matches!(self.stock, Stock::Enough)
    }

    /// When there will be something to ask for in one group; like [`Self::wake_at`].
    #[must_use]
    pub fn wake_at_in(&self, group: GroupId) -> Option<UnixMillis> {
        let wake = self.groups.get(&group)?.wake_at()?;
        Some(wake.max(self.service.not_before()))
    }

    /// What keeps a group from going on, taken out; the first of several.
    pub fn take_problem(&mut self) -> Option<ClientError> {
        self.groups
            .values_mut()
            .find_map(|progress| progress.problem.take())
    }

    /// Groups that this session does not know yet, such as those that another program on the same
    /// home has joined.
    fn look_at_groups(&mut self) -> Result<(), ClientError> {
        for group in self.local.read(|tx| tx.groups())? {
            self.refresh(group.id)?;
        }
        Ok(())
    }

    fn note_group(&mut self, group: &Group) -> &mut Progress {
        let progress = self
            .groups
            .entry(group.id)
            .or_insert_with(|| Progress::new(group.standing));
        if progress.standing == Standing::Ended && group.standing != Standing::Ended {
            *progress = Progress::new(group.standing);
        }
        progress.standing = group.standing;
        progress
    }

    /// A random share, for waits.
    fn share(&self) -> u16 {
        u16::from_le_bytes(self.local.random())
    }
}

#[cfg(test)]
mod tests;
