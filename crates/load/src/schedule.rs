//! What is due when: decided by the plan alone, whatever comes of it.

use std::time::Duration;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use crate::Plan;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Somebody says something.
    Message,
    /// Somebody joins or leaves.
    Change,
}

/// Something that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Act {
    /// When, counted from the beginning.
    pub(crate) due: Duration,
    pub(crate) deed: Deed,
    /// In which group.
    pub(crate) group: usize,
    /// What decides the rest.
    pub(crate) lot: u64,
}

/// All that is due, in the order of time.
pub(crate) struct Schedule {
    messages: Arrivals,
    changes: Arrivals,
    next_message: Option<Act>,
    next_change: Option<Act>,
}

impl Schedule {
    pub(crate) fn new(plan: &Plan) -> Self {
        // Each has its own chance, so that messages are the same whoever comes and goes.
        let mut messages = Arrivals::new(plan, Deed::Message, plan.messages_per_second);
        let mut changes = Arrivals::new(plan, Deed::Change, plan.churn_per_minute / 60.0);
        Self {
            next_message: messages.next(),
            next_change: changes.next(),
            messages,
            changes,
        }
    }
}

impl Iterator for Schedule {
    type Item = Act;

    fn next(&mut self) -> Option<Act> {
        let change_is_first = match (&self.next_message, &self.next_change) {
            (Some(message), Some(change)) => change.due < message.due,
            (message, _) => message.is_none(),
        };
        if change_is_first {
            std::mem::replace(&mut self.next_change, self.changes.next())
        } else {
            std::mem::replace(&mut self.next_message, self.messages.next())
        }
    }
}

/// Deeds of one kind, which come as those of many who know nothing of each other do (a Poisson process),
/// at a rate that rises evenly and then stays.
struct Arrivals {
    deed: Deed,
    rate: f64,
    ramp: f64,
    until: Duration,
    groups: usize,
    /// How many are to be expected up to the last one.
    expected: f64,
    chance: ChaCha8Rng,
}

impl Arrivals {
    fn new(plan: &Plan, deed: Deed, rate: f64) -> Self {
        let mut chance = ChaCha8Rng::seed_from_u64(plan.seed);
        chance.set_stream(deed as u64);
        Self {
            deed,
            rate,
            ramp: plan.ramp.as_secs_f64(),
            until: plan.ramp + plan.duration,
            groups: plan.groups,
            expected: 0.0,
            chance,
        }
    }

    /// When so many are to be expected.
    fn time_of(&self, expected: f64) -> f64 {
        let during_ramp = self.rate * self.ramp / 2.0;
        if expected < during_ramp {
            (2.0 * expected * self.ramp / self.rate).sqrt()
        } else {
            self.ramp + (expected - during_ramp) / self.rate
        }
    }

    /// A number above 0 and up to 1.
    fn part(&mut self) -> f64 {
        let bits = self.chance.next_u64() >> 11;
        (bits + 1) as f64 / (1_u64 << 53) as f64
    }
}

impl Iterator for Arrivals {
    type Item = Act;

    fn next(&mut self) -> Option<Act> {
        self.expected -= self.part().ln();
        let due = self.time_of(self.expected);
        // With no rate it is no number, or endless.
        let due = Duration::try_from_secs_f64(due).ok()?;
        let group = self.chance.next_u64() % self.groups as u64;
        let act = Act {
            due,
            deed: self.deed,
            group: usize::try_from(group).ok()?,
            lot: self.chance.next_u64(),
        };
        (due < self.until).then_some(act)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan(seed: u64, rate: f64, churn: f64, ramp: u64, seconds: u64) -> Plan {
        Plan {
            users: 10,
            groups: 3,
            size: 5,
            messages_per_second: rate,
            churn_per_minute: churn,
            ramp: Duration::from_secs(ramp),
            duration: Duration::from_secs(seconds),
            seed,
        }
    }

    proptest! {
        #[test]
        fn acts_come_in_order_within_the_time_and_the_same_again(
            seed in any::<u64>(), rate in 0.0..200.0, churn in 0.0..600.0, ramp in 0..20_u64, seconds in 1..20_u64,
        ) {
            let plan = plan(seed, rate, churn, ramp, seconds);
            let acts: Vec<Act> = Schedule::new(&plan).collect();
            prop_assert!(acts.is_sorted_by_key(|act| act.due));
            prop_assert!(acts.iter().all(|act| act.due < plan.ramp + plan.duration && act.group < 3));
            prop_assert!(Schedule::new(&plan).eq(acts.iter().copied()));
            // Half of the ramp counts. Six standard deviations: not once in a billion runs.
            for (deed, rate) in [(Deed::Message, rate), (Deed::Change, churn / 60.0)] {
                let expected = rate * (ramp as f64 / 2.0 + seconds as f64);
                let count = acts.iter().filter(|act| act.deed == deed).count() as f64;
                prop_assert!((count - expected).abs() <= 6.0 * expected.sqrt() + 6.0, "{count}, not {expected}");
            }
        }
    }

    #[test]
    fn the_rate_rises_evenly() {
        let acts: Vec<Act> = Schedule::new(&plan(7, 1000.0, 0.0, 10, 10)).collect();
        let within = |from: u64, to: u64| {
            let (from, to) = (Duration::from_secs(from), Duration::from_secs(to));
            acts.iter()
                .filter(|act| (from..to).contains(&act.due))
                .count() as f64
        };
        for (count, expected) in [
            (within(0, 5), 1250.0),
            (within(5, 10), 3750.0),
            (within(10, 20), 10_000.0),
        ] {
            assert!(
                (count / expected - 1.0).abs() < 0.15,
                "{count}, not {expected}"
            );
        }
    }

    #[test]
    fn messages_are_the_same_whoever_comes_and_goes() {
        let messages = |churn| {
            let acts = Schedule::new(&plan(7, 20.0, churn, 2, 5));
            acts.filter(|act| act.deed == Deed::Message)
                .collect::<Vec<_>>()
        };
        assert_eq!(messages(0.0), messages(600.0));
    }
}
