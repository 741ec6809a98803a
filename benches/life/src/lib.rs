//! The life of a group, which the report has every implementation of MLS lead, and what is measured of it.
//!
//! A [`Device`] is somebody of an implementation, as an application would use it; [`openmls`] has OpenMLS's, on
//! any storage. A [`Peer`] makes devices, a [`Group`] takes them through a life and notes a [`Row`] for each thing
//! that they do. This is a crate of its own since two programs have such lives: the report, and the one beside
//! it that links another SQLite than Conclave does.

mod life;
mod measure;
pub mod openmls;
mod welcome;

pub use life::{DEEDS, Group, Life, RECEIVE, SEND};
pub use measure::{Row, Time, timed};
pub use welcome::slice_of;

/// What is said in the messages that are measured, in bytes.
pub const MESSAGE_BYTES: usize = 256;

/// Messages that one writes before the next one does: who has just begun finds nothing of its own in the
/// processor's caches.
pub const MESSAGES_PER_BURST: usize = 20;

/// The group that everybody is in.
pub const GROUP: &[u8] = b"a group of many";

/// Of what the bytes are that are allocated at present.
pub type Allocated = fn() -> usize;

/// An implementation, on some cryptography and some storage.
pub trait Peer {
    /// What it is called in tables.
    fn name(&self) -> &'static str;

    /// A device with keys of its own; each number is another user.
    ///
    /// # Errors
    /// Without randomness.
    fn device(&self, number: u32) -> anyhow::Result<Box<dyn Device>>;

    /// A KeyPackage of somebody who is added and never takes part.
    ///
    /// # Errors
    /// Without randomness.
    fn stranger(&self, number: u32) -> anyhow::Result<Vec<u8>> {
        self.device(number)?.key_package()
    }
}

/// A device of some implementation, in one group at most.
pub trait Device {
    /// A KeyPackage to be added with: an MLSMessage.
    ///
    /// # Errors
    /// Those of the implementation, as everywhere here.
    fn key_package(&mut self) -> anyhow::Result<Vec<u8>>;

    /// Makes a group and adds these in as few Commits as the implementation does well.
    ///
    /// # Errors
    /// Those of the implementation.
    fn create(&mut self, packages: Vec<Vec<u8>>) -> anyhow::Result<Invitation>;

    /// Adds one more.
    ///
    /// # Errors
    /// Those of the implementation.
    fn add(&mut self, package: &[u8]) -> anyhow::Result<Invitation>;

    /// Removes whom it added last, at this leaf: the Commit.
    ///
    /// # Errors
    /// Those of the implementation.
    fn remove_last(&mut self, leaf: u32) -> anyhow::Result<Vec<u8>>;

    /// Renews its own keys: the Commit.
    ///
    /// # Errors
    /// Those of the implementation.
    fn update(&mut self) -> anyhow::Result<Vec<u8>>;

    /// Joins.
    ///
    /// # Errors
    /// Those of the implementation.
    fn join(&mut self, invitation: &Invitation) -> anyhow::Result<()>;

    /// Encrypts a message.
    ///
    /// # Errors
    /// Those of the implementation.
    fn send(&mut self, content: &[u8]) -> anyhow::Result<Vec<u8>>;

    /// Takes in what another one sent or committed.
    ///
    /// # Errors
    /// Those of the implementation.
    fn receive(&mut self, message: &[u8]) -> anyhow::Result<()>;

    /// Brings the group from its storage into memory, as after a start.
    ///
    /// # Errors
    /// Those of the implementation.
    fn load(&mut self) -> anyhow::Result<()>;

    /// How many bytes were handed to the storage since this was asked last.
    fn written(&mut self) -> u64;

    /// Whether they are counted; otherwise two states of the storage are compared, which takes long, and what was
    /// written twice in between counts once.
    fn counts_writes(&self) -> bool {
        true
    }
}

/// What those who are added need, and what the others get.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The last Commit.
    pub commit: Vec<u8>,
    /// The last Welcome, for all whom the last Commit added.
    pub welcome: Vec<u8>,
    /// The tree, which goes to whoever joins beside the Welcome.
    pub tree: Vec<u8>,
    /// The bytes of all Welcomes.
    pub welcome_bytes: usize,
    /// The bytes of all Commits.
    pub commit_bytes: usize,
    /// What one of those who join has to get of the Welcome, at most.
    pub slice_bytes: usize,
}
