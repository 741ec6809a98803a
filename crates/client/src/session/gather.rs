//! Doing in one Commit what many want at about the same time.
//!
//! Two things gather: who leaves, which every member reads in the log and any may confirm, and what members
//! hand to this device because it is online. Both wait until nothing more has come for a moment, and a few
//! seconds at most; those few seconds in any case where the last time is not long ago.
//!
//! Of those who could confirm that others leave, each knows how many come before it in this epoch
//! ([`turn`](conclave_engine::Engine::turn)). The first does it at once; where it is away, the second does
//! after a turn, two more after another, then four: so few do it at the same moment whether all are there
//! or one of ten thousand is, and nobody waits for more than fourteen turns.

use std::time::Duration;

use conclave_protocol::{GroupId, UnixMillis};

use super::{
    Session,
    pace::{Due, Progress},
};
use crate::{
    ClientError,
    intent::Intent,
    local::Tx,
    waits::{CONFIRM_TURN, GATHER_QUIET, STORM_WAIT, part},
};

/// Something of which more may come, and what is known of it here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gathering {
    /// Whether it has to be looked up that there is something.
    unknown: Due,
    /// When the first came, and the last.
    window: Option<(UnixMillis, UnixMillis)>,
    /// How long the first waits at most.
    most: Duration,
    /// Until when it counts as a storm: something was done not long before.
    storm_until: UnixMillis,
    /// Whether the window was opened in a storm, so that a quiet moment does not close it.
    is_storm: bool,
}

impl Gathering {
    pub(super) fn new(most: Duration) -> Self {
        Self {
            unknown: Due::NOW,
            window: None,
            most,
            storm_until: UnixMillis(0),
            is_storm: false,
        }
    }

    pub(super) fn look_again(&mut self) {
        self.unknown.set();
    }

    /// Something has come.
    pub(super) fn more(&mut self, now: UnixMillis) {
        if self.window.is_none() {
            self.is_storm = now < self.storm_until;
        }
        let (first, _) = self.window.unwrap_or((now, now));
        self.window = Some((first, now));
    }

    /// When it is to be done; `None` where there is nothing, as far as is known.
    pub(super) fn closes_at(&self) -> Option<UnixMillis> {
        let (first, last) = self.window?;
        let quiet = last.after(GATHER_QUIET);
        let latest = first.after(self.most);
        Some(if self.is_storm {
            latest
        } else {
            latest.min(quiet)
        })
    }

    fn is_closed(&self, now: UnixMillis) -> bool {
        self.closes_at().is_some_and(|at| at <= now)
    }

    /// It is done, by whomever.
    fn done(&mut self, now: UnixMillis) {
        if self.window.take().is_some() {
            self.storm_until = now.after(STORM_WAIT);
        }
    }

    /// There was nothing.
    fn clear(&mut self) {
        self.window = None;
    }

    /// Looks whether there is something, where that is not known.
    fn find_out(
        &mut self,
        now: UnixMillis,
        is_any: impl FnOnce() -> Result<bool, ClientError>,
    ) -> Result<(), ClientError> {
        if self.unknown.is_due() {
            self.unknown.ask();
            self.unknown.done();
            if self.window.is_none() && is_any()? {
                self.more(now);
            }
        }
        Ok(())
    }
}

impl Session {
    /// Does what members have handed to this device, once all of it has come.
    pub(super) fn do_wishes(&mut self, id: GroupId, now: UnixMillis) -> Result<(), ClientError> {
        let (groups, local) = (&mut self.groups, &mut self.local);
        let Some(progress) = groups.get_mut(&id) else {
            return Ok(());
        };
        let has_wishes = || local.read(|tx| tx.has_wishes(id));
        progress.wishes.find_out(now, has_wishes)?;
        if progress.wishes.is_closed(now) {
            local.write(|tx| tx.do_wishes(id))?;
            progress.wishes.done(now);
            progress.outbox.set();
        }
        Ok(())
    }

