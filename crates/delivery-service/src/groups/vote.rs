//! Votes for the group that goes on where a Commit can't be processed.
//!
//! Members count them; the service holds that the Commit stands there, that whoever votes is a member
//! of both groups and signed, and that nobody fills the log with them.

use conclave_protocol::{DeviceId, GroupId, Sequence, Successor, SuccessorVote, UnixMillis};

use super::{Groups, body::hash, report::Word};
use crate::{
    error::Refusal,
    limits::{VOTES_PER_DEVICE_MAX, VOTES_PER_EPOCH_MAX},
    store::Effect,
};

impl Groups {
    /// Puts a member's vote into the log and says where it stands; `None` where there are enough in
    /// this epoch. The same device's vote for the same successor stands there once.
    pub(crate) fn vote(
        &self,
        group: GroupId,
        voter: DeviceId,
        vote: &[u8],
        now: UnixMillis,
    ) -> Result<Option<Sequence>, Refusal> {
        let successor = self.check_vote(group, voter, vote)?;
        let about = successor.commit.sequence.0.to_be_bytes();
        let word = Word {
            group,
            by: voter,
            hash: hash(5, group, &[&about, successor.group.as_bytes()]),
            bytes: vote,
            effect: Effect::Vote,
        };
        self.put(&word, now, |voters| {
            let own = voters.iter().filter(|it| **it == voter).count();
            voters.len() >= VOTES_PER_EPOCH_MAX || own >= VOTES_PER_DEVICE_MAX
        })
    }

    fn check_vote(
        &self,
        group: GroupId,
        voter: DeviceId,
        vote: &[u8],
    ) -> Result<Successor, Refusal> {
        let vote = SuccessorVote::from_bytes(vote)
            .filter(|it| it.successor().commit.group == group && it.voter() == voter)
            .ok_or(Refusal::Invalid(
                "vote: not one by the caller, of this group",
            ))?;
        let device = self.store.device(voter)?.ok_or(Refusal::NotMember)?;
        vote.verify(&device.signature_key)
            .map_err(|_| Refusal::Invalid("vote: not signed by the caller's key"))?;
        let successor = *vote.successor();
        // Who came later goes over too, and says so.
        if !self.access(group, voter)?.is_member() {
            return Err(Refusal::NotMember);
        }
        self.check_stands(&successor.commit)?;
        if successor.group == group || !self.access(successor.group, voter)?.is_member() {
            return Err(Refusal::Invalid("vote: for no group of the caller"));
        }
        Ok(successor)
    }
}
