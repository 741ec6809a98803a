//! The client: what an application calls.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use conclave_protocol::{
    Content, DeviceId, GroupId, MembershipIntent, RequestId, Sequence, UnixMillis, UserId,
};

use crate::{
    ClientError, Entry, Event, Events, Group, Member, Receipt, Registration, Standing,
    intent::Intent,
    local::{Local, Tx, add_intents, random, user_named},
    remote::{self, Remote},
};

/// One device of a user: its durable state in a home folder, and its connection to the service.
///
/// Cloning gives another handle to the same device. Several programs may use one home at the same
/// time; each step is one transaction.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    local: Mutex<Local>,
    pub(crate) remote: Remote,
    /// Held during each conversation with the service, so that steps of one device do not cross.
    pub(crate) turn: tokio::sync::Mutex<()>,
    user: UserId,
    device: DeviceId,
    home: PathBuf,
}

impl Client {
    /// Registers a new user with its first device at a server, and keeps its state in `home`.
    ///
    /// # Errors
    /// [`ClientError::AlreadyRegistered`], [`ClientError::NameTaken`],
    /// [`ClientError::Unreachable`]. A registration that was cut off can be made again.
    pub async fn register(home: &Path, name: &str, server: &str) -> Result<Self, ClientError> {
        Self::register_with(home, name, &Registration::at(server)).await
    }

    /// Registers as [`Self::register`] does, at a server that asks for more than its address.
    ///
    /// # Errors
    /// Those of [`Self::register`], [`ClientError::Authority`] and [`ClientError::CodeRefused`].
    pub async fn register_with(
        home: &Path,
        name: &str,
        registration: &Registration,
    ) -> Result<Self, ClientError> {
        let server_name = match Local::open(home) {
            // What this home holds decides before the network is asked.
            Ok(local) if local.account().is_registered() => {
                return Err(ClientError::AlreadyRegistered(
                    local.account().user().to_string(),
                ));
            }
            Ok(_) | Err(ClientError::NotRegistered) => {
                UserId::new(name, "localhost")?;
                remote::server_name(&registration.server, registration.authority.as_deref()).await?
            }
            Err(error) => return Err(error),
        };
        let local = Local::create(home, registration, &server_name, name, now())?;
        let client = Self::new(home, local)?;
        let account = client.local(|local| Ok(local.account().clone())).await?;
        let code = registration.code.as_deref();
        client.inner.remote.register(&account, code).await?;
        client.local(Local::registered).await?;
        match client.replenish().await {
            // The account exists; what is missing is due at the next sync.
            Ok(()) | Err(ClientError::Unreachable { .. }) => Ok(client),
            Err(error) => Err(error),
        }
    }

    /// Opens the home of a registered device. Needs no network.
    ///
    /// # Errors
    /// [`ClientError::NotRegistered`], [`ClientError::Database`].
    pub fn open(home: &Path) -> Result<Self, ClientError> {
        let local = Local::open(home)?;
        if !local.account().is_registered() {
            return Err(ClientError::NotRegistered);
        }
        Self::new(home, local)
    }

