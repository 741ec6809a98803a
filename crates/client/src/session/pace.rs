//! When to do what: dirty flags and waits, all of them volatile. Opening a session again makes
//! everything due at once, which costs a few requests and loses nothing.

use std::time::Duration;

use conclave_protocol::{DeviceId, UnixMillis, UserId};

use super::{ask::Asking, gather::Gathering, successor::Trial};
use crate::{
    ClientError, Standing,
    waits::{LEAVES_GATHER, WISHES_GATHER, Waits, part},
};

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

    pub(super) fn is_clear(self) -> bool {
        self.failures == 0
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

/// How an external Commit that waits for the log's verdict stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    /// To be submitted, perhaps once more.
    Unsent,
    /// The service has it, or has refused it; the log says which.
    Sent {
        /// Whether the service said that it has it.
        is_accepted: bool,
    },
}

/// What is to be done for one group.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) standing: Standing,
    pub(super) log: Due,
    pub(super) log_backoff: Backoff,
    pub(super) outbox: Due,
    pub(super) outbox_backoff: Backoff,
    /// Who leaves, until somebody confirms that.
    pub(super) leaves: Gathering,
    /// What members have handed to this device.
    pub(super) wishes: Gathering,
    /// What this device has asked others to do.
    pub(super) asking: Asking,
    /// When this device confirms that others leave, once it is known whose turn it is.
    pub(super) confirm_at: Option<UnixMillis>,
    /// Since when this device has had something to say, and has left it to others to let leavers go.
    pub(super) waits_since: Option<UnixMillis>,
    /// Whether an epoch has begun since it was last found out when to renew this device's keys for the
    /// sake of the tree, and when that is.
    pub(super) has_turned: bool,
    pub(super) repair_at: Option<UnixMillis>,
    /// When to tell the others how far this user has read, and the earliest time of that.
    pub(super) receipt_at: Option<UnixMillis>,
    pub(super) receipt_not_before: UnixMillis,
    /// When to come back by an external Commit, where that is needed.
    pub(super) resync_at: Option<UnixMillis>,
    pub(super) join: Option<Join>,
    /// The user whose newest device list the next entry waits for.
    pub(super) unlisted: Option<UserId>,
    /// The user whose list was asked for since that entry was refused.
    pub(super) listed: Option<UserId>,
    /// Devices that the service deleted and whose leaves stand, and when to see to them.
    pub(super) departed: Vec<DeviceId>,
    pub(super) departed_at: Option<UnixMillis>,
    pub(super) departed_heard: UnixMillis,
    /// The epoch that the service named when it was last compared with this device's own.
    pub(super) compared: Option<u64>,
    /// Whether a Commit has to be reported.
    pub(super) has_report: bool,
    /// What members say of Commits.
    pub(super) trial: Trial,
    /// Whether the group goes on as another, and it is not known what became of a message.
    pub(super) hands_over: bool,
    /// Whether those who stay behind there are yet to be told.
    pub(super) has_farewell: bool,
    /// Whose messages could not be read, and how many, since one could be.
    pub(super) unreadable: Vec<DeviceId>,
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
            leaves: Gathering::new(LEAVES_GATHER),
            wishes: Gathering::new(WISHES_GATHER),
            asking: Asking::default(),
            confirm_at: None,
            waits_since: None,
            has_turned: false,
            repair_at: None,
            receipt_at: None,
            receipt_not_before: UnixMillis(0),
            resync_at: None,
            join: None,
            departed: Vec::new(),
            departed_at: None,
            departed_heard: UnixMillis(0),
            compared: None,
            unlisted: None,
            listed: None,
            has_report: false,
            trial: Trial::default(),
            hands_over: false,
            has_farewell: false,
            unreadable: Vec::new(),
            problem: None,
        }
    }

    /// Whether a message that is put into the outbox would be the next thing to go out, as far as is known.
    pub(super) fn is_idle(&self) -> bool {
        self.standing == Standing::Member
            && !self.is_out()
            && !self.has_report
            && !self.log.is_due()
            && !self.trial.has_case
            && self.confirm_at.is_none()
            && self.departed_at.is_none()
            && self.outbox_backoff.is_clear()
    }

    /// Everything may have news, and waits are over: the service is there again.
    pub(super) fn look_again(&mut self) {
        self.log.set();
        self.outbox.set();
        self.leaves.look_again();
        self.wishes.look_again();
        self.asking.look_again();
        self.log_backoff.clear();
        self.trial.look_again();
    }

    /// When the next thing is due; it may be in the past.
    pub(super) fn wake_at(&self) -> Option<UnixMillis> {
        let trial = self.trial_wakes_at();
        if self.standing == Standing::Ended {
            return self.asking.looks_at().into_iter().chain(trial).min();
        }
        if self.has_report {
            return Some(UnixMillis(0));
        }
        let log = self.log_backoff.not_before();
        if self.join.is_some() {
            return Some(log);
        }
        if self.resync_at.is_some() {
            let overhears = self.overhears().then_some(log);
            return [self.resync_at, overhears, trial]
                .into_iter()
                .flatten()
                .min();
        }
        // All else comes after the log.
        if self.log.is_due() {
            return Some(log);
        }
        let outbox = self.outbox.is_due();
        let outbox = outbox.then_some(
            self.outbox_backoff
                .not_before()
                .max(self.waits_for_others()),
        );
        let asks = matches!(self.standing, Standing::Member | Standing::Leaving);
        let asks = asks.then(|| self.asking.wake_at(self.outbox_backoff.not_before()));
        let own = [
            self.confirm_at.max(self.leaves.closes_at()),
            self.wishes.closes_at(),
            asks.flatten(),
            self.departed_at,
            self.receipt_at,
            self.repair_at,
        ];
        [outbox, trial].into_iter().chain(own).flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
