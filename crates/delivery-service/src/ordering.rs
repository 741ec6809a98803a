//! What happens to a submission: one order per group, decided without any I/O.
//!
//! A store calls [`decide`] inside the transaction that appends, so what it decides on can't
//! change before the entry is written. Authentication has come before, and what MLS says about a
//! handshake message comes after, so the order of the checks is: who asks, whether it was asked
//! before, whether they are a member, and whether the epoch is still current.

use conclave_protocol::{Epoch, Sequence, UnixMillis};

/// Where a group's log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Head {
    /// The epoch that the group is in.
    pub(crate) epoch: Epoch,
    /// The last entry's place; 0 while there is none.
    pub(crate) sequence: Sequence,
    /// The place of the last Commit or Proposal; 0 while there is none.
    pub(crate) handshake: Sequence,
}

/// An earlier request under the same id, by the same device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Applied {
    /// What its body hashed to.
    pub(crate) body_hash: [u8; 32],
    /// Where its entry stands.
    pub(crate) receipt: Receipt,
}

/// The place that an entry got, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Its place in the log.
    pub(crate) sequence: Sequence,
    /// When it was accepted.
    pub(crate) accepted: UnixMillis,
}

/// What the store knows that bears on a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Where the log ends; `None` where there is no such group.
    pub(crate) head: Option<Head>,
    /// Whether the sender is a member now or, for an external Commit, may become one.
    pub(crate) is_entitled: bool,
    /// The earlier request of this id.
    pub(crate) earlier: Option<Applied>,
}

/// What of a submission bears on the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Submission {
    /// What its body hashes to.
    pub(crate) body_hash: [u8; 32],
    /// The epoch its message is of.
    pub(crate) epoch: Epoch,
    /// For a handshake message, the last one that it was checked against: pending Proposals bear
    /// on what a Commit must hold. `None` where none of that matters.
    pub(crate) basis: Option<Sequence>,
    /// Whether it is an external Commit, by which its sender becomes a member.
    pub(crate) joins: bool,
}

/// What happens to a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is appended here.
    Accept(Sequence),
    /// It was appended before, there.
    AlreadyApplied(Receipt),
    /// Its id was used for something else.
    RequestReused,
    /// There is no such group.
    UnknownGroup,
    /// The sender is no member.
    NotMember,
    /// The group is not in the message's epoch.
    WrongEpoch(Head),
    /// Another handshake message came in between: check it again.
    Overtaken,
}

/// Decides on a submission.
pub(crate) fn decide(facts: &Facts, submission: &Submission) -> Verdict {
    match facts.earlier {
        Some(earlier) if earlier.body_hash == submission.body_hash => {
            return Verdict::AlreadyApplied(earlier.receipt);
        }
        Some(_) => return Verdict::RequestReused,
        None => {}
    }
    let Some(head) = facts.head else {
        return Verdict::UnknownGroup;
    };
    if !facts.is_entitled {
        return Verdict::NotMember;
    }
    if submission.epoch != head.epoch {
        return Verdict::WrongEpoch(head);
    }
    if submission
        .basis
        .is_some_and(|basis| basis != head.handshake)
    {
        return Verdict::Overtaken;
    }
    Verdict::Accept(head.sequence.next())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts() -> impl Strategy<Value = Facts> {
        let head = (0u64..3, 0u64..3, 0u64..3).prop_map(|(epoch, sequence, handshake)| Head {
            epoch: Epoch(epoch),
            sequence: Sequence(sequence),
            handshake: Sequence(handshake),
        });
        let earlier = (0u8..2).prop_map(|hash| Applied {
            body_hash: [hash; 32],
            receipt: Receipt {
                sequence: Sequence(9),
                accepted: UnixMillis(9),
            },
        });
        let head = prop::option::of(head);
        (head, any::<bool>(), prop::option::of(earlier)).prop_map(|(head, is_entitled, earlier)| {
            Facts {
                head,
                is_entitled,
                earlier,
            }
        })
    }

    proptest! {
        /// Nothing but a fresh request of a member in the current epoch moves a log, and then by
        /// exactly one place.
        #[test]
        fn only_what_is_fresh_and_current_is_accepted(
            facts in facts(), hash in 0u8..2, epoch in 0u64..3, basis in prop::option::of(0u64..3),
        ) {
            let submission = Submission {
                body_hash: [hash; 32],
                epoch: Epoch(epoch),
                basis: basis.map(Sequence),
                joins: false,
            };
            let verdict = decide(&facts, &submission);
            let acceptable = facts.head.filter(|head| {
                facts.is_entitled
                    && facts.earlier.is_none()
                    && head.epoch == submission.epoch
                    && submission.basis.is_none_or(|basis| basis == head.handshake)
            });
            match acceptable {
                Some(head) => {
                    prop_assert_eq!(verdict, Verdict::Accept(Sequence(head.sequence.0 + 1)));
                }
                None => prop_assert!(!matches!(verdict, Verdict::Accept(_))),
            }
            // A retry is answered alike whatever has become of the group and the sender since.
            if let Some(earlier) = facts.earlier {
                let retry = Submission { body_hash: earlier.body_hash, ..submission };
                prop_assert_eq!(
                    decide(&facts, &retry),
                    Verdict::AlreadyApplied(earlier.receipt)
                );
            }
        }
    }
}
