//! Live streams: one task each, which reads the store from the stream's own cursors.
//!
//! What a slow reader has not taken waits in the store; in memory there are a few events. Topics
//! take turns of a page each, so a long backlog of one group keeps no other waiting.

use std::collections::{HashMap, HashSet, VecDeque};

use conclave_protocol::{DeviceId, GroupId, Sequence, limits::FOLLOWED_GROUPS_MAX};
use conclave_rpc::{EdgeError, ErrorDetail, cursor, group_id, v1, v1::stream_request::Request};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Response, Status, Streaming};

use super::{Authenticated, Events, Rooms, Service, encode};
use crate::{
    edge::Peer,
    error::Refusal,
    groups::LogPage,
    hub::{Subscription, Topic},
    limits::{
        EVENT_READ_TIMEOUT, STREAM_EVENTS_MAX, STREAM_OPEN_TIMEOUT, STREAM_PAGE_BYTES,
        STREAM_PAGE_ENTRIES,
    },
    tails::{Reading, Rest},
};

/// How far the reader of a topic is.
struct Cursor {
    after: Sequence,
    /// Whether it was told that it has everything that existed when it began.
    caught_up: bool,
    /// Whether the reader was a member when all before was read. It then may read up to the next
    /// Commit without being asked again: only a Commit ends a membership.
    is_member: bool,
    /// The departed devices that it was told of last.
    departed: Vec<DeviceId>,
}

