//! What the terminal hears, and what it wants done.

use std::{path::PathBuf, time::Duration};

use conclave_client::{
    Entry, Group, GroupId, Member, Message, MessageId, Passphrase, Report, Role, Sequence, Unread,
    UserId, UserReceipt, Waiting, WaitingId,
};
use ratatui::crossterm::event::KeyEvent;

use super::command::What;

/// Something that happened: a key, news from the service, or the end of something that was wanted.
#[derive(Debug)]
pub(super) enum Event {
    Key(KeyEvent),
    Paste(String),
    /// The terminal has so many columns and lines now.
    Resized(u16, u16),
    /// Whether the person looks at this terminal.
    Focus(bool),
    /// A moment has passed.
    Tick,
    /// From the library.
    News(conclave_client::Event),
    /// The library tells of nothing more for a while, for this reason.
    Stopped(String),
    /// The home is open.
    Opened(UserId),
    /// Registering did not work.
    NotRegistered(Refusal),
    /// All groups, as they stand.
    Groups(Vec<GroupState>, Vec<UserId>),
    /// Who is in a group, and what they have read.
    Details(GroupId, Details),
    Read(GroupId, Vec<UserReceipt>),
    Unread(GroupId, Unread),
    /// It has been noted how far a group was read.
    Marked(GroupId),
    /// A part of a group's history.
    History(GroupId, Span, Vec<Entry>),
    /// What waited in the outbox when the group was opened.
    Waiting(GroupId, Vec<Waiting>),
    /// A message of one's own goes on.
    Outgoing(GroupId, u64, Progress),
    /// Something that was asked for by a command has been done, or has not.
    Done(Done),
    Failed(String),
    /// Something could not be read here.
    NotRead(String),
    /// Files whose names begin so.
    Files(String, Vec<String>),
}

/// Why there is no account yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) text: String,
    /// Which of the answers to look at again.
    pub(super) about: Option<super::guide::Field>,
}

/// A group in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GroupState {
    pub(super) group: Group,
    pub(super) unread: Unread,
    pub(super) is_muted: bool,
}

/// What is shown of the group that is open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Details {
    pub(super) epoch: Option<u64>,
    /// What is said of the group.
    pub(super) topic: String,
    pub(super) members: Vec<Member>,
    /// Of the members, those whose digits somebody here has compared.
    pub(super) verified: Vec<UserId>,
}

/// Which part of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Span {
    /// Its end.
    Last,
    /// A page before this place.
    Before(Sequence),
    /// A page after this place.
    After(Sequence),
    /// What is shown already: so many entries after this place.
    Again(Sequence, usize),
    /// A page with this place in the middle.
    Around(Sequence),
}

/// How far a message of one's own is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// So many percent of its file have been sent.
    Uploaded(u8),
    /// It is in the outbox, under this id.
    Kept(WaitingId),
    /// It stands in the log.
    Landed(Sequence),
    /// It is kept, and goes out when the server can be reached.
    Waits,
    /// It is not sent, for this reason.
    Failed(String),
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    Register {
        server: String,
        name: String,
        code: Option<String>,
        passphrase: Option<Passphrase>,
    },
    Load(Load),
    /// Puts a message in the outbox, with a file where there is one.
    Send {
        group: GroupId,
        local: u64,
        message: Message,
        file: Option<PathBuf>,
    },
    /// Waits until a message of the outbox is in the log.
    Settle {
        group: GroupId,
        local: u64,
        id: WaitingId,
    },
    Do(Action),
    MarkRead(GroupId, Sequence),
    Typing(GroupId),
    /// Makes the terminal ring.
    Ring,
    /// Draws everything anew.
    Redraw,
    Quit,
}

/// Something to read; two of the same are as good as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Load {
    Groups,
    Details(GroupId),
    Receipts(GroupId),
    Unread(GroupId),
    History(GroupId, Span),
    Waiting(GroupId),
    Files(String),
}

/// What a command does at the library.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    Create(String),
    Add(GroupId, Vec<String>),
    Remove(GroupId, Vec<String>),
    Leave(GroupId),
    EndGroup(GroupId),
    Renew(GroupId),
    Rename(GroupId, String),
    Topic(GroupId, String),
    Stay(GroupId, Option<Duration>),
    Role(GroupId, String, Role),
    Permissions(GroupId, Option<(What, Role)>),
    Invite(GroupId, u16),
    Redeem(String),
    Askers,
    Approve(GroupId, String),
    React {
        group: GroupId,
        message: MessageId,
        mark: String,
        withdraw: bool,
    },
    Edit(GroupId, MessageId, String),
    Delete(GroupId, MessageId),
    Report(GroupId, Report),
    Save {
        group: GroupId,
        at: Sequence,
        to: Option<String>,
    },
    Search(String, Option<GroupId>),
    Export(GroupId, String),
    Mute(GroupId, bool),
    Block(String, bool),
    Receipts(Option<bool>),
    Digits(String),
    Compare(String),
    Verify(String, String),
    Fingerprint(GroupId),
}

/// What came of an action.
#[derive(Debug)]
pub(super) enum Done {
    /// It worked, and this is to be said.
    Said(String),
    /// It worked; there is this to read.
    Page(String, Vec<String>),
    /// A group was made or found: it is opened.
    Entered(Option<GroupId>, String),
    Found(String, Vec<Entry>),
    /// The person is asked, and then this is done.
    Asks(String, Action),
}
