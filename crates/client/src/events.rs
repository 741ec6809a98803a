//! The live stream: what happens, as it happens.

use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use conclave_protocol::{GroupId, Sequence};
use conclave_rpc::v1::{self, stream_request::Request, stream_response::Event as Live};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_stream::Stream;

use crate::{Client, ClientError, Entry, Event, Standing, entropy::now, session::Hint};

/// Events that may wait for the application before the stream waits for it.
const QUEUE: usize = 256;

/// Requests that may wait for the service.
const REQUESTS: usize = 64;

/// What is waited before a lost connection is made again.
const RECONNECT: Duration = Duration::from_millis(500);

/// The shortest wait between two looks at what is due: the clock may stand still between them.
const MOMENT: Duration = Duration::from_millis(2);

/// How often a live stream looks for history that is to be handed over or taken.
const PAST_WAIT: Duration = Duration::from_secs(5);

/// Everything that happens to a device, as it happens: a [`Stream`] that ends after an error, and goes
/// on for ever otherwise. Dropping it ends the following.
///
/// ```no_run
/// # use conclave_client::{Client, ClientError, Event};
/// # async fn example(client: Client) -> Result<(), ClientError> {
/// let mut events = client.events();
/// while let Some(event) = events.next().await {
///     match event? {
///         Event::Entry(entry) => println!("{}: {:?}", entry.author, entry.text()),
///         Event::Joined(group) => println!("somebody added us to {group}"),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "what happens is told to nobody else"]
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

    /// The next event, for whoever needs no more of a [`Stream`]. A lost connection is an event and is
    /// made again; an error ends the events.
    ///
    /// # Errors
    /// Whatever keeps a group from going on.
    pub async fn next(&mut self) -> Option<Result<Event, ClientError>> {
        self.queue.recv().await
    }
}

impl Stream for Events {
    type Item = Result<Event, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.queue.poll_recv(context)
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
        self.begin().await?;
        self.tell(self.client.sync().await?).await?;
        self.tell(vec![Event::CaughtUp]).await?;

