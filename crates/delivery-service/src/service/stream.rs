//! Live streams: one task each, which reads the store from the stream's own cursors.
//!
//! What a slow reader has not taken waits in the store; in memory there are a few events. Topics
//! take turns of a page each, so a long backlog of one group keeps no other waiting.

use std::collections::{HashMap, HashSet, VecDeque};

use conclave_protocol::{DeviceId, GroupId, Sequence, limits::FOLLOWED_GROUPS_MAX};
use conclave_rpc::{EdgeError, ErrorDetail, cursor, group_id, v1, v1::stream_request::Request};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Response, Status, Streaming};

use super::{Authenticated, Events, Service, encode};
use crate::{
    error::Refusal,
    hub::{Subscription, Topic},
    limits::{STREAM_EVENTS_MAX, STREAM_PAGE_BYTES, STREAM_PAGE_ENTRIES},
};

/// How far the reader of a topic is.
struct Cursor {
    after: Sequence,
    /// Whether it was told that it has everything that existed when it began.
    caught_up: bool,
}

/// One live stream.
struct Stream {
    service: Service,
    caller: DeviceId,
    subscription: Subscription,
    cursors: HashMap<Topic, Cursor>,
    turns: Turns,
    events: mpsc::Sender<Result<v1::StreamResponse, Status>>,
}

/// The topics that may have something new, each once.
#[derive(Default)]
struct Turns {
    queue: VecDeque<Topic>,
    queued: HashSet<Topic>,
}

/// Why a stream ends.
enum End {
    /// The client closed it, or is gone.
    Closed,
    /// It can't go on.
    Failed(Status),
}

impl<E: Into<Status>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Service {
    pub(super) fn open_stream(
        &self,
        request: Authenticated<Streaming<v1::StreamRequest>>,
    ) -> Response<Events<v1::StreamResponse>> {
        let (events, receiver) = mpsc::channel(STREAM_EVENTS_MAX);
        let stream = Stream {
            service: self.clone(),
            caller: request.caller,
            subscription: self.rooms.hub.subscribe(request.caller),
            cursors: HashMap::new(),
            turns: Turns::default(),
            events: events.clone(),
        };
        let mut stopping = self.stopping.clone();
        let serving = async move {
            if let End::Failed(status) = stream.run(request.body).await {
                // A client that is gone needs no reason.
                let _ = events.send(Err(status)).await;
            }
        };
        tokio::spawn(async move {
            tokio::select! {
                // An error means that the server is gone, which is a reason to stop too.
                _ = stopping.wait_for(|stopping| *stopping) => {}
                () = serving => {}
            }
        });
        Response::new(ReceiverStream::new(receiver))
    }
}

