//! What a run is to be.

use std::time::Duration;

use thiserror::Error;

use crate::limits::{GROUPS_MAX, RATE_MAX, RUN_MAX, USERS_MAX};

/// What a run is to be. The same plan makes the same schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Users who are registered.
    pub users: usize,
    /// Groups that they make.
    pub groups: usize,
    /// Users in each group at the beginning.
    pub size: usize,
    /// Messages a second, over all groups.
    pub messages_per_second: f64,
    /// Joins and leaves a minute, over all groups.
    pub churn_per_minute: f64,
    /// The time over which both rates rise from nothing.
    pub ramp: Duration,
    /// The time for which they then stay.
    pub duration: Duration,
    /// What all that is left to chance follows from.
    pub seed: u64,
}

/// Why a plan is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Too few users, or too many.
    #[error("there are 2 to {USERS_MAX} users")]
    Users,
    /// No group, or too many.
    #[error("there are 1 to {GROUPS_MAX} groups")]
    Groups,
    /// A group of one, or of more than there are.
    #[error("a group has at least 2 members, and at most as many as there are users")]
    Size,
    /// A rate is none.
    #[error("a rate is a number from 0 to {RATE_MAX} a second")]
    Rate,
    /// Too long.
    #[error("a run lasts more than nothing and at most a day")]
    Duration,
}

impl Plan {
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), PlanError> {
        let is_rate = |rate: f64| (0.0..=RATE_MAX).contains(&rate);
        if !(2..=USERS_MAX).contains(&self.users) {
            return Err(PlanError::Users);
        }
        if !(1..=GROUPS_MAX).contains(&self.groups) {
            return Err(PlanError::Groups);
        }
        if !(2..=self.users).contains(&self.size) {
            return Err(PlanError::Size);
        }
        if !is_rate(self.messages_per_second) || !is_rate(self.churn_per_minute / 60.0) {
            return Err(PlanError::Rate);
        }
        let length = self.ramp.saturating_add(self.duration);
        if length.is_zero() || length > RUN_MAX {
            return Err(PlanError::Duration);
        }
        Ok(())
    }

    /// The users who found a group; the first of them makes it. Groups that follow one another begin with
    /// users who do.
    pub(crate) fn founders(&self, group: usize) -> impl Iterator<Item = usize> {
        let (users, first) = (self.users, group % self.users);
        (0..self.size).map(move |number| (first + number) % users)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plan_is_refused() {
        let plan = Plan {
            users: 5,
            groups: 2,
            size: 5,
            messages_per_second: 1.0,
            churn_per_minute: 0.0,
            ramp: Duration::ZERO,
            duration: Duration::from_secs(1),
            seed: 1,
        };
        assert_eq!(plan.check(), Ok(()));
        let with = |change: &dyn Fn(&mut Plan)| {
            let mut plan = plan.clone();
            change(&mut plan);
            plan.check()
        };
        assert_eq!(with(&|it| it.users = 1), Err(PlanError::Users));
        assert_eq!(with(&|it| it.groups = 0), Err(PlanError::Groups));
        assert_eq!(with(&|it| it.size = 6), Err(PlanError::Size));
        assert_eq!(with(&|it| it.size = 1), Err(PlanError::Size));
        for rate in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(with(&|it| it.churn_per_minute = rate), Err(PlanError::Rate));
            assert_eq!(
                with(&|it| it.messages_per_second = rate),
                Err(PlanError::Rate)
            );
        }
        assert_eq!(
            with(&|it| it.duration = Duration::ZERO),
            Err(PlanError::Duration)
        );
        assert_eq!(with(&|it| it.ramp = RUN_MAX), Err(PlanError::Duration));
    }
}