    /// Confirms that others leave, once all who do have said so and it is this device's turn.
    pub(super) fn confirm_leaves(
        &mut self,
        id: GroupId,
        now: UnixMillis,
    ) -> Result<(), ClientError> {
        let share = self.share();
        let (groups, local) = (&mut self.groups, &mut self.local);
        let Some(progress) = groups.get_mut(&id) else {
            return Ok(());
        };
        let has_leaves = |tx: &Tx<'_>| match tx.group(id)? {
            Some(group) => tx.has_leaves(&group),
            None => Ok(false),
        };
        progress.leaves.find_out(now, || local.read(has_leaves))?;
        if !progress.leaves.is_closed(now) {
            return Ok(());
        }
        let Some(at) = progress.confirm_at else {
            match local.read(|tx| tx.turn_to_confirm(id))? {
                Some(rank) => progress.confirm_at = Some(now.after(wait_for_turn(rank, share))),
                None => progress.leaves.clear(),
            }
            return if progress.confirm_at == Some(now) {
                self.confirm_leaves(id, now)
            } else {
                Ok(())
            };
        };
        if now < at {
            return Ok(());
        }
        local.write(|tx| match tx.is_queued(id, &Intent::Confirm)? {
            true => Ok(()),
            false => tx.enqueue_first(id, &Intent::Confirm),
        })?;
        progress.leaves.clear();
        progress.confirm_at = None;
        progress.outbox.set();
        Ok(())
    }

    /// Whether who has something to say here leaves it to others to let leavers go: while many leave, each
    /// message would otherwise bring a Commit.
    pub(super) fn lets_others_go_first(
        &mut self,
        id: GroupId,
        now: UnixMillis,
    ) -> Result<bool, ClientError> {
        let Some(progress) = self.groups.get_mut(&id) else {
            return Ok(false);
        };
        let waits =
            now < progress.waits_for_others() && self.local.read(|tx| tx.is_about_to_speak(id))?;
        if !waits {
            progress.waits_since = None;
        } else if progress.waits_since.is_none() {
            progress.waits_since = Some(now);
        }
        Ok(waits)
    }
}

impl Progress {
    /// A Commit was read: whoever had said that they leave are gone.
    pub(super) fn leavers_are_gone(&mut self, now: UnixMillis) {
        self.leaves.done(now);
        self.leaves.look_again();
        self.asking.look_again();
        self.confirm_at = None;
    }

    /// Until when what is to be said waits for somebody else's Commit.
    pub(super) fn waits_for_others(&self) -> UnixMillis {
        match self.leaves.closes_at() {
            // Not again and again: others may leave as often as some are gone.
            Some(_) => match self.waits_since {
                Some(since) => self.leaves.storm_until.min(since.after(STORM_WAIT)),
                None => self.leaves.storm_until,
            },
            None => UnixMillis(0),
        }
    }
}

/// How long a member waits who has so many before it: none has no wait, and then each twice as many one turn
/// more, of which `share` picks a part.
fn wait_for_turn(rank: u32, share: u16) -> Duration {
    let turns = u32::BITS - rank.leading_zeros();
    let turn = u64::try_from(CONFIRM_TURN.as_millis()).unwrap_or(u64::MAX);
    match turns {
        0 => Duration::ZERO,
        turns => CONFIRM_TURN * turns + Duration::from_millis(part(turn, share)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::waits::LEAVES_GATHER;

    #[test]
    fn the_first_waits_for_nobody_and_the_last_of_ten_thousand_for_seconds() {
        assert_eq!(wait_for_turn(0, u16::MAX), Duration::ZERO);
        assert_eq!(wait_for_turn(1, 0), CONFIRM_TURN);
        assert!(wait_for_turn(9_999, u16::MAX) <= CONFIRM_TURN * 15);
        for rank in 1..10_000 {
            assert!(wait_for_turn(rank, 0) <= wait_for_turn(rank + 1, 0));
        }
    }

    proptest! {
        /// However they come, all that come in one window are done within its bounds, and no window is shorter
        /// than the quiet after the last.
        #[test]
        fn a_window_closes_after_a_quiet_moment_and_at_the_latest_after_its_bound(
            gaps in proptest::collection::vec(0..1_000_u64, 1..100),
        ) {
            let (mut gathering, mut now) = (Gathering::new(LEAVES_GATHER), UnixMillis(1_000_000));
            let mut first = now;
            for gap in gaps {
                if gathering.is_closed(now) {
                    gathering.done(now);
                }
                if gathering.closes_at().is_none() {
                    first = now;
                }
                gathering.more(now);
                let closes = gathering.closes_at().unwrap();
                prop_assert!(closes <= first.after(LEAVES_GATHER));
                let quiet = now.after(GATHER_QUIET);
                prop_assert!(closes == first.after(LEAVES_GATHER) || !gathering.is_storm && closes == quiet);
                now = now.after(Duration::from_millis(gap));
            }
        }
    }
}
