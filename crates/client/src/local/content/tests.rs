//! Two members read the same log, one as it comes and one late, and a third is a plain list that
//! follows the rules of `docs/protocol.md` word by word. In the end all three show the same.

use std::{collections::BTreeSet, time::Duration};

use conclave_protocol::{
    Content, DeviceAddress, DeviceId, GroupId, Message, MessageId, Sequence, UnixMillis,
    limits::REACTIONS_PER_USER_MAX,
};
use proptest::prelude::*;

use crate::{
    Entry, EntryKind, Group, Registration, Standing,
    local::{Database, Local, evidence::Noted, line::Line},
};

const GROUP: GroupId = GroupId::from_bytes([9; 16]);

/// Long after everything has expired that is to expire in a test.
const LATE: UnixMillis = UnixMillis(10_000_000);

/// What somebody does; numbers choose among those there are.
#[derive(Debug, Clone)]
enum Step {
    Say {
        expires_seconds: u64,
    },
    Repeat {
        target: usize,
    },
    Edit {
        target: usize,
    },
    Delete {
        target: usize,
    },
    React {
        target: usize,
        reaction: u8,
        withdrawn: bool,
    },
    Babble,
}

fn step() -> impl Strategy<Value = Step> {
    let target = 0..12_usize;
    prop_oneof![
        3 => (0..4_u64).prop_map(|it| Step::Say { expires_seconds: it * 5 }),
        1 => target.clone().prop_map(|target| Step::Repeat { target }),
        3 => target.clone().prop_map(|target| Step::Edit { target }),
        2 => target.clone().prop_map(|target| Step::Delete { target }),
        4 => (target, 0..12_u8, any::<bool>()).prop_map(|(target, reaction, withdrawn)| {
            Step::React { target, reaction, withdrawn }
        }),
        1 => Just(Step::Babble),
    ]
}

/// An entry of the log: who sent which bytes, a second after the one before.
#[derive(Debug, Clone)]
struct Sent {
    from: DeviceAddress,
    bytes: Vec<u8>,
}

impl Sent {
    fn id(&self) -> MessageId {
        MessageId::of(GROUP, self.from.device, &self.bytes)
    }
}

fn device(number: u8) -> DeviceAddress {
    DeviceAddress {
        // Two devices of one user, and two of others.
        user: ["alice@here", "alice@here", "bob@here", "carol@here"][usize::from(number)]
            .parse()
            .unwrap(),
        device: DeviceId::from_bytes([number; 16]),
    }
}

/// The bytes for each step. Targets may be entries before and after it, and no message at all.
fn log(steps: &[(u8, Step)]) -> Vec<Sent> {
    let mut log: Vec<Sent> = Vec::new();
    // What will be said stands fixed from the start, so that it can be named too early.
    for (place, (from, step)) in steps.iter().enumerate() {
        let seconds = match step {
            Step::Say { expires_seconds } => *expires_seconds,
            _ => 0,
        };
        let mut message = Message::text(format!("line {place}"));
        if seconds > 0 {
            message = message.expires_after(Duration::from_secs(seconds));
        }
        log.push(Sent {
            from: device(*from),
            bytes: sealed(&Content::Message(message), place),
        });
    }
    let said = log.clone();
    for (place, (_, step)) in steps.iter().enumerate() {
        let target = |number: &usize| said[number % said.len()].id();
        let content = match step {
            Step::Say { .. } => continue,
            Step::Repeat { target } => {
                log[place] = said[target % said.len()].clone();
                continue;
            }
            Step::Edit { target: number } => Content::Edit {
                target: target(number),
                text: format!("edit {place}"),
                mentions: Vec::new(),
            },
            Step::Delete { target: number } => Content::Deletion {
                target: target(number),
            },
            Step::React {
                target: number,
                reaction,
                withdrawn,
            } => Content::Reaction {
                target: target(number),
                reaction: format!("r{reaction}"),
                withdrawn: *withdrawn,
            },
            Step::Babble => {
                log[place].bytes = vec![u8::try_from(place).unwrap(); 7];
                continue;
            }
        };
        log[place].bytes = sealed(&content, place);
    }
    log
}

fn sealed(content: &Content, place: usize) -> Vec<u8> {
    content.seal([u8::try_from(place).unwrap(); 32]).unwrap()
}

fn accepted(place: usize) -> UnixMillis {
    UnixMillis(1000 * (place as u64 + 1))
}

struct Member(Local);

impl Member {
    fn new() -> Self {
        let at = Registration::at("http://here");
        let database = Database::in_memory().unwrap();
        let seed = [7; 32].into();
        let user = "dave@here".parse().unwrap();
        Self(Local::create(database, &at, user, None, &seed, UnixMillis(0)).unwrap())
    }

