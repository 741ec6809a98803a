//! The people of a run: their devices, their groups, and the tasks that follow what happens to them.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use conclave_client::{Client, ClientError, GroupId, Registration, UserId};
use tempfile::TempDir;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    LoadError, Plan, Progress,
    limits::{FOLLOW_AGAIN, REGISTRATIONS_MAX, SETTING_UP_AT_ONCE, SETTING_UP_PATIENCE},
    state::Board,
};

/// The people of a run. Dropping it ends them, and deletes their homes.
pub(crate) struct Crowd {
    pub(crate) clients: Arc<[Client]>,
    pub(crate) board: Arc<Board>,
    /// Tasks that follow, one a device; they end when this is dropped.
    _followers: JoinSet<()>,
    _homes: TempDir,
}

impl Crowd {
    /// Registers them, and has each follow what happens.
    pub(crate) async fn register(
        plan: &Plan,
        server: &Registration,
        tell: &impl Fn(Progress),
    ) -> Result<Self, LoadError> {
        let homes = tempfile::tempdir()?;
        // Another run against the same server has other names.
        let run = RandomState::new().hash_one(plan.seed) >> 16;
        let one = |number| {
            let name = format!("load-{run:012x}-{number}");
            register(homes.path().join(&name), name, server.clone())
        };
        let told = |done| {
            let of = plan.users;
            tell(Progress::Registering { done, of });
        };
        let clients = in_turns(plan.users, one, told).await?;
        let board = Arc::new(Board::new());
        let mut followers = JoinSet::new();
        for (number, client) in clients.iter().enumerate() {
            followers.spawn(follow(client.clone(), number, Arc::clone(&board)));
        }
        Ok(Self {
            clients: clients.into(),
            board,
            _followers: followers,
            _homes: homes,
        })
    }

    /// Makes the groups, and waits until everybody is in.
    pub(crate) async fn make_groups(
        &self,
        plan: &Plan,
        tell: &impl Fn(Progress),
    ) -> Result<Vec<GroupId>, LoadError> {
        let one = |number| {
            let mut founders = plan.founders(number).map(|user| &self.clients[user]);
            let owner = founders.next().cloned();
            let others = founders.map(|client| client.user().clone()).collect();
            group(owner, format!("load {number}"), others)
        };
        let told = |done| {
            let of = plan.groups;
            tell(Progress::Grouping { done, of });
        };
        let groups = in_turns(plan.groups, one, told).await?;
        self.gather(plan.groups * (plan.size - 1)).await?;
        Ok(groups)
    }

    async fn gather(&self, of: usize) -> Result<(), LoadError> {
        let (mut came, mut moved) = (0, Instant::now());
        while came < of {
            let now = self.board.came();
            if now > came {
                (came, moved) = (now, Instant::now());
            } else if moved.elapsed() > SETTING_UP_PATIENCE {
                return Err(LoadError::NobodyComes { came, of });
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

async fn register(home: PathBuf, name: String, server: Registration) -> Result<Client, LoadError> {
    for _ in 0..REGISTRATIONS_MAX {
        match Client::register_with(home.as_path(), &name, &server).await {
            Err(ClientError::RateLimited(wait)) => sleep(wait).await,
            registered => return registered.map_err(LoadError::Register),
        }
    }
    Err(LoadError::Register(ClientError::RateLimited(
        Duration::ZERO,
    )))
}

async fn group(
    owner: Option<Client>,
    name: String,
    others: Vec<UserId>,
) -> Result<GroupId, LoadError> {
    // A plan that was checked has no empty group.
    let owner = owner.ok_or(LoadError::BrokenOff)?;
    let made = owner.create_group_with(&name, &others, |_| {}).await;
    let (group, mut came) = made.map_err(LoadError::Group)?;
    match came.failed.pop() {
        Some((_, why)) => Err(LoadError::Group(why)),
        None => Ok(group),
    }
}

/// Follows what happens to a device, as an application does, and goes on after an error.
async fn follow(client: Client, number: usize, board: Arc<Board>) {
    loop {
        let mut events = client.events();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => board.heard(number, client.user(), &event),
                Err(error) => board.not_followed(&error),
            }
        }
        sleep(FOLLOW_AGAIN).await;
    }
}

/// Does something so many times, some at the same moment, and gives what came of it in order.
async fn in_turns<T: Send + 'static, F>(
    count: usize,
    one: impl Fn(usize) -> F,
    told: impl Fn(usize),
) -> Result<Vec<T>, LoadError>
where
    F: Future<Output = Result<T, LoadError>> + Send + 'static,
{
    let (mut work, mut done, mut next) = (JoinSet::new(), BTreeMap::new(), 0..count);
    loop {
        while work.len() < SETTING_UP_AT_ONCE
            && let Some(number) = next.next()
        {
            let task = one(number);
            work.spawn(async move { (number, task.await) });
        }
        let Some(finished) = work.join_next().await else {
            return Ok(done.into_values().collect());
        };
        let (number, result) = finished.map_err(|_| LoadError::BrokenOff)?;
        done.insert(number, result?);
        told(done.len());
    }
}