impl Stream {
    async fn run(mut self, requests: Streaming<v1::StreamRequest>) -> End {
        match self.serve(requests).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn serve(
        &mut self,
        mut requests: Streaming<v1::StreamRequest>,
    ) -> Result<std::convert::Infallible, End> {
        match next(&mut requests).await? {
            Some(Request::Open(open)) => self.open(&open)?,
            _ => return Err(EdgeError::new("request", "a stream begins with open").into()),
        }
        let mut listening = true;
        loop {
            tokio::select! {
                biased;
                () = self.events.closed() => return Err(End::Closed),
                request = next(&mut requests), if listening => match request? {
                    Some(request) => self.handle(request)?,
                    // The client has nothing more to say, but still listens.
                    None => listening = false,
                },
                topics = self.subscription.rung(), if self.turns.queue.is_empty() => {
                    topics.into_iter().for_each(|topic| self.turns.add(topic));
                }
                () = std::future::ready(()), if !self.turns.queue.is_empty() => {
                    self.take_turn().await?;
                }
            }
        }
    }

    fn open(&mut self, open: &v1::OpenStream) -> Result<(), End> {
        let after = cursor(open.mailbox_after_cursor)?;
        self.follow(Topic::Mailbox(self.caller), after)?;
        for follow in &open.groups {
            let group = group_id(&follow.group_id)?;
            self.follow(Topic::Group(group), cursor(follow.after_sequence)?)?;
        }
        Ok(())
    }

    fn handle(&mut self, request: Request) -> Result<(), End> {
        match request {
            Request::Open(_) => Err(EdgeError::new("open", "a stream is opened once").into()),
            Request::Follow(follow) => {
                let group = group_id(&follow.group_id)?;
                self.follow(Topic::Group(group), cursor(follow.after_sequence)?)
            }
            Request::Unfollow(unfollow) => {
                self.unfollow(Topic::Group(group_id(&unfollow.group_id)?));
                Ok(())
            }
        }
    }

    fn follow(&mut self, topic: Topic, after: Sequence) -> Result<(), End> {
        // One more than the groups: the mailbox.
        if self.cursors.len() > FOLLOWED_GROUPS_MAX {
            return Err(Refusal::Busy("the stream follows too many groups").into());
        }
        // Following comes before reading, so that nothing in between is missed.
        self.subscription.follow(topic);
        let caught_up = false;
        self.cursors.insert(topic, Cursor { after, caught_up });
        self.turns.add(topic);
        Ok(())
    }

    fn unfollow(&mut self, topic: Topic) {
        self.subscription.unfollow(topic);
        self.cursors.remove(&topic);
    }

    /// Sends a page of the topic whose turn it is.
    async fn take_turn(&mut self) -> Result<(), End> {
        let Some(topic) = self.turns.next() else {
            return Ok(());
        };
        // It may have been unfollowed while it waited.
        let Some(cursor) = self.cursors.get(&topic) else {
            return Ok(());
        };
        let after = cursor.after;
        let is_done = match topic {
            Topic::Mailbox(_) => self.send_mailbox(topic, after).await?,
            Topic::Group(group) => self.send_group(topic, group, after).await?,
        };
        if !is_done {
            self.turns.add(topic);
        }
        Ok(())
    }

    /// Whether the mailbox has no more.
    async fn send_mailbox(&mut self, topic: Topic, after: Sequence) -> Result<bool, End> {
        let caller = self.caller;
        let items = self
            .service
            .job(move |rooms| {
                let items = rooms
                    .store
                    .read_mailbox(caller, after.0, STREAM_PAGE_ENTRIES)?;
                items
                    .into_iter()
                    .map(encode::mailbox_item)
                    .collect::<Result<Vec<_>, _>>()
            })
            .await?;
        let is_done = items.len() < STREAM_PAGE_ENTRIES;
        for item in items {
            let cursor = Sequence(item.cursor);
            let event = v1::stream_response::Event::Mailbox(item);
            self.send(encode::event(event)).await?;
            self.advance(topic, cursor);
        }
        if is_done {
            self.tell_caught_up(topic, None).await?;
        }
        Ok(is_done)
    }

    /// Whether the group has no more to read.
    async fn send_group(
        &mut self,
        topic: Topic,
        group: GroupId,
        after: Sequence,
    ) -> Result<bool, End> {
        let caller = self.caller;
        let read = self.service.job(move |rooms| {
            let groups = &rooms.groups;
            groups.read(group, caller, after, STREAM_PAGE_ENTRIES, STREAM_PAGE_BYTES)
        });
        let page = match read.await {
            Ok(page) => page,
            Err(status) if matches!(status.code(), Code::NotFound | Code::PermissionDenied) => {
                return self.end_group(topic, group).await;
            }
            Err(status) => match ErrorDetail::of(&status) {
                Some(ErrorDetail::TooLate(detail)) => {
                    self.unfollow(topic);
                    self.send(encode::too_late(group, detail)).await?;
                    return Ok(true);
                }
                _ => return Err(End::Failed(status)),
            },
        };
        let mut at = after;
        for entry in page.entries {
            at = entry.sequence;
            self.send(encode::group_entry(group, entry)).await?;
            self.advance(topic, at);
        }
        if at < page.readable {
            return Ok(false);
        }
        if page.is_member {
            self.tell_caught_up(topic, Some(group)).await?;
            Ok(true)
        } else {
            self.end_group(topic, group).await
        }
    }

    async fn end_group(&mut self, topic: Topic, group: GroupId) -> Result<bool, End> {
        self.unfollow(topic);
        self.send(encode::ended(group)).await?;
        Ok(true)
    }

    async fn tell_caught_up(&mut self, topic: Topic, group: Option<GroupId>) -> Result<(), End> {
        let cursor = self.cursors.get_mut(&topic);
        let is_first = cursor.is_some_and(|cursor| !std::mem::replace(&mut cursor.caught_up, true));
        if is_first {
            self.send(encode::caught_up(group)).await?;
        }
        Ok(())
    }

    fn advance(&mut self, topic: Topic, to: Sequence) {
        if let Some(cursor) = self.cursors.get_mut(&topic) {
            cursor.after = to;
        }
    }

    async fn send(&self, event: v1::StreamResponse) -> Result<(), End> {
        self.events.send(Ok(event)).await.map_err(|_| End::Closed)
    }
}

async fn next(requests: &mut Streaming<v1::StreamRequest>) -> Result<Option<Request>, End> {
    let message = requests.message().await?;
    message
        .map(|message| message.request)
        .map(|request| request.ok_or(EdgeError::new("request", "missing")))
        .transpose()
        .map_err(End::from)
}

impl Turns {
    fn add(&mut self, topic: Topic) {
        if self.queued.insert(topic) {
            self.queue.push_back(topic);
        }
    }

    fn next(&mut self) -> Option<Topic> {
        let topic = self.queue.pop_front()?;
        self.queued.remove(&topic);
        Some(topic)
    }
}