    fn read(&mut self, place: usize, sent: &Sent, now: UnixMillis) {
        let mut group = Group {
            id: GROUP,
            name: None,
            standing: Standing::Member,
            cursor: Sequence(0),
            successor: None,
        };
        let taken = self.0.write(|tx| {
            let mut line = Line {
                group: &mut group,
                sequence: Sequence(place as u64 + 1),
                accepted: accepted(place),
                now,
                evidence: None,
                stamp: Noted::None,
                events: &mut Vec::new(),
            };
            tx.take_in_content(&mut line, &sent.from, &sent.bytes)
        });
        taken.unwrap();
    }

    fn expire(&mut self, now: UnixMillis) {
        self.0.write(|tx| tx.delete_expired(now)).unwrap();
    }

    fn shows(&mut self) -> Vec<Shown> {
        let history = self.0.read(|tx| tx.history(GROUP, Sequence(0), 1000));
        history.unwrap().iter().map(Shown::of).collect()
    }
}

/// What a person sees of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    at: u64,
    author: String,
    text: Option<String>,
    edited: bool,
    deleted: bool,
    reactions: BTreeSet<(String, String)>,
}

impl Shown {
    fn of(entry: &Entry) -> Self {
        let mut shown = Self {
            at: entry.sequence.0,
            author: entry.author.to_string(),
            text: None,
            edited: false,
            deleted: false,
            reactions: BTreeSet::new(),
        };
        if let EntryKind::Message(posted) = &entry.kind {
            shown.text = Some(posted.text().to_owned());
            shown.edited = posted.edited.is_some();
            shown.deleted = posted.deleted;
            let reactions = posted.reactions.iter();
            let pairs = reactions.map(|it| (it.user.to_string(), it.text.clone()));
            shown.reactions = pairs.collect();
        }
        shown
    }
}

/// The rules, without a database.
#[derive(Default)]
struct Model {
    lines: Vec<(MessageId, Option<UnixMillis>, Shown)>,
}

impl Model {
    fn read(&mut self, place: usize, sent: &Sent) {
        let (at, now) = (place as u64 + 1, accepted(place));
        let user = sent.from.user.to_string();
        let shown = |text: Option<String>| Shown {
            at,
            author: user.clone(),
            text,
            edited: false,
            deleted: false,
            reactions: BTreeSet::new(),
        };
        let is_new = self.lines.iter().all(|(id, _, _)| *id != sent.id());
        match Content::open(&sent.bytes) {
            Content::Message(message) if is_new => {
                let expires = message.expires_at(now);
                let shown = shown(Some(message.body().to_owned()));
                self.lines.push((sent.id(), expires, shown));
            }
            Content::Unknown(_) if is_new => self.lines.push((sent.id(), None, shown(None))),
            Content::Edit { target, text, .. } => {
                if let Some(line) = self.open(target, now)
                    && line.author == user
                    && line.text.is_some()
                {
                    (line.text, line.edited) = (Some(text), true);
                }
            }
            Content::Deletion { target } => {
                if let Some(line) = self.open(target, now)
                    && line.author == user
                {
                    (line.text, line.edited, line.deleted) = (Some(String::new()), false, true);
                    line.reactions.clear();
                }
            }
            Content::Reaction {
                target,
                reaction,
                withdrawn,
            } => {
                if let Some(line) = self.open(target, now)
                    && line.text.is_some()
                {
                    let own = line.reactions.iter().filter(|(by, _)| *by == user).count();
                    if withdrawn {
                        line.reactions.remove(&(user, reaction));
                    } else if own < REACTIONS_PER_USER_MAX {
                        line.reactions.insert((user, reaction));
                    }
                }
            }
            _ => {}
        }
    }

    fn open(&mut self, target: MessageId, now: UnixMillis) -> Option<&mut Shown> {
        let line = self.lines.iter_mut().find(|(id, _, _)| *id == target)?;
        let is_over = line.1.is_some_and(|at| at <= now) || line.2.deleted;
        (!is_over).then_some(&mut line.2)
    }

    fn shows_at_last(self) -> Vec<Shown> {
        let lasting = self.lines.into_iter().filter(|line| line.1.is_none());
        lasting.map(|(_, _, shown)| shown).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_members_see_the_same(steps in prop::collection::vec((0..4_u8, step()), 1..60)) {
        let (mut prompt, mut late, mut model) = (Member::new(), Member::new(), Model::default());
        for (place, sent) in log(&steps).iter().enumerate() {
            prompt.read(place, sent, accepted(place));
            if place % 3 == 0 {
                prompt.expire(accepted(place));
            }
            late.read(place, sent, LATE);
            model.read(place, sent);
        }
        prompt.expire(LATE);
        late.expire(LATE);
        let expected = model.shows_at_last();
        prop_assert_eq!(prompt.shows(), expected.clone());
        prop_assert_eq!(late.shows(), expected);
    }
}
