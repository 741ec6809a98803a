//! Groups: what happens to a submission from its bytes to its place in the log.
//!
//! Everything here blocks. A submission's fate is decided by [`decide`], twice for handshake
//! messages: before the follower spends time on them, and again in the store's transaction.

mod body;
mod read;

use std::sync::{Arc, PoisonError};

use crate::{
    error::Refusal,
    follower::{CheckedCommit, CheckedProposal, CheckedWelcome, Committer, Follower, Founded},
    followers::Followers,
    hub::{Hub, Topic},
    limits::{COMMITS_PER_SNAPSHOT, HANDSHAKE_ATTEMPTS_MAX},
    ordering::{Head, Receipt, Submission, Verdict, decide},
    store::{Device, Effect, EpochChange, NewEntry, NewGroup, NewWelcome, Page, Snapshot, Store},
};
use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceId, GroupId, RequestId, UnixMillis, limits,
};

use body::{check_size, hash};

pub(crate) use body::Body;

/// Orders and follows groups.
pub(crate) struct Groups {
    store: Arc<dyn Store>,
    hub: Arc<Hub>,
    followers: Followers,
}

/// A message to be appended to a log, and under which id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    /// The device that asks, as authenticated.
    pub(crate) sender: DeviceId,
    /// The log.
    pub(crate) group: GroupId,
    /// The same id with the same body is applied once.
    pub(crate) request: RequestId,
    /// The message.
    pub(crate) body: Body<'a>,
}

/// A handshake message on its way: all that stays the same when it has to be checked again.
struct Handshake<'a> {
    request: &'a Request<'a>,
    submission: Submission,
    sender: Device,
    now: UnixMillis,
}

impl Groups {
    /// Groups that are kept in `store`; news of them goes to `hub`.
    pub(crate) fn new(store: Arc<dyn Store>, hub: Arc<Hub>) -> Self {
        Self {
            store,
            hub,
            followers: Followers::default(),
        }
    }

    /// Makes a group known, with its creator as the only member. The same again changes nothing.
    pub(crate) fn create(
        &self,
        creator: DeviceId,
        group: GroupId,
        group_info: &[u8],
        tree: &[u8],
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        check_size(
            "the GroupInfo is too large",
            group_info,
            limits::GROUP_INFO_BYTES_MAX,
        )?;
        // A tree of one member is a leaf, and no larger than a KeyPackage.
        check_size(
            "a new group's tree is small",
            tree,
            limits::KEY_PACKAGE_BYTES_MAX,
        )?;
        let Founded { founder, snapshot } = Follower::found(group, group_info, tree, now)?;
        if !self.is_registered(&founder)? || founder.address().device != creator {
            return Err(Refusal::Invalid(
                "the group's only member has to be the caller",
            ));
        }
        let made = self.store.create_group(&NewGroup {
            group,
            creator,
            body_hash: hash(0, group, &[group_info, tree]),
            group_info,
            snapshot: &snapshot,
        })?;
        made.then_some(())
            .ok_or(Refusal::Taken("another group has this id"))
    }

    /// Appends a message to its group's log, or says why not.
    pub(crate) fn submit(
        &self,
        request: &Request<'_>,
        now: UnixMillis,
    ) -> Result<Receipt, Refusal> {
        request.body.check_sizes()?;
        let framing = request.body.framing()?;
        if framing.group != request.group {
            return Err(Refusal::Invalid("the message is of another group"));
        }
        let submission = Submission {
            body_hash: request.body.hash(request.group),
            epoch: framing.epoch,
            basis: None,
        };
        if let Body::Application(message) = request.body {
            let verdict = self.append(request, submission, message, Effect::Application, now)?;
            return receipt(verdict, now);
        }
        let facts = self
            .store
            .facts(request.group, request.sender, request.request)?;
        match decide(&facts, &submission) {
            Verdict::Accept(_) => {}
            settled => return receipt(settled, now),
        }
        let sender = self
            .store
            .device(request.sender)?
            .ok_or(Refusal::NotMember)?;
        let handshake = Handshake {
            request,
            submission,
            sender,
            now,
        };
        for _ in 0..HANDSHAKE_ATTEMPTS_MAX {
            match self.attempt(&handshake)? {
                Verdict::Overtaken => {}
                settled => return receipt(settled, now),
            }
        }
        Err(Refusal::Busy("the group is busy; try again"))
    }

