//! What all tasks of a run share: who is where, and what came of what.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use conclave_client::{ClientError, Entry, Event, GroupId, UserId};
use tokio::time::Instant;

use crate::{
    Plan, Times,
    error::kind,
    roster::{Change, Roster},
    schedule::Act,
    tally::{Counts, MessageNumber, Tally},
};

/// What the text of a message begins with; its number follows.
const PREFIX: &str = "load ";

/// What all tasks of a run share.
pub(crate) struct Board(Mutex<State>);

struct State {
    /// When the schedule began.
    begun: Option<Instant>,
    numbers: HashMap<GroupId, usize>,
    rosters: Vec<Roster>,
    /// Who came into a group before.
    came: HashSet<(GroupId, usize)>,
    tally: Tally,
}

impl State {
    fn now(&self) -> Duration {
        self.begun.map_or(Duration::ZERO, |begun| begun.elapsed())
    }

    fn has_spoken(&mut self, due: Due) {
        if let Some(roster) = self.rosters.get_mut(due.group) {
            roster.has_spoken(due.speaker);
        }
    }
}

/// A message that is to be sent.
#[derive(Clone, Copy)]
pub(crate) struct Due {
    group: usize,
    pub(crate) speaker: usize,
    pub(crate) number: MessageNumber,
}

impl Due {
    pub(crate) fn text(&self) -> String {
        format!("{PREFIX}{}", self.number)
    }
}

impl Board {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            begun: None,
            numbers: HashMap::new(),
            rosters: Vec::new(),
            came: HashSet::new(),
            tally: Tally::new(),
        }))
    }

    /// How many have come into groups before the beginning.
    pub(crate) fn came(&self) -> usize {
        self.state().came.len()
    }

    /// The schedule begins, with these groups.
    pub(crate) fn begin(&self, plan: &Plan, groups: &[GroupId], begun: Instant) {
        let mut state = self.state();
        state.begun = Some(begun);
        let rosters = (0..groups.len()).map(|it| Roster::new(plan.users, plan.founders(it)));
        state.rosters = rosters.collect();
        state.numbers = groups.iter().copied().zip(0..).collect();
    }

    /// What a user's device tells.
    pub(crate) fn heard(&self, user: usize, name: &UserId, event: &Event) {
        let state = &mut *self.state();
        match event {
            Event::Entry(entry) if entry.author != *name => {
                if let Some(number) = number(entry) {
                    state.tally.decrypted(number, user, state.now());
                }
            }
            Event::Joined(group) => match state.numbers.get(group) {
                Some(number) => {
                    let due = state.rosters[*number].came(user);
                    state.tally.joined(due, state.now());
                }
                None => {
                    state.came.insert((*group, user));
                }
            },
            Event::Ended(group) => {
                if let Some(number) = state.numbers.get(group) {
                    let due = state.rosters[*number].went(user);
                    state.tally.excuse(*number, user);
                    state.tally.left(due, state.now());
                }
            }
            Event::Resynced(_) => state.tally.error("follow", "came back with new keys"),
            Event::Refused { .. } => state.tally.error("join", "did not accept an invitation"),
            Event::Disconnected => state.tally.error("follow", "the connection was lost"),
            _ => {}
        }
    }

    /// A message is due: who sends it. Where it is too many, or nobody is there, it counts as failed.
    pub(crate) fn message(&self, act: &Act, is_too_many: bool) -> Option<Due> {
        let state = &mut *self.state();
        let roster = state.rosters.get_mut(act.group)?;
        let (speaker, mut readers) = (roster.member(act.lot), roster.readers());
        if let Some(speaker) = speaker {
            readers.remove(&speaker);
            if !is_too_many {
                roster.speaks(speaker);
            }
        }
        let now = state.now();
        let number = state.tally.begin(act.group, readers, act.due, now);
        let trouble = match speaker {
            _ if is_too_many => "too many were waiting",
            None => "nobody is in the group",
            Some(speaker) => {
                let group = act.group;
                return Some(Due {
                    group,
                    speaker,
                    number,
                });
            }
        };
        state.tally.failed(number);
        state.tally.error("send", trouble);
        None
    }

    /// A change is due: who comes or goes.
    pub(crate) fn change(&self, act: &Act, is_too_many: bool) -> Option<Change> {
        let state = &mut *self.state();
        if is_too_many {
            state.tally.error("join or leave", "too many were waiting");
            return None;
        }
        let change = state.rosters.get_mut(act.group)?.change(act.lot, act.due);
        if let Some(Change::Leave { user }) = change {
            state.tally.excuse(act.group, user);
        }
        change
    }

    pub(crate) fn sent(&self, due: Due) {
        let state = &mut *self.state();
        state.tally.accepted(due.number, state.now());
        state.has_spoken(due);
    }

    pub(crate) fn not_sent(&self, due: Due, error: &ClientError) {
        let state = &mut *self.state();
        state.tally.failed(due.number);
        state.tally.error("send", kind(error));
        state.has_spoken(due);
    }

    pub(crate) fn not_changed(&self, group: usize, user: usize, deed: &str, error: &ClientError) {
        let state = &mut *self.state();
        if let Some(roster) = state.rosters.get_mut(group) {
            roster.failed(user);
        }
        state.tally.error(deed, kind(error));
    }

    /// Whether somebody is on the way into a group.
    pub(crate) fn is_coming(&self, group: usize, user: usize) -> bool {
        let state = self.state();
        state
            .rosters
            .get(group)
            .is_some_and(|it| it.is_coming(user))
    }

    /// One of a group's members.
    pub(crate) fn member(&self, group: usize, lot: u64) -> Option<usize> {
        self.state().rosters.get(group)?.member(lot)
    }

    pub(crate) fn not_followed(&self, error: &ClientError) {
        self.state().tally.error("follow", kind(error));
    }

    /// Whether nothing more is to come.
    pub(crate) fn is_settled(&self) -> bool {
        let state = self.state();
        state.tally.is_settled() && on_their_way(&state) == 0
    }

    /// The numbers, how long things took, what went wrong, and who is on the way in or out.
    pub(crate) fn result(&self) -> (Counts, Times, std::collections::BTreeMap<String, u64>, u64) {
        let state = self.state();
        let tally = &state.tally;
        let moving = on_their_way(&state);
        (
            tally.counts(),
            tally.times(),
            tally.errors().clone(),
            moving,
        )
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().tally.counts()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn on_their_way(state: &State) -> u64 {
    let moving = state.rosters.iter().map(Roster::on_their_way);
    moving.sum::<usize>() as u64
}

fn number(entry: &Entry) -> Option<MessageNumber> {
    entry.text()?.strip_prefix(PREFIX)?.parse().ok()
}
