//! MLS held against the official test vectors: Conclave's own crates, and other libraries beside
//! them.
//!
//! A *vector file* is a JSON array of entries of one kind, which is told from the content. Each
//! entry is given to each *engine* asked for, and the engine's verdict is pass, fail, or skip with a
//! reason: a library whose public API doesn't reach what a vector tests skips it and says so.
//! [`check`] gives a [`Report`]; [`generate`] makes fresh entries in the same format.
//!
//! [`EngineName::client`] gives a [`Client`] of an implementation, [`EngineName::observe`] a
//! [`Follower`], so that tests and benchmarks can put implementations side by side.

mod client;
mod engine;
mod follower;
mod generate;
pub mod mls_client;
mod mls_rs_engine;
mod openmls_engine;
mod ours;
mod passive;
mod report;
mod run;
mod scripts;
mod serve;
mod vectors;

pub use client::{
    Branch, Change, Client, Committed, ExternalJoin, Form, Founded, Handshakes, Heard, PrivateKeys,
    ReInit, Unsupported,
};
pub use engine::EngineName;
pub use follower::Follower;
pub use generate::generate;
pub use report::{EngineReport, FileReport, Report};
pub use run::{check, files};
pub use scripts::{
    Assign, ENGINE_STACK_BYTES, Modes, Outcome, Performance, Plan, Player, ScriptsReport, scripts,
};
pub use serve::Listening;
