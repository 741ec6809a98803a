//! The operations.

use conclave_crypto::Crypto;
use conclave_protocol::{Epoch, GroupId, UnixMillis};

use crate::{
    Change, CreatedGroup, Device, Effects, EngineError, JoinedGroup, Member, PreparedCommit,
    Processed, State,
};

const NOT_BUILT: EngineError = EngineError::Internal("not built yet");

/// Group key management for one device.
///
/// It keeps no group in memory: each operation reads what it needs from the [`State`] it is given.
pub struct Engine {
    device: Device,
    crypto: Crypto,
}

impl Engine {
    /// An engine that acts for `device`.
    #[must_use]
    pub fn new(device: Device) -> Self {
        Self {
            device,
            crypto: Crypto::default(),
        }
    }

    /// The device it acts for.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Makes KeyPackages to publish, each as an MLSMessage; their secrets are in the writes.
    ///
    /// # Errors
    /// [`EngineError::TooLarge`] for more than
    /// [`KEY_PACKAGES_MAX`](conclave_protocol::limits::KEY_PACKAGES_MAX).
    pub fn key_packages(
        &self,
        state: &dyn State,
        count: usize,
        now: UnixMillis,
    ) -> Result<Effects<Vec<Vec<u8>>>, EngineError> {
        let _ = (state, count, now, &self.crypto);
        Err(NOT_BUILT)
    }

    /// Makes a KeyPackage that may be used more than once, for when all others are taken
    /// (RFC 9420 §16.8).
    ///
    /// # Errors
    /// Those of the state.
    pub fn last_resort_key_package(
        &self,
        state: &dyn State,
        now: UnixMillis,
    ) -> Result<Effects<Vec<u8>>, EngineError> {
        let _ = (state, now);
        Err(NOT_BUILT)
    }

    /// Creates a group with this device alone in it, in epoch 0.
    ///
    /// # Errors
    /// [`EngineError::GroupExists`].
    pub fn create_group(
        &self,
        state: &dyn State,
        group: GroupId,
        now: UnixMillis,
    ) -> Result<Effects<CreatedGroup>, EngineError> {
        let _ = (state, group, now);
        Err(NOT_BUILT)
    }

    /// Joins a group from a Welcome, with the tree of the epoch that the Welcome is for.
    ///
    /// A group of the same id from which this device was removed is replaced.
    ///
    /// # Errors
    /// [`EngineError::GroupExists`], [`NotForThisDevice`](EngineError::NotForThisDevice), and
    /// whatever is wrong with the Welcome, the tree or the group's rules.
    pub fn join(
        &self,
        state: &dyn State,
        welcome: &[u8],
        ratchet_tree: &[u8],
    ) -> Result<Effects<JoinedGroup>, EngineError> {
        let _ = (state, welcome, ratchet_tree);
        Err(NOT_BUILT)
    }

    /// Makes a Commit and keeps it as pending; Proposals that wait are committed by it too.
    ///
    /// # Errors
    /// [`EngineError::PendingCommit`], [`Leaving`](EngineError::Leaving),
    /// [`AlreadyMember`](EngineError::AlreadyMember), [`NotAMember`](EngineError::NotAMember),
    /// [`RemovesSelf`](EngineError::RemovesSelf), [`TooLarge`](EngineError::TooLarge).
    pub fn commit(
        &self,
        state: &dyn State,
        group: GroupId,
        change: Change,
        now: UnixMillis,
    ) -> Result<Effects<PreparedCommit>, EngineError> {
        let _ = (state, group, change, now);
        Err(NOT_BUILT)
    }

