//! The engine itself, what each operation has around it, and the questions one can ask it.

mod author;
mod commit;
mod create;
mod external;
mod hold;
mod join;
mod message;
mod process;
mod review;

use std::time::Duration;

use conclave_crypto::Crypto;
use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceId, Epoch, GroupId, GroupRules, UserId,
};
use openmls::prelude::{
    GroupContext, GroupEpoch, LeafNodeIndex, MlsGroup, MlsMessageOut, ParentNode,
    tls_codec::{Serialize as _, Size as _},
};
use openmls_traits::{OpenMlsProvider, storage::StorageProvider as _};
use zeroize::Zeroizing;

use crate::{
    Device, Effects, EngineError, LoadedGroups, Member, RuleViolation, State, certificates,
    device::DeviceSigner,
    profile,
    repair::{self, Shape},
    storage::Overlay,
    turn,
};

/// Group key management for one device.
///
/// It keeps no group itself: each operation reads what it needs from the [`State`] it is given, which may
/// have a place for groups that [stay loaded](State::loaded).
pub struct Engine {
    device: Device,
    crypto: Crypto,
    /// Whether it makes what the group's rules forbid, for others to refuse.
    #[cfg(feature = "planted-bugs")]
    is_unruly: bool,
    /// Whether it takes rules that are not the default ones for those of a later version.
    #[cfg(feature = "planted-bugs")]
    is_outdated: bool,
}

impl Engine {
    /// An engine that acts for `device`.
    #[must_use]
    pub fn new(device: Device) -> Self {
        Self {
            device,
            crypto: Crypto::default(),
            #[cfg(feature = "planted-bugs")]
            is_unruly: false,
            #[cfg(feature = "planted-bugs")]
            is_outdated: false,
        }
    }

    /// Makes from now on what the group's rules forbid its user.
    #[cfg(feature = "planted-bugs")]
    pub fn be_unruly(&mut self) {
        self.is_unruly = true;
    }

    /// Is from now on, or is no longer, as a program that is older than a group's rules: a Commit that
    /// changes them is of a version that it does not know.
    #[cfg(feature = "planted-bugs")]
    pub fn be_outdated(&mut self, is_outdated: bool) {
        self.is_outdated = is_outdated;
    }

    /// Refuses rules that this program is too old for.
    #[cfg(feature = "planted-bugs")]
    fn check_version(&self, rules: Option<&GroupRules>) -> Result<(), EngineError> {
        let version = conclave_protocol::RULES_VERSION + 1;
        match rules.filter(|_| self.is_outdated) {
            Some(_) => Err(conclave_protocol::RulesError::Version(version).into()),
            None => Ok(()),
        }
    }

    fn obeys(&self) -> bool {
        #[cfg(feature = "planted-bugs")]
        return !self.is_unruly;
        #[cfg(not(feature = "planted-bugs"))]
        true
    }

