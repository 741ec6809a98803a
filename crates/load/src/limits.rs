//! The load generator's bounds, each with its reason.

use std::time::Duration;

/// Users of one run. Each is a database, a connection and some tasks: more come from more machines.
pub(crate) const USERS_MAX: usize = 20_000;

/// Groups of one run; one person is in several.
pub(crate) const GROUPS_MAX: usize = 20_000;

/// The highest rate of messages or changes a second: beyond it, the scheduler itself would be measured.
pub(crate) const RATE_MAX: f64 = 100_000.0;

/// The longest run, with its ramp: a day, so that a run that was forgotten ends.
pub(crate) const RUN_MAX: Duration = Duration::from_hours(24);

/// Deeds that wait for an answer at one moment. What is due beyond that is not begun, and counted as an
/// error: the memory of a run against a server that answers nothing is bounded.
pub(crate) const WAITING_MAX: usize = 10_000;

/// Devices that register, and groups that are made, at the same moment.
pub(crate) const SETTING_UP_AT_ONCE: usize = 8;

/// How long nobody may get on while groups are made: a join of 10,000 takes seconds.
pub(crate) const SETTING_UP_PATIENCE: Duration = Duration::from_secs(120);

/// How often a registration is tried again because the server asks to come back later.
pub(crate) const REGISTRATIONS_MAX: usize = 1000;

/// After what time a member asks again for somebody who has not come in: some Commits of a busy group.
pub(crate) const ASK_AGAIN: Duration = Duration::from_secs(10);

/// How often a member asks for one join.
pub(crate) const ASKS_MAX: usize = 3;

/// How long is waited at the end for what is still on its way.
pub(crate) const SETTLE: Duration = Duration::from_secs(30);

/// How often those who watch are told.
pub(crate) const TELL: Duration = Duration::from_millis(500);

/// What is waited before a device whose following failed follows again.
pub(crate) const FOLLOW_AGAIN: Duration = Duration::from_millis(500);

/// How long the server has to answer for its metrics.
pub(crate) const METRICS_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest answer with metrics.
pub(crate) const METRICS_BYTES_MAX: u64 = 4 << 20;
