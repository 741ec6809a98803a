//! Ending a group whose members can't process a Commit, and going on as another; see `local::cases`,
//! `local::successor` and `local::handover` for what is durable about it.

use std::time::Duration;

use conclave_protocol::{GroupId, Sequence, UnixMillis};
use conclave_rpc::v1;
use prost::Message as _;
use tonic::Code;

use super::{Call, IntentId, Rejection, Session, pace::Progress};
use crate::{
    ClientError, Event, Standing,
    local::{Duty, Run},
    waits::SUCCESSOR_TURN,
};

/// How long what was read is taken to be the latest.
const LOOK_FRESH: Duration = Duration::from_secs(2);

/// What is to be done where members have reported Commits of a group.
#[derive(Debug, Default)]
pub(super) struct Trial {
    /// Whether anything was said of a Commit.
    pub(super) has_case: bool,
    /// Whether there may be something to do.
    is_due: bool,
    /// When there will be.
    at: Option<UnixMillis>,
    /// Until when what this device makes for the group is left alone.
    made_until: UnixMillis,
    /// When the log and the mailbox were last read for the sake of it.
    looked: UnixMillis,
    /// Votes that the service has answered, since the connection was made.
    answered: Vec<v1::VoteForSuccessorRequest>,
}

impl Trial {
    pub(super) fn look_again(&mut self) {
        self.is_due = self.has_case;
        self.answered.clear();
    }

    /// Whether anything was said, and perhaps something new.
    pub(super) fn note(&mut self, has_case: bool) {
        self.has_case = has_case;
        self.is_due = has_case;
    }

    pub(super) fn wake_at(&self) -> Option<UnixMillis> {
        if self.is_due {
            Some(UnixMillis(0))
        } else {
            self.at
        }
    }

    fn has_work(&self, now: UnixMillis) -> bool {
        self.is_due || self.at.is_some_and(|at| at <= now)
    }

    /// Others may have made the group meanwhile, so nothing is made before all is read.
    fn may_make(&self, now: UnixMillis) -> bool {
        self.made_until <= now && now < self.looked.after(LOOK_FRESH)
    }

    fn wait(&mut self, at: Option<UnixMillis>) {
        self.is_due = false;
        self.at = at;
    }
}

impl Session {
    /// What has to be asked for the group that goes on in the place of this one.
    pub(super) fn next_of_trial(
        &mut self,
        id: GroupId,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        let Some(progress) = self.groups.get_mut(&id) else {
            return Ok(None);
        };
        let trial = &mut progress.trial;
        if !trial.has_case || !trial.has_work(now) {
            return Ok(None);
        }
        let may_make = trial.may_make(now);
        // Most often nothing was upheld, and a look costs no wait for the disk.
        if !self.local.read(|tx| tx.is_upheld(id))? {
            trial.wait(None);
            return Ok(None);
        }
        match self.local.write(|tx| tx.duty(id, may_make, now))? {
            Duty::Vote(vote) if !trial.answered.contains(&vote) => {
                return Ok(Some(Call::VoteForSuccessor(vote)));
            }
            Duty::Vote(_) => trial.wait(None),
            Duty::Wait(at) => trial.wait(at),
            Duty::Look if now < trial.made_until => trial.wait(Some(trial.made_until)),
            Duty::Look => {
                trial.looked = now;
                trial.wait(Some(now));
                progress.log.set();
                self.mail.due.set();
            }
            Duty::Made => {
                trial.made_until = now.after(SUCCESSOR_TURN);
                trial.wait(Some(trial.made_until));
                self.look_everywhere()?;
            }
        }
        Ok(None)
    }

    /// A vote stands in the log, or the service wants none.
    pub(super) fn take_vote(
        &mut self,
        asked: &v1::VoteForSuccessorRequest,
    ) -> Result<Vec<Event>, ClientError> {
        self.local.write(|tx| tx.forget_farewell(asked))?;
        if let Some((id, progress)) = self.progress(&asked.group_id) {
            progress.trial.answered.push(asked.clone());
            progress.log.set();
            self.refresh(id)?;
        }
        Ok(Vec::new())
    }

    /// Where this device can't follow a group, what its members say in the log.
    pub(super) fn next_to_overhear(
        &mut self,
        id: GroupId,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        let Some(progress) = self.groups.get_mut(&id).filter(|it| it.overhears()) else {
            return Ok(None);
        };
        if !progress.log_backoff.is_over(now) {
            return Ok(None);
        }
        progress.log.ask();
        Ok(Some(Call::ReadLog(v1::ReadLogRequest {
            group_id: id.as_bytes().to_vec().into(),
            after_sequence: self.local.read(|tx| tx.overheard(id))?.0,
            limit: 0,
            with_words: false,
        })))
    }