    /// Whether a Commit of this device is pending.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn has_pending_commit(
        &self,
        state: &dyn State,
        group: GroupId,
    ) -> Result<bool, EngineError> {
        let _ = (state, group);
        Err(NOT_BUILT)
    }

    /// Moves to the epoch that the pending Commit starts; gives that epoch.
    ///
    /// # Errors
    /// [`EngineError::NoPendingCommit`].
    pub fn merge_pending(
        &self,
        state: &dyn State,
        group: GroupId,
    ) -> Result<Effects<Epoch>, EngineError> {
        let _ = (state, group);
        Err(NOT_BUILT)
    }

    /// Forgets the pending Commit, if there is one.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn discard_pending(
        &self,
        state: &dyn State,
        group: GroupId,
    ) -> Result<Effects<()>, EngineError> {
        let _ = (state, group);
        Err(NOT_BUILT)
    }

    /// The Proposal by which this device leaves, to be submitted. It counts once it is in the log,
    /// for this device too, so there is nothing to write.
    ///
    /// # Errors
    /// [`EngineError::Leaving`] where it is in the log of this epoch already.
    pub fn leave(&self, state: &dyn State, group: GroupId) -> Result<Vec<u8>, EngineError> {
        let _ = (state, group);
        Err(NOT_BUILT)
    }

    /// Encrypts an application message; `franking` is authenticated with it and readable by the
    /// service. Apply the writes before the message leaves, or a later one reuses its key.
    ///
    /// # Errors
    /// [`EngineError::PendingProposals`], [`TooLarge`](EngineError::TooLarge).
    pub fn encrypt(
        &self,
        state: &dyn State,
        group: GroupId,
        content: &[u8],
        franking: Option<&[u8]>,
    ) -> Result<Effects<Vec<u8>>, EngineError> {
        let _ = (state, group, content, franking);
        Err(NOT_BUILT)
    }

    /// Takes in the next entry of the group's log, which the service accepted at `accepted_at`.
    /// That time is part of the log, so all members judge certificates alike.
    ///
    /// # Errors
    /// [`EngineError::WrongEpoch`], [`Undecryptable`](EngineError::Undecryptable),
    /// [`Malformed`](EngineError::Malformed), [`Invalid`](EngineError::Invalid),
    /// [`Certificate`](EngineError::Certificate), [`Violation`](EngineError::Violation).
    pub fn process(
        &self,
        state: &dyn State,
        group: GroupId,
        message: &[u8],
        accepted_at: UnixMillis,
    ) -> Result<Effects<Processed>, EngineError> {
        let _ = (state, group, message, accepted_at);
        Err(NOT_BUILT)
    }

    /// The members, in the order of their leaves.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn roster(&self, state: &dyn State, group: GroupId) -> Result<Vec<Member>, EngineError> {
        let _ = (state, group);
        Err(NOT_BUILT)
    }

    /// The epoch that the group is in.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn epoch(&self, state: &dyn State, group: GroupId) -> Result<Epoch, EngineError> {
        let _ = (state, group);
        Err(NOT_BUILT)
    }

    /// What two members compare to see that they are in the same epoch of the same group
    /// (RFC 9420 §8.7); 32 bytes.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn epoch_authenticator(
        &self,
        state: &dyn State,
        group: GroupId,
    ) -> Result<Vec<u8>, EngineError> {
        let _ = (state, group);
        Err(NOT_BUILT)
    }

    /// The GroupInfo of the current epoch as an MLSMessage, signed, without the tree.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`], [`Evicted`](EngineError::Evicted).
    pub fn group_info(&self, state: &dyn State, group: GroupId) -> Result<Vec<u8>, EngineError> {
        let _ = (state, group);
        Err(NOT_BUILT)
    }

    /// The ratchet tree of the current epoch.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn ratchet_tree(&self, state: &dyn State, group: GroupId) -> Result<Vec<u8>, EngineError> {
        let _ = (state, group);
        Err(NOT_BUILT)
    }

    /// Deletes the group and every secret of it.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn delete_group(
        &self,
        state: &dyn State,
        group: GroupId,
    ) -> Result<Effects<()>, EngineError> {
        let _ = (state, group);
        Err(NOT_BUILT)
    }
}
