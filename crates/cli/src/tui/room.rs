//! A group as it is shown: its history, who is there, and what this person is about to say.

use std::path::PathBuf;

use conclave_client::{
    Entry, Group, GroupId, Message, MessageId, Posted, Sequence, Standing, UnixMillis, Unread,
    UserId, UserReceipt, WaitingId,
};

use super::{
    editor::Editor,
    event::{Details, GroupState},
    scroll::Scroll,
    text::clean_line,
    window::Window,
};

/// For how long somebody is shown to type: a little longer than it is said again.
pub(super) const TYPING_MILLIS: u64 = 5_000;

/// A group as it is shown.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) group: Group,
    pub(super) unread: Unread,
    pub(super) is_muted: bool,
    pub(super) details: Details,
    pub(super) receipts: Vec<UserReceipt>,
    typing: Vec<(UserId, UnixMillis)>,
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) window: Window,
    pub(super) scroll: Scroll,
    /// The message that commands are about.
    pub(super) selected: Option<Sequence>,
    pub(super) draft: Editor,
    pub(super) aim: Aim,
    /// Up to where everything was read when the group was opened.
    pub(super) read_before: Option<Sequence>,
    /// How far this program has marked it as read.
    pub(super) marked: Sequence,
}

/// What the line that is being typed will be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Aim {
    #[default]
    Say,
    Reply(Quoted),
    Edit(Quoted),
}

/// A message that another one is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quoted {
    pub(super) id: MessageId,
    pub(super) at: Sequence,
    pub(super) author: UserId,
    pub(super) text: String,
}

/// A message of this person's that is not in the log yet.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) local: u64,
    pub(super) id: Option<WaitingId>,
    pub(super) message: Message,
    pub(super) file: Option<PathBuf>,
    pub(super) state: Sending,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sending {
    /// On its way, its file so many percent.
    Going(Option<u8>),
    /// Kept until the server can be reached.
    Waits,
    /// In the log, which is about to be read.
    Landed(Sequence),
    /// Given up, for this reason.
    Failed(String),
}

impl Room {
    pub(super) fn new(state: GroupState) -> Self {
        Self {
            group: state.group,
            unread: state.unread,
            is_muted: state.is_muted,
            details: Details::default(),
            receipts: Vec::new(),
            typing: Vec::new(),
            outgoing: Vec::new(),
            window: Window::default(),
            scroll: Scroll::End,
            selected: None,
            draft: Editor::default(),
            aim: Aim::Say,
            read_before: None,
            marked: Sequence(0),
        }
    }

    pub(super) fn update(&mut self, state: GroupState) {
        (self.group, self.is_muted) = (state.group, state.is_muted);
        self.take_unread(state.unread);
    }

    /// Takes in how much is not read, as far as it was told after the last mark.
    pub(super) fn take_unread(&mut self, unread: Unread) {
        let is_old = unread.read < self.marked;
        self.unread = Unread {
            count: if is_old { 0 } else { unread.count },
            ..unread
        };
    }

    pub(super) fn id(&self) -> GroupId {
        self.group.id
    }

    pub(super) fn name(&self) -> String {
        let name = self.group.name.as_deref().map(clean_line);
        name.filter(|name| !name.trim().is_empty())
            .unwrap_or_else(|| "(no name yet)".to_owned())
    }

    /// What keeps this person from saying something.
    pub(super) fn obstacle(&self) -> Option<&'static str> {
        match self.group.standing {
            Standing::Member | Standing::Creating => None,
            Standing::Joining => Some("you are joining this group"),
            Standing::Leaving => Some("you are leaving; another member's device confirms it"),
            Standing::Ended if self.group.successor.is_some() => {
                Some("this group goes on as another")
            }
            Standing::Ended => Some("you are no longer a member"),
        }
    }

    /// A message that commands can be about.
    pub(super) fn posted(&self, at: Sequence) -> Option<(&Entry, &Posted)> {
        let entry = self.window.find(at)?;
        let posted = entry.message().filter(|posted| !posted.deleted)?;
        Some((entry, posted))
    }

    /// The last message that is held and of which something holds.
    pub(super) fn last_posted(
        &self,
        which: impl Fn(&Entry, &Posted) -> bool,
    ) -> Option<(&Entry, &Posted)> {
        let mut backwards = self.window.entries().iter().rev();
        backwards.find_map(|entry| {
            let posted = entry.message().filter(|posted| !posted.deleted)?;
            which(entry, posted).then_some((entry, posted))
        })
    }

    pub(super) fn types(&mut self, user: UserId, now: UnixMillis) {
        self.typing.retain(|(known, _)| *known != user);
        self.typing.push((user, now));
    }

    pub(super) fn stopped_typing(&mut self, user: &UserId) {
        self.typing.retain(|(known, _)| known != user);
    }

    /// Who types at this moment.
    pub(super) fn typing(&self, now: UnixMillis) -> impl Iterator<Item = &UserId> {
        self.typing
            .iter()
            .filter(move |(_, at)| now.0 < at.0 + TYPING_MILLIS)
            .map(|(user, _)| user)
    }

    /// The messages that are not in the window yet.
    pub(super) fn not_landed(&self) -> impl Iterator<Item = &Outgoing> {
        let read = self.window.last();
        self.outgoing.iter().filter(move |it| match it.state {
            Sending::Landed(at) => read.is_none_or(|read| read < at),
            _ => true,
        })
    }

    pub(super) fn outgoing_mut(&mut self, local: u64) -> Option<&mut Outgoing> {
        self.outgoing.iter_mut().find(|it| it.local == local)
    }

    /// Forgets the messages that show in the history.
    pub(super) fn forget_landed(&mut self) {
        let read = self.window.last();
        self.outgoing.retain(
            |it| !matches!(it.state, Sending::Landed(at) if read.is_some_and(|read| at <= read)),
        );
    }
}

impl Quoted {
    pub(super) fn of(entry: &Entry, posted: &Posted) -> Self {
        Self {
            id: posted.id,
            at: entry.sequence,
            author: entry.author.clone(),
            text: posted.text().to_owned(),
        }
    }
}
