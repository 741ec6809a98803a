//! What a leaf has to be, in whichever group.

use conclave_protocol::{CREDENTIAL_TYPE, DeviceCertificate, UnixMillis};
use openmls::prelude::{CredentialType, ExtensionType, LeafNode, ProposalType};

use super::{CORRUPT, Result};
use crate::error::Refusal;

pub(super) const CREDENTIAL: CredentialType = CredentialType::Other(CREDENTIAL_TYPE);

/// What every leaf has to support, whatever a group says.
pub(super) fn check_capabilities(leaf: &LeafNode) -> Result<()> {
    let stated = leaf.capabilities();
    if stated.proposals().contains(&ProposalType::SelfRemove)
        && stated.credentials().contains(&CREDENTIAL)
        && stated
            .extensions()
            .contains(&ExtensionType::AppDataDictionary)
    {
        Ok(())
    } else {
        Err(Refusal::Invalid(
            "a leaf lacks a capability that the rules require",
        ))
    }
}

/// The certificate of a new leaf, checked for its key and for now.
pub(super) fn certificate(leaf: &LeafNode, now: UnixMillis) -> Result<DeviceCertificate> {
    let refused = |_| Refusal::Invalid("a leaf's device certificate is not valid");
    if leaf.credential().credential_type() != CREDENTIAL {
        return Err(Refusal::Invalid(
            "a leaf's credential is no device certificate",
        ));
    }
    let certificate = DeviceCertificate::from_bytes(leaf.credential().serialized_content());
    let certificate = certificate.map_err(refused)?;
    // RFC 9420 §5.3.1: the credential has to be for the key that the leaf signs with.
    certificate
        .check(leaf.signature_key().as_slice(), now)
        .map_err(refused)?;
    Ok(certificate)
}

/// The certificate of a leaf in the tree, which was checked when it came in.
pub(super) fn verified(leaf: &LeafNode) -> Result<DeviceCertificate> {
    DeviceCertificate::from_verified_bytes(leaf.credential().serialized_content())
        .map_err(|_| CORRUPT)
}
