//! Application messages and the Proposal to leave.

use std::collections::BTreeSet;

use conclave_protocol::{
    COMPONENT_FRANKING, DeviceAddress, GroupId, UserId,
    limits::{CONTENT_BYTES_MAX, FRANKING_ITEM_BYTES_MAX},
};
use openmls::{
    framing::SafeAadItem,
    prelude::{MlsGroup, MlsMessageOut},
};

use super::{
    Engine, Provider, check_active, check_may_send, commit::leaving, encode, load_active, rules_of,
};
use crate::{Effects, EngineError, RuleViolation, State, certificates, loaded::Loaded};

impl Engine {
    /// Encrypts an application message; `franking` is authenticated with it and readable by the
    /// service. Apply the writes before the message leaves, or a later one reuses its key.
    ///
    /// # Errors
    /// [`EngineError::PendingProposals`], [`TooLarge`](EngineError::TooLarge),
    /// [`Violation`](EngineError::Violation) where the group's rules do not let this device's user send.
    pub fn encrypt(
        &self,
        state: &dyn State,
        group: GroupId,
        content: &[u8],
        franking: Option<&[u8]>,
    ) -> Result<Effects<Vec<u8>>, EngineError> {
        let franking_bytes = franking.map_or(0, <[u8]>::len);
        if content.len() > CONTENT_BYTES_MAX || franking_bytes > FRANKING_ITEM_BYTES_MAX {
            return Err(EngineError::TooLarge);
        }
        let items = franking
            .map(|item| SafeAadItem::new(COMPONENT_FRANKING, item.to_vec()))
            .into_iter()
            .collect();
        self.on_group(state, group, |provider, loaded| {
            let group = &loaded.group;
            check_active(group)?;
            if group.has_pending_proposals() {
                return Err(EngineError::PendingProposals); // RFC 9420 §12.4
            }
            if self.obeys() {
                check_may_send(group, &self.device.certificate().address().user)?;
            }
            // What had to be passed over once is not to be passed over again.
            let is_due = loaded.is_due() || loaded.unburnt > 0;
            self.burn(provider, loaded)?;
            provider.storage.spare_secrets(!is_due);
            let message = self.seal(provider, &mut loaded.group, content, items)?;
            loaded.count_message(true, is_due);
            encode(&message)
        })
    }

    /// Passes over the keys of messages that were encrypted before the group was loaded, and that the
    /// stored secrets still have.
    fn burn(&self, provider: &Provider<'_>, loaded: &mut Loaded) -> Result<(), EngineError> {
        provider.storage.spare_secrets(true);
        while let Some(rest) = loaded.unburnt.checked_sub(1) {
            drop(self.seal(provider, &mut loaded.group, &[], Vec::new())?);
            loaded.unburnt = rest;
        }
        Ok(())
    }

    fn seal(
        &self,
        provider: &Provider<'_>,
        group: &mut MlsGroup,
        content: &[u8],
        items: Vec<SafeAadItem>,
    ) -> Result<MlsMessageOut, EngineError> {
        group
            .set_safe_aad(items)
            .map_err(|_| EngineError::Internal("a franking item cannot be attached"))?;
        group
            .create_message(provider, &self.signer(), content)
            .map_err(|_| EngineError::Internal("a message cannot be encrypted"))
    }

    /// The Proposal by which this device leaves, to be submitted. It counts once it is in the log,
    /// for this device too, so there is nothing to write.
    ///
    /// # Errors
    /// [`EngineError::Leaving`] where it is in the log of this epoch already,
    /// [`Violation`](EngineError::Violation) for the last device of the group's last owner, as long as
    /// others are there.
    pub fn leave(&self, state: &dyn State, group: GroupId) -> Result<Vec<u8>, EngineError> {
        self.look(state, |provider| {
            let mut group = load_active(provider, group)?;
            if leaving(&group).contains(&group.own_leaf_index()) {
                return Err(EngineError::Leaving);
            }
            if self.obeys() {
                check_may_leave(&group, self.device.certificate().address())?;
            }
            // OpenMLS asks that no Commit is pending. Here none is lost: the writes are dropped.
            group
                .clear_pending_commit(&provider.storage)
                .map_err(|_| EngineError::Corrupt)?;
            let proposal = group
                .leave_group_via_self_remove(provider, &self.signer())
                .map_err(|_| EngineError::Internal("a proposal cannot be made"))?;
            encode(&proposal)
        })
    }
}

/// A user with another device there stays.
fn check_may_leave(group: &MlsGroup, own: &DeviceAddress) -> Result<(), EngineError> {
    let mut others = BTreeSet::new();
    for member in certificates::members(group) {
        let (_, certificate) = member?;
        let address = certificate.address();
        if address.user != own.user {
            others.insert(address.user.clone());
        } else if address.device != own.device {
            return Ok(());
        }
    }
    let is_member = |user: &UserId| *user == own.user || others.contains(user);
    let judged = rules_of(group)?.may_leave(&own.user, is_member, others.is_empty());
    Ok(judged.map_err(RuleViolation::from)?)
}