    fn new(home: &Path, local: Local) -> Result<Self, ClientError> {
        let account = local.account();
        let inner = Inner {
            remote: Remote::new(account)?,
            turn: tokio::sync::Mutex::new(()),
            user: account.user().clone(),
            device: account.device(),
            home: home.to_owned(),
            local: Mutex::new(local),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
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
        self.read(|tx| tx.groups()).await
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
        self.read(move |tx| {
            tx.require_member(group)?;
            tx.members(group)
        })
        .await
    }

    /// The number of a group's epoch, and the epoch authenticator (RFC 9420 §8.7): 32 bytes that
    /// are equal in all members who are in the same epoch of the same group.
    ///
    /// # Errors
    /// [`ClientError::Engine`] for a group that ended.
    pub async fn epoch(&self, group: GroupId) -> Result<(u64, Vec<u8>), ClientError> {
        self.read(move |tx| Ok(tx.epoch(group)?)).await
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
        self.read(move |tx| tx.history(group, after, limit)).await
    }

    /// Creates a group with this device in it.
    ///
    /// # Errors
    /// [`ClientError::Content`] for a name that is none. Where the service can't be reached, the
    /// group exists here and is made known later.
    pub async fn create_group(&self, name: &str) -> Result<GroupId, ClientError> {
        let name = name.to_owned();
        let (group, row) = self.write(move |tx| tx.create_group(&name, now())).await?;
        self.settle(group, row).await?;
        Ok(group)
    }

    /// Adds users, with all their devices, and gives the receipt of the last Commit.
    ///
    /// # Errors
    /// [`ClientError::AlreadyMember`], [`ClientError::UnknownUser`],
    /// [`ClientError::NoKeyPackages`] and those of [`Self::send`].
    pub async fn add(&self, group: GroupId, users: &[UserId]) -> Result<Receipt, ClientError> {
        let users = users.to_vec();
        let rows = self
            .write(move |tx| {
                let members = tx.require_member(group).and_then(|()| tx.members(group))?;
                let present = |user: &&UserId| members.iter().any(|member| member.user == **user);
                refuse_if_any(users.iter().filter(present), ClientError::AlreadyMember)?;
                add_intents(&users)
                    .map(|intent| tx.enqueue(group, &intent))
                    .collect()
            })
            .await?;
        self.settle_all(group, rows).await
    }

    /// Removes users, with all their devices.
    ///
    /// # Errors
    /// [`ClientError::NoSuchMember`] and those of [`Self::send`].
    pub async fn remove(&self, group: GroupId, users: &[UserId]) -> Result<Receipt, ClientError> {
        let users = users.to_vec();
        let row = self
            .write(move |tx| {
                let members = tx.require_member(group).and_then(|()| tx.members(group))?;
                let absent = |user: &&UserId| members.iter().all(|member| member.user != **user);
                refuse_if_any(users.iter().filter(absent), ClientError::NoSuchMember)?;
                tx.enqueue(group, &Intent::Remove(users))
            })
            .await?;
        self.settle(group, row).await
    }

    /// Asks a member who is online to add and remove users, and says whose device was asked: where
    /// many want to change a group at the same moment, one Commit of one member does for all.
    /// Whether it happened shows in the group's history; where nobody else is online, this device
    /// does it at its next [`sync`](Self::sync).
    ///
    /// # Errors
    /// [`ClientError::Refused`], [`ClientError::Unreachable`].
    pub async fn ask_for(
        &self,
        group: GroupId,
        add: &[UserId],
        remove: &[UserId],
    ) -> Result<DeviceId, ClientError> {
        let intent = MembershipIntent {
            add: add.to_vec(),
            remove: remove.to_vec(),
        };
        let request = RequestId::from_bytes(random());
        let remote = &self.inner.remote;
        remote.submit_intent(group, &intent, request, now()).await
    }

    /// Renews this device's keys in a group, so that what was stolen before is worth nothing after.
    ///
    /// # Errors
    /// Those of [`Self::send`].
    pub async fn update(&self, group: GroupId) -> Result<Receipt, ClientError> {
        self.enqueue(group, Intent::Update).await
    }

    /// Asks to leave a group. It takes effect when another member's device confirms it.
    ///
    /// # Errors
    /// Those of [`Self::send`].
    pub async fn leave(&self, group: GroupId) -> Result<Receipt, ClientError> {
        self.enqueue(group, Intent::Leave).await
    }

    /// Sends a line of text.
    ///
    /// # Errors
    /// [`ClientError::NotMember`], [`ClientError::Leaving`], [`ClientError::Content`]. With
    /// [`ClientError::Unreachable`] the text is kept and sent later; with others it is given up.
    pub async fn send(&self, group: GroupId, text: &str) -> Result<Receipt, ClientError> {
        let content = Content::text(text)?.to_bytes();
        self.enqueue(group, Intent::Send(content)).await
    }

    /// Reads everything that waits at the service and sends everything that waits here.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`], and whatever keeps a group from going on.
    pub async fn sync(&self) -> Result<Vec<Event>, ClientError> {
        let _turn = self.inner.turn.lock().await;
        self.sync_all().await
    }

    /// Follows everything that happens, as it happens, until the [`Events`] are dropped.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::follow(self.clone())
    }

    async fn enqueue(&self, group: GroupId, intent: Intent) -> Result<Receipt, ClientError> {
        let row = self
            .write(move |tx| {
                tx.require_member(group)?;
                tx.enqueue(group, &intent)
            })
            .await?;
        self.settle(group, row).await
    }

    async fn settle(&self, group: GroupId, row: i64) -> Result<Receipt, ClientError> {
        let _turn = self.inner.turn.lock().await;
        self.drive(group, row).await
    }

    async fn settle_all(&self, group: GroupId, rows: Vec<i64>) -> Result<Receipt, ClientError> {
        let _turn = self.inner.turn.lock().await;
        let mut receipt = Receipt {
            sequence: Sequence(0),
            rebased: 0,
        };
        for row in rows {
            receipt = self.drive(group, row).await?;
        }
        Ok(receipt)
    }

    /// Runs blocking work on the local state away from the async threads.
    pub(crate) async fn local<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Local) -> Result<T, ClientError> + Send + 'static,
    ) -> Result<T, ClientError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || {
            // A panic inside a transaction rolls it back, so the state behind the lock is whole.
            let mut local = inner.local.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut local)
        })
        .await
        .map_err(|_| ClientError::ShuttingDown)?
    }

    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, ClientError> + Send + 'static,
    ) -> Result<T, ClientError> {
        self.local(|local| local.write(work)).await
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, ClientError> + Send + 'static,
    ) -> Result<T, ClientError> {
        self.local(|local| local.read(work)).await
    }
}

/// The present: the one place where the library asks for it.
pub(crate) fn now() -> UnixMillis {
    SystemTime::now().into()
}

fn refuse_if_any<'a>(
    users: impl Iterator<Item = &'a UserId>,
    error: impl FnOnce(Vec<String>) -> ClientError,
) -> Result<(), ClientError> {
    let users: Vec<String> = users.map(ToString::to_string).collect();
    if users.is_empty() {
        Ok(())
    } else {
        Err(error(users))
    }
}
