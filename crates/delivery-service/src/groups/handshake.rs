//! Handshake messages: the group's follower takes them in, or they are refused.
//!
//! [`decide`] is asked before the follower spends time on a message, and the store asks it again in
//! its transaction: what the follower checked against may have changed by then, on another node.

use std::sync::PoisonError;

use conclave_protocol::{DeviceAddress, GroupId, UnixMillis, limits};

use sha2::{Digest as _, Sha256};

use super::{Groups, Handshake, Request};
use crate::{
    error::Refusal,
    follower::{CheckedCommit, CheckedProposal, CheckedWelcome, Committer, Follower},
    limits::{COMMITS_PER_SNAPSHOT, HANDSHAKE_ATTEMPTS_MAX},
    ordering::{Head, Submission, Verdict, decide},
    store::{Device, Effect, EpochChange, NewWelcome, Page, Snapshot},
};

/// A request on its way: all that stays the same when it has to be checked again.
struct Attempt<'a> {
    request: &'a Request<'a>,
    submission: Submission,
    sender: Device,
    now: UnixMillis,
}

/// A message that the follower has checked.
enum Checked<'a> {
    Commit {
        commit: &'a [u8],
        group_info: &'a [u8],
        checked: Box<CheckedCommit>,
    },
    Proposal {
        proposal: &'a [u8],
        checked: Box<CheckedProposal>,
    },
}

/// What the store said, and the follower where it may be used again.
type Outcome = (Verdict, Option<Follower>);

impl Groups {
    /// Checks a handshake message and appends it to the log.
    pub(super) fn take_in(
        &self,
        request: &Request<'_>,
        submission: Submission,
        handshake: Handshake<'_>,
        now: UnixMillis,
    ) -> Result<Verdict, Refusal> {
        // The group is asked before it gets a slot: one that does not exist needs none.
        let (verdict, _) = self.ask(request, &submission, now)?;
        if !matches!(verdict, Verdict::Accept(_)) {
            return Ok(verdict);
        }
        let sender = self.store.device(request.sender)?;
        let attempt = Attempt {
            request,
            submission,
            sender: sender.ok_or(Refusal::NotMember)?,
            now,
        };
        for _ in 0..HANDSHAKE_ATTEMPTS_MAX {
            let verdict = self.attempt(&attempt, handshake)?;
            if verdict != Verdict::Overtaken {
                return Ok(verdict);
            }
        }
        Ok(Verdict::Overtaken)
    }

    pub(super) fn ask(
        &self,
        request: &Request<'_>,
        submission: &Submission,
        now: UnixMillis,
    ) -> Result<(Verdict, Head), Refusal> {
        let Request { group, sender, .. } = *request;
        let joins = submission.joins.then_some(now);
        let facts = self.store.facts(group, sender, request.request, joins)?;
        let head = facts.head.unwrap_or_default();
        Ok((decide(&facts, submission), head))
    }

    fn attempt(&self, attempt: &Attempt<'_>, handshake: Handshake<'_>) -> Result<Verdict, Refusal> {
        let group = attempt.request.group;
        let slot = self.followers.slot(group);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let (verdict, head) = self.ask(attempt.request, &attempt.submission, attempt.now)?;
        if !matches!(verdict, Verdict::Accept(_)) {
            return Ok(verdict);
        }
        let follower = self.follower_at(&mut slot, group, head)?;
        let submission = Submission {
            basis: Some(head.handshake),
            ..attempt.submission
        };
        let (verdict, follower) = match self.check(&follower, attempt, handshake) {
            Ok(checked) => self.apply(follower, checked, attempt, submission)?,
            Err(refusal) => {
                // A message that is refused leaves the follower as it was.
                *slot = Some(follower);
                return match refusal {
                    // Its sender has not read that somebody leaves: catching up is the remedy.
                    Refusal::LeavesStanding => Ok(Verdict::WrongEpoch(head)),
                    refusal => Err(refusal),
                };
            }
        };
        *slot = follower;
        Ok(verdict)
    }