/// One live stream.
struct Stream {
    service: Service,
    caller: DeviceId,
    subscription: Subscription,
    cursors: HashMap<Topic, Cursor>,
    turns: Turns,
    events: mpsc::Sender<Result<v1::StreamResponse, Status>>,
    peer: Option<Peer>,
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
        peer: Option<Peer>,
    ) -> Response<Events<v1::StreamResponse>> {
        let (events, receiver) = mpsc::channel(STREAM_EVENTS_MAX);
        let stream = Stream {
            service: self.clone(),
            caller: request.caller,
            subscription: self.rooms.hub.subscribe(request.caller),
            cursors: HashMap::new(),
            turns: Turns::default(),
            events: events.clone(),
            peer,
        };
        let presence = self.attendance.enter(request.caller);
        let ending = stream.subscription.ending();
        let last_word = events.clone();
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
                () = presence.replaced() => {}
                () = ending.wait() => {
                    let gone = Refusal::Unauthenticated("the device is not registered any more");
                    // Who is behind with its reading is not waited for.
                    let _ = last_word.try_send(Err(gone.into()));
                }
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
        let opening = timeout(STREAM_OPEN_TIMEOUT, next(&mut requests)).await;
        match opening.map_err(|_| Status::deadline_exceeded("the stream was not opened"))?? {
            Some(Request::Open(open)) => self.open(&open).await?,
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
                    topics.into_iter().for_each(|topic| self.hear(topic));
                    self.send_signals().await?;
                }
                () = std::future::ready(()), if !self.turns.queue.is_empty() => {
                    self.take_turn().await?;
                }
            }
        }
    }

    async fn open(&mut self, open: &v1::OpenStream) -> Result<(), End> {
        let after = cursor(open.mailbox_after_cursor)?;
        let caller = self.caller;
        self.follow(Topic::Mailbox(caller), after)?;
        // From here on the stream ends with its device. Its token may have outlived it before.
        let turn = self.service.stream_turn().await;
        let require = move |rooms: &Rooms| rooms.accounts.require(caller);
        self.service.run(turn, require).await?;
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
        let cursor = Cursor {
            after,
            caught_up: false,
            is_member: false,
            departed: Vec::new(),
        };
        self.cursors.insert(topic, cursor);
        self.turns.add(topic);
        Ok(())
    }

    fn unfollow(&mut self, topic: Topic) {
        self.subscription.unfollow(topic);
        self.cursors.remove(&topic);
    }

    /// Takes news in; what is said elsewhere than in the log is asked of the store.
    fn hear(&mut self, topic: Topic) {
        let topic = match topic {
            Topic::Standing(group) => {
                let topic = Topic::Group(group);
                self.set_member(topic, false);
                topic
            }
            topic => topic,
        };
        self.turns.add(topic);
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
            Topic::Group(group) | Topic::Standing(group) => {
                self.send_group(topic, group, after).await?
            }
        };
        if !is_done {
            self.turns.add(topic);
        }
        Ok(())
    }

    /// Whether the mailbox has no more.
    async fn send_mailbox(&mut self, topic: Topic, after: Sequence) -> Result<bool, End> {
        let caller = self.caller;
        let turn = self.service.stream_turn().await;
        let items = self
            .service
            .run(turn, move |rooms| {
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
        if let Some(rest) = self.ready(topic, group, after) {
            return self.send_ready(topic, group, rest).await;
        }
        let turn = self.service.stream_turn().await;
        // Somebody else may have read it while this one waited.
        if let Some(rest) = self.ready(topic, group, after) {
            drop(turn);
            return self.send_ready(topic, group, rest).await;
        }
        let caller = self.caller;
        let reading = self.service.rooms.hub.tails().reading();
        let read = self.service.run(turn, move |rooms| {
            let groups = &rooms.groups;
            groups.read(group, caller, after, STREAM_PAGE_ENTRIES, STREAM_PAGE_BYTES)
        });
        match read.await {
            Ok(page) => self.send_page(topic, group, reading, page).await,
            Err(status) if matches!(status.code(), Code::NotFound | Code::PermissionDenied) => {
                self.end_group(topic, group).await
            }
            Err(status) => match ErrorDetail::of(&status) {
                Some(ErrorDetail::TooLate(detail)) => {
                    self.unfollow(topic);
                    self.send(encode::too_late(group, detail)).await?;
                    Ok(true)
                }
                _ => Err(End::Failed(status)),
            },
        }
    }

    /// What is ready to be sent to a member.
    fn ready(&self, topic: Topic, group: GroupId, after: Sequence) -> Option<Rest> {
        self.cursors.get(&topic).filter(|cursor| cursor.is_member)?;
        self.service.rooms.hub.tails().after(group, after)
    }

    /// Sends what is ready, up to the first Commit. Whether that is all there is.
    async fn send_ready(&mut self, topic: Topic, group: GroupId, rest: Rest) -> Result<bool, End> {
        for entry in rest.entries {
            let at = Sequence(entry.sequence);
            let is_commit = entry.kind() == v1::EntryKind::Commit;
            self.send(encode::group_entry(group, entry)).await?;
            self.advance(topic, at);
            if is_commit {
                self.set_member(topic, false);
                return Ok(false);
            }
        }
        Ok(rest.is_all)
    }

    async fn send_page(
        &mut self,
        topic: Topic,
        group: GroupId,
        reading: Reading,
        page: LogPage,
    ) -> Result<bool, End> {
        let entries: Vec<_> = page.entries.into_iter().map(encode::log_entry).collect();
        if page.is_member {
            self.service
                .rooms
                .hub
                .tails()
                .keep(group, reading, &entries, page.readable);
        }
        let mut at = self
            .cursors
            .get(&topic)
            .map_or(page.readable, |cursor| cursor.after);
        for entry in entries {
            at = Sequence(entry.sequence);
            self.send(encode::group_entry(group, entry)).await?;
            self.advance(topic, at);
        }
        if at < page.readable {
            return Ok(false);
        }
        self.set_member(topic, page.is_member);
        if page.is_member {
            self.tell_caught_up(topic, Some(group)).await?;
            self.tell_departed(topic, group, page.departed).await?;
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

    /// Passes on what is of the moment, in groups whose log has been read to its end as a member.
    async fn send_signals(&mut self) -> Result<(), End> {
        for signal in self.subscription.signals() {
            let cursor = self.cursors.get(&Topic::Group(signal.group));
            if cursor.is_some_and(|cursor| cursor.is_member) {
                self.send(encode::signal(signal)).await?;
            }
        }
        Ok(())
    }

    async fn tell_caught_up(&mut self, topic: Topic, group: Option<GroupId>) -> Result<(), End> {
        let cursor = self.cursors.get_mut(&topic);
        let is_first = cursor.is_some_and(|cursor| !std::mem::replace(&mut cursor.caught_up, true));
        if is_first {
            self.send(encode::caught_up(group)).await?;
        }
        Ok(())
    }

    async fn tell_departed(
        &mut self,
        topic: Topic,
        group: GroupId,
        departed: Vec<DeviceId>,
    ) -> Result<(), End> {
        let Some(cursor) = self.cursors.get_mut(&topic) else {
            return Ok(());
        };
        if departed.is_empty() || cursor.departed == departed {
            cursor.departed = departed;
            return Ok(());
        }
        let event = encode::departures(group, &departed);
        cursor.departed = departed;
        self.send(event).await
    }

    fn advance(&mut self, topic: Topic, to: Sequence) {
        if let Some(cursor) = self.cursors.get_mut(&topic) {
            cursor.after = to;
        }
    }

    fn set_member(&mut self, topic: Topic, is_member: bool) {
        if let Some(cursor) = self.cursors.get_mut(&topic) {
            cursor.is_member = is_member;
        }
    }

    async fn send(&self, event: v1::StreamResponse) -> Result<(), End> {
        match timeout(EVENT_READ_TIMEOUT, self.events.send(Ok(event))).await {
            Ok(sent) => sent.map_err(|_| End::Closed),
            Err(_) => {
                // What waits for a reader who does not read is memory that others could use.
                if let Some(peer) = &self.peer {
                    peer.hang_up();
                }
                Err(End::Closed)
            }
        }
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
