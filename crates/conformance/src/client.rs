//! Clients of three implementations behind one face, which speak to each other in MLSMessages.

pub(crate) mod identity;
mod mls_rs;
mod openmls;
mod ours;
mod outside;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

use std::any::Any;

use conclave_crypto::CipherSuite;

pub(crate) use outside::{Outsider, leaf_in_tree, leaf_named, suite_of};

use crate::{engine::EngineName, vectors::shapes};
use identity::Names;

/// A client of some implementation, in at most one group. Messages are encoded MLSMessages, trees encoded
/// `ratchet_tree` extensions. An error leaves the client in the epoch in which it was; it is
/// [`Unsupported`] where the implementation's public API does not reach what is asked for.
pub trait Client: Send {
    /// Says how Proposals and Commits are sent from now on; at first they are public.
    ///
    /// # Errors
    /// What the implementation gives; so for all that follow.
    fn set_handshakes(&mut self, handshakes: Handshakes) -> anyhow::Result<()>;

    /// Begins a group.
    ///
    /// # Errors
    /// As said above.
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

    /// The private keys of the KeyPackage that was made last.
    ///
    /// # Errors
    /// If none was made.
    fn private_keys(&self) -> anyhow::Result<PrivateKeys>;

    /// Joins by a Welcome; `tree` is for one that does not carry it.
    ///
    /// # Errors
    /// If the Welcome is refused.
    fn join(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> anyhow::Result<()>;

    /// Joins by an external Commit, and gives it.
    ///
    /// # Errors
    /// If the GroupInfo is refused.
    fn join_externally(&mut self, group_info: &[u8], how: &ExternalJoin)
    -> anyhow::Result<Vec<u8>>;

    /// A proposal that this client be added to the group, as it makes one who is no member.
    ///
    /// # Errors
    /// If the GroupInfo is refused.
    fn propose_joining(&mut self, group_info: &[u8]) -> anyhow::Result<Vec<u8>>;

    /// A GroupInfo for external joiners.
    ///
    /// # Errors
    /// Outside of a group; so for all that follow.
    fn group_info(&mut self, with_tree: bool) -> anyhow::Result<Vec<u8>>;

    /// The ratchet tree.
    ///
    /// # Errors
    /// As said above.
    fn tree(&self) -> anyhow::Result<Vec<u8>>;

    /// The GroupContext's extensions, encoded.
    ///
    /// # Errors
    /// As said above.
    fn extensions(&self) -> anyhow::Result<Vec<u8>>;

    /// Proposes a change, which then waits for a Commit.
    ///
    /// # Errors
    /// If it is not valid.
    fn propose(&mut self, change: &Change) -> anyhow::Result<Vec<u8>>;

    /// Commits what waits, and these changes by value. The client stays in its epoch until it is told to
    /// [`merge`](Self::merge).
    ///
    /// # Errors
    /// If the changes are not valid, or not together.
    fn commit_as(&mut self, changes: &[Change], form: Form) -> anyhow::Result<Committed>;

    /// As [`commit_as`](Self::commit_as), with a path and the tree.
    ///
    /// # Errors
    /// As there.
    fn commit(&mut self, changes: &[Change]) -> anyhow::Result<Committed> {
        self.commit_as(changes, Form::default())
    }

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

    /// Once a ReInit was committed: a KeyPackage for the group that follows.
    ///
    /// # Errors
    /// If none was.
    fn prepare_successor(&mut self) -> anyhow::Result<Vec<u8>>;

    /// Begins the group that follows a ReInit with these KeyPackages, and goes there.
    ///
    /// # Errors
    /// If no ReInit was committed, or a package is not valid.
    fn begin_successor(&mut self, packages: &[Vec<u8>], form: Form) -> anyhow::Result<Founded>;

    /// Joins the group that follows a ReInit.
    ///
    /// # Errors
    /// If it is not the one that was agreed on.
    fn join_successor(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> anyhow::Result<()>;

    /// Begins a subgroup of its group, and gives its client there.
    ///
    /// # Errors
    /// If a KeyPackage is not of a member, or not valid.
    fn branch(&mut self, branch: &Branch) -> anyhow::Result<(Box<dyn Client>, Founded)>;

    /// Joins a subgroup of its group with a KeyPackage of `invitee`, which is of the same implementation
    /// and name; gives its client there.
    ///
    /// # Errors
    /// If it is no subgroup of this client's group.
    fn join_branch(
        &mut self,
        invitee: Box<dyn Client>,
        welcome: &[u8],
        tree: Option<&[u8]>,
    ) -> anyhow::Result<Box<dyn Client>>;

    /// For an implementation to know its own clients by.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// What the implementation's public API does not reach, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsupported(pub &'static str);

/// How Proposals and Commits travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Handshakes {
    /// In PublicMessages.
    #[default]
    Public,
    /// In PrivateMessages.
    Private,
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
    /// End the group, to begin it anew.
    ReInit(ReInit),
}

/// What a group is to be begun anew with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReInit {
    /// The new group's id.
    pub group_id: Vec<u8>,
    /// Its suite.
    pub suite: u16,
    /// Its GroupContext's extensions, encoded.
    pub extensions: Vec<u8>,
}

/// A subgroup to be.
#[derive(Debug, Clone)]
pub struct Branch {
    /// Its id.
    pub group_id: Vec<u8>,
    /// Its GroupContext's extensions, encoded.
    pub extensions: Vec<u8>,
    /// KeyPackages of its other members.
    pub packages: Vec<Vec<u8>>,
    /// How its first Commit looks.
    pub form: Form,
}

/// How somebody joins from outside.
#[derive(Debug, Clone, Default)]
pub struct ExternalJoin {
    /// The tree, for a GroupInfo that does not carry it.
    pub tree: Option<Vec<u8>>,
    /// Whether it takes the place of an older leaf of the same name.
    pub remove_prior: bool,
    /// Names of pre-shared keys to mix in, which it has [stored](Client::store_psk).
    pub psks: Vec<Vec<u8>>,
}

/// What a Commit has beside its proposals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Whether it has a path also where its proposals ask for none.
    pub path: bool,
    /// Whether the Welcome carries the tree.
    pub tree: bool,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            path: true,
            tree: true,
        }
    }
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
    /// For those who were added, if any.
    pub welcome: Option<Vec<u8>>,
    /// The tree of the new epoch, if the Welcome was not to carry it.
    pub tree: Option<Vec<u8>>,
}

