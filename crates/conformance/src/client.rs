//! Clients of three implementations behind one face, which speak to each other in MLSMessages.

pub(crate) mod identity;
mod mls_rs;
mod openmls;
mod ours;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

use crate::{engine::EngineName, vectors::shapes};

/// A client of some implementation, in at most one group. Messages are encoded MLSMessages, and an
/// error leaves the client in the epoch in which it was.
pub trait Client {
    /// Begins a group.
    ///
    /// # Errors
    /// What the implementation gives; so for all that follow.
    fn create(&mut self, group_id: &[u8]) -> anyhow::Result<()>;

    /// Learns a pre-shared key, now or before it is in a group.
    ///
    /// # Errors
    /// As said above.
    fn store_psk(&mut self, name: &[u8], secret: &[u8]) -> anyhow::Result<()>;

    /// A KeyPackage to be added with.
    ///
    /// # Errors
    /// As said above.
    fn key_package(&mut self) -> anyhow::Result<Vec<u8>>;

    /// Joins by a Welcome. `tree` is the encoded ratchet tree, if the Welcome does not carry it.
    ///
    /// # Errors
    /// If the Welcome is refused.
    fn join(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> anyhow::Result<()>;

    /// Joins by an external Commit, and gives it; with `remove_prior` it takes the place of the leaf
    /// that this client has.
    ///
    /// # Errors
    /// If the GroupInfo is refused.
    fn join_externally(&mut self, group_info: &[u8], remove_prior: bool)
    -> anyhow::Result<Vec<u8>>;

    /// A GroupInfo for external joiners, with the tree.
    ///
    /// # Errors
    /// Outside of a group; so for all that follow.
    fn group_info(&mut self) -> anyhow::Result<Vec<u8>>;

    /// Proposes a change, which then waits for a Commit.
    ///
    /// # Errors
    /// If it is not valid.
    fn propose(&mut self, change: &Change) -> anyhow::Result<Vec<u8>>;

    /// Commits what waits, and these changes by value, with a path. The client stays in its epoch until
    /// it is told to [`merge`](Self::merge).
    ///
    /// # Errors
    /// If the changes are not valid, or not together.
    fn commit(&mut self, changes: &[Change]) -> anyhow::Result<Committed>;

    /// Goes into the epoch of its own Commit.
    ///
    /// # Errors
    /// If it has made none.
    fn merge(&mut self) -> anyhow::Result<()>;

    /// Takes in somebody else's message; gives application data.
    ///
    /// # Errors
    /// If the message is refused.
    fn receive(&mut self, message: &[u8]) -> anyhow::Result<Option<Heard>>;

    /// Encrypts application data, beside which `authenticated_data` travels in clear.
    ///
    /// # Errors
    /// While proposals wait.
    fn encrypt(&mut self, data: &[u8], authenticated_data: &[u8]) -> anyhow::Result<Vec<u8>>;

    /// Its leaf.
    ///
    /// # Errors
    /// Outside of a group.
    fn leaf(&self) -> anyhow::Result<u32>;

    /// The epoch's authenticator.
    ///
    /// # Errors
    /// Outside of a group.
    fn epoch_authenticator(&self) -> anyhow::Result<Vec<u8>>;

    /// A secret exported from the epoch, of `len` bytes.
    ///
    /// # Errors
    /// If it is too long.
    fn export(&self, label: &str, context: &[u8], len: usize) -> anyhow::Result<Vec<u8>>;
}

/// What a member may want done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Add the client of this KeyPackage.
    Add(Vec<u8>),
    /// Remove the member at this leaf.
    Remove(u32),
    /// Renew the sender's leaf. Not by value: a Commit's path does it.
    Update,
    /// Mix in the pre-shared key of this name, which all members have [stored](Client::store_psk).
    ExternalPsk(Vec<u8>),
    /// Mix in the resumption key of this epoch of the group.
    ResumptionPsk(u64),
    /// Replace the GroupContext's extensions by this encoded list.
    Extensions(Vec<u8>),
}

/// Application data, and what travelled beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// What was encrypted.
    pub data: Vec<u8>,
    /// What was not.
    pub authenticated_data: Vec<u8>,
}

/// What a Commit consists of.
#[derive(Debug, Clone)]
pub struct Committed {
    /// For the members.
    pub commit: Vec<u8>,
    /// For those who were added, if any; it carries the tree.
    pub welcome: Option<Vec<u8>>,
}

impl EngineName {
    /// A new client of this implementation, with fresh keys.
    ///
    /// # Errors
    /// If the implementation lacks the suite.
    pub fn client(self, name: &str, suite: u16) -> anyhow::Result<Box<dyn Client>> {
        match self {
            Self::Ours => ours::client(name, suite),
            Self::Openmls => openmls::client(name, suite),
            Self::MlsRs => mls_rs::client(name, suite),
        }
    }

    /// The client whose keys a vector gives.
    pub(crate) fn passive(self, vector: &shapes::PassiveClient) -> anyhow::Result<Box<dyn Client>> {
        match self {
            Self::Ours => ours::passive(vector),
            Self::Openmls => openmls::passive(vector),
            Self::MlsRs => mls_rs::passive(vector),
        }
    }
}
