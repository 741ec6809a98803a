//! Implementations at work, each as an application would use it: with its own storage, which is
//! written after every step, as whoever must survive a crash has to.
//!
//! - *Conclave*: the engine of Conclave's clients (OpenMLS on AWS-LC, own storage), state in memory.
//! - *OpenMLS*: OpenMLS as it comes, on RustCrypto and its memory storage (JSON).
//! - *mls-rs*: mls-rs on AWS-LC, and on RustCrypto, state in its memory storage after each step.

mod mls_rs;
mod openmls;
mod ours;

use anyhow::bail;
use conclave_mls_public::wire::{MlsMessage, decode, encode};

/// What is said in the messages that are measured, in bytes.
pub const MESSAGE_BYTES: usize = 256;

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

/// An implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The engine of Conclave's clients.
    Conclave,
    /// OpenMLS as it comes.
    Openmls,
    /// mls-rs on AWS-LC.
    MlsRs,
    /// mls-rs on RustCrypto.
    MlsRsRustCrypto,
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Conclave,
        Self::Openmls,
        Self::MlsRs,
        Self::MlsRsRustCrypto,
    ];

    /// What it is called in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Conclave => "Conclave",
            Self::Openmls => "OpenMLS, RustCrypto",
            Self::MlsRs => "mls-rs, AWS-LC",
            Self::MlsRsRustCrypto => "mls-rs, RustCrypto",
        }
    }

    /// A device with keys of its own; each number is another user.
    ///
    /// # Errors
    /// Without randomness.
    pub fn device(self, number: u32) -> anyhow::Result<Box<dyn Device>> {
        match self {
            Self::Conclave => ours::device(number),
            Self::Openmls => openmls::device(number),
            Self::MlsRs => mls_rs::on_aws_lc(number),
            Self::MlsRsRustCrypto => mls_rs::on_rustcrypto(number),
        }
    }
}

/// The bytes of a Welcome for one of those who join: what all share, and the own secrets.
fn slice_of(welcome: &[u8]) -> anyhow::Result<usize> {
    let MlsMessage::Welcome(mut welcome) = decode(welcome)? else {
        bail!("no Welcome")
    };
    welcome.secrets.truncate(1);
    Ok(encode(&MlsMessage::Welcome(welcome))?.len())
}
