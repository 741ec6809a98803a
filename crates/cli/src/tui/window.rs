//! The part of a group's history that is held here: a few pages of it, wherever the person reads.

use conclave_client::{Entry, Sequence};

use super::event::Span;

/// Entries that are read at once: more than a tall screen shows.
pub(super) const PAGE: usize = 100;

/// Entries that are held; those beyond are read again when somebody comes back to them.
pub(super) const HELD_MAX: usize = 300;

/// Consecutive entries of a history.
#[derive(Debug, Default)]
pub(super) struct Window {
    entries: Vec<Entry>,
    /// Nothing stands before.
    pub(super) is_at_start: bool,
    /// Nothing stands after.
    pub(super) is_at_end: bool,
    pub(super) is_loaded: bool,
    /// A page is being read, so that it is not asked for again.
    is_waiting: bool,
}

impl Window {
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn last(&self) -> Option<Sequence> {
        self.entries.last().map(|entry| entry.sequence)
    }

    pub(super) fn find(&self, at: Sequence) -> Option<&Entry> {
        let found = self
            .entries
            .binary_search_by_key(&at, |entry| entry.sequence);
        found.ok().map(|place| &self.entries[place])
    }

    /// What to read so that what is held is true again.
    pub(super) fn again(&self) -> Span {
        match (self.entries.first(), self.is_at_end) {
            (None, _) => Span::Last,
            (Some(first), at_end) => {
                let more = if at_end { PAGE } else { 0 };
                Span::Again(before(first.sequence), self.entries.len() + more)
            }
        }
    }

    /// What to read to go back, where there may be something.
    pub(super) fn older(&mut self) -> Option<Span> {
        let first = self.entries.first()?.sequence;
        self.ask(!self.is_at_start, Span::Before(first))
    }

    /// What to read to go forward, where there may be something.
    pub(super) fn newer(&mut self) -> Option<Span> {
        let last = self.last()?;
        self.ask(!self.is_at_end, Span::After(last))
    }

    fn ask(&mut self, is_some: bool, span: Span) -> Option<Span> {
        let asks = is_some && !self.is_waiting;
        self.is_waiting |= asks;
        asks.then_some(span)
    }

    /// Takes in what was read. `keeps_start` says which end the person reads at, where there is too
    /// much to hold. Gives what is missing still.
    pub(super) fn take(
        &mut self,
        span: Span,
        mut entries: Vec<Entry>,
        keeps_start: bool,
    ) -> Option<Span> {
        let count = entries.len();
        match span {
            Span::Last | Span::Around(_) => {
                self.is_at_end = matches!(span, Span::Last);
                self.is_at_start = matches!(span, Span::Last) && count < PAGE;
                self.entries = entries;
            }
            Span::Before(first) => {
                self.is_waiting = false;
                if self.first() != Some(first) {
                    return None;
                }
                self.is_at_start = entries.is_empty();
                entries.append(&mut self.entries);
                self.entries = entries;
            }
            Span::After(last) => {
                self.is_waiting = false;
                if self.last() != Some(last) {
                    return None;
                }
                self.is_at_end = count < PAGE;
                self.entries.append(&mut entries);
            }
            Span::Again(after, asked) => {
                if self.first().is_none_or(|first| before(first) != after) {
                    return Some(self.again());
                }
                self.is_at_end &= count < asked;
                self.entries = entries;
                if self.entries.is_empty() {
                    return Some(Span::Last);
                }
            }
        }
        self.is_loaded = true;
        self.forget(keeps_start);
        None
    }

    fn first(&self) -> Option<Sequence> {
        self.entries.first().map(|entry| entry.sequence)
    }

    fn forget(&mut self, keeps_start: bool) {
        let excess = self.entries.len().saturating_sub(HELD_MAX);
        if excess == 0 {
            return;
        }
        if keeps_start {
            self.entries.truncate(HELD_MAX);
            self.is_at_end = false;
        } else {
            self.entries.drain(..excess);
            self.is_at_start = false;
        }
    }
}

fn before(at: Sequence) -> Sequence {
    Sequence(at.0.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::tests::said;

    fn log(range: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
        range.map(|at| said(at, "bob", "hello")).collect()
    }

    /// What a database with entries 1 to `end` gives.
    fn read(span: Span, end: u64) -> Vec<Entry> {
        let page = PAGE as u64;
        match span {
            Span::Last => log(end.saturating_sub(page - 1).max(1)..=end),
            Span::Before(at) => log(at.0.saturating_sub(page).max(1)..=at.0 - 1),
            Span::After(at) => log(at.0 + 1..=end.min(at.0 + page)),
            Span::Again(at, count) => log(at.0 + 1..=end.min(at.0 + count as u64)),
            Span::Around(at) => log(at.0 - page / 2..=end.min(at.0 + page / 2)),
        }
    }

    #[test]
    fn somebody_reads_a_long_history_to_its_beginning_and_back_and_little_is_held() {
        let end = 1050;
        let mut window = Window::default();
        window.take(Span::Last, read(Span::Last, end), false);
        assert!(window.is_at_end);
        while let Some(span) = window.older() {
            assert_eq!(window.older(), None, "one page at a time");
            window.take(span, read(span, end), true);
            assert!(window.entries().len() <= HELD_MAX);
        }
        assert_eq!(window.entries()[0].sequence.0, 1);
        assert!(!window.is_at_end && window.is_at_start);
        while let Some(span) = window.newer() {
            window.take(span, read(span, end), false);
            assert!(window.entries().len() <= HELD_MAX);
        }
        assert_eq!(window.last().unwrap().0, end);
        assert!(window.is_at_end && !window.is_at_start);
        let in_order = window.entries().is_sorted_by_key(|it| it.sequence);
        assert!(in_order);
    }

    #[test]
    fn what_is_read_again_brings_what_came_and_nothing_late_is_taken_for_it() {
        let mut window = Window::default();
        window.take(Span::Last, read(Span::Last, 50), false);
        let span = window.again();
        window.take(span, read(span, 52), false);
        assert_eq!(window.last().unwrap().0, 52);
        let late = Span::Again(Sequence(20), 10);
        assert!(window.take(late, read(late, 52), false).is_some());
        assert_eq!(window.entries().len(), 52);
    }
}
