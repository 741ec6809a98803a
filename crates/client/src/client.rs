//! The client: what an application calls.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use conclave_protocol::{DeviceId, GroupId, Sequence, UserId};
use tokio::sync::watch;
use tonic::Code;

use crate::{
    ClientError, Entry, Event, Events, Group, Home, Member, Receipt, Registration, Standing,
    entropy::{now, seed},
    local::user_named,
    remote::{self, Remote},
    session::{Call, Database, IntentId, Rejection, Session},
};

/// Requests until a device is registered: one, or a few where it takes the place of others and those
/// change their list meanwhile.
const STEPS_TO_REGISTER_MAX: usize = 16;

/// One device of a user: its durable state in a home folder, and its connection to the service.
///
/// Cloning gives another handle to the same device. Several programs may use one home at the same
/// time; each step is one transaction.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    session: Mutex<Session>,
    pub(crate) remote: Remote,
    /// Told where groups came about, or something happened, that those who follow know nothing of.
    pub(crate) grown: watch::Sender<()>,
    /// Held during each conversation with the service, so that steps of one device do not cross.
    pub(crate) turn: tokio::sync::Mutex<()>,
    user: UserId,
    device: DeviceId,
    home: PathBuf,
}

impl Client {
    /// Registers a new user with its first device at a server, and keeps its state in `home`, under
    /// the passphrase that it names, if any.
    ///
    /// # Errors
    /// [`ClientError::AlreadyRegistered`], [`ClientError::NameTaken`], [`ClientError::Unreachable`],
    /// and for a home that is there already those of [`Self::open`]. A registration that was cut off can be made again.
    pub async fn register(
        home: impl Into<Home>,
        name: &str,
        server: &str,
    ) -> Result<Self, ClientError> {
        Self::register_with(home, name, &Registration::at(server)).await
    }

    /// Registers as [`Self::register`] does, at a server that asks for more than its address.
    ///
    /// # Errors
    /// Those of [`Self::register`], [`ClientError::Authority`] and [`ClientError::CodeRefused`].
    pub async fn register_with(
        home: impl Into<Home>,
        name: &str,
        registration: &Registration,
    ) -> Result<Self, ClientError> {
        let home = home.into();
        let server_name = server_name(&home, name, registration).await?;
        let database = Database::create(&home)?;
        let session = Session::create(database, registration, &server_name, name, &seed(), now())?;
        Self::new(home.folder(), session)?
            .introduced(registration.code.is_some())
            .await
    }

    /// Opens a home, or registers where it holds no account yet: how a program begins that starts by
    /// itself.
    ///
    /// # Errors
    /// Those of [`Self::open`] and [`Self::register_with`].
    pub async fn open_or_register(
        home: impl Into<Home>,
        name: &str,
        registration: &Registration,
    ) -> Result<Self, ClientError> {
        let home = home.into();
        match Self::open(&home) {
            Err(ClientError::NotRegistered) => Self::register_with(home, name, registration).await,
            opened => opened,
        }
    }

    /// The client of a device that the service knows from now on.
    pub(crate) async fn introduced(self, has_code: bool) -> Result<Self, ClientError> {
        let turn = self.inner.turn.lock().await;
        self.make_known(has_code).await?;
        match self.go_on().await {
            // The account exists; what is missing is due at the next sync.
            Ok(_) | Err(ClientError::Unreachable { .. }) => {}
            Err(error) => return Err(error),
        }
        drop(turn);
        Ok(self)
    }

    /// Opens the home of a registered device. Needs no network. With a passphrase, it takes a moment
    /// and 64 MiB of memory.
    ///
    /// # Errors
    /// [`ClientError::NotRegistered`], [`ClientError::Locked`], [`ClientError::WrongPassphrase`],
    /// [`ClientError::NotLocked`], [`ClientError::LockDamaged`], [`ClientError::HomeInUse`],
    /// [`ClientError::NewerHome`], [`ClientError::Database`].
    pub fn open(home: impl Into<Home>) -> Result<Self, ClientError> {
        let home = home.into();
        let session = Session::open(Database::open(&home)?, &seed())?;
        if !session.is_registered() {
            return Err(ClientError::NotRegistered);
        }
        Self::new(home.folder(), session)
    }