    /// Checks a handshake message against the group as it is now, and appends it.
    fn attempt(&self, handshake: &Handshake<'_>) -> Result<Verdict, Refusal> {
        let request = handshake.request;
        let slot = self.followers.slot(request.group);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let facts = self
            .store
            .facts(request.group, request.sender, request.request)?;
        let verdict = decide(&facts, &handshake.submission);
        let (Verdict::Accept(_), Some(head)) = (verdict, facts.head) else {
            return Ok(verdict);
        };
        let follower = match slot.take() {
            Some(follower) if follower.applied() == head.handshake => follower,
            _ => self.load(request.group, head)?,
        };
        // A message that is refused leaves the follower as it was. One that passes moves it, and it
        // stays out of the slot unless the store accepts the message.
        let follower = slot.insert(follower);
        let checked = self.check(follower, handshake)?;
        let Some(follower) = slot.take() else {
            return Err(Refusal::Internal("a follower is lost"));
        };
        let submission = Submission {
            basis: Some(head.handshake),
            ..handshake.submission
        };
        let (verdict, follower) = match checked {
            Checked::Commit(commit) => {
                self.append_commit(handshake, submission, follower, *commit)?
            }
            Checked::Proposal(proposal) => {
                self.append_proposal(handshake, submission, follower, *proposal)?
            }
        };
        *slot = follower;
        Ok(verdict)
    }

    fn check(&self, follower: &Follower, handshake: &Handshake<'_>) -> Result<Checked, Refusal> {
        let committer = Committer {
            key: &handshake.sender.signature_key,
            now: handshake.now,
        };
        match handshake.request.body {
            Body::Commit {
                commit,
                welcome,
                group_info,
            } => {
                let commit = follower.check_commit(commit, welcome, group_info, committer)?;
                for (certificate, _) in commit.welcome.iter().flat_map(|welcome| &welcome.joiners) {
                    if !self.is_registered(certificate)? {
                        return Err(Refusal::Invalid(
                            "a device that is added is not registered here with these keys",
                        ));
                    }
                }
                Ok(Checked::Commit(Box::new(commit)))
            }
            Body::Proposal(message) => {
                let proposal = follower.check_proposal(message, committer)?;
                Ok(Checked::Proposal(Box::new(proposal)))
            }
            Body::Application(_) => Err(Refusal::Internal("not a handshake message")),
        }
    }

    fn append_commit(
        &self,
        handshake: &Handshake<'_>,
        submission: Submission,
        follower: Follower,
        commit: CheckedCommit,
    ) -> Result<(Verdict, Option<Follower>), Refusal> {
        let Body::Commit {
            commit: message,
            group_info,
            ..
        } = handshake.request.body
        else {
            return Err(Refusal::Internal("not a Commit"));
        };
        let wants_snapshot = follower
            .epoch()
            .next()
            .0
            .is_multiple_of(COMMITS_PER_SNAPSHOT);
        let CheckedCommit {
            next,
            delta,
            welcome,
            removed,
        } = commit;
        let (follower, snapshot) = follower.advance(next, wants_snapshot)?;
        let welcome = welcome
            .map(|welcome| new_welcome(welcome, &handshake.sender, &follower))
            .transpose()?;
        let change = EpochChange {
            group_info,
            removed,
            welcome,
        };
        let effect = Effect::Commit {
            delta: &delta,
            change: &change,
        };
        let verdict = self.append(
            handshake.request,
            submission,
            message,
            effect,
            handshake.now,
        )?;
        let follower = settle(verdict, follower);
        if let (Some(follower), Some(bytes)) = (&follower, snapshot) {
            let applied = follower.applied();
            // Without it a restart takes longer, and that is all.
            if let Err(error) = self
                .store
                .put_snapshot(handshake.request.group, &Snapshot { applied, bytes })
            {
                tracing::warn!(%error, "a snapshot was not stored");
            }
        }
        Ok((verdict, follower))
    }