        let mut grown = self.client.inner.grown.subscribe();
        let (requests, receiver) = mpsc::channel(REQUESTS);
        let mut followed = HashSet::new();
        let open = self.open(&mut followed).await?;
        self.ask(&requests, open).await?;
        let mut stream = self.client.inner.remote.stream(receiver).await?;
        let mut moved = Instant::now();
        loop {
            let mut events = tokio::select! {
                response = stream.message() => match response {
                    Ok(Some(response)) => self.take_in(response).await?,
                    Ok(None) | Err(_) => return Ok(()),
                },
                () = self.until_due() => Vec::new(),
                // It lives as long as the client.
                _ = grown.changed() => Vec::new(),
            };
            {
                let _turn = self.client.inner.turn.lock().await;
                events.extend(self.client.go_on().await?);
                // What fails is not tried again with each entry that comes.
                if moved.elapsed() >= PAST_WAIT {
                    events.extend(self.client.move_histories(|_| {}).await?);
                    moved = Instant::now();
                }
            }
            for event in &events {
                // It may have been left and joined again since it was looked at.
                if let Event::Joined(group) = event {
                    followed.remove(group);
                }
            }
            self.follow_new(&mut followed, &requests).await?;
            self.tell(events).await?;
        }
    }

    /// Takes in what the stream brought. All but entries are hints.
    async fn take_in(&self, response: v1::StreamResponse) -> Result<Vec<Event>, ClientError> {
        let hint = match response.event {
            Some(Live::Entry(entry)) => return self.take_entry(entry).await,
            Some(Live::Signal(signal)) => {
                let heard = self
                    .client
                    .session(move |it| it.take_signal(&signal, now()));
                return Ok(heard.await?.into_iter().collect());
            }
            Some(Live::Mailbox(_)) => Hint::Mailbox,
            Some(Live::Ended(v1::GroupEnded { group_id }))
            | Some(Live::TooLate(v1::GroupTooLate { group_id, .. })) => {
                Hint::Group(known_group(&group_id)?)
            }
            // The log's last page says of the same ones.
            Some(Live::Departures(v1::Departures { group_id, .. })) => {
                Hint::Group(known_group(&group_id)?)
            }
            Some(Live::CaughtUp(_)) | None => return Ok(Vec::new()),
        };
        let client = &self.client;
        client.session(move |session| session.hint(hint)).await?;
        Ok(Vec::new())
    }

    /// Waits until the session has something to do by itself.
    async fn until_due(&self) {
        let wake = self.client.session(|session| {
            let expiry = session.next_expiry()?;
            Ok(session.wake_at().into_iter().chain(expiry).min())
        });
        let wake = wake.await;
        match wake.ok().flatten() {
            Some(wake) => {
                let wait = Duration::from_millis(wake.0.saturating_sub(now().0));
                tokio::time::sleep(wait.max(MOMENT)).await;
            }
            None => std::future::pending().await,
        }
    }

    async fn open(&self, followed: &mut HashSet<GroupId>) -> Result<Request, ClientError> {
        Ok(Request::Open(v1::OpenStream {
            mailbox_after_cursor: 0,
            groups: self.not_followed(followed).await?,
        }))
    }

    /// Follows the groups that came about since.
    async fn follow_new(
        &self,
        followed: &mut HashSet<GroupId>,
        requests: &mpsc::Sender<v1::StreamRequest>,
    ) -> Result<(), End> {
        for group in self.not_followed(followed).await? {
            self.ask(requests, Request::Follow(group)).await?;
        }
        Ok(())
    }

    /// The groups that this device is in and does not follow yet; from now on it does.
    async fn not_followed(
        &self,
        followed: &mut HashSet<GroupId>,
    ) -> Result<Vec<v1::FollowGroup>, ClientError> {
        let mut groups = Vec::new();
        for group in self.client.groups().await? {
            let is_in = matches!(group.standing, Standing::Member | Standing::Leaving);
            // A group that is left and joined again is a new one to the service.
            if !is_in {
                followed.remove(&group.id);
            } else if followed.insert(group.id) {
                groups.push(self.follow(group.id).await?);
            }
        }
        Ok(groups)
    }

    async fn follow(&self, id: GroupId) -> Result<v1::FollowGroup, ClientError> {
        let group = self.client.session(move |it| it.group(id)).await?;
        Ok(v1::FollowGroup {
            group_id: id.as_bytes().to_vec().into(),
            after_sequence: group.map_or(0, |group| group.cursor.0),
        })
    }

    /// Takes in an entry. Another program on the same home, or another task of this one, may have
    /// done so already: what it recorded is told all the same.
    async fn take_entry(&self, entry: v1::GroupEntry) -> Result<Vec<Event>, ClientError> {
        let group = known_group(&entry.group_id)?;
        let Some(entry) = entry.entry else {
            return Ok(Vec::new());
        };
        let before = Sequence(entry.sequence.saturating_sub(1));
        self.client
            .session(move |session| {
                let events = session.take_entry(group, &entry, now())?;
                if !events.is_empty() {
                    return Ok(events);
                }
                let mut recorded = session.history(group, before, 1)?;
                recorded.retain(|known| known.sequence.0 == entry.sequence);
                Ok(recorded.into_iter().map(Event::Entry).collect())
            })
            .await
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

    /// Notes how far each group was read before anything is told, so that nothing after it is
    /// missed, whoever takes it in.
    async fn begin(&self) -> Result<(), ClientError> {
        for group in self.client.groups().await? {
            let mut told = self.told();
            told.entry(group.id).or_insert(group.cursor);
        }
        Ok(())
    }

    async fn tell(&self, events: Vec<Event>) -> Result<(), End> {
        for event in events {
            let news = match event {
                Event::Entry(entry) => self.news_up_to(entry).await?,
                other => vec![other],
            };
            for event in news {
                self.sender
                    .send(Ok(event))
                    .await
                    .map_err(|_| End::Final(None))?;
            }
        }
        Ok(())
    }

    /// What was not told yet, up to an entry. Another program on the same home may have taken in
    /// those before it.
    async fn news_up_to(&self, entry: Entry) -> Result<Vec<Event>, ClientError> {
        let (group, last) = (entry.group, entry.sequence);
        let told = {
            let mut told = self.told();
            let told = told.entry(group).or_insert(Sequence(0));
            std::mem::replace(told, last.max(*told))
        };
        if last <= told {
            return Ok(Vec::new());
        }
        if last == told.next() {
            return Ok(vec![Event::Entry(entry)]);
        }
        let missed = usize::try_from(last.0 - told.0).unwrap_or(usize::MAX);
        let mut entries = self.client.history(group, told, missed).await?;
        entries.retain(|entry| entry.sequence <= last);
        Ok(entries.into_iter().map(Event::Entry).collect())
    }

    fn told(&self) -> MutexGuard<'_, HashMap<GroupId, Sequence>> {
        // Nothing panics while it is held.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn known_group(id: &[u8]) -> Result<GroupId, ClientError> {
    conclave_rpc::group_id(id).map_err(|error| ClientError::Protocol(error.to_string()))
}
