//! The last entries of the logs that live streams follow, ready to be sent.
//!
//! One message to 10,000 streams would otherwise be read 10,000 times. The store stays the truth: a
//! tail holds only what somebody has just read there, and knows how far the log goes from those who
//! appended to it. Where it does not know enough, it says so and the store is asked.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use conclave_protocol::{GroupId, Sequence};
use conclave_rpc::v1;

use crate::limits::{TAIL_BYTES_MAX, TAILS_MAX};

/// The tails of all groups.
#[derive(Default)]
pub(crate) struct Tails(Mutex<Known>);

#[derive(Default)]
struct Known {
    tails: HashMap<GroupId, Tail>,
    /// How often something was forgotten.
    forgotten: u64,
}

/// That a read of the store began, and what was known then. What is read after something was
/// forgotten may be older than that, and is not kept.
#[derive(Clone, Copy)]
pub(crate) struct Reading(u64);

/// What follows a cursor.
#[derive(Debug, PartialEq)]
pub(crate) struct Rest {
    /// The next entries, without a gap.
    pub(crate) entries: Vec<v1::LogEntry>,
    /// Whether the log had no more when it was asked.
    pub(crate) is_all: bool,
}

#[derive(Default)]
struct Tail {
    /// How far the log goes, as far as is known here.
    head: Sequence,
    /// Entries without a gap.
    entries: VecDeque<v1::LogEntry>,
    bytes: usize,
}

impl Tails {
    /// Notes that a log goes this far; before anybody is woken for it.
    pub(crate) fn appended(&self, group: GroupId, head: Sequence) {
        let mut known = self.lock();
        let tail = known.tail(group);
        tail.head = tail.head.max(head);
    }

    /// Forgets a group of which something else changed.
    pub(crate) fn forget(&self, group: GroupId) {
        let mut known = self.lock();
        known.tails.remove(&group);
        known.forgotten += 1;
    }

    /// Begins to read the store.
    pub(crate) fn reading(&self) -> Reading {
        Reading(self.lock().forgotten)
    }

    /// Keeps what was read from the store, whose log then went up to `head`.
    pub(crate) fn keep(
        &self,
        group: GroupId,
        reading: Reading,
        read: &[v1::LogEntry],
        head: Sequence,
    ) {
        let mut known = self.lock();
        if known.forgotten != reading.0 {
            return;
        }
        let tail = known.tail(group);
        tail.head = tail.head.max(head);
        tail.extend(read);
    }

    /// What follows a cursor; `None` where only the store knows.
    pub(crate) fn after(&self, group: GroupId, cursor: Sequence) -> Option<Rest> {
        let known = self.lock();
        let tail = known.tails.get(&group)?;
        if cursor >= tail.head {
            return Some(Rest {
                entries: Vec::new(),
                is_all: true,
            });
        }
        let first = tail.entries.front()?.sequence;
        let skip = usize::try_from((cursor.0 + 1).checked_sub(first)?).ok()?;
        let entries: Vec<_> = tail.entries.iter().skip(skip).cloned().collect();
        let last = entries.last()?.sequence;
        Some(Rest {
            is_all: last >= tail.head.0,
            entries,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tail {
    fn extend(&mut self, read: &[v1::LogEntry]) {
        let end = self.entries.back().map_or(0, |entry| entry.sequence);
        if read.first().is_some_and(|first| first.sequence > end + 1) {
            self.entries.clear();
            self.bytes = 0;
        }
        for entry in read.iter().filter(|entry| entry.sequence > end) {
            self.bytes += entry.message.len();
            self.entries.push_back(entry.clone());
        }
        while self.bytes > TAIL_BYTES_MAX {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.message.len();
        }
    }
}

impl Known {
    /// A group's tail; where there are too many, all others are forgotten.
    fn tail(&mut self, group: GroupId) -> &mut Tail {
        if self.tails.len() >= TAILS_MAX && !self.tails.contains_key(&group) {
            self.tails.clear();
            self.forgotten += 1;
        }
        self.tails.entry(group).or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GROUP: GroupId = GroupId::from_bytes([7; 16]);

    fn entry(sequence: u64) -> v1::LogEntry {
        v1::LogEntry {
            sequence,
            message: vec![0; 20_000].into(),
            ..v1::LogEntry::default()
        }
    }

    fn entries(from: u64, to: u64) -> Vec<v1::LogEntry> {
        (from..=to).map(entry).collect()
    }

    proptest! {
        /// Whatever is read and appended in whatever order, a tail says nothing that the log does
        /// not, and never that there is no more where there is.
        #[test]
        fn a_tail_agrees_with_its_log(
            steps in prop::collection::vec((0u8..6, any::<prop::sample::Index>(), 0u64..6), 1..60),
        ) {
            let tails = Tails::default();
            let mut head = 0;
            let mut read = None;
            for (step, at, count) in steps {
                let cursor = at.index(usize::try_from(head).unwrap() + 1) as u64;
                match step {
                    0 => {
                        head += count;
                        tails.appended(GROUP, Sequence(head));
                    }
                    1 | 2 => {
                        let reading = tails.reading();
                        let page = entries(cursor + 1, head.min(cursor + count));
                        read = Some((reading, page, Sequence(head)));
                    }
                    3 | 4 => {
                        if let Some((reading, page, head)) = read.take() {
                            tails.keep(GROUP, reading, &page, head);
                        }
                    }
                    _ => tails.forget(GROUP),
                }
                if let Some(rest) = tails.after(GROUP, Sequence(cursor)) {
                    let end = cursor + rest.entries.len() as u64;
                    prop_assert!(end <= head);
                    prop_assert_eq!(rest.entries, entries(cursor + 1, end));
                    prop_assert!(!rest.is_all || end == head);
                    prop_assert!(rest.is_all || end > cursor, "no progress");
                }
                prop_assert!(tails.lock().tails.values().all(|tail| tail.bytes <= TAIL_BYTES_MAX));
            }
        }
    }
}