    pub(crate) fn new(home: &Path, session: Session) -> Result<Self, ClientError> {
        let inner = Inner {
            remote: Remote::new(session.account())?,
            grown: watch::Sender::new(()),
            turn: tokio::sync::Mutex::new(()),
            user: session.user().clone(),
            device: session.device(),
            home: home.to_owned(),
            session: Mutex::new(session),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Has the service know the device.
    async fn make_known(&self, has_code: bool) -> Result<(), ClientError> {
        for _ in 0..STEPS_TO_REGISTER_MAX {
            let Some(call) = self.next_before_known().await? else {
                return Ok(());
            };
            let is_registration = matches!(call, Call::Register(_));
            let reply = self.inner.remote.perform(&call).await;
            let refused = reply.as_ref().err().cloned();
            self.session(move |session| session.take_in(&call, reply, now()))
                .await?;
            match refused {
                None => {}
                // What is wrong with a list shows when the device registers.
                Some(refused) if !is_registration && refused.is_answer() => {}
                Some(Rejection::StaleList(_)) => {}
                Some(Rejection::Refused {
                    code: Code::AlreadyExists,
                    ..
                }) => return Err(ClientError::NameTaken(self.user().name().to_owned())),
                Some(Rejection::Refused {
                    code: Code::PermissionDenied,
                    ..
                }) => return Err(self.not_let_in(has_code).await?),
                Some(rejection) => return Err(rejection.into_error(&self.inner.remote.url)),
            }
        }
        Err(ClientError::Protocol(
            "one newer device list after the other".into(),
        ))
    }

    /// Why the service does not register this device.
    async fn not_let_in(&self, has_code: bool) -> Result<ClientError, ClientError> {
        self.session(move |session| {
            Ok(if session.account().is_linked() {
                ClientError::NotListed
            } else {
                ClientError::CodeRefused(has_code)
            })
        })
        .await
    }

    async fn next_before_known(&self) -> Result<Option<Call>, ClientError> {
        self.session(|session| {
            if session.is_registered() {
                return Ok(None);
            }
            session.try_now();
            session.next_call(now())
        })
        .await
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.inner.user
    }

    /// This device.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.inner.device
    }

    /// The folder that holds the device's state.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.inner.home
    }

    /// The user that `text` means: `bob` is bob of this device's service.
    ///
    /// # Errors
    /// [`ClientError::Id`].
    pub fn user_named(&self, text: &str) -> Result<UserId, ClientError> {
        user_named(text, self.inner.user.domain())
    }

