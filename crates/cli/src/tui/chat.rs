//! What is shown once there is an account: groups, one of them open, and what is being typed.

use conclave_client::{Entry, GroupId, Standing, UnixMillis, UserId};

use super::{
    complete::Completion,
    editor::Editor,
    event::{Action, Effect, GroupState, Load, Span},
    room::{Aim, Room},
    scroll::Scroll,
    text::clean_line,
};
use crate::output::short;

/// For how long a notice stands: long enough to read two lines twice.
const NOTICE_MILLIS: u64 = 12_000;

/// How the service can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Connection {
    /// Since when it has been tried.
    Connecting(UnixMillis),
    /// So many percent of a long log have been read.
    CatchingUp(u64),
    Online,
    /// Since when it is not there.
    Lost(UnixMillis),
    /// It is not tried for a while, for this reason.
    Stopped(String),
}

/// What covers the history for a while.
#[derive(Debug)]
pub(super) enum Panel {
    Text {
        title: String,
        lines: Vec<String>,
        top: usize,
    },
    Members {
        chosen: usize,
    },
    Found {
        query: String,
        entries: Vec<Entry>,
        chosen: usize,
    },
    /// Something that can't be taken back is done only if Enter is pressed.
    Sure {
        question: String,
        action: Action,
    },
}

/// A sentence for the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) is_error: bool,
    until: UnixMillis,
}

/// A person who chats.
#[derive(Debug)]
pub(super) struct Chat {
    pub(super) me: UserId,
    pub(super) connection: Connection,
    pub(super) rooms: Vec<Room>,
    pub(super) open: Option<GroupId>,
    /// What is typed where no group is open.
    spare: Editor,
    /// Users who were met in groups that were open, in order.
    pub(super) known: Vec<UserId>,
    /// Users with another identity key than the one that counts.
    pub(super) changed: Vec<UserId>,
    pub(super) completion: Option<Completion>,
    pub(super) panel: Option<Panel>,
    pub(super) notice: Option<Notice>,
    /// Whether all groups have been read from the database once.
    pub(super) is_loaded: bool,
    /// Whether the person looks at this terminal, as far as it says so.
    pub(super) has_focus: bool,
    pub(super) typed: UnixMillis,
    pub(super) next_local: u64,
    /// How much is being done for the person.
    pub(super) busy: usize,
    /// A group that is opened as soon as it is in the list.
    pub(super) wanted: Option<GroupId>,
}

impl Chat {
    pub(super) fn new(me: UserId, now: UnixMillis) -> Self {
        Self {
            me,
            connection: Connection::Connecting(now),
            rooms: Vec::new(),
            open: None,
            spare: Editor::default(),
            known: Vec::new(),
            changed: Vec::new(),
            completion: None,
            panel: None,
            notice: None,
            is_loaded: false,
            has_focus: true,
            typed: UnixMillis(0),
            next_local: 0,
            busy: 0,
            wanted: None,
        }
    }

    /// The group that is open.
    pub(super) fn room(&self) -> Option<&Room> {
        self.rooms.iter().find(|room| Some(room.id()) == self.open)
    }

    pub(super) fn room_mut(&mut self) -> Option<&mut Room> {
        let open = self.open;
        self.rooms.iter_mut().find(|room| Some(room.id()) == open)
    }

    pub(super) fn room_of(&mut self, group: GroupId) -> Option<&mut Room> {
        self.rooms.iter_mut().find(|room| room.id() == group)
    }

    pub(super) fn draft(&self) -> &Editor {
        self.room().map_or(&self.spare, |room| &room.draft)
    }

    pub(super) fn draft_mut(&mut self) -> &mut Editor {
        let open = self.open;
        match self.rooms.iter_mut().find(|it| Some(it.id()) == open) {
            Some(room) => &mut room.draft,
            None => &mut self.spare,
        }
    }

    pub(super) fn is_online(&self) -> bool {
        matches!(
            self.connection,
            Connection::Online | Connection::CatchingUp(_)
        )
    }

    /// A user as this person calls them.
    pub(super) fn short(&self, user: &UserId) -> String {
        clean_line(&short(user, self.me.domain()))
    }

    pub(super) fn say(&mut self, text: impl Into<String>, now: UnixMillis) {
        self.notify(&text.into(), false, now);
    }

    pub(super) fn complain(&mut self, text: impl Into<String>, now: UnixMillis) {
        self.notify(&text.into(), true, now);
    }

    fn notify(&mut self, text: &str, is_error: bool, now: UnixMillis) {
        self.notice = Some(Notice {
            text: clean_line(text),
            is_error,
            until: UnixMillis(now.0 + NOTICE_MILLIS),
        });
    }

