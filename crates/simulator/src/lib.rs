//! A world that can be replayed: clients and the delivery service, as they are, over a network that
//! loses, delays, doubles and reorders, with processes that crash and start again from what they had
//! made durable.
//!
//! A [`Scenario`] and a seed make a [`Plan`]: who wants what, and what goes wrong, at which moment
//! of a time that only the world moves. [`run`] plays it and a witness looks at every step: one
//! Commit an epoch, nothing acknowledged lost, no KeyPackage handed out twice, the same epoch
//! authenticator in all members of an epoch, nothing read after a removal, nothing sent twice; and
//! once the network heals, everybody in one epoch with one history. The same seed gives the same
//! order of events, apart from what depends on OpenMLS's own randomness: the bytes. [`shrink`] looks
//! for the shortest part of a plan that still goes wrong.

mod faults;
mod machine;
mod network;
mod plan;
mod planted;
mod scenario;
mod settle;
mod shrink;
mod traffic;
mod wishes;
mod witness;
mod world;

pub use plan::{Deed, Fault, Plan, Step, What};
pub use planted::Bug;
pub use scenario::{Network, Scenario, ScenarioError};
pub use shrink::shrink;
pub use witness::Violation;
pub use world::{Failure, Report, Trace, run};
