//! When to do what: dirty flags and waits, all of them volatile. Opening a session again makes
//! everything due at once, which costs a few requests and loses nothing.

use std::time::Duration;

use conclave_protocol::UnixMillis;

use crate::{ClientError, Standing};

/// The first and the longest wait after the service could not be reached. The longest is what a
/// person waits without asking why.
pub(super) const SERVICE_WAITS: Waits = Waits::new(500, 30_000);

/// Waits after a group's log could not be read.
pub(super) const LOG_WAITS: Waits = Waits::new(500, 60_000);

/// Waits after another member's Commit came first: a Commit takes tens of milliseconds, and as many
/// members may race as are online.
pub(super) const RACE_WAITS: Waits = Waits::new(40, 5_000);

/// The longest wait before this device confirms that somebody leaves. Every device online waits a
/// random part of it, so that most find it done already.
pub(super) const CONFIRM_WAIT: Duration = Duration::from_secs(1);

/// The range in which waits double, from the first to the longest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    first_millis: u64,
    longest_millis: u64,
}

impl Waits {
    const fn new(first_millis: u64, longest_millis: u64) -> Self {
        Self {
            first_millis,
            longest_millis,
        }
    }

    /// The wait after so many failures, of which `share` picks a part between half and all: those
    /// who failed together do not come back together.
    pub(super) fn after(self, failures: u32, share: u16) -> Duration {
        let doubled = self.first_millis << failures.saturating_sub(1).min(32);
        let whole = doubled.min(self.longest_millis);
        Duration::from_millis(whole / 2 + part(whole / 2, share))
    }
}

/// The part of `whole` that `share` of 65,536 is.
pub(super) fn part(whole: u64, share: u16) -> u64 {
    (whole * u64::from(share)) >> 16
}

/// Failures in a row, and when to try again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Backoff {
    failures: u32,
    not_before: UnixMillis,
}

impl Backoff {
    pub(super) fn is_over(self, now: UnixMillis) -> bool {
        self.not_before <= now
    }

    pub(super) fn not_before(self) -> UnixMillis {
        self.not_before
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn fail(&mut self, now: UnixMillis, waits: Waits, share: u16) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.after(waits.after(self.failures, share));
    }

    /// Waits for as long as the service asks, and up to a quarter longer.
    pub(super) fn wait(&mut self, now: UnixMillis, asked: Duration, share: u16) {
        let millis = u64::try_from(asked.as_millis()).unwrap_or(u64::MAX >> 20);
        let longer = Duration::from_millis(part(millis / 4, share));
        self.not_before = now.after(asked + longer);
    }
}

/// Whether there is something to ask for, and whether it became so since it was last asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    is_due: bool,
    is_fresh: bool,
}

impl Due {
    pub(super) const NOW: Self = Self {
        is_due: true,
        is_fresh: true,
    };

    pub(super) fn is_due(self) -> bool {
        self.is_due
    }

    pub(super) fn set(&mut self) {
        *self = Self::NOW;
    }

    /// It is being asked for: news from now on is not part of the answer.
    pub(super) fn ask(&mut self) {
        self.is_fresh = false;
    }

    /// It was answered; what became due meanwhile stays due.
    pub(super) fn done(&mut self) {
        self.is_due = self.is_fresh;
    }
}

/// What is to be done for one group.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) standing: Standing,
    pub(super) log: Due,
    pub(super) log_backoff: Backoff,
    pub(super) outbox: Due,
    pub(super) outbox_backoff: Backoff,
    /// Whether somebody may be leaving; looked up when it is not known.
    pub(super) leaves: Due,
    /// When this device confirms that somebody leaves.
    pub(super) confirm_at: Option<UnixMillis>,
    /// What keeps the group from going on.
    pub(super) problem: Option<ClientError>,
}

impl Progress {
    pub(super) fn new(standing: Standing) -> Self {
        Self {
            standing,
            log: Due::NOW,
            log_backoff: Backoff::default(),
            outbox: Due::NOW,
            outbox_backoff: Backoff::default(),
            leaves: Due::NOW,
            confirm_at: None,
            problem: None,
        }
    }

    /// Everything may have news, and waits are over: the service is there again.
    pub(super) fn look_again(&mut self) {
        self.log.set();
        self.outbox.set();
        self.leaves.set();
        self.log_backoff.clear();
    }

    /// When the next thing is due; it may be in the past.
    pub(super) fn wake_at(&self) -> Option<UnixMillis> {
        if self.standing == Standing::Ended {
            return None;
        }
        let log = self.log_backoff.not_before();
        let log = self.log.is_due().then_some(log);
        let outbox = self.outbox.is_due();
        let outbox = outbox.then_some(self.outbox_backoff.not_before());
        [log, outbox, self.confirm_at].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_never_vanish() {
        let waits = Waits::new(100, 1000);
        let millis = |failures, share| waits.after(failures, share).as_millis();
        assert_eq!((millis(1, 0), millis(1, u16::MAX)), (50, 99));
        assert_eq!((millis(2, 0), millis(3, 0)), (100, 200));
        for failures in 5..80 {
            assert_eq!(millis(failures, 0), 500);
        }
    }

    #[test]
    fn what_becomes_due_while_it_is_asked_for_stays_due() {
        let mut due = Due::NOW;
        due.ask();
        due.done();
        assert!(!due.is_due());
        due.set();
        due.ask();
        due.set();
        due.done();
        assert!(due.is_due());
    }
}
