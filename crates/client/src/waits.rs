//! How long to wait before trying again: the client's limits in time, each with its reason.

use std::time::Duration;

/// The first and the longest wait after the service could not be reached. The longest is what a
/// person waits without asking why.
pub(crate) const SERVICE_WAITS: Waits = Waits::new(500, 30_000);

/// Waits after a group's log could not be read.
pub(crate) const LOG_WAITS: Waits = Waits::new(500, 60_000);

/// Waits after another member's Commit came first: a Commit takes tens of milliseconds, and as many
/// members may race as are online.
pub(crate) const RACE_WAITS: Waits = Waits::new(40, 5_000);

/// Waits before coming back by an external Commit, which is an epoch for everybody. The longest is
/// how often a group that can't be joined is tried.
pub(crate) const RESYNC_WAITS: Waits = Waits::new(200, 30 * 60_000);

/// How long a device that can't process a Commit waits, and up to half as long again, before it comes
/// back alone: others who can't either may say so meanwhile.
pub(crate) const TRIAL_WAIT: Duration = Duration::from_secs(2);

/// How long it waits where enough others have said so: a group that goes on is being made. Some requests
/// may get lost on the way.
pub(crate) const SUCCESSOR_WAIT: Duration = Duration::from_secs(20);

/// How long the next member leaves it to those before to make the group that goes on: a few requests,
/// and one of them may get lost.
pub(crate) const SUCCESSOR_TURN: Duration = Duration::from_secs(6);

/// Waits for a device that is being linked, while a person carries a code from one to the other.
/// Each look takes a KeyPackage of every device of the user, so there are few.
pub(crate) const LINK_WAITS: Waits = Waits::new(10_000, 60 * 60_000);

/// How long nothing more has to come before what several members want is done in one Commit: a moment for
/// those who ask one by one, and many who ask at the same time come closer together.
pub(crate) const GATHER_QUIET: Duration = Duration::from_millis(500);

/// How long wishes that were handed to this device gather at most: some thirty Commits a minute, however
/// many come and go.
pub(crate) const WISHES_GATHER: Duration = Duration::from_millis(1_700);

/// How long those who leave gather at most. Longer than wishes do: where there are some, the Commit that
/// does them lets the leavers go too.
pub(crate) const LEAVES_GATHER: Duration = Duration::from_secs(2);

/// How long a member leaves it to those before it to confirm that others leave: a Commit and its way to
/// the others, in a large group beside much else.
pub(crate) const CONFIRM_TURN: Duration = Duration::from_millis(400);

/// How long, after leavers were let go, somebody who has something to say waits before letting go of the next:
/// whoever's turn it is should have done so by then.
pub(crate) const STORM_WAIT: Duration = Duration::from_secs(3);

/// Waits until what somebody was asked to do is asked of another. A storm gathers for seconds, and its
/// Commits have a queue before them.
pub(crate) const ASK_WAITS: Waits = Waits::new(20_000, 60_000);

/// How often others are asked before this device does a thing itself: few who are online have neither the
/// right nor the time, and two minutes are what somebody waits who is not told of it.
pub(crate) const ASK_TURNS_MAX: u32 = 3;

/// The longest wait before this device removes the devices that were revoked. Every device online waits a
/// random part of it, so that most find it done already.
pub(crate) const CONFIRM_WAIT: Duration = Duration::from_secs(1);

/// The time between two receipts for one group: each is an entry of the log.
pub(crate) const RECEIPT_WAIT: Duration = Duration::from_secs(5);

/// The time between two signals that somebody types. Others show it a little longer than that.
pub(crate) const TYPING_WAIT: Duration = Duration::from_secs(3);

/// The range in which waits double, from the first to the longest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
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
    pub(crate) fn after(self, failures: u32, share: u16) -> Duration {
        let doubled = self.first_millis << failures.saturating_sub(1).min(32);
        let whole = doubled.min(self.longest_millis);
        Duration::from_millis(whole / 2 + part(whole / 2, share))
    }
}

/// The part of `whole` that `share` of 65,536 is.
pub(crate) fn part(whole: u64, share: u16) -> u64 {
    (whole * u64::from(share)) >> 16
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
}
