//! What came of what was due.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hdrhistogram::Histogram;

use crate::report::{Latency, Times};

/// The longest time that is told apart from longer ones: an hour, in microseconds.
const LONGEST_MICROS: u64 = 3_600_000_000;

/// Decimal digits to which times are kept.
const DIGITS: u8 = 3;

/// A message of a run, by its number.
pub(crate) type MessageNumber = usize;

/// What came of all that was due until now. Times are counted from the beginning.
pub(crate) struct Tally {
    /// When each message was due, by its number.
    dues: Vec<Duration>,
    open: BTreeMap<MessageNumber, Open>,
    sent: u64,
    decrypted: u64,
    joined: u64,
    left: u64,
    errors: BTreeMap<String, u64>,
    begun_late: Samples,
    accepted_after: Samples,
    decrypted_after: Samples,
    joined_after: Samples,
    left_after: Samples,
    last: Duration,
}

/// A message of which something is still to come.
struct Open {
    group: usize,
    is_answered: bool,
    /// Who is to decrypt it and has not yet.
    waiting: BTreeSet<usize>,
}

impl Open {
    fn is_done(&self) -> bool {
        self.is_answered && self.waiting.is_empty()
    }
}

/// The numbers of a tally.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) due: u64,
    pub(crate) sent: u64,
    pub(crate) decrypted: u64,
    /// Times that somebody is still to decrypt a message that was accepted.
    pub(crate) missing: u64,
    /// Messages of which nobody knows whether they were accepted.
    pub(crate) unanswered: u64,
    pub(crate) joined: u64,
    pub(crate) left: u64,
    pub(crate) errors: u64,
    /// When the last thing happened.
    pub(crate) last: Duration,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            dues: Vec::new(),
            open: BTreeMap::new(),
            sent: 0,
            decrypted: 0,
            joined: 0,
            left: 0,
            errors: BTreeMap::new(),
            begun_late: Samples::new(),
            accepted_after: Samples::new(),
            decrypted_after: Samples::new(),
            joined_after: Samples::new(),
            left_after: Samples::new(),
            last: Duration::ZERO,
        }
    }

    /// A message begins to be sent, which these are to read; its number.
    pub(crate) fn begin(
        &mut self,
        group: usize,
        readers: BTreeSet<usize>,
        due: Duration,
        now: Duration,
    ) -> MessageNumber {
        let number = self.dues.len();
        self.dues.push(due);
        self.begun_late.add(due, now);
        let open = Open {
            group,
            is_answered: false,
            waiting: readers,
        };
        self.open.insert(number, open);
        number
    }

    /// The server has the message.
    pub(crate) fn accepted(&mut self, number: MessageNumber, now: Duration) {
        self.sent += 1;
        self.last = self.last.max(now);
        if let Some(due) = self.dues.get(number) {
            self.accepted_after.add(*due, now);
        }
        if let Some(open) = self.open.get_mut(&number) {
            open.is_answered = true;
        }
        self.close(number);
    }

    /// A message could not be sent: nobody is expected to read it, though it may get there yet.
    pub(crate) fn failed(&mut self, number: MessageNumber) {
        self.open.remove(&number);
    }

    /// Somebody has decrypted a message.
    pub(crate) fn decrypted(&mut self, number: MessageNumber, reader: usize, now: Duration) {
        // Somebody else's run in the same group would be no message of this one.
        let Some(due) = self.dues.get(number) else {
            return;
        };
        self.decrypted += 1;
        self.last = self.last.max(now);
        self.decrypted_after.add(*due, now);
        if let Some(open) = self.open.get_mut(&number) {
            open.waiting.remove(&reader);
        }
        self.close(number);
    }

    /// Somebody is about to leave a group, and may not read what is on its way.
    pub(crate) fn excuse(&mut self, group: usize, reader: usize) {
        for open in self.open.values_mut().filter(|open| open.group == group) {
            open.waiting.remove(&reader);
        }
        self.open.retain(|_, open| !open.is_done());
    }

    pub(crate) fn joined(&mut self, due: Option<Duration>, now: Duration) {
        self.joined += 1;
        self.last = self.last.max(now);
        if let Some(due) = due {
            self.joined_after.add(due, now);
        }
    }

    pub(crate) fn left(&mut self, due: Option<Duration>, now: Duration) {
        self.left += 1;
        self.last = self.last.max(now);
        if let Some(due) = due {
            self.left_after.add(due, now);
        }
    }

    /// Something went wrong: what was done, and how.
    pub(crate) fn error(&mut self, deed: &str, kind: &str) {
        *self.errors.entry(format!("{deed}: {kind}")).or_default() += 1;
    }

    /// Whether nothing more is to come.
    pub(crate) fn is_settled(&self) -> bool {
        self.open.is_empty()
    }

    pub(crate) fn counts(&self) -> Counts {
        let (answered, unanswered): (Vec<&Open>, Vec<&Open>) =
            self.open.values().partition(|open| open.is_answered);
        Counts {
            due: self.dues.len() as u64,
            sent: self.sent,
            decrypted: self.decrypted,
            missing: answered.iter().map(|open| open.waiting.len() as u64).sum(),
            unanswered: unanswered.len() as u64,
            joined: self.joined,
            left: self.left,
            errors: self.errors.values().sum(),
            last: self.last,
        }
    }

    pub(crate) fn times(&self) -> Times {
        Times {
            decrypted: self.decrypted_after.latency(),
            accepted: self.accepted_after.latency(),
            joined: self.joined_after.latency(),
            left: self.left_after.latency(),
            begun_late: self.begun_late.latency(),
        }
    }

    pub(crate) fn errors(&self) -> &BTreeMap<String, u64> {
        &self.errors
    }

    fn close(&mut self, number: MessageNumber) {
        if self.open.get(&number).is_some_and(Open::is_done) {
            self.open.remove(&number);
        }
    }
}