    fn append_proposal(
        &self,
        handshake: &Handshake<'_>,
        submission: Submission,
        follower: Follower,
        proposal: CheckedProposal,
    ) -> Result<(Verdict, Option<Follower>), Refusal> {
        let Body::Proposal(message) = handshake.request.body else {
            return Err(Refusal::Internal("not a Proposal"));
        };
        let delta = proposal.delta.clone();
        let follower = follower.propose(proposal)?;
        let effect = Effect::Proposal { delta: &delta };
        let verdict = self.append(
            handshake.request,
            submission,
            message,
            effect,
            handshake.now,
        )?;
        Ok((verdict, settle(verdict, follower)))
    }

    /// Appends to the log and wakes who waits for it.
    fn append(
        &self,
        request: &Request<'_>,
        submission: Submission,
        message: &[u8],
        effect: Effect<'_>,
        now: UnixMillis,
    ) -> Result<Verdict, Refusal> {
        let verdict = self.store.append(&NewEntry {
            group: request.group,
            sender: request.sender,
            request: request.request,
            submission,
            accepted: now,
            message,
            effect,
        })?;
        if matches!(verdict, Verdict::Accept(_)) {
            self.hub.hint(Topic::Group(request.group));
            if let Effect::Commit { change, .. } = effect {
                for (joiner, _) in change.welcome.iter().flat_map(|welcome| &welcome.joiners) {
                    self.hub.hint(Topic::Mailbox(*joiner));
                }
            }
        }
        Ok(verdict)
    }

    /// Restores a group's follower from its snapshot and what changed since.
    fn load(&self, group: GroupId, head: Head) -> Result<Follower, Refusal> {
        let snapshot = self.store.snapshot(group)?.ok_or(Refusal::UnknownGroup)?;
        let mut follower = Follower::restore(group, &snapshot.bytes, snapshot.applied)?;
        while follower.applied() < head.handshake {
            let deltas = self.store.read_deltas(
                group,
                Page {
                    after: follower.applied(),
                    up_to: head.handshake,
                    entries: limits::PAGE_ENTRIES_MAX,
                    bytes: limits::PAGE_BYTES_MAX,
                },
            )?;
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
            Err(Refusal::Busy("the group is busy; try again"))
        }
    }

    fn is_registered(&self, certificate: &DeviceCertificate) -> Result<bool, Refusal> {
        let device = self.store.device(certificate.address().device)?;
        Ok(device.is_some_and(|device| device.is_of(certificate)))
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
    Ok(NewWelcome {
        added_by: format!("{user}/{device}"),
        shared: welcome.shared,
        joiners: joiners
            .map(|(certificate, slice)| (certificate.address().device, slice))
            .collect(),
        tree: follower.ratchet_tree()?,
    })
}

enum Checked {
    Commit(Box<CheckedCommit>),
    Proposal(Box<CheckedProposal>),
}

/// The follower goes on from where the store accepted its message; otherwise it is dropped.
fn settle(verdict: Verdict, mut follower: Follower) -> Option<Follower> {
    let Verdict::Accept(sequence) = verdict else {
        return None;
    };
    follower.accepted_at(sequence);
    Some(follower)
}

fn receipt(verdict: Verdict, now: UnixMillis) -> Result<Receipt, Refusal> {
    match verdict {
        Verdict::Accept(sequence) => Ok(Receipt {
            sequence,
            accepted: now,
        }),
        Verdict::AlreadyApplied(receipt) => Ok(receipt),
        Verdict::RequestReused => Err(Refusal::Taken("request_id: used before, with another body")),
        Verdict::UnknownGroup => Err(Refusal::UnknownGroup),
        Verdict::NotMember => Err(Refusal::NotMember),
        Verdict::WrongEpoch(head) => Err(Refusal::WrongEpoch(head)),
        Verdict::Overtaken => Err(Refusal::Busy("the group is busy; try again")),
    }
}
