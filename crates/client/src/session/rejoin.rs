//! Coming back into a group that this device can't follow any longer; see `local::resync` for what
//! is durable about it.

use std::collections::BTreeSet;

use conclave_protocol::{DeviceId, GroupId, Sequence, UnixMillis};
use conclave_rpc::v1;

use super::{
    Call, Rejection, Session,
    pace::{Join, Progress},
};
use crate::{
    ClientError, Event, Standing,
    local::{Opened, Reason},
    waits::LOG_WAITS,
};

/// From so many senders messages in a row can't be read before this device doubts its own epoch: one
/// sender alone may be the one at fault.
const UNREADABLE_SENDERS: usize = 2;

/// So many messages of a single sender do too: there may be no other.
const UNREADABLE_MESSAGES: usize = 3;

impl Session {
    /// Compares the epoch authenticator that another member has in an epoch (RFC 9420 §8.7) with
    /// this device's own. Where they differ in the same epoch, somebody was led astray: this device
    /// asks the service which epoch is the group's, and joins again where it is another.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn compare_epoch(
        &mut self,
        group: GroupId,
        epoch: u64,
        authenticator: &[u8],
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        match self.epoch(group) {
            Ok((own_epoch, own)) if own_epoch == epoch && own != authenticator => {
                let reason = Reason::behind("another member has another epoch authenticator");
                self.resync(group, &reason, now)
            }
            Ok(_) | Err(ClientError::Engine(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Notes that a group has to be joined again.
    pub(super) fn resync(
        &mut self,
        id: GroupId,
        reason: &Reason,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let events = self.local.write(|tx| tx.note_resync(id, reason, now))?;
        self.refresh(id)?;
        Ok(events)
    }

    /// Brings what is kept in memory about a group in line with the database.
    pub(super) fn refresh(&mut self, id: GroupId) -> Result<(), ClientError> {
        let (group, resync_at, has_join, has_report) = self.local.read(|tx| {
            let has_join = tx.pending_join(id)?.is_some();
            let has_report = tx.report(id)?.is_some();
            Ok((tx.group(id)?, tx.resync_at(id)?, has_join, has_report))
        })?;
        let (has_case, hands_over, has_farewell) = self.local.read(|tx| {
            let has_farewell = tx.farewell(id)?.is_some();
            Ok((tx.has_case(id)?, tx.is_handing_over(id)?, has_farewell))
        })?;
        let Some(group) = group else {
            return Ok(());
        };
        let progress = self.note_group(&group);
        progress.trial.note(has_case);
        progress.hands_over = hands_over;
        progress.has_farewell = has_farewell;
        progress.has_report = has_report;
        progress.resync_at = resync_at;
        progress.join = has_join.then(|| progress.join.unwrap_or(Join::Unsent));
        Ok(())
    }

    /// What to ask for in a group that is to be joined again. Nothing else is asked for there.
    pub(super) fn next_of_rejoin(
        &mut self,
        id: GroupId,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        let Some(progress) = self.groups.get(&id) else {
            return Ok(None);
        };
        let group_id = id.as_bytes().to_vec().into();
        let Some(state) = progress.join else {
            let is_time = progress.resync_at.is_some_and(|at| at <= now);
            let request = v1::FetchGroupInfoRequest { group_id };
            return Ok(is_time.then_some(Call::FetchGroupInfo(request)));
        };
        if !progress.log_backoff.is_over(now) {
            return Ok(None);
        }
        let join = self.local.read(|tx| tx.pending_join(id))?;
        Ok(join.map(|join| match state {
            Join::Unsent => Call::Submit(join.request),
            Join::Sent { .. } => Call::ReadLog(v1::ReadLogRequest {
                group_id,
                after_sequence: join.after.0,
                limit: 0,
                with_words: false,
            }),
        }))
    }

    /// A report was heard, or refused; it is not made twice.
    pub(super) fn take_report(
        &mut self,
        asked: &v1::ReportCommitRequest,
    ) -> Result<Vec<Event>, ClientError> {
        self.local.write(|tx| tx.forget_report(asked))?;
        if let Some((id, progress)) = self.progress(&asked.group_id) {
            progress.log.set();
            self.refresh(id)?;
        }
        Ok(Vec::new())
    }

    /// Makes the external Commit from what the service gave.
    pub(super) fn take_opening(
        &mut self,
        asked: &v1::FetchGroupInfoRequest,
        first: &v1::FetchGroupInfoResponse,
        tree: &[u8],
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let Some((id, _)) = self.progress(&asked.group_id) else {
            return Ok(Vec::new());
        };
        // A failed attempt leaves nothing but the note that it was made.
        let opened = self.local.write(|tx| tx.open_join(id, first, tree, now));
        let opened = match opened {
            Err(problem) if problem.is_local() => return Err(problem),
            Err(problem) => {
                self.local.write(|tx| tx.resync_failed(id, now))?;
                Opened {
                    problem: Some(problem),
                    ..Opened::default()
                }
            }
            Ok(opened) => opened,
        };
        self.refresh(id)?;
        if let Some(progress) = self.groups.get_mut(&id) {
            progress.log.set();
            progress.problem = opened.problem.or(progress.problem.take());
        }
        Ok(opened.events)
    }

    /// Whether a submission is a group's pending join; if so, notes that the service answered.
    pub(super) fn take_join_answer(
        &mut self,
        request: &v1::SubmitRequest,
        is_accepted: bool,
    ) -> Result<bool, ClientError> {
        let Some((id, _)) = self.progress(&request.group_id) else {
            return Ok(false);
        };
        let join = self.local.read(|tx| tx.pending_join(id))?;
        if join.is_none_or(|join| join.request != *request) {
            return Ok(false);
        }
        if let Some(progress) = self.groups.get_mut(&id) {
            progress.join = Some(Join::Sent { is_accepted });
        }
        Ok(true)
    }

    /// The log's verdict on a pending join. `None` where the page was not read for one.
    pub(super) fn take_verdict(
        &mut self,
        id: GroupId,
        asked: &v1::ReadLogRequest,
        page: &v1::ReadLogResponse,
        now: UnixMillis,
    ) -> Result<Option<Vec<Event>>, ClientError> {
        let join = self.local.read(|tx| tx.pending_join(id))?;
        let Some(join) = join.filter(|join| join.after == Sequence(asked.after_sequence)) else {
            return Ok(None);
        };
        let (verdict, run) = self
            .local
            .write(|tx| tx.decide_join(id, &page.entries, now))?;
        let last = page.entries.last().map_or(join.after.0, |it| it.sequence);
        let share = self.share();
        if let Some(progress) = self.groups.get_mut(&id)
            && verdict.is_none()
            && last >= page.readable_sequence
        {
            match progress.join {
                Some(Join::Sent { is_accepted: false }) => {
                    self.local.write(|tx| tx.resync_failed(id, now))?;
                }
                // It has to be there. A page that was asked for before says nothing.
                _ => progress.log_backoff.fail(now, LOG_WAITS, share),
            }
        }
        self.refresh(id)?;
        if let Some(progress) = self.groups.get_mut(&id)
            && verdict == Some(true)
        {
            progress.unreadable.clear();
            progress.look_again();
        }
        self.take_run(id, run, now).map(Some)
    }

    /// The service refused something that a group needs to be joined again.
    pub(super) fn take_rejoin_refusal(
        &mut self,
        id: GroupId,
        call: &Call,
        rejection: &Rejection,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        // Whoever may not even see how to come in is no member, and nor is another device of the
        // user.
        let events = if matches!(call, Call::FetchGroupInfo(_)) && rejection.is_denial() {
            self.local.write(|tx| tx.end_group(id))?
        } else {
            self.local.write(|tx| tx.resync_failed(id, now))?;
            Vec::new()
        };
        self.refresh(id)?;
        Ok(events)
    }

    /// Messages that should be readable and are not make this device doubt its own epoch.
    pub(super) fn doubt(
        &mut self,
        id: GroupId,
        unreadable: &[DeviceId],
        has_read: bool,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let Some(progress) = self.groups.get_mut(&id) else {
            return Ok(Vec::new());
        };
        if has_read {
            progress.unreadable.clear();
        }
        progress.unreadable.extend(unreadable);
        if !progress.is_in_doubt() {
            return Ok(Vec::new());
        }
        progress.unreadable.clear();
        let reason = Reason::behind("messages of other members can't be read");
        self.resync(id, &reason, now)
    }
}

impl Progress {
    fn is_in_doubt(&self) -> bool {
        let senders: BTreeSet<&DeviceId> = self.unreadable.iter().collect();
        senders.len() >= UNREADABLE_SENDERS || self.unreadable.len() >= UNREADABLE_MESSAGES
    }

    /// Whether the group is to be joined again before anything else happens there.
    pub(super) fn is_out(&self) -> bool {
        self.standing != Standing::Ended && (self.join.is_some() || self.resync_at.is_some())
    }
}
