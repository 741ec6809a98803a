//! Group key management: OpenMLS behind an interface that is synchronous and does no I/O.
//!
//! An [`Engine`] acts for one [`Device`]. Every operation reads the committed [`State`] and gives
//! [`Effects`]: a value, and a [`WriteSet`] that the caller commits in one transaction with
//! whatever belongs to it. Writes that are dropped have not happened, so a crash at any moment
//! leaves a working group. Where the state has a place for it, groups stay [loaded](LoadedGroups)
//! between operations, and a message costs few bytes to write however large the group is.
//!
//! A Commit is made and kept as pending, submitted, and merged only when the service has accepted
//! it. All that a group's log holds goes through [`Engine::process`], in the order of the log.
//! Outside of groups, [`seal`] is for what one device of a user hands to another.

#![forbid(unsafe_code)]

mod certificates;
mod codec;
mod device;
mod engine;
mod error;
mod key_package;
mod limits;
mod loaded;
mod profile;
mod repair;
mod seal;
mod state;
mod storage;
mod turn;
mod types;
mod vetting;

pub use device::Device;
pub use engine::Engine;
pub use error::{EngineError, RuleViolation};
pub use key_package::KeyPackage;
pub use loaded::LoadedGroups;
pub use seal::{SealingKey, seal};
pub use state::{Effects, MemoryState, State, StateError, WriteSet};
pub use types::{
    Change, CreatedGroup, JoinedGroup, Member, Opening, PreparedCommit, Processed, ProposalKind,
};