    /// The device it acts for.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The members, in the order of their leaves.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn roster(&self, state: &dyn State, group: GroupId) -> Result<Vec<Member>, EngineError> {
        self.ask(state, group, |_, group| {
            certificates::members(group)
                .map(|member| member.map(Member::from))
                .collect()
        })
    }

    /// The members whose Proposal to leave waits for somebody else's Commit.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn pending_leaves(
        &self,
        state: &dyn State,
        group: GroupId,
    ) -> Result<Vec<DeviceAddress>, EngineError> {
        self.ask(state, group, |_, group| {
            commit::leaving(group)
                .into_iter()
                .map(|leaf| Ok(certificates::member(group, leaf)?.address().clone()))
                .collect()
        })
    }

    /// The group's rules: who may do what, and who is more than a member. Costs little, also in a
    /// large group.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn rules(&self, state: &dyn State, group: GroupId) -> Result<GroupRules, EngineError> {
        self.look(state, |provider| {
            let context: Option<GroupContext> = provider
                .storage
                .group_context(&mls_group_id(group))
                .map_err(|_| EngineError::Corrupt)?;
            profile::check_group_context(&context.ok_or(EngineError::UnknownGroup)?)
        })
    }

    /// The epoch that the group is in.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn epoch(&self, state: &dyn State, group: GroupId) -> Result<Epoch, EngineError> {
        self.ask(state, group, |_, group| Ok(epoch_of(group)))
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
        self.ask(state, group, |_, group| {
            Ok(group.epoch_authenticator().as_slice().to_vec())
        })
    }

    /// A secret of the current epoch for a purpose of the application's (RFC 9420 §8.5): `label`
    /// says which, `context` for whom. All members have it.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`], [`Evicted`](EngineError::Evicted).
    pub fn export(
        &self,
        state: &dyn State,
        group: GroupId,
        label: &str,
        context: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, EngineError> {
        self.ask(state, group, |provider, group| {
            check_active(group)?;
            let secret = group
                .export_secret(provider.crypto(), label, context, 32)
                .map_err(|_| EngineError::Internal("a secret cannot be exported"))?;
            let secret = Zeroizing::new(secret);
            let mut key = Zeroizing::new([0; 32]);
            // The length is the one that was asked for.
            key.copy_from_slice(&secret);
            Ok(key)
        })
    }

    /// The GroupInfo of the current epoch as an MLSMessage, signed, without the tree.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`], [`Evicted`](EngineError::Evicted).
    pub fn group_info(&self, state: &dyn State, group: GroupId) -> Result<Vec<u8>, EngineError> {
        self.ask(state, group, |_, group| {
            check_active(group)?;
            self.signed_group_info(group)
        })
    }

    /// How long this device is to wait, from the moment at which the epoch began, before it renews its
    /// keys for the sake of the tree: others may come first. `None` where it need not.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn repair_wait(
        &self,
        state: &dyn State,
        group: GroupId,
    ) -> Result<Option<Duration>, EngineError> {
        self.ask(state, group, |_, group| {
            let tree = group.treesync();
            let leaves: Vec<bool> = tree.leaves().iter().map(Option::is_some).collect();
            let parents = tree.full_parents().map(|(index, node)| {
                let (height, place) = repair::place(index.u32());
                (height, place, unmerged(node))
            });
            let leaf = group.own_leaf_index().usize();
            Ok(Shape::new(&leaves, parents).wait(leaf, group.epoch().as_u64()))
        })
    }

    /// How many members come before this device where any of them could do something, in an order that is
    /// another one in each epoch and that all members know. Those who are leaving have no place in it.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn turn(&self, state: &dyn State, group: GroupId) -> Result<u32, EngineError> {
        self.ask(state, group, |_, group| {
            let leaving = commit::leaving(group);
            let staying = group.members().map(|member| member.index);
            let staying = staying.filter(|leaf| !leaving.contains(leaf));
            let (own, epoch) = (group.own_leaf_index(), group.epoch().as_u64());
            Ok(turn::rank(
                staying.map(|leaf| leaf.usize()),
                own.usize(),
                epoch,
            ))
        })
    }

    /// Whether everybody who is there has asked to leave, but for these devices, which are no more: nobody is left
    /// to commit it (RFC 9420 §12.2).
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn is_deserted(
        &self,
        state: &dyn State,
        group: GroupId,
        gone: &[DeviceId],
    ) -> Result<bool, EngineError> {
        self.ask(state, group, |_, group| {
            let leaving = commit::leaving(group);
            let leaves = group.members().map(|member| member.index);
            // Most often the first who stays says it, so that a large group costs little.
            for leaf in leaves.filter(|leaf| !leaving.contains(leaf)) {
                if !gone.contains(&certificates::member(group, leaf)?.address().device) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// The ratchet tree of the current epoch.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn ratchet_tree(&self, state: &dyn State, group: GroupId) -> Result<Vec<u8>, EngineError> {
        self.ask(state, group, |_, group| encode_tree(group))
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
        self.transact(state, |provider| {
            delete(provider, &mut load(provider, group)?)?;
            provider.end_lease(group)
        })
    }

    /// Runs an operation over the state; what it wrote leaves with its value.
    fn transact<T>(
        &self,
        state: &dyn State,
        operation: impl FnOnce(&Provider<'_>) -> Result<T, EngineError>,
    ) -> Result<Effects<T>, EngineError> {
        let provider = Provider {
            crypto: &self.crypto,
            storage: Overlay::new(state),
            loaded: state.loaded(),
        };
        let result = operation(&provider);
        // Where storage failed, that is the reason, whatever OpenMLS made of it.
        let writes = provider.storage.into_writes()?;
        Ok(Effects {
            value: result?,
            writes,
        })
    }

    /// Runs an operation whose writes, if it has any, are not wanted.
    fn look<T>(
        &self,
        state: &dyn State,
        operation: impl FnOnce(&Provider<'_>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        Ok(self.transact(state, operation)?.value)
    }

    fn signer(&self) -> DeviceSigner<'_> {
        self.device.signer()
    }

    fn signed_group_info(&self, group: &MlsGroup) -> Result<Vec<u8>, EngineError> {
        let group_info = group
            .export_group_info(&self.crypto, &self.signer(), false)
            .map_err(|_| EngineError::Internal("a GroupInfo cannot be made"))?;
        encode(&group_info)
    }
}

/// What OpenMLS works with during one operation.
pub(crate) struct Provider<'a> {
    crypto: &'a Crypto,
    storage: Overlay<'a>,
    loaded: Option<&'a LoadedGroups>,
}

impl<'a> OpenMlsProvider for Provider<'a> {
    type CryptoProvider = Crypto;
    type RandProvider = Crypto;
    type StorageProvider = Overlay<'a>;

    fn storage(&self) -> &Self::StorageProvider {
        &self.storage
    }

    fn crypto(&self) -> &Self::CryptoProvider {
        self.crypto
    }

    fn rand(&self) -> &Self::RandProvider {
        self.crypto
    }
}

impl From<(LeafNodeIndex, DeviceCertificate)> for Member {
    fn from((leaf, certificate): (LeafNodeIndex, DeviceCertificate)) -> Self {
        Self {
            leaf_index: leaf.u32(),
            certificate,
        }
    }
}

fn load(provider: &Provider<'_>, group: GroupId) -> Result<MlsGroup, EngineError> {
    MlsGroup::load(&provider.storage, &mls_group_id(group))
        .map_err(|_| EngineError::Corrupt)?
        .ok_or(EngineError::UnknownGroup)
}

fn load_active(provider: &Provider<'_>, group: GroupId) -> Result<MlsGroup, EngineError> {
    let group = load(provider, group)?;
    check_active(&group)?;
    Ok(group)
}

fn check_active(group: &MlsGroup) -> Result<(), EngineError> {
    match group.is_active() {
        true => Ok(()),
        false => Err(EngineError::Evicted),
    }
}

/// Makes sure that nothing is in the way of a new group of this id: an active one of the same id is
/// an error, one that this device was removed from is deleted.
fn make_room(provider: &Provider<'_>, group: GroupId) -> Result<(), EngineError> {
    match load(provider, group) {
        Ok(group) if group.is_active() => Err(EngineError::GroupExists),
        Ok(mut group) => delete(provider, &mut group),
        Err(EngineError::UnknownGroup) => Ok(()),
        Err(error) => Err(error),
    }
}

fn delete(provider: &Provider<'_>, group: &mut MlsGroup) -> Result<(), EngineError> {
    let storage = &provider.storage;
    // OpenMLS leaves the private keys of the tree behind: those of the epoch, or, once this device
    // was removed, those of the epoch before, which was its last.
    let leaf_index = group.own_leaf_index().u32();
    let epoch = group.epoch().as_u64();
    for epoch in [epoch, epoch.saturating_sub(1)] {
        storage
            .delete_encryption_epoch_key_pairs(
                group.group_id(),
                &GroupEpoch::from(epoch),
                leaf_index,
            )
            .map_err(|_| EngineError::Corrupt)?;
    }
    group.delete(storage).map_err(|_| EngineError::Corrupt)
}

fn mls_group_id(group: GroupId) -> openmls::prelude::GroupId {
    openmls::prelude::GroupId::from_slice(group.as_bytes())
}

fn epoch_of(group: &MlsGroup) -> Epoch {
    Epoch(group.epoch().as_u64())
}

fn rules_of(group: &MlsGroup) -> Result<GroupRules, EngineError> {
    profile::check_group_context(group.public_group().group_context())
}

fn check_may_send(group: &MlsGroup, user: &UserId) -> Result<GroupRules, EngineError> {
    let is_member = |user: &UserId| certificates::has_user(group, user);
    let rules = rules_of(group)?;
    let judged = rules.may_send(user, is_member);
    Ok(judged.map(|()| rules).map_err(RuleViolation::from)?)
}

/// The unmerged leaves of a node, by the length of its encoding: OpenMLS does not show them. It is taken to
/// have a parent hash, so the root's, which has none, are too few.
fn unmerged(node: &ParentNode) -> u32 {
    let without = 2 * 33 + 1;
    let bytes = node.tls_serialized_len().saturating_sub(without);
    u32::try_from(bytes / size_of::<u32>()).unwrap_or(u32::MAX)
}

fn encode(message: &MlsMessageOut) -> Result<Vec<u8>, EngineError> {
    message
        .to_bytes()
        .map_err(|_| EngineError::Internal("a message cannot be encoded"))
}

fn encode_tree(group: &MlsGroup) -> Result<Vec<u8>, EngineError> {
    group
        .export_ratchet_tree()
        .tls_serialize_detached()
        .map_err(|_| EngineError::Internal("a tree cannot be encoded"))
}

#[cfg(test)]
pub(crate) mod tests;