/// Times from when something was due.
struct Samples(Histogram<u64>);

impl Samples {
    fn new() -> Self {
        // The bounds are constants that a histogram can have: 1, at least twice that, at most 5 digits.
        #[allow(clippy::expect_used)]
        Self(Histogram::new_with_bounds(1, LONGEST_MICROS, DIGITS).expect("the bounds hold"))
    }

    fn add(&mut self, due: Duration, now: Duration) {
        let micros = u64::try_from(now.saturating_sub(due).as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros.max(1));
    }

    fn latency(&self) -> Latency {
        let millis = |micros: u64| micros as f64 / 1000.0;
        let at = |quantile| millis(self.0.value_at_quantile(quantile));
        Latency {
            count: self.0.len(),
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: millis(self.0.max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn time_runs_from_when_a_message_was_due() {
        let mut tally = Tally::new();
        // Everything stood still for a second, in which a message was due each 10 ms.
        for number in 0..100 {
            let due = millis(10 * number);
            let message = tally.begin(0, BTreeSet::from([1]), due, millis(1000));
            tally.accepted(message, millis(1001));
            tally.decrypted(message, 1, millis(1002));
        }
        let times = tally.times();
        assert!((times.decrypted.p50_ms - 502.0).abs() < 12.0, "{times:?}");
        assert!((times.decrypted.max_ms - 1002.0).abs() < 2.0, "{times:?}");
        assert!((times.begun_late.p90_ms - 900.0).abs() < 12.0, "{times:?}");
        assert!(tally.is_settled());
    }

    #[test]
    fn what_failed_is_not_waited_for_and_counts_where_it_comes_after_all() {
        let mut tally = Tally::new();
        let message = tally.begin(0, BTreeSet::from([1, 2]), millis(0), millis(0));
        tally.failed(message);
        tally.error("send", "unreachable");
        assert!(tally.is_settled());
        tally.decrypted(message, 1, millis(5));
        let counts = tally.counts();
        assert_eq!(
            (counts.sent, counts.decrypted, counts.missing, counts.errors),
            (0, 1, 0, 1)
        );
        tally.decrypted(99, 1, millis(5));
        assert_eq!(tally.counts().decrypted, 1);
    }

    proptest! {
        /// Whatever order answers, readings and leavings come in, who is missing is who neither read nor left.
        #[test]
        fn who_is_missing_is_who_neither_read_nor_left(
            readings in proptest::collection::vec((0..20_usize, 0..8_usize), 0..160),
            answers in proptest::collection::btree_set(0..20_usize, 0..20),
            leavers in proptest::collection::btree_set(0..8_usize, 0..4),
            answers_first in any::<bool>(),
        ) {
            let mut tally = Tally::new();
            let everybody: BTreeSet<usize> = (0..8).collect();
            for _ in 0..20 {
                tally.begin(0, everybody.clone(), millis(0), millis(0));
            }
            let answer = |tally: &mut Tally| answers.iter().for_each(|it| tally.accepted(*it, millis(1)));
            if answers_first {
                answer(&mut tally);
            }
            let readings: BTreeSet<_> = readings.into_iter().collect();
            for (message, reader) in &readings {
                tally.decrypted(*message, *reader, millis(2));
            }
            for leaver in &leavers {
                tally.excuse(1, *leaver);
                tally.excuse(0, *leaver);
            }
            if !answers_first {
                answer(&mut tally);
            }
            let missing = answers.iter().flat_map(|message| everybody.iter().map(move |it| (*message, *it)));
            let missing = missing.filter(|it| !readings.contains(it) && !leavers.contains(&it.1)).count() as u64;
            let counts = tally.counts();
            prop_assert_eq!(counts.missing, missing);
            prop_assert_eq!(counts.decrypted, readings.len() as u64);
            prop_assert_eq!(counts.unanswered, 20 - answers.len() as u64);
            prop_assert_eq!(tally.is_settled(), missing == 0 && answers.len() == 20);
        }
    }
}
