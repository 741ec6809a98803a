//! The terminal played without a terminal: keys and news go in, a screen comes out.

mod acts;
mod screens;

use conclave_client::{
    Entry, EntryKind, Event as News, Group, GroupId, Member, MessageId, Posted, Sequence, Standing,
    UnixMillis, Unread, UserId,
};
use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
};

use super::{
    chat::Chat,
    event::{Action, Details, Effect, Event, GroupState, Span},
    look::Look,
    model::{Model, Stage},
    text::width,
    update::update,
    view::view,
};

/// A message as it stands in a log.
pub(super) fn said(at: u64, author: &str, text: &str) -> Entry {
    Entry {
        group: group(1),
        sequence: Sequence(at),
        accepted: UnixMillis(1_700_000_000_000 + at * 60_000),
        author: user(author),
        kind: EntryKind::Message(Posted {
            id: id(at),
            message: text.into(),
            answers: None,
            edited: None,
            deleted: false,
            expires: None,
            is_reportable: true,
            reactions: Vec::new(),
        }),
    }
}

pub(super) fn id(at: u64) -> MessageId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&at.to_be_bytes());
    MessageId::from_bytes(bytes)
}

pub(super) fn group(number: u8) -> GroupId {
    GroupId::from_bytes([number; 16])
}

pub(super) fn user(name: &str) -> UserId {
    UserId::new(name, "here").unwrap()
}

/// A person at a terminal of this size.
pub(super) struct Played {
    pub(super) model: Model,
    /// What was to be done since it was last looked at.
    pub(super) effects: Vec<Effect>,
}

/// A Thursday at noon.
const NOON: UnixMillis = UnixMillis(1_700_136_000_000);

impl Played {
    /// Alice, with a group "club" that is open and holds these entries.
    pub(super) fn in_club(columns: u16, lines: u16, entries: Vec<Entry>) -> Self {
        let mut played = Self::alone(columns, lines);
        let states = vec![club(1, "club", 0)];
        played.take(Event::Groups(states, Vec::new()));
        played.take(Event::Details(group(1), details(&["alice", "bob"])));
        played.take(Event::History(group(1), Span::Last, entries));
        played.take(Event::News(News::CaughtUp));
        played.effects.clear();
        played
    }

    /// Alice, in no group.
    pub(super) fn alone(columns: u16, lines: u16) -> Self {
        let look = Look {
            has_colour: false,
            zone: jiff::tz::TimeZone::UTC,
        };
        let model = Model {
            stage: Stage::Chat(Box::new(Chat::new(user("alice"), NOON))),
            look,
            now: NOON,
            size: (columns, lines),
        };
        Self {
            model,
            effects: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, event: Event) {
        self.take_at(event, self.model.now);
    }

    pub(super) fn take_at(&mut self, event: Event, now: UnixMillis) {
        self.effects.extend(update(&mut self.model, event, now));
    }

    pub(super) fn press(&mut self, code: KeyCode) {
        self.take(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    pub(super) fn control(&mut self, c: char) {
        let key = KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
        self.take(Event::Key(key));
    }

    pub(super) fn types(&mut self, text: &str) {
        for c in text.chars() {
            self.press(KeyCode::Char(c));
        }
    }

    pub(super) fn enters(&mut self, text: &str) {
        self.types(text);
        self.press(KeyCode::Enter);
    }

    /// What is to be done since this was last asked.
    pub(super) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// What is asked of the library since this was last asked, and nothing that is only read.
    pub(super) fn actions(&mut self) -> Vec<Action> {
        let effects = self.effects().into_iter();
        effects
            .filter_map(|effect| match effect {
                Effect::Do(action) => Some(action),
                _ => None,
            })
            .collect()
    }

    pub(super) fn chat(&mut self) -> &mut Chat {
        match &mut self.model.stage {
            Stage::Chat(chat) => chat,
            Stage::Guide(_) => panic!("there is no account"),
        }
    }

    /// The screen, line by line, without the space at the ends.
    pub(super) fn screen(&self) -> Vec<String> {
        let (columns, lines) = self.model.size;
        let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
        terminal.draw(|frame| view(&self.model, frame)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let mut screen = Vec::new();
        for y in 0..lines {
            let (mut line, mut skipped) = (String::new(), 0);
            for x in 0..columns {
                // What stands in two columns is there once.
                if skipped > 0 {
                    skipped -= 1;
                    continue;
                }
                let symbol = buffer[(x, y)].symbol();
                skipped = width(symbol).saturating_sub(1);
                line.push_str(symbol);
            }
            screen.push(line.trim_end().to_owned());
        }
        screen
    }

    pub(super) fn shows(&self, text: &str) -> bool {
        self.screen().iter().any(|line| line.contains(text))
    }

    pub(super) fn must_show(&self, text: &str) {
        assert!(
            self.shows(text),
            "no {text:?} in\n{}",
            self.screen().join("\n")
        );
    }
}

pub(super) fn club(number: u8, name: &str, unread: u32) -> GroupState {
    GroupState {
        group: Group {
            id: group(number),
            name: Some(name.to_owned()),
            standing: Standing::Member,
            cursor: Sequence(0),
            successor: None,
        },
        unread: Unread {
            read: Sequence(0),
            count: unread,
        },
        is_muted: false,
    }
}

pub(super) fn details(members: &[&str]) -> Details {
    Details {
        epoch: Some(7),
        topic: String::new(),
        members: members
            .iter()
            .map(|name| Member {
                user: user(name),
                role: conclave_client::Role::Member,
                devices: vec![conclave_client::DeviceId::from_bytes([1; 16])],
            })
            .collect(),
        verified: Vec::new(),
    }
}
