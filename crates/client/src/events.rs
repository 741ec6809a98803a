//! The live stream: what happens, as it happens.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use conclave_protocol::{GroupId, Sequence};
use conclave_rpc::v1::{
    self, mailbox_item::Item, stream_request::Request, stream_response::Event as Live,
};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{Client, ClientError, Event, Standing, local::random};

/// Events that may wait for the application before the stream waits for it.
const QUEUE: usize = 256;

/// Requests that may wait for the service.
const REQUESTS: usize = 64;

/// What is waited before a lost connection is made again.
const RECONNECT: Duration = Duration::from_millis(500);

/// The longest wait before this device confirms that somebody leaves. Every device online waits a
/// random part of it, so that most find it done already.
const CONFIRM_JITTER_MILLIS: u16 = 1000;

/// How long intents of others gather before they are committed: many who ask at the same moment
/// wait little, and cost one epoch.
const GATHER: Duration = Duration::from_millis(300);

/// Everything that happens to a device, as it happens. Dropping it ends the following.
pub struct Events {
    queue: mpsc::Receiver<Result<Event, ClientError>>,
    task: JoinHandle<()>,
}

impl Events {
    pub(crate) fn follow(client: Client) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        let task = tokio::spawn(async move {
            let told = Mutex::default();
            Follower {
                client,
                sender,
                told,
            }
            .run()
            .await;
        });
        Self { queue, task }
    }

    /// The next event. A lost connection is an event and is made again; an error ends the events.
    ///
    /// # Errors
    /// Whatever keeps a group from going on.
    pub async fn next(&mut self) -> Option<Result<Event, ClientError>> {
        self.queue.recv().await
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Follower {
    client: Client,
    sender: mpsc::Sender<Result<Event, ClientError>>,
    /// How far each group's entries were told, so that none is told twice.
    told: Mutex<HashMap<GroupId, Sequence>>,
}

/// Why a stream came to its end.
enum End {
    /// The connection or the service went away.
    Lost,
    /// The application no longer listens, or can't be helped.
    Final(Option<ClientError>),
}

impl From<ClientError> for End {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unreachable { .. } | ClientError::RateLimited(_) => Self::Lost,
            other => Self::Final(Some(other)),
        }
    }
}

impl Follower {
    async fn run(self) {
        loop {
            match self.stream().await {
                Err(End::Final(error)) => {
                    if let Some(error) = error {
                        let _ = self.sender.send(Err(error)).await;
                    }
                    return;
                }
                Ok(()) | Err(End::Lost) => {
                    if self.sender.send(Ok(Event::Disconnected)).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(RECONNECT).await;
                }
            }
        }
    }

    /// One connection: first all that waits, then what comes.
    async fn stream(&self) -> Result<(), End> {
        let caught_up = self.client.sync().await?;
        self.tell(caught_up).await?;
        self.tell(vec![Event::CaughtUp]).await?;

        let (requests, receiver) = mpsc::channel(REQUESTS);
        self.ask(&requests, self.open().await?).await?;
        let mut stream = self.client.inner.remote.stream(receiver).await?;
        while let Ok(Some(response)) = stream.message().await {
            let events = match response.event {
                Some(Live::Mailbox(item)) if matches!(item.item, Some(Item::Intent(_))) => {
                    // It is still in the mailbox, with those that come meanwhile.
                    tokio::time::sleep(GATHER).await;
                    self.client.sync().await?
                }
                Some(Live::Mailbox(item)) => {
                    let _turn = self.client.inner.turn.lock().await;
                    let cursor = item.cursor;
                    let events = self.client.take_mail(item).await?;
                    self.client.inner.remote.acknowledge_mailbox(cursor).await?;
                    self.client.replenish().await?;
                    events
                }
                Some(Live::Entry(entry)) => self.take_entry(entry).await?,
                _ => continue,
            };
            for event in &events {
                if let Event::Joined(group) = event {
                    self.ask(&requests, Request::Follow(self.follow(*group).await?))
                        .await?;
                }
            }
            self.tell(events).await?;
            self.confirm_leaves().await?;
        }
        Ok(())
    }

    async fn open(&self) -> Result<Request, ClientError> {
        let mut groups = Vec::new();
        for group in self.client.groups().await? {
            if matches!(group.standing, Standing::Member | Standing::Leaving) {
                groups.push(self.follow(group.id).await?);
            }
        }
        Ok(Request::Open(v1::OpenStream {
            mailbox_after_cursor: 0,
            groups,
        }))
    }

    async fn follow(&self, id: GroupId) -> Result<v1::FollowGroup, ClientError> {
        let group = self.client.read(move |tx| tx.group(id)).await?;
        Ok(v1::FollowGroup {
            group_id: id.as_bytes().to_vec().into(),
            after_sequence: group.map_or(0, |group| group.cursor.0),
        })
    }

    /// Takes in an entry. Another program on the same home, or another task of this one, may have
    /// done so already: what it recorded is told all the same.
    async fn take_entry(&self, entry: v1::GroupEntry) -> Result<Vec<Event>, ClientError> {
        let group = conclave_rpc::group_id(&entry.group_id)
            .map_err(|error| ClientError::Protocol(error.to_string()))?;
        let Some(entry) = entry.entry else {
            return Ok(Vec::new());
        };
        let before = Sequence(entry.sequence.saturating_sub(1));
        self.client
            .write(move |tx| {
                let events = tx.take_in(group, std::slice::from_ref(&entry))?;
                if !events.is_empty() {
                    return Ok(events);
                }
                let mut recorded = tx.history(group, before, 1)?;
                recorded.retain(|known| known.sequence.0 == entry.sequence);
                Ok(recorded.into_iter().map(Event::Entry).collect())
            })
            .await
    }

    /// Somebody has to commit that others leave; whoever waits shortest does.
    async fn confirm_leaves(&self) -> Result<(), End> {
        if self
            .client
            .read(|tx| tx.groups_to_confirm())
            .await?
            .is_empty()
        {
            return Ok(());
        }
        let jitter = u64::from(u16::from_le_bytes(random()) % CONFIRM_JITTER_MILLIS);
        tokio::time::sleep(Duration::from_millis(jitter)).await;
        let events = self.client.sync().await?;
        self.tell(events).await
    }

    async fn ask(
        &self,
        requests: &mpsc::Sender<v1::StreamRequest>,
        request: Request,
    ) -> Result<(), End> {
        let request = v1::StreamRequest {
            request: Some(request),
        };
        requests.send(request).await.map_err(|_| End::Lost)
    }

    fn is_news(&self, event: &Event) -> bool {
        let Event::Entry(entry) = event else {
            return true;
        };
        // Nothing panics while it is held.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let last = told.entry(entry.group).or_default();
        let is_news = entry.sequence > *last;
        *last = entry.sequence.max(*last);
        is_news
    }

    async fn tell(&self, events: Vec<Event>) -> Result<(), End> {
        for event in events {
            if !self.is_news(&event) {
                continue;
            }
            self.sender
                .send(Ok(event))
                .await
                .map_err(|_| End::Final(None))?;
        }
        Ok(())
    }
}
