//! A load generator: real users with the real client library, each with a home, a database and a
//! connection of its own, who talk to a server at given rates and say what it was like.
//!
//! What is to happen when is decided beforehand, from a [`Plan`] alone, and does not wait for what
//! happened before (an *open loop*): a message's time runs from when it was due, not from when there was
//! a moment to send it. So a server that stands still for a second shows in all that was due in that
//! second, and not as one slow request.
//!
//! `schedule`, `roster` and `tally` are pure: what is due, who is in which group, what came of it.
//! `crowd` and `run` do it. [`run`] gives a [`Report`].

mod crowd;
mod error;
mod limits;
mod metrics;
mod plan;
mod report;
mod roster;
mod run;
mod schedule;
mod state;
mod tally;

pub use error::LoadError;
pub use plan::{Plan, PlanError};
pub use report::{Latency, Report, Times};
pub use run::{Progress, run};
