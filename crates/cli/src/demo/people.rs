//! The people of the story: each a client of its own, with a home of its own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use conclave_client::{Client, ClientError, Entry, GroupId, Sequence, Standing, UserId};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{sync::Semaphore, task::JoinSet};

const NAMES: [&str; 12] = [
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory",
    "niaj",
];

/// From how many people on a progress bar is worth its place.
const PROGRESS_FROM: usize = 20;

/// How many people act at the same moment.
const PARALLEL: usize = 8;

/// More entries than the story has.
const HISTORY: usize = 100_000;

pub(super) struct People {
    homes: PathBuf,
    clients: Vec<Client>,
}

impl People {
    /// Registers that many people at a server, each in a home of their own.
    pub(super) async fn register(homes: &Path, url: &str, count: u16) -> anyhow::Result<Self> {
        let names: Vec<String> = (0..usize::from(count)).map(name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Self::named(homes, url, &names).await
    }

    /// Registers people of these names.
    pub(super) async fn named(homes: &Path, url: &str, names: &[&str]) -> anyhow::Result<Self> {
        let work = names.iter().map(|name| {
            let (home, name, url) = (homes.join(name), (*name).to_owned(), url.to_owned());
            async move { Client::register(&home, &name, &url).await }
        });
        let clients = together("people register", work).await?;
        Ok(Self {
            homes: homes.to_owned(),
            clients,
        })
    }

    pub(super) fn count(&self) -> usize {
        self.clients.len()
    }

    pub(super) fn client(&self, index: usize) -> &Client {
        &self.clients[index]
    }

    pub(super) fn name(&self, index: usize) -> &str {
        self.clients[index].user().name()
    }

    /// The name as it stands in a sentence.
    pub(super) fn called(&self, index: usize) -> String {
        let mut letters = self.name(index).chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_uppercase().chain(letters).collect()
        })
    }

    pub(super) fn users(&self, indices: impl Iterator<Item = usize>) -> Vec<UserId> {
        indices
            .map(|index| self.clients[index].user().clone())
            .collect()
    }

    /// Ends a person's client without ceremony, and starts it again from its home.
    pub(super) fn reopen(&mut self, index: usize) -> Result<(), ClientError> {
        let home = self.homes.join(name(index));
        self.clients[index] = Client::open(&home)?;
        Ok(())
    }

    /// Everybody reads what waits for them.
    pub(super) async fn sync(&self) -> anyhow::Result<()> {
        let work = self.clients.iter().cloned().map(|client| async move {
            client.sync().await.map_err(|error| {
                ClientError::Protocol(format!("{} can't go on: {error}", client.user().name()))
            })
        });
        together("people read", work).await?;
        Ok(())
    }

    /// What each person read in a group: author's name and text, in the order of the log.
    pub(super) async fn texts(&self, index: usize, group: GroupId) -> anyhow::Result<Vec<String>> {
        let texts = self
            .history(index, group)
            .await?
            .into_iter()
            .filter_map(|entry| {
                let text = entry.text()?;
                Some(format!("{}: {text}", entry.author.name()))
            });
        Ok(texts.collect())
    }

    pub(super) async fn history(&self, index: usize, group: GroupId) -> anyhow::Result<Vec<Entry>> {
        Ok(self
            .client(index)
            .history(group, Sequence(0), HISTORY)
            .await?)
    }

    /// The names of those who did not read `text` last, or at all.
    pub(super) async fn without(
        &self,
        group: GroupId,
        members: impl Iterator<Item = usize>,
        text: &str,
    ) -> anyhow::Result<Vec<String>> {
        let mut without = Vec::new();
        for index in members {
            if !self
                .texts(index, group)
                .await?
                .iter()
                .any(|read| read == text)
            {
                without.push(self.name(index).to_owned());
            }
        }
        Ok(without)
    }

    /// Who is in which epoch with which authenticator, among those who are members.
    pub(super) async fn epochs(
        &self,
        group: GroupId,
    ) -> anyhow::Result<BTreeMap<(u64, Vec<u8>), Vec<String>>> {
        let mut epochs: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for client in &self.clients {
            if self.is_member(client, group).await? {
                let epoch = client.epoch(group).await?;
                epochs
                    .entry(epoch)
                    .or_default()
                    .push(client.user().name().to_owned());
            }
        }
        Ok(epochs)
    }

    async fn is_member(&self, client: &Client, group: GroupId) -> anyhow::Result<bool> {
        let groups = client.groups().await?;
        let found = groups.into_iter().find(|known| known.id == group);
        Ok(found.is_some_and(|group| group.standing == Standing::Member))
    }
}

/// Runs the work of many people, a few at a time, with a progress bar where they are many. The
/// results come in the order of the work.
async fn together<T: Send + 'static>(
    what: &'static str,
    work: impl Iterator<Item = impl Future<Output = Result<T, ClientError>> + Send + 'static>,
) -> anyhow::Result<Vec<T>> {
    let places = Arc::new(Semaphore::new(PARALLEL));
    let mut tasks = JoinSet::new();
    for (index, work) in work.enumerate() {
        let places = Arc::clone(&places);
        tasks.spawn(async move {
            // The semaphore is never closed; without a place the work would only be less polite.
            let _place = places.acquire().await.ok();
            work.await.map(|value| (index, value))
        });
    }
    let bar = progress(tasks.len(), what);
    let mut results = BTreeMap::new();
    while let Some(result) = tasks.join_next().await {
        let (index, value) = result.context("a person's task was cut off")??;
        results.insert(index, value);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(results.into_values().collect())
}

fn progress(count: usize, what: &'static str) -> ProgressBar {
    if count < PROGRESS_FROM {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("  {msg} [{bar:40}] {pos}/{len}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(count as u64)
        .with_style(style)
        .with_message(what)
}

fn name(index: usize) -> String {
    NAMES
        .get(index)
        .map_or_else(|| format!("person-{}", index + 1), ToString::to_string)
}
