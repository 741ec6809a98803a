//! Who reads what: a device reads from its join to its own removal, both included.

use conclave_protocol::Sequence;

use crate::{ordering::Head, store::Range};

/// What a device may read of a log, given where the log ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    head: Head,
    /// Never empty, and in order.
    ranges: Vec<Range>,
}

/// What may be read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Entries after this,
    pub(crate) after: Sequence,
    /// up to and including this.
    pub(crate) up_to: Sequence,
}

impl Access {
    /// The access of a device that is or was a member; `None` for one that never was.
    pub(crate) fn new(head: Head, ranges: Vec<Range>) -> Option<Self> {
        (!ranges.is_empty()).then_some(Self { head, ranges })
    }

    /// What may be read after a cursor; `None` where nothing is left. It spans one stretch of
    /// membership: the next one is found with the cursor at its end.
    pub(crate) fn next_span(&self, after: Sequence) -> Option<Span> {
        self.ranges.iter().find_map(|range| {
            let up_to = range.to.unwrap_or(self.head.sequence);
            let after = after.max(Sequence(range.from.0.saturating_sub(1)));
            (after < up_to).then_some(Span { after, up_to })
        })
    }

    /// Whether the device is a member now.
    pub(crate) fn is_member(&self) -> bool {
        self.ranges.iter().any(|range| range.to.is_none())
    }

    /// Whether the device may read an entry.
    pub(crate) fn covers(&self, sequence: Sequence) -> bool {
        let before = Sequence(sequence.0.saturating_sub(1));
        self.next_span(before)
            .is_some_and(|span| span.after == before)
    }

    /// Whether the device may read an entry, or will once it is there.
    pub(crate) fn reaches(&self, sequence: Sequence) -> bool {
        self.ranges
            .iter()
            .any(|range| range.from <= sequence && range.to.is_none_or(|to| sequence <= to))
    }

    /// The last entry that the device may read now.
    pub(crate) fn readable(&self) -> Sequence {
        let last = self.ranges.last().and_then(|range| range.to);
        last.unwrap_or(self.head.sequence)
    }

    /// Where the log ends.
    pub(crate) fn head(&self) -> Head {
        self.head
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Following spans from any cursor meets exactly the entries inside the ranges.
        #[test]
        fn spans_cover_the_ranges_and_nothing_else(
            steps in prop::collection::vec(1u64..4, 1..8), tail in 0u64..5, cursor in 0u64..30,
        ) {
            let mut bounds = steps.iter().scan(0, |at, step| { *at += step; Some(*at) });
            let mut ranges = Vec::new();
            while let Some(from) = bounds.next() {
                ranges.push(Range { from: Sequence(from), to: bounds.next().map(Sequence) });
            }
            let sequence = Sequence(steps.iter().sum::<u64>() + tail);
            let head = Head { sequence, ..Head::default() };
            let access = Access::new(head, ranges.clone()).unwrap();

            let mut read = Vec::new();
            let mut at = Sequence(cursor);
            while let Some(span) = access.next_span(at) {
                read.extend(span.after.0 + 1..=span.up_to.0);
                at = span.up_to;
            }
            let expected: Vec<u64> = (cursor + 1..=sequence.0)
                .filter(|at| ranges.iter().any(|range| {
                    range.from.0 <= *at && range.to.is_none_or(|to| *at <= to.0)
                }))
                .collect();
            for at in 1..=sequence.0 {
                let inside = access.covers(Sequence(at));
                prop_assert!(at <= cursor || inside == read.contains(&at));
            }
            prop_assert_eq!(read, expected);
            prop_assert_eq!(access.is_member(), steps.len() % 2 == 1);
        }
    }
}