    fn check<'a>(
        &self,
        follower: &Follower,
        attempt: &Attempt<'_>,
        handshake: Handshake<'a>,
    ) -> Result<Checked<'a>, Refusal> {
        let committer = Committer {
            key: &attempt.sender.signature_key,
            now: attempt.now,
        };
        match handshake {
            Handshake::Commit {
                commit,
                welcome,
                group_info,
            } if attempt.submission.joins => {
                if !welcome.is_empty() {
                    return Err(Refusal::Invalid("an external Commit has no Welcome"));
                }
                let (sender, now) = (&attempt.sender, attempt.now);
                let checked = follower.check_external_commit(commit, group_info, sender, now)?;
                Ok(Checked::Commit {
                    commit,
                    group_info,
                    checked: Box::new(checked),
                })
            }
            Handshake::Commit {
                commit,
                welcome,
                group_info,
            } => {
                let checked = follower.check_commit(commit, welcome, group_info, committer)?;
                for (certificate, _) in checked.welcome.iter().flat_map(|it| &it.joiners) {
                    if !self.is_registered(certificate)? {
                        return Err(Refusal::Invalid(
                            "a device that is added is not registered here with these keys",
                        ));
                    }
                }
                Ok(Checked::Commit {
                    commit,
                    group_info,
                    checked: Box::new(checked),
                })
            }
            Handshake::Proposal(proposal) => {
                let checked = Box::new(follower.check_proposal(proposal, committer)?);
                Ok(Checked::Proposal { proposal, checked })
            }
        }
    }

    /// Moves the follower and appends the message that moves it. A follower that was moved and
    /// whose message was not appended is dropped.
    fn apply(
        &self,
        follower: Follower,
        checked: Checked<'_>,
        attempt: &Attempt<'_>,
        submission: Submission,
    ) -> Result<Outcome, Refusal> {
        let append = |message, effect: Effect<'_>| {
            self.append(
                attempt.request,
                submission,
                message,
                effect,
                None,
                attempt.now,
            )
        };
        match checked {
            Checked::Commit {
                commit,
                group_info,
                checked,
            } => {
                let next = follower.epoch().next();
                let wants_snapshot = next.0.is_multiple_of(COMMITS_PER_SNAPSHOT);
                let (follower, snapshot) = follower.advance(checked.next, wants_snapshot)?;
                let welcome = checked
                    .welcome
                    .map(|welcome| new_welcome(welcome, &attempt.sender, &follower));
                let change = EpochChange {
                    group_info,
                    removed: checked.removed,
                    welcome: welcome.transpose()?,
                };
                let delta = &checked.delta;
                let change = &change;
                let verdict = append(commit, Effect::Commit { delta, change })?;
                let follower = settle(verdict, follower);
                self.keep_snapshot(attempt.request.group, follower.as_ref(), snapshot);
                Ok((verdict, follower))
            }
            Checked::Proposal { proposal, checked } => {
                let delta = &checked.delta.clone();
                let follower = follower.propose(*checked)?;
                let verdict = append(proposal, Effect::Proposal { delta })?;
                Ok((verdict, settle(verdict, follower)))
            }
        }
    }

    /// Stores a snapshot. Without it a restart takes longer, and that is all.
    fn keep_snapshot(
        &self,
        group: GroupId,
        follower: Option<&Follower>,
        snapshot: Option<Vec<u8>>,
    ) {
        let (Some(follower), Some(bytes)) = (follower, snapshot) else {
            return;
        };
        let applied = follower.applied();
        let snapshot = Snapshot { applied, bytes };
        if let Err(error) = self.store.put_snapshot(group, &snapshot) {
            tracing::warn!(%error, "a snapshot was not stored");
        }
    }

    /// The follower of a group as it is now, out of its slot where it is there.
    pub(super) fn follower_at(
        &self,
        slot: &mut Option<Follower>,
        group: GroupId,
        head: Head,
    ) -> Result<Follower, Refusal> {
        match slot.take() {
            Some(follower) if follower.applied() == head.handshake => Ok(follower),
            _ => self.load(group, head),
        }
    }

    /// Restores a group's follower from its snapshot and what changed since.
    fn load(&self, group: GroupId, head: Head) -> Result<Follower, Refusal> {
        let snapshot = self.store.snapshot(group)?.ok_or(Refusal::UnknownGroup)?;
        let mut follower = Follower::restore(group, &snapshot.bytes, snapshot.applied)?;
        loop {
            let page = Page {
                after: follower.applied(),
                up_to: head.handshake,
                entries: limits::PAGE_ENTRIES_MAX,
                bytes: limits::PAGE_BYTES_MAX,
            };
            let deltas = self.store.read_deltas(group, page)?;
            if deltas.is_empty() {
                break;
            }
            for delta in deltas {
                follower.apply_delta(delta.sequence, &delta.bytes)?;
            }
        }
        if (follower.applied(), follower.epoch()) == (head.handshake, head.epoch) {
            Ok(follower)
        } else {
            // Another node has moved on meanwhile.
            Err(Refusal::Busy("the group is busy; try again"))
        }
    }
}

/// What a Commit's joiners get.
fn new_welcome(
    welcome: CheckedWelcome,
    committer: &Device,
    follower: &Follower,
) -> Result<NewWelcome, Refusal> {
    let DeviceAddress { user, device } = &committer.address;
    let joiners = welcome.joiners.into_iter();
    let tree = follower.ratchet_tree()?;
    Ok(NewWelcome {
        added_by: format!("{user}/{device}"),
        shared: welcome.shared,
        joiners: joiners
            .map(|(certificate, slice)| (certificate.address().device, slice))
            .collect(),
        tree_hash: Sha256::digest(&tree).into(),
        tree,
    })
}

/// The follower goes on from where the store accepted its message.
fn settle(verdict: Verdict, mut follower: Follower) -> Option<Follower> {
    let Verdict::Accept(sequence) = verdict else {
        return None;
    };
    follower.accepted_at(sequence);
    Some(follower)
}
