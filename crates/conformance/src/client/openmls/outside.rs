//! What somebody proposes who is no member.

use anyhow::bail;
use conclave_crypto::Crypto;
use openmls::{
    extensions::SenderExtensionIndex,
    messages::external_proposals::ExternalProposal,
    prelude::{Extensions, GroupId, LeafNodeIndex, tls_codec::DeserializeBytes as _},
};

use super::{
    FEW_EXTERNAL,
    parts::{Provider, bytes, key_package},
};
use crate::client::{Change, identity::Identity, outside::group_info};

/// What an external sender proposes.
pub(in crate::client) fn propose(
    identity: &Identity,
    info: &[u8],
    index: u32,
    change: &Change,
) -> anyhow::Result<Vec<u8>> {
    let context = group_info(info)?.group_context;
    let (id, epoch) = (
        GroupId::from_slice(context.group_id.as_slice()),
        context.epoch.into(),
    );
    let (key, index) = (&identity.key, SenderExtensionIndex::new(index));
    let message = match change {
        Change::Add(package) => {
            let package = key_package(package, &Crypto::default())?;
            ExternalProposal::new_add::<Provider>(package, id, epoch, key, index)?
        }
        Change::Remove(leaf) => {
            let leaf = LeafNodeIndex::new(*leaf);
            ExternalProposal::new_remove::<Provider>(leaf, id, epoch, key, index)?
        }
        Change::Extensions(list) => {
            let list = Extensions::tls_deserialize_exact_bytes(list)?;
            ExternalProposal::new_group_context_extensions::<Provider>(list, id, epoch, key, index)?
        }
        _ => bail!(FEW_EXTERNAL),
    };
    bytes(&message)
}
