//! Certificates in leaves: who a leaf belongs to, and whether it may.

use std::collections::{BTreeSet, HashMap};

use conclave_protocol::{
    CREDENTIAL_TYPE, CertificateError, DeviceCertificate, DeviceId, UnixMillis, UserId,
    VerifyingKey,
};
use openmls::prelude::{Credential, CredentialType, LeafNode, LeafNodeIndex, MlsGroup};

use crate::{EngineError, RuleViolation, profile};

/// The credential of a leaf whose device has this certificate.
pub(crate) fn credential(certificate: &DeviceCertificate) -> Credential {
    Credential::new(
        CredentialType::Other(CREDENTIAL_TYPE),
        certificate.to_bytes(),
    )
}

/// Checks a leaf that this device has not seen before, whatever the time, and says whose it is.
pub(crate) fn verify_leaf(leaf: &LeafNode) -> Result<DeviceCertificate, EngineError> {
    verify_leaf_by(leaf, DeviceCertificate::from_bytes)
}

/// The same, where its certificate is read by `read`.
pub(crate) fn verify_leaf_by(
    leaf: &LeafNode,
    read: fn(&[u8]) -> Result<DeviceCertificate, CertificateError>,
) -> Result<DeviceCertificate, EngineError> {
    let credential = leaf.credential();
    if credential.credential_type() != CredentialType::Other(CREDENTIAL_TYPE) {
        return Err(RuleViolation::CredentialType.into());
    }
    let certificate = read(credential.serialized_content())?;
    // RFC 9420 §5.3.1: the credential has to be for the key that the leaf signs with.
    if certificate.claims().signature_key.as_bytes() != leaf.signature_key().as_slice() {
        return Err(CertificateError::OtherKey.into());
    }
    profile::check_capabilities(leaf)?;
    Ok(certificate)
}

/// Checks a new leaf at the time at which it enters the group.
pub(crate) fn verify_leaf_at(
    leaf: &LeafNode,
    now: UnixMillis,
) -> Result<DeviceCertificate, EngineError> {
    let certificate = verify_leaf(leaf)?;
    certificate.check_time(now)?;
    Ok(certificate)
}

/// Whose leaf this is, for a leaf in the state. It was verified when it came in.
pub(crate) fn member(
    group: &MlsGroup,
    leaf: LeafNodeIndex,
) -> Result<DeviceCertificate, EngineError> {
    let leaf = group
        .public_group()
        .leaf(leaf)
        .ok_or(EngineError::NotAMember)?;
    read_verified(leaf.credential())
}

/// All members, in the order of their leaves.
pub(crate) fn members(
    group: &MlsGroup,
) -> impl Iterator<Item = Result<(LeafNodeIndex, DeviceCertificate), EngineError>> {
    group
        .members()
        .map(|member| Ok((member.index, read_verified(&member.credential)?)))
}

/// Whether a user has a device in the group.
pub(crate) fn has_user(group: &MlsGroup, user: &UserId) -> bool {
    members(group).any(|member| member.is_ok_and(|(_, it)| it.address().user == *user))
}

fn read_verified(credential: &Credential) -> Result<DeviceCertificate, EngineError> {
    DeviceCertificate::from_verified_bytes(credential.serialized_content())
        .map_err(|_| EngineError::Corrupt)
}

/// Holds that no two leaves have the same device, and that all devices of a user are certified by
/// the same identity key. Otherwise anybody could certify a device in somebody else's name.
#[derive(Default)]
pub(crate) struct Roster {
    devices: BTreeSet<DeviceId>,
    identities: HashMap<UserId, VerifyingKey>,
}

impl Roster {
    /// Adds a member.
    pub(crate) fn admit(&mut self, certificate: &DeviceCertificate) -> Result<(), RuleViolation> {
        let address = certificate.address();
        if !self.devices.insert(address.device) {
            return Err(RuleViolation::DuplicateDevice);
        }
        let identity = self
            .identities
            .entry(address.user.clone())
            .or_insert(*certificate.identity_key());
        if identity != certificate.identity_key() {
            return Err(RuleViolation::ChangedIdentity);
        }
        Ok(())
    }

    /// Whether the device is a member.
    pub(crate) fn has_device(&self, device: DeviceId) -> bool {
        self.devices.contains(&device)
    }
}
