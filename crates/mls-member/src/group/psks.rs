//! Where the PSKs of Commits and Welcomes come from (RFC 9420 §8.4).

use std::collections::BTreeMap;

use conclave_crypto::{CipherSuite, Secret};
use conclave_mls_public::wire::{GroupContext, PreSharedKeyId, Psk};

use crate::{EpochSecrets, MemberError, PskStore, error::Result, psk_secret};

/// The PSKs that a Commit may name (RFC 9420 §8.4): those of this group's own epochs, and what the
/// application knows.
pub(super) struct KnownPsks<'a> {
    pub(super) context: GroupContext,
    pub(super) secrets: &'a EpochSecrets,
    pub(super) past: &'a BTreeMap<u64, Secret>,
    pub(super) others: &'a dyn PskStore,
}

impl PskStore for KnownPsks<'_> {
    fn find(&self, psk: &Psk) -> Option<Secret> {
        let own = match psk {
            Psk::Resumption {
                psk_group_id,
                psk_epoch,
                ..
            } if *psk_group_id == self.context.group_id => {
                if *psk_epoch == self.context.epoch {
                    Some(self.secrets.resumption_psk())
                } else {
                    self.past.get(psk_epoch)
                }
            }
            _ => None,
        };
        own.cloned().or_else(|| self.others.find(psk))
    }
}

impl KnownPsks<'_> {
    /// `psk_secret` of these, in this order.
    pub(super) fn secret(&self, suite: CipherSuite, ids: &[PreSharedKeyId]) -> Result<Secret> {
        psk_secret(suite, &find_psks(ids, self)?)
    }
}

pub(super) fn find_psks(
    ids: &[PreSharedKeyId],
    psks: &dyn PskStore,
) -> Result<Vec<(PreSharedKeyId, Secret)>> {
    let find = |id: &PreSharedKeyId| {
        let secret = psks.find(&id.psk).ok_or(MemberError::UnknownPsk)?;
        Ok((id.clone(), secret))
    };
    ids.iter().map(find).collect()
}
