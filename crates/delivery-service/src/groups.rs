//! Groups: what happens to a submission from its bytes to its place in the log.
//!
//! Everything here blocks. A submission's fate is decided in the store's transaction, by
//! [`decide`](crate::ordering::decide).

mod body;
mod handshake;
mod invite;
#[cfg(test)]
mod model;
mod read;
mod report;
mod sign;
mod speak;
mod vote;

use std::sync::Arc;

use conclave_protocol::{
    Commitment, DeviceAddress, DeviceCertificate, DeviceId, GroupId, RequestId, Stamp, UnixMillis,
    limits,
};

use crate::{
    error::Refusal,
    follower::{Follower, Founded},
    followers::Followers,
    hub::{Hub, Topic},
    ordering::{Receipt, Submission, Verdict},
    stamping::Stamper,
    store::{Effect, NewEntry, NewGroup, NewStamp, Store},
};
use body::{check_size, hash};

pub(crate) use body::{Body, Handshake};
pub(crate) use invite::Opening;
pub(crate) use read::LogPage;
use speak::KnownRules;

/// Orders and follows groups.
pub(crate) struct Groups {
    store: Arc<dyn Store>,
    hub: Arc<Hub>,
    followers: Followers,
    rules: KnownRules,
    stamper: Arc<Stamper>,
    #[cfg(feature = "planted-bugs")]
    stamps_nothing: bool,
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

impl Groups {
    /// Groups that are kept in `store`; news of them goes to `hub`.
    pub(crate) fn new(store: Arc<dyn Store>, hub: Arc<Hub>, stamper: Arc<Stamper>) -> Self {
        Self {
            store,
            hub,
            followers: Followers::default(),
            rules: KnownRules::default(),
            stamper,
            #[cfg(feature = "planted-bugs")]
            stamps_nothing: false,
        }
    }

    #[cfg(feature = "planted-bugs")]
    pub(crate) fn stamping_nothing(self, stamps_nothing: bool) -> Self {
        Self {
            stamps_nothing,
            ..self
        }
    }

    /// What makes messages reportable.
    pub(crate) fn stamper(&self) -> &Stamper {
        &self.stamper
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
            joins: framing.joins,
        };
        let verdict = match request.body {
            Body::Application(message) => {
                self.check_may_send(request, &submission, now)?;
                self.append_message(request, submission, message, framing.commitment, now)?
            }
            Body::Handshake(handshake) => self.take_in(request, submission, handshake, now)?,
        };
        receipt(verdict, now)
    }

    /// Appends an application message, with a stamp where its sender committed to it.
    fn append_message(
        &self,
        request: &Request<'_>,
        submission: Submission,
        message: &[u8],
        commitment: Option<Commitment>,
        now: UnixMillis,
    ) -> Result<Verdict, Refusal> {
        #[cfg(feature = "planted-bugs")]
        let commitment = commitment.filter(|_| !self.stamps_nothing);
        let Some(commitment) = commitment else {
            return self.append(request, submission, message, Effect::Application, None, now);
        };
        let stamp = NewStamp {
            sender: &self.address_of(request.sender)?,
            commitment,
            message_hash: Stamp::hash_of(message),
            key: &self.stamper.key_at(now),
        };
        self.append(
            request,
            submission,
            message,
            Effect::Application,
            Some(stamp),
            now,
        )
    }

    fn address_of(&self, device: DeviceId) -> Result<DeviceAddress, Refusal> {
        let user = self.stamper.user_of(device, || {
            let found = self.store.device(device)?.ok_or(Refusal::NotMember)?;
            Ok::<_, Refusal>(found.address.user)
        })?;
        Ok(DeviceAddress { user, device })
    }

    /// Appends to the log and wakes who waits for it.
    fn append(
        &self,
        request: &Request<'_>,
        submission: Submission,
        message: &[u8],
        effect: Effect<'_>,
        stamp: Option<NewStamp<'_>>,
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
            stamp,
        })?;
        if let Verdict::Accept(sequence) = &verdict {
            self.hub.appended(request.group, *sequence);
            if let Effect::Commit { change, .. } = effect {
                for (joiner, _) in change.welcome.iter().flat_map(|welcome| &welcome.joiners) {
                    self.hub.hint(Topic::Mailbox(*joiner));
                }
            }
        }
        Ok(verdict)
    }

    fn is_registered(&self, certificate: &DeviceCertificate) -> Result<bool, Refusal> {
        let device = self.store.device(certificate.address().device)?;
        Ok(device.is_some_and(|device| device.is_of(certificate)))
    }
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
