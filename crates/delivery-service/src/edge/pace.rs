//! How fast a client has to give or take what is long: it may take its time, and must get on.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{IDLE_TIMEOUT, TRANSFER_BYTES_PER_SECOND_MIN};

/// How a transfer goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    began: Instant,
    moved: Instant,
    bytes: u64,
}

impl Pace {
    /// A transfer that begins.
    pub(crate) fn starting(now: Instant) -> Self {
        Self {
            began: now,
            moved: now,
            bytes: 0,
        }
    }

    /// More of it has come or gone.
    pub(crate) fn moved(&mut self, bytes: usize, now: Instant) {
        self.moved = now;
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// When it is given up unless more of it has come or gone: after a while of nothing, or where
    /// it is behind the slowest speed by that much.
    pub(crate) fn deadline(&self) -> Instant {
        let earned = Duration::from_secs(self.bytes / TRANSFER_BYTES_PER_SECOND_MIN);
        (self.began + earned).min(self.moved) + IDLE_TIMEOUT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_transfer_ends_well_and_one_that_stalls_or_trickles_does_not() {
        let began = Instant::now();
        let rate = usize::try_from(TRANSFER_BYTES_PER_SECOND_MIN).unwrap();
        let second = Duration::from_secs(1);
        let lasts = |bytes: usize, every: Duration| {
            let mut pace = Pace::starting(began);
            let steps = (1..1000).take_while(|step| {
                let now = began + every * *step;
                let is_in_time = now <= pace.deadline();
                pace.moved(bytes, now);
                is_in_time
            });
            steps.count()
        };
        assert_eq!(lasts(rate, second), 999, "as slow as may be");
        assert_eq!(lasts(50 * rate, 50 * second), 999);
        assert_eq!(lasts(999 * rate, 61 * second), 0, "it stalls");
        assert_eq!(lasts(1, second), 60, "it trickles");
        assert!(
            (100..200).contains(&lasts(rate / 2, second)),
            "half as fast"
        );
    }
}
