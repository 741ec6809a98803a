//! Clients of three implementations behind one face, which speak to each other in MLSMessages.

pub(crate) mod mls_rs;
pub(crate) mod openmls;
pub(crate) mod ours;

/// Bytes of the exported secrets that are compared.
pub(crate) const EXPORTED_BYTES: usize = 32;

/// What every client exports in every epoch, beside its authenticator.
pub(crate) const LABEL: &str = "history";

/// A client of some implementation, in at most one group.
pub(crate) trait Client {
    /// Begins a group.
    fn create(&mut self);

    /// A KeyPackage to be added with.
    fn key_package(&mut self) -> Vec<u8>;

    /// Joins by a Welcome that carries the tree.
    fn join(&mut self, welcome: &[u8]);

    /// Joins by an external Commit, and gives it.
    fn join_externally(&mut self, group_info: &[u8]) -> Vec<u8>;

    /// A GroupInfo for external joiners.
    fn group_info(&mut self) -> Vec<u8>;

    /// Commits what waits, and these, with a path; gives the Commit and perhaps a Welcome.
    fn commit(&mut self, add: Option<&[u8]>, remove: Option<u32>) -> (Vec<u8>, Option<Vec<u8>>);

    /// Goes into the epoch of its own Commit.
    fn merge(&mut self);

    /// Proposes a new key for its leaf.
    fn propose_update(&mut self) -> Vec<u8>;

    /// Proposes that a member be removed.
    fn propose_remove(&mut self, leaf: u32) -> Vec<u8>;

    /// Takes in somebody else's message; gives application data.
    fn receive(&mut self, message: &[u8]) -> Option<Vec<u8>>;

    /// Encrypts application data.
    fn encrypt(&mut self, data: &[u8]) -> Vec<u8>;

    /// Its leaf.
    fn leaf(&self) -> u32;

    /// The epoch's authenticator, and an exported secret.
    fn secrets(&self) -> (Vec<u8>, Vec<u8>);
}