    /// A page of the log that was read for what members say. `None` where it was not.
    pub(super) fn take_overheard(
        &mut self,
        id: GroupId,
        asked: &v1::ReadLogRequest,
        page: &v1::ReadLogResponse,
        now: UnixMillis,
    ) -> Result<Option<Vec<Event>>, ClientError> {
        let overhears = |it: &Progress| it.is_out() && it.trial.has_case;
        if !self.groups.get(&id).is_some_and(overhears) {
            return Ok(None);
        }
        let after = Sequence(asked.after_sequence);
        let run = self.local.write(|tx| {
            let mut run = Run::default();
            // A gap would hide what was said there.
            if after <= tx.overheard(id)? {
                tx.overhear(id, &page.entries, &mut run, now)?;
            }
            Ok(run)
        })?;
        let last = page.entries.last().map(|entry| entry.sequence);
        if let Some(progress) = self.groups.get_mut(&id) {
            progress.log_backoff.clear();
            if last.is_none_or(|last| last >= page.readable_sequence) {
                progress.log.done();
            }
        }
        self.refresh(id)?;
        self.take_run(id, run, now).map(Some)
    }

    /// What to ask for the sake of an intent in a group. Where the group is about to go on as another,
    /// or does, that is all there is to ask.
    pub(crate) fn next_call_of(
        &mut self,
        intent: IntentId,
        group: GroupId,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        if self.goes_on_elsewhere(intent, group)? {
            self.next_call(now)
        } else {
            self.next_call_in(group, now)
        }
    }

    /// When there will be something to ask for the sake of an intent; like [`Self::next_call_of`].
    pub(crate) fn wake_at_of(
        &mut self,
        intent: IntentId,
        group: GroupId,
    ) -> Result<Option<UnixMillis>, ClientError> {
        let elsewhere = self.goes_on_elsewhere(intent, group)?;
        Ok(if elsewhere {
            self.wake_at()
        } else {
            self.wake_at_in(group)
        })
    }

    fn goes_on_elsewhere(&mut self, intent: IntentId, group: GroupId) -> Result<bool, ClientError> {
        let moved = self.local.read(|tx| tx.group_of(intent.0))?;
        let has_case = |it: &Progress| it.trial.has_case;
        Ok(moved.is_some_and(|moved| moved != group)
            || self.groups.get(&group).is_some_and(has_case))
    }

    /// What the service decided about a message of a group that goes on as another. `None` where the
    /// group does not.
    pub(super) fn take_handed_over(
        &mut self,
        request: &v1::SubmitRequest,
        reply: Result<&v1::SubmitResponse, &Rejection>,
    ) -> Result<Option<Vec<Event>>, ClientError> {
        let Some((id, _)) = self.progress(&request.group_id) else {
            return Ok(None);
        };
        let bytes = request.encode_to_vec();
        let events = self.local.write(|tx| {
            if tx.successor(id)?.is_none() {
                return Ok(None);
            }
            if let Err(Rejection::Refused { code, .. }) = reply
                && *code == Code::AlreadyExists
            {
                tx.was_sent_before(id, &bytes)?;
            }
            tx.handed_over(id, &bytes, reply.ok()).map(Some)
        })?;
        if events.is_some() {
            self.look_everywhere()?;
        }
        Ok(events)
    }

    /// Something has changed that bears on more groups than one.
    pub(super) fn look_everywhere(&mut self) -> Result<(), ClientError> {
        self.look_at_groups()?;
        for progress in self.groups.values_mut() {
            progress.outbox.set();
        }
        Ok(())
    }

    /// What is read in one group may be what was waited for in another.
    pub(super) fn look_at_trials(&mut self) {
        for progress in self.groups.values_mut() {
            progress.trial.is_due |= progress.trial.has_case;
        }
    }
}

impl Progress {
    /// Whether there may be something to overhear in a log that this device can't follow.
    pub(super) fn overhears(&self) -> bool {
        self.is_out() && self.join.is_none() && self.trial.has_case && self.log.is_due()
    }

    /// When there is something to do for a group that goes on as another, or is to.
    pub(super) fn trial_wakes_at(&self) -> Option<UnixMillis> {
        if self.standing == Standing::Ended {
            if self.has_farewell {
                return Some(UnixMillis(0));
            }
            return self.hands_over.then(|| self.outbox_backoff.not_before());
        }
        self.trial.wake_at().filter(|_| self.trial.has_case)
    }
}
