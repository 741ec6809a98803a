//! Followers of three implementations behind one face: they know a group's public state only.

mod mls_rs;
mod openmls;
mod ours;

use crate::engine::EngineName;

/// Somebody who is no member and follows a group from Commit to Commit. Messages are encoded
/// MLSMessages; what is refused leaves the follower as it was.
pub trait Follower {
    /// Judges a Proposal or Commit without taking it in.
    ///
    /// # Errors
    /// What the implementation finds wrong.
    fn check(&mut self, message: &[u8]) -> anyhow::Result<()>;

    /// Takes a Proposal or Commit in.
    ///
    /// # Errors
    /// What the implementation finds wrong.
    fn follow(&mut self, message: &[u8]) -> anyhow::Result<()>;

    /// The hash of the epoch's ratchet tree.
    fn tree_hash(&self) -> Vec<u8>;

    /// The epoch's confirmed transcript hash.
    fn transcript_hash(&self) -> Vec<u8>;
}

impl EngineName {
    /// Begins to follow, as strictly as somebody who joins. `info` is an MLSMessage with a GroupInfo,
    /// `tree` the encoded ratchet tree.
    ///
    /// # Errors
    /// If the implementation refuses them.
    pub fn observe(self, info: &[u8], tree: &[u8]) -> anyhow::Result<Box<dyn Follower>> {
        match self {
            Self::Ours => ours::observe(info, tree),
            Self::Openmls => openmls::observe(info, tree),
            Self::MlsRs => mls_rs::observe(info, tree),
        }
    }
}
