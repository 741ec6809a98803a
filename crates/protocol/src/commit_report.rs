//! A member's word that it could not process a Commit which the service accepted.
//!
//! The service sees what is public of a Commit and no more: a wrong confirmation tag, or a path
//! secret encrypted wrongly, only members find (RFC 9420 §12.4.2). Those who can't go on say so:
//!
//! ```text
//! struct {
//!     opaque group[16];
//!     uint64 epoch;                   // the epoch that the Commit is of
//!     uint64 sequence;                // its place in the log
//!     opaque commit_hash[32];         // SHA-256 of its MLSMessage
//!     opaque author[16];              // the device that made it
//!     opaque reporter[16];            // the device that says so
//! } CommitReportTBS;
//!
//! struct {
//!     CommitReportTBS report;
//!     opaque signature[64];           // by the reporter's signature key, label "CommitReport"
//! } CommitReport;
//! ```
//!
//! One report proves nothing about the Commit: its reporter may lie, or have lost its own state.
//! [`Case`](crate::Case) says how many do.

use sha2::{Digest as _, Sha256};
use tls_codec::{
    DeserializeBytes as _, Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize,
};

use crate::{DeviceId, Epoch, GroupId, Sequence, SignatureError, SigningKey, VerifyingKey};

const LABEL: &str = "CommitReport";

/// Which Commit a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReportedCommit {
    /// The group.
    pub group: GroupId,
    /// The epoch that the Commit is of, and that it was to end.
    pub epoch: Epoch,
    /// Its place in the group's log.
    pub sequence: Sequence,
    /// SHA-256 of its MLSMessage.
    pub commit_hash: [u8; 32],
    /// The device that made it.
    pub author: DeviceId,
}

impl ReportedCommit {
    /// Bytes of the encoding.
    pub(crate) const BYTES: usize = 16 + 8 + 8 + 32 + 16;

    /// The Commit that stands at this place, as the MLSMessage that was read there.
    #[must_use]
    pub fn new(
        group: GroupId,
        epoch: Epoch,
        sequence: Sequence,
        author: DeviceId,
        message: &[u8],
    ) -> Self {
        Self {
            group,
            epoch,
            sequence,
            commit_hash: Sha256::digest(message).into(),
            author,
        }
    }
}

/// A report as it stands in the log. Who reads it checks it under the reporter's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitReport {
    commit: ReportedCommit,
    reporter: DeviceId,
    signature: [u8; 64],
}

impl CommitReport {
    /// Bytes of the encoding.
    pub const BYTES: usize = ReportedCommit::BYTES + 16 + 64;

    /// The word of the member's device `reporter`, which signs with `key`.
    #[must_use]
    pub fn issue(commit: ReportedCommit, reporter: DeviceId, key: &SigningKey) -> Self {
        let signature = key.sign(LABEL, &to_be_signed(&commit, reporter));
        Self {
            commit,
            reporter,
            signature,
        }
    }

    /// Which Commit it is about.
    #[must_use]
    pub fn commit(&self) -> &ReportedCommit {
        &self.commit
    }

    /// The device that says so; whose key it has to be is for the reader to know.
    #[must_use]
    pub fn reporter(&self) -> DeviceId {
        self.reporter
    }

    /// Checks it under the reporter's key.
    ///
    /// # Errors
    /// [`SignatureError::Signature`].
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), SignatureError> {
        let content = to_be_signed(&self.commit, self.reporter);
        key.verify(LABEL, &content, &self.signature)
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = to_be_signed(&self.commit, self.reporter);
        bytes.extend_from_slice(&self.signature);
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (wire, signature) = Wire::tls_deserialize_bytes(bytes).ok()?;
        Some(Self {
            commit: wire.commit.into(),
            reporter: DeviceId::from_bytes(wire.reporter),
            signature: signature.try_into().ok()?,
        })
    }
}

#[derive(TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct Wire {
    commit: WireCommit,
    reporter: [u8; 16],
}

/// A [`ReportedCommit`] as part of what is signed about it.
#[derive(TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub(crate) struct WireCommit {
    group: [u8; 16],
    epoch: u64,
    sequence: u64,
    commit_hash: [u8; 32],
    author: [u8; 16],
}

impl From<&ReportedCommit> for WireCommit {
    fn from(commit: &ReportedCommit) -> Self {
        Self {
            group: *commit.group.as_bytes(),
            epoch: commit.epoch.0,
            sequence: commit.sequence.0,
            commit_hash: commit.commit_hash,
            author: *commit.author.as_bytes(),
        }
    }
}

impl From<WireCommit> for ReportedCommit {
    fn from(wire: WireCommit) -> Self {
        Self {
            group: GroupId::from_bytes(wire.group),
            epoch: Epoch(wire.epoch),
            sequence: Sequence(wire.sequence),
            commit_hash: wire.commit_hash,
            author: DeviceId::from_bytes(wire.author),
        }
    }
}

fn to_be_signed(commit: &ReportedCommit, reporter: DeviceId) -> Vec<u8> {
    let wire = Wire {
        commit: commit.into(),
        reporter: *reporter.as_bytes(),
    };
    // Serializing fails only past 2^30 bytes, and this has 96.
    wire.tls_serialize_detached().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn report() -> (CommitReport, VerifyingKey) {
        let key = SigningKey::from_seed(&[1; 32]);
        let group = GroupId::from_bytes([2; 16]);
        let author = DeviceId::from_bytes([6; 16]);
        let commit = ReportedCommit::new(group, Epoch(3), Sequence(4), author, b"commit");
        let report = CommitReport::issue(commit, DeviceId::from_bytes([5; 16]), &key);
        (report, key.verifying_key())
    }

    #[test]
    fn a_report_says_which_commit_and_who_says_so() {
        let (report, key) = report();
        let bytes = report.to_bytes();
        assert_eq!(bytes.len(), CommitReport::BYTES);
        let read = CommitReport::from_bytes(&bytes).unwrap();
        assert_eq!((read.verify(&key), &read), (Ok(()), &report));
        let sequence = Sequence(4);
        assert_eq!(read.commit().sequence, sequence);
        let ReportedCommit { group, author, .. } = *report.commit();
        let other = ReportedCommit::new(group, Epoch(3), sequence, author, b"another");
        assert_ne!(other, *read.commit());
    }

    proptest! {
        #[test]
        fn no_changed_byte_is_accepted(at in 0..CommitReport::BYTES, change in 1u8..) {
            let (report, key) = report();
            let mut bytes = report.to_bytes();
            prop_assert!(CommitReport::from_bytes(&bytes[..at]).is_none());
            bytes[at] ^= change;
            let changed = CommitReport::from_bytes(&bytes).unwrap();
            prop_assert!(changed.verify(&key).is_err());
            bytes.push(0);
            prop_assert!(CommitReport::from_bytes(&bytes).is_none());
        }
    }
}
