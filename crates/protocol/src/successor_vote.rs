//! A member's word that a group goes on as another, since one of its Commits can't be processed.
//!
//! ```text
//! struct {
//!     ReportedCommit commit;          // as in a CommitReport
//!     opaque successor[16];           // the group that goes on
//!     uint32 users_needed;            // how many users have to say so, as the voter counts
//!     opaque voter[16];               // the device that says so
//! } SuccessorVoteTBS;
//!
//! struct {
//!     SuccessorVoteTBS vote;
//!     opaque signature[64];           // by the voter's signature key, label "SuccessorVote"
//! } SuccessorVote;
//! ```
//!
//! Who votes is in the successor and has found everybody there but the Commit's author.

use tls_codec::{
    DeserializeBytes as _, Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize,
};

use crate::{
    DeviceId, GroupId, ReportedCommit, SignatureError, SigningKey, VerifyingKey,
    commit_report::WireCommit,
};

const LABEL: &str = "SuccessorVote";

/// Which group is to go on in the place of which, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Successor {
    /// The Commit that members can't process, and by it the group that ends.
    pub commit: ReportedCommit,
    /// The group that goes on.
    pub group: GroupId,
    /// How many users have to say so.
    pub users_needed: u32,
}

/// A vote as it stands in the log. Who reads it checks it under the voter's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuccessorVote {
    successor: Successor,
    voter: DeviceId,
    signature: [u8; 64],
}

impl SuccessorVote {
    /// Bytes of the encoding.
    pub const BYTES: usize = ReportedCommit::BYTES + 16 + 4 + 16 + 64;

    /// The word of the member's device `voter`, which signs with `key`.
    #[must_use]
    pub fn issue(successor: Successor, voter: DeviceId, key: &SigningKey) -> Self {
        let signature = key.sign(LABEL, &to_be_signed(&successor, voter));
        Self {
            successor,
            voter,
            signature,
        }
    }

    /// What is voted for.
    #[must_use]
    pub fn successor(&self) -> &Successor {
        &self.successor
    }

    /// The device that votes; whose key it has to be is for the reader to know.
    #[must_use]
    pub fn voter(&self) -> DeviceId {
        self.voter
    }

    /// Checks it under the voter's key.
    ///
    /// # Errors
    /// [`SignatureError::Signature`].
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), SignatureError> {
        let content = to_be_signed(&self.successor, self.voter);
        key.verify(LABEL, &content, &self.signature)
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = to_be_signed(&self.successor, self.voter);
        bytes.extend_from_slice(&self.signature);
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (wire, signature) = Wire::tls_deserialize_bytes(bytes).ok()?;
        Some(Self {
            successor: Successor {
                commit: wire.commit.into(),
                group: GroupId::from_bytes(wire.successor),
                users_needed: wire.users_needed,
            },
            voter: DeviceId::from_bytes(wire.voter),
            signature: signature.try_into().ok()?,
        })
    }
}

#[derive(TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct Wire {
    commit: WireCommit,
    successor: [u8; 16],
    users_needed: u32,
    voter: [u8; 16],
}

fn to_be_signed(successor: &Successor, voter: DeviceId) -> Vec<u8> {
    let wire = Wire {
        commit: (&successor.commit).into(),
        successor: *successor.group.as_bytes(),
        users_needed: successor.users_needed,
        voter: *voter.as_bytes(),
    };
    // Serializing fails only past 2^30 bytes, and this has 116.
    wire.tls_serialize_detached().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Epoch, Sequence};

    fn vote() -> (SuccessorVote, VerifyingKey) {
        let key = SigningKey::from_seed(&[1; 32]);
        let [group, successor] = [2, 3].map(|it| GroupId::from_bytes([it; 16]));
        let author = DeviceId::from_bytes([6; 16]);
        let successor = Successor {
            commit: ReportedCommit::new(group, Epoch(3), Sequence(4), author, b"commit"),
            group: successor,
            users_needed: 7,
        };
        let vote = SuccessorVote::issue(successor, DeviceId::from_bytes([5; 16]), &key);
        (vote, key.verifying_key())
    }

    proptest! {
        #[test]
        fn a_vote_survives_and_no_changed_byte_is_accepted(
            at in 0..SuccessorVote::BYTES, change in 1u8..,
        ) {
            let (vote, key) = vote();
            let mut bytes = vote.to_bytes();
            prop_assert_eq!(bytes.len(), SuccessorVote::BYTES);
            let read = SuccessorVote::from_bytes(&bytes).unwrap();
            prop_assert_eq!((read.verify(&key), &read), (Ok(()), &vote));
            prop_assert!(SuccessorVote::from_bytes(&bytes[..at]).is_none());
            bytes[at] ^= change;
            let changed = SuccessorVote::from_bytes(&bytes).unwrap();
            prop_assert!(changed.verify(&key).is_err());
            bytes.push(0);
            prop_assert!(SuccessorVote::from_bytes(&bytes).is_none());
        }
    }
}