/// What the others need to join a new group.
#[derive(Debug, Clone)]
pub struct Founded {
    /// The invitation, if there are others.
    pub welcome: Option<Vec<u8>>,
    /// The tree, if the Welcome was not to carry it.
    pub tree: Option<Vec<u8>>,
}

/// A KeyPackage's private keys, as the official vectors write them.
#[derive(Clone)]
pub struct PrivateKeys {
    /// To the init key.
    pub init: Vec<u8>,
    /// To the leaf's encryption key.
    pub encryption: Vec<u8>,
    /// To the leaf's signature key.
    pub signature: Vec<u8>,
}

impl EngineName {
    /// A new client of this implementation, with fresh keys.
    ///
    /// # Errors
    /// If the implementation lacks the suite.
    pub fn client(self, name: &str, suite: u16) -> anyhow::Result<Box<dyn Client>> {
        self.client_of(&Names::default(), name.as_bytes(), suite)
    }

    /// A new client with the signature key that its name has among these.
    pub(crate) fn client_of(
        self,
        names: &Names,
        name: &[u8],
        suite: u16,
    ) -> anyhow::Result<Box<dyn Client>> {
        let identity = names.identity(CipherSuite::try_from(suite)?, name)?;
        match self {
            Self::Ours => Ok(ours::client(identity, names)),
            Self::Openmls => openmls::client(&identity),
            Self::MlsRs => mls_rs::client(identity, names),
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
