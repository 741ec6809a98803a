//! RFC 9420 that anybody may know: no secret of a group ever comes here.
//!
//! - [`wire`]: the structures as they travel.
//! - [`math`]: which node stands where.
//! - [`RatchetTree`]: the tree, its hashes, how it changes and what makes it valid.

mod error;
pub mod limits;
pub mod math;
mod tree;
pub mod wire;

pub use error::Error;
pub use tree::{Changes, RatchetTree, same_tree, tree_hash_of};
