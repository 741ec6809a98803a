//! What comes with a Commit: the Welcome for those it adds, and the GroupInfo of its epoch.

use std::collections::BTreeMap;

use conclave_protocol::{DeviceCertificate, UnixMillis, VerifyingKey};
use openmls::{
    group::StagedCommit,
    prelude::{
        ConfirmationTag, LeafNodeIndex, OpenMlsSignaturePublicKey, SignatureScheme, Verifiable as _,
    },
};
use tls_codec::Serialize as _;

use super::{
    CRYPTO, IMPOSSIBLE, Result,
    leaf::{certificate, check_capabilities},
    parse_group_info,
};
use crate::{error::Refusal, wire::SlicedWelcome};

/// A Welcome that is for exactly the devices that its Commit adds.
pub(crate) struct CheckedWelcome {
    /// The devices, each with its own slice.
    pub(crate) joiners: Vec<(DeviceCertificate, Vec<u8>)>,
    /// What they share.
    pub(crate) shared: Vec<u8>,
}

/// Checks the devices that a Commit adds and the Welcome, which is empty where there are none.
pub(super) fn check_welcome(
    message: &[u8],
    staged: &StagedCommit,
    now: UnixMillis,
) -> Result<Option<CheckedWelcome>> {
    let mut adds = staged.add_proposals().peekable();
    if adds.peek().is_none() && message.is_empty() {
        return Ok(None);
    }
    let SlicedWelcome { shared, joiners } = SlicedWelcome::cut(message)?;
    let mut slices: BTreeMap<_, _> = joiners.into_iter().collect();
    let mut joiners = Vec::with_capacity(slices.len());
    let other = Refusal::Invalid("the Welcome is not for exactly the devices that are added");
    for add in adds {
        let package = add.add_proposal().key_package();
        check_capabilities(package.leaf_node())?;
        let certificate = certificate(package.leaf_node(), now)?;
        let reference = package.hash_ref(&*CRYPTO).map_err(|_| IMPOSSIBLE)?;
        match slices.remove(reference.as_slice()) {
            Some(slice) => joiners.push((certificate, slice)),
            None => return Err(other),
        }
    }
    if slices.is_empty() && !joiners.is_empty() {
        Ok(Some(CheckedWelcome { joiners, shared }))
    } else {
        Err(other)
    }
}

/// Holds that a GroupInfo is of the epoch that the Commit starts, in every byte that the service
/// can know, and signed by the committer (RFC 9420 §12.4.3).
pub(super) fn check_group_info(
    message: &[u8],
    staged: &StagedCommit,
    tag: &ConfirmationTag,
    signer: LeafNodeIndex,
    key: &VerifyingKey,
) -> Result<()> {
    let group_info = parse_group_info(message)?;
    let other = Refusal::Invalid("the GroupInfo is not of the epoch that the Commit starts");
    // RFC 9420 §12.4.3.2: without the external key nobody could join by an external Commit.
    if group_info.extensions().external_pub().is_none() {
        return Err(Refusal::Invalid("a GroupInfo comes with the external key"));
    }
    if group_info.extensions().ratchet_tree().is_some() {
        return Err(Refusal::Invalid(
            "a GroupInfo comes without the ratchet tree",
        ));
    }
    // GroupInfoTBS, written down from what it has to hold.
    let mut expected = Vec::new();
    let extensions = group_info.extensions();
    let written = staged
        .group_context()
        .tls_serialize(&mut expected)
        .and_then(|_| extensions.tls_serialize(&mut expected))
        .and_then(|_| tag.tls_serialize(&mut expected))
        .and_then(|_| signer.u32().tls_serialize(&mut expected));
    written.map_err(|_| IMPOSSIBLE)?;
    if group_info.unsigned_payload().map_err(|_| IMPOSSIBLE)? != expected {
        return Err(other);
    }
    let key = OpenMlsSignaturePublicKey::new(key.as_bytes()[..].into(), SignatureScheme::ED25519)
        .map_err(|_| IMPOSSIBLE)?;
    group_info
        .verify_no_out(&*CRYPTO, &key)
        .map_err(|_| Refusal::Invalid("the GroupInfo's signature does not verify"))
}