    /// All groups that this device knows, by name.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn groups(&self) -> Result<Vec<Group>, ClientError> {
        self.session(Session::groups).await
    }

    /// The group that `text` means: its name, its id or the beginning of its id.
    ///
    /// # Errors
    /// [`ClientError::UnknownGroup`], [`ClientError::AmbiguousGroup`].
    pub async fn group_named(&self, text: &str) -> Result<Group, ClientError> {
        let mut groups = self.groups().await?;
        let is_live = |group: &Group| group.standing != Standing::Ended;
        let named = |group: &Group| group.name.as_deref() == Some(text);
        // A group that ended gives its name up to one that goes on.
        if groups.iter().any(|group| named(group) && is_live(group)) {
            groups.retain(|group| named(group) && is_live(group));
        } else if groups.iter().any(named) {
            groups.retain(named);
        } else {
            groups.retain(|group| !text.is_empty() && group.id.to_string().starts_with(text));
        }
        match (groups.pop(), groups.len()) {
            (Some(group), 0) => Ok(group),
            (Some(_), others) => Err(ClientError::AmbiguousGroup {
                name: text.to_owned(),
                count: others + 1,
            }),
            (None, _) => Err(ClientError::UnknownGroup(text.to_owned())),
        }
    }

    /// The users in a group.
    ///
    /// # Errors
    /// [`ClientError::NotMember`] for a group that ended.
    pub async fn members(&self, group: GroupId) -> Result<Vec<Member>, ClientError> {
        self.session(move |session| session.members(group)).await
    }

    /// The number of a group's epoch, and the epoch authenticator (RFC 9420 §8.7): 32 bytes that
    /// are equal in all members who are in the same epoch of the same group.
    ///
    /// # Errors
    /// [`ClientError::Engine`] for a group that ended.
    pub async fn epoch(&self, group: GroupId) -> Result<(u64, Vec<u8>), ClientError> {
        self.session(move |session| session.epoch(group)).await
    }

    /// Up to `limit` entries of a group's history after a place in its log, oldest first.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn history(
        &self,
        group: GroupId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Entry>, ClientError> {
        self.session(move |session| {
            // What is to be gone is not shown, also where nothing has deleted it yet.
            session.expire_unasked(now())?;
            session.history(group, after, limit)
        })
        .await
    }

    /// Creates a group with this device in it, whose owner its user is.
    ///
    /// # Errors
    /// [`ClientError::Content`] for a name that is none. Where the service can't be reached, the
    /// group exists here and is made known later.
    pub async fn create_group(&self, name: &str) -> Result<GroupId, ClientError> {
        let name = name.to_owned();
        let created = self.session(move |session| session.create_group(&name, now()));
        let (group, intent) = created.await?;
        self.settle(group, &[intent]).await?;
        self.inner.grown.send_replace(());
        Ok(group)
    }

    /// Adds users, with all their devices, and gives the receipt of the last Commit.
    ///
    /// # Errors
    /// [`ClientError::AlreadyMember`], [`ClientError::UnknownUser`],
    /// [`ClientError::IdentityChanged`], [`ClientError::NoKeyPackages`] and those of [`Self::send`].
    pub async fn add(&self, group: GroupId, users: &[UserId]) -> Result<Receipt, ClientError> {
        let (users, wanted) = (users.to_vec(), users.to_vec());
        let intents = self.session(move |session| session.add(group, &users));
        match self.settle(group, &intents.await?).await {
            // That a key has changed may have shown only now.
            Err(error @ ClientError::GivenUp(_)) => {
                self.session(move |session| session.refuse_changed(&wanted))
                    .await?;
                Err(error)
            }
            Ok(receipt) => {
                self.say_the_rest(group).await;
                self.keep_pictures().await?;
                Ok(receipt)
            }
            Err(error) => Err(error),
        }
    }

    /// Removes users, with all their devices.
    ///
    /// # Errors
    /// [`ClientError::NoSuchMember`] and those of [`Self::send`].
    pub async fn remove(&self, group: GroupId, users: &[UserId]) -> Result<Receipt, ClientError> {
        let users = users.to_vec();
        let intent = self.session(move |session| session.remove(group, &users));
        self.settle(group, &[intent.await?]).await
    }

    /// Asks a member who is online to add and remove users, and says whose device was asked: where
    /// many want to change a group at the same moment, one Commit of one member does for all.
    /// This device sees to it, also after a restart, while it [syncs](Self::sync) or follows
    /// [events](Self::events): what nobody has done after a while is asked of another member, and after a few
    /// turns this device does it. [`Event::WishEnded`] says how it ended, in the group's history it shows.
    /// Where nobody else is online, this device does it at its next sync.
    ///
    /// # Errors
    /// [`ClientError::Forbidden`], [`ClientError::NotMember`]; [`ClientError::Refused`],
    /// [`ClientError::RateLimited`], [`ClientError::Unreachable`] where nobody was asked for now: it is kept, and
    /// somebody will be.
    pub async fn ask_for(
        &self,
        group: GroupId,
        add: &[UserId],
        remove: &[UserId],
    ) -> Result<DeviceId, ClientError> {
        let (added, removed) = (add.to_vec(), remove.to_vec());
        self.session(move |session| session.ask_for(group, &added, &removed))
            .await?;
        self.hand_over(group).await
    }

    /// Renews this device's keys in a group, so that what was stolen before is worth nothing after.
    ///
    /// # Errors
    /// Those of [`Self::send`].
    pub async fn update(&self, group: GroupId) -> Result<Receipt, ClientError> {
        let intent = self.session(move |session| session.update(group));
        self.settle(group, &[intent.await?]).await
    }

    /// Asks to leave a group. It takes effect when another member's device confirms it, and at once where all others
    /// leave, too.
    ///
    /// # Errors
    /// [`ClientError::Forbidden`] for the last owner while others are there, who has to
    /// [make](Self::set_role) somebody else one first; [`ClientError::Alone`] where nobody else is there, and
    /// [`Self::delete_group`] ends it; those of [`Self::send`].
    pub async fn leave(&self, group: GroupId) -> Result<Receipt, ClientError> {
        let intent = self.session(move |session| session.leave(group));
        self.settle(group, &[intent.await?]).await
    }

    /// Reads everything that waits at the service and sends everything that waits here.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`], and whatever keeps a group from going on.
    pub async fn sync(&self) -> Result<Vec<Event>, ClientError> {
        self.sync_history(|_| {}).await
    }

    /// Follows everything that happens, as it happens, until the [`Events`] are dropped.
    pub fn events(&self) -> Events {
        Events::follow(self.clone())
    }

    pub(crate) async fn settle(
        &self,
        group: GroupId,
        intents: &[IntentId],
    ) -> Result<Receipt, ClientError> {
        let mut receipt = Receipt {
            sequence: Sequence(0),
            rebased: 0,
        };
        for intent in intents {
            receipt = self.drive(group, *intent).await?;
        }
        Ok(receipt)
    }

    /// Runs the session's work away from the async threads: it waits for the disk.
    /// Has this device do something wrong from now on, to see that it is noticed.
    ///
    /// # Errors
    /// [`ClientError::ShuttingDown`].
    #[cfg(feature = "planted-bugs")]
    pub async fn plant(&self, bug: crate::Planted) -> Result<(), ClientError> {
        let planting = self.session(move |session| {
            session.plant(bug);
            Ok(())
        });
        planting.await
    }

    pub(crate) async fn session<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Session) -> Result<T, ClientError> + Send + 'static,
    ) -> Result<T, ClientError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || {
            // A panic inside a transaction rolls it back, so the state behind the lock is whole.
            let mut session = inner.session.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut session)
        })
        .await
        .map_err(|_| ClientError::ShuttingDown)?
    }
}

/// The name of the server where somebody is about to be registered in a home.
pub(crate) async fn server_name(
    home: &Home,
    name: &str,
    registration: &Registration,
) -> Result<String, ClientError> {
    match Database::open(home).and_then(|it| Session::open(it, &seed())) {
        // What this home holds decides before the network is asked.
        Ok(session) if session.is_registered() => {
            Err(ClientError::AlreadyRegistered(session.user().to_string()))
        }
        Ok(_) | Err(ClientError::NotRegistered) => {
            UserId::new(name, "localhost")?;
            remote::server_name(&registration.server, registration.authority.as_deref()).await
        }
        Err(error) => Err(error),
    }
}
