//! What a person says and thinks of what others said. Like all verbs, these put an intent into the
//! outbox; what became of it shows in the history, where everybody sees it in the same place.

use conclave_protocol::{Content, GroupId, Message, MessageId, Sequence, UnixMillis};

use super::{IntentId, Session, instance::Instance, pace::Progress};
use crate::{ClientError, Entry, EntryKind, Event, Waiting, WaitingId, intent::Intent, local::Tx};

impl Session {
    /// Sends a message: a line of text, or what a [`Message`] says.
    ///
    /// # Errors
    /// [`ClientError::Content`], [`ClientError::NotMember`], [`ClientError::Leaving`],
    /// [`ClientError::Forbidden`].
    pub fn send(
        &mut self,
        group: GroupId,
        message: impl Into<Message>,
    ) -> Result<IntentId, ClientError> {
        let message = message.into();
        self.say(group, |tx| {
            let message = match tx.rules(group)?.expiry() {
                Some(time) => message.expires_within(time),
                None => message,
            };
            say(tx, group, &Content::Message(message))
        })
    }

    /// The messages of a group that wait in the outbox, in the order in which they go out.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn waiting(&mut self, group: GroupId) -> Result<Vec<Waiting>, ClientError> {
        let contents = self.local.read(|tx| tx.waiting_contents(group))?;
        let messages = contents.into_iter().filter_map(|(row, content)| {
            let Content::Message(message) = Content::open(&content) else {
                return None;
            };
            let id = WaitingId(row);
            Some(Waiting { id, message })
        });
        Ok(messages.collect())
    }

    /// Puts another text in the place of a message's.
    ///
    /// # Errors
    /// [`ClientError::UnknownMessage`], [`ClientError::NotAuthor`] and those of [`Self::send`].
    pub fn edit(
        &mut self,
        group: GroupId,
        target: MessageId,
        text: &str,
    ) -> Result<IntentId, ClientError> {
        let content = Content::Edit {
            target,
            text: text.to_owned(),
            mentions: Vec::new(),
        };
        self.say(group, |tx| {
            require_own(tx, group, target)?;
            say(tx, group, &content)
        })
    }

    /// Takes a message back.
    ///
    /// # Errors
    /// Those of [`Self::edit`].
    pub fn delete(&mut self, group: GroupId, target: MessageId) -> Result<IntentId, ClientError> {
        self.say(group, |tx| {
            require_own(tx, group, target)?;
            say(tx, group, &Content::Deletion { target })
        })
    }

    /// Puts a mark on a message, or takes it back.
    ///
    /// # Errors
    /// [`ClientError::UnknownMessage`] and those of [`Self::send`].
    pub fn react(
        &mut self,
        group: GroupId,
        target: MessageId,
        reaction: &str,
        withdrawn: bool,
    ) -> Result<IntentId, ClientError> {
        let content = Content::Reaction {
            target,
            reaction: reaction.to_owned(),
            withdrawn,
        };
        self.say(group, |tx| {
            require_message(tx, group, target)?;
            say(tx, group, &content)
        })
    }

    /// Puts what is said into the outbox, in its bytes where it goes out next anyway: that is one transaction
    /// less.
    fn say(
        &mut self,
        group: GroupId,
        work: impl FnOnce(&Tx<'_>) -> Result<IntentId, ClientError>,
    ) -> Result<IntentId, ClientError> {
        // No key is used before it is known that no copy of this state has used it.
        let is_latest = self.is_registered() && self.instance == Instance::Latest;
        let is_next = is_latest && self.groups.get(&group).is_some_and(Progress::is_idle);
        self.enqueue(group, |tx| {
            let intent = work(tx)?;
            if is_next {
                tx.seal_at_once(group, intent.0)?;
            }
            Ok(intent)
        })
    }

    /// The message that stands at a place in a group's log.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn entry(&mut self, group: GroupId, at: Sequence) -> Result<Option<Entry>, ClientError> {
        self.local.read(|tx| tx.shown_entry(group, at))
    }

    /// The message that `text` means: its place in the log, or the beginning of its id.
    ///
    /// # Errors
    /// [`ClientError::UnknownMessage`] also where it may mean several.
    pub fn message_named(&mut self, group: GroupId, text: &str) -> Result<Entry, ClientError> {
        let entry = self.local.read(|tx| {
            let at = text.parse().map(Sequence).ok();
            let there = at.map(|at| tx.entry(group, at)).transpose()?.flatten();
            if let Some(entry) = there.filter(|entry| entry.message().is_some()) {
                return Ok(Some(entry));
            }
            match tx.messages_beginning(group, text)?[..] {
                [at] if !text.is_empty() => tx.entry(group, at),
                _ => Ok(None),
            }
        })?;
        entry
            .filter(|entry| entry.message().is_some())
            .ok_or(ClientError::UnknownMessage)
    }

    /// Deletes the messages whose time is over, and says which.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn expire(&mut self, now: UnixMillis) -> Result<Vec<Event>, ClientError> {
        let mut events = Vec::new();
        // Most often nothing is due, and a look costs no wait for the disk.
        while self.next_expiry()?.is_some_and(|at| at <= now) {
            events.extend(self.local.write(|tx| tx.delete_expired(now))?);
        }
        Ok(events)
    }

    /// Like [`Self::expire`], where somebody reads: what is deleted is told with what comes next.
    pub(crate) fn expire_unasked(&mut self, now: UnixMillis) -> Result<(), ClientError> {
        let events = self.expire(now)?;
        self.news.extend(events);
        Ok(())
    }

    /// Keeps what happened while nobody listened, so that it is told with what comes next.
    pub(crate) fn tell_later(&mut self, events: Vec<Event>) {
        self.news.extend(events);
    }

    /// What was kept to be told.
    pub(crate) fn take_news(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.news)
    }

    /// When the next message's time will be over.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn next_expiry(&mut self) -> Result<Option<UnixMillis>, ClientError> {
        self.local.read(|tx| tx.next_expiry())
    }
}

fn say(tx: &Tx<'_>, group: GroupId, content: &Content) -> Result<IntentId, ClientError> {
    let intent = Intent::Send(tx.seal(content)?);
    tx.check_allowed(group, &intent)?;
    tx.check_trust(group, &intent)?;
    tx.enqueue(group, &intent).map(IntentId)
}

fn require_message(tx: &Tx<'_>, group: GroupId, id: MessageId) -> Result<Entry, ClientError> {
    let entry = tx.entry_of(group, id)?;
    let is_there = |entry: &Entry| matches!(&entry.kind, EntryKind::Message(it) if !it.deleted);
    entry.filter(is_there).ok_or(ClientError::UnknownMessage)
}

fn require_own(tx: &Tx<'_>, group: GroupId, id: MessageId) -> Result<(), ClientError> {
    let entry = require_message(tx, group, id)?;
    if entry.author == *tx.own_user() {
        Ok(())
    } else {
        Err(ClientError::NotAuthor)
    }
}
