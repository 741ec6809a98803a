//! RFC 9420 that anybody may know: no secret of a group ever comes here.
//!
//! - [`wire`]: the structures as they travel.
//! - [`math`]: which node stands where.
//! - [`RatchetTree`]: the tree, its hashes, how it changes and what makes it valid.

//! - [`transcript`]: the hashes over all Commits.
//! - [`SentProposal`], [`Effects`]: which proposals go together, and what they do.
//! - [`PublicGroup`]: follows a group from Commit to Commit. [`PublicGroup::stage`] checks one and
//!   gives a [`Staged`], which is accepted or dropped.
//!
//! Every refusal is an [`Error`] that names the clause. Nothing here reads a clock, draws randomness
//! or does I/O; threads are used where the caller allows more than one, to check signatures.

mod error;
#[cfg(feature = "forge")]
pub mod forge;
mod group;
pub mod limits;
pub mod math;
mod proposals;
mod signing;
pub mod transcript;
mod tree;
pub mod wire;

pub use error::Error;
pub use group::{Draft, PublicGroup, Staged};
pub use math::{NodeIndex, TreeSize};
pub use proposals::{Committer, Effects, SentProposal};
pub use tree::{Changes, RatchetTree, same_tree, tree_hash_of};
