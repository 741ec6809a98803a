//! Whose Commit it is, where it can't be processed.
//!
//! What the author signed (RFC 9420 §6.1) is the Commit and the GroupContext, not the tags behind. So
//! a Commit can be laid at its author's door, whatever is wrong with the rest of it. The service checks
//! the same before it takes one.

use conclave_crypto::CipherSuite;
use conclave_protocol::{DeviceAddress, DeviceCertificate, GroupId};
use openmls::prelude::{
    LeafNodeIndex, MlsGroup, ProcessMessageError, StageCommitError, tls_codec::Serialize as _,
};
use tls_codec::{DeserializeBytes as _, TlsDeserializeBytes, TlsSize, VLBytes};

use super::Engine;
use crate::{EngineError, RuleViolation, State, certificates, storage::StorageError};

impl Engine {
    /// The device that made a Commit of the group's current epoch, by its signature; `None` for one
    /// that no member or user of the group signed.
    ///
    /// # Errors
    /// [`EngineError::UnknownGroup`].
    pub fn author_of_commit(
        &self,
        state: &dyn State,
        group: GroupId,
        message: &[u8],
    ) -> Result<Option<DeviceAddress>, EngineError> {
        self.ask(state, group, |_, group| {
            let context = group
                .public_group()
                .group_context()
                .tls_serialize_detached()
                .map_err(|_| EngineError::Corrupt)?;
            Ok(author(group, message, &context))
        })
    }
}

impl EngineError {
    /// Whether it speaks of the message, and not of what this device knows of the group.
    #[must_use]
    pub fn is_fault_of_message(&self) -> bool {
        matches!(
            self,
            Self::Malformed | Self::Undecryptable | Self::Certificate(_)
        ) || matches!(self, Self::Violation(it) if *it != RuleViolation::ExternalSender)
            || matches!(self, Self::Invalid(source) if !lacks_proposal(source.as_ref()))
    }
}

/// The service could hide a Proposal from somebody who then can't process an honest Commit.
fn lacks_proposal(source: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    matches!(
        source.downcast_ref::<ProcessMessageError<StorageError>>(),
        Some(ProcessMessageError::InvalidCommit(
            StageCommitError::MissingProposal
        ))
    )
}

fn author(group: &MlsGroup, message: &[u8], context: &[u8]) -> Option<DeviceAddress> {
    let (framed, rest) = Framed::tls_deserialize_bytes(message).ok()?;
    let (body, tags) = Body::tls_deserialize_bytes(rest).ok()?;
    let (path, auth) = match body.has_path {
        0 => (None, tags),
        1 => Path::tls_deserialize_bytes(tags)
            .map(|(path, rest)| (Some(path), rest))
            .ok()?,
        _ => return None,
    };
    let (signature, _) = VLBytes::tls_deserialize_bytes(auth).ok()?;
    let author = match framed.sender {
        Sender::Member(leaf) => certificates::member(group, LeafNodeIndex::new(leaf)).ok()?,
        Sender::NewMemberCommit => joiner(group, &path?)?,
    };
    let signed = [message.get(..message.len() - auth.len())?, context].concat();
    let key = author.claims().signature_key;
    // RFC 9420 §6.1: FramedContentTBS ends with the GroupContext.
    let suite = CipherSuite::X25519Aes128Sha256Ed25519;
    let label = "FramedContentTBS";
    suite
        .verify_with_label(key.as_bytes(), label, &signed, signature.as_slice())
        .ok()?;
    Some(author.address().clone())
}

/// Who comes in from outside says so in the path's leaf. A name counts only under the identity key
/// that the group knows for it.
fn joiner(group: &MlsGroup, path: &Path) -> Option<DeviceCertificate> {
    let joiner = DeviceCertificate::from_bytes(path.certificate.as_slice()).ok()?;
    let known = certificates::members(group).flatten().any(|(_, member)| {
        member.address().user == joiner.address().user
            && member.identity_key() == joiner.identity_key()
    });
    known.then_some(joiner)
}

/// The beginning of an MLSMessage with a PublicMessage (RFC 9420 §6), up to its sender.
#[derive(TlsDeserializeBytes, TlsSize)]
struct Framed {
    _version: u16,
    _wire_format: u16,
    _group: VLBytes,
    _epoch: u64,
    sender: Sender,
}

/// RFC 9420 §6: those who may commit.
#[derive(TlsDeserializeBytes, TlsSize)]
#[repr(u8)]
enum Sender {
    #[tls_codec(discriminant = 1)]
    Member(u32),
    #[tls_codec(discriminant = 4)]
    NewMemberCommit,
}

/// What follows of a Commit (RFC 9420 §12.4), up to its path.
#[derive(TlsDeserializeBytes, TlsSize)]
struct Body {
    _authenticated_data: VLBytes,
    _content_type: u8,
    _proposals: VLBytes,
    has_path: u8,
}

/// RFC 9420 §7.6, with a leaf of a Commit (§7.2).
#[derive(TlsDeserializeBytes, TlsSize)]
struct Path {
    _encryption_key: VLBytes,
    _signature_key: VLBytes,
    _credential_type: u16,
    certificate: VLBytes,
    _capabilities: Capabilities,
    _leaf_source: u8,
    _parent_hash: VLBytes,
    _extensions: VLBytes,
    _leaf_signature: VLBytes,
    _nodes: VLBytes,
}

#[derive(TlsDeserializeBytes, TlsSize)]
struct Capabilities {
    _versions: VLBytes,
    _cipher_suites: VLBytes,
    _extensions: VLBytes,
    _proposals: VLBytes,
    _credentials: VLBytes,
}