    /// Takes away what has stood long enough.
    pub(super) fn tick(&mut self, now: UnixMillis) {
        if self.notice.as_ref().is_some_and(|it| it.until <= now) {
            self.notice = None;
        }
    }

    /// Takes in the groups as they stand.
    pub(super) fn groups(&mut self, states: Vec<GroupState>, changed: Vec<UserId>) -> Vec<Effect> {
        self.is_loaded = true;
        self.changed = changed;
        let mut before = std::mem::take(&mut self.rooms);
        self.rooms = states
            .into_iter()
            .map(|state| {
                let known = before.iter().position(|it| it.id() == state.group.id);
                match known.map(|at| before.swap_remove(at)) {
                    Some(mut room) => {
                        room.update(state);
                        room
                    }
                    None => Room::new(state),
                }
            })
            .collect();
        // Those that go on come first; among each other they are in the order of their names.
        self.rooms
            .sort_by_key(|room| room.group.standing == Standing::Ended);
        let wanted = self.wanted.filter(|it| self.room_of(*it).is_some());
        match (wanted, self.room()) {
            (Some(group), _) => {
                self.wanted = None;
                self.open(group)
            }
            (None, Some(_)) => Vec::new(),
            (None, None) => self.open_first(),
        }
    }

    fn open_first(&mut self) -> Vec<Effect> {
        let unread = self.rooms.iter().find(|room| room.unread.count > 0);
        let first = unread.or(self.rooms.first()).map(Room::id);
        first.map_or_else(Vec::new, |group| self.open(group))
    }

    /// Opens a group.
    pub(super) fn open(&mut self, group: GroupId) -> Vec<Effect> {
        self.completion = None;
        if self.open.is_none() && !self.spare.is_empty() {
            let spare = std::mem::take(&mut self.spare);
            if let Some(room) = self.room_of(group).filter(|it| it.draft.is_empty()) {
                room.draft = spare;
            }
        }
        if let Some(left) = self.room_mut() {
            left.read_before = None;
            left.selected = None;
            left.scroll = Scroll::End;
        }
        self.open = Some(group);
        let Some(room) = self.room_mut() else {
            return Vec::new();
        };
        room.read_before = (room.unread.count > 0).then_some(room.unread.read);
        room.marked = room.unread.read;
        // Somebody who had scrolled back comes back to the end.
        let span = if room.window.is_at_end {
            room.window.again()
        } else {
            Span::Last
        };
        vec![
            Effect::Load(Load::History(group, span)),
            Effect::Load(Load::Details(group)),
            Effect::Load(Load::Receipts(group)),
            Effect::Load(Load::Waiting(group)),
        ]
    }

    /// Opens the next group in the list, or the one before.
    pub(super) fn open_next(&mut self, step: isize) -> Vec<Effect> {
        let at = self
            .rooms
            .iter()
            .position(|room| Some(room.id()) == self.open);
        let count = isize::try_from(self.rooms.len()).unwrap_or(isize::MAX);
        if count == 0 {
            return Vec::new();
        }
        let at = at.and_then(|at| isize::try_from(at).ok()).unwrap_or(0);
        let next = usize::try_from((at + step).rem_euclid(count)).unwrap_or(0);
        self.panel = None;
        self.open(self.rooms[next].id())
    }

    /// Has what is typed be about nothing else again.
    pub(super) fn drop_aim(&mut self) {
        if let Some(room) = self.room_mut() {
            if let Aim::Edit(_) = room.aim {
                room.draft.take();
            }
            room.aim = Aim::Say;
        }
    }

    /// What to read where the open group may have changed.
    pub(super) fn history_again(&self, group: GroupId) -> Vec<Effect> {
        let open = self.room().filter(|room| room.id() == group);
        let load = |room: &Room| Effect::Load(Load::History(group, room.window.again()));
        open.map(load).into_iter().collect()
    }

    /// Marks the open group as read where the person sees its end.
    pub(super) fn mark_read(&mut self) -> Option<Effect> {
        let sees = self.has_focus && self.panel.is_none();
        let room = self.room_mut()?;
        let is_at_end = room.scroll == Scroll::End && room.window.is_at_end;
        let last = room.window.last()?;
        if !sees || !is_at_end || last <= room.marked {
            return None;
        }
        room.marked = last;
        room.unread.count = 0;
        Some(Effect::MarkRead(room.id(), last))
    }

    /// Takes note of users who can be named.
    pub(super) fn meet(&mut self, users: impl Iterator<Item = UserId>) {
        let before = self.known.len();
        self.known.extend(users);
        if self.known.len() > before {
            self.known.retain(|user| *user != self.me);
            self.known.sort_by(|a, b| a.as_str().cmp(b.as_str()));
            self.known.dedup();
        }
    }
}
