//! Following a group's log.

use std::time::Duration;

use conclave_protocol::{GroupId, Sequence, UnixMillis};
use conclave_rpc::{device_id, v1};

use super::{Hint, Rejection, Session, pace::Progress, take::no_events};
use crate::{
    ClientError, Event, Standing,
    local::{Reason, Run, Tx},
    waits::{CONFIRM_WAIT, LOG_WAITS, part},
};

impl Session {
    /// Takes in an entry that a live stream brought, where it is the next one; otherwise it is only
    /// a hint that the log has grown.
    ///
    /// # Errors
    /// Those of [`Self::take_in`].
    pub fn take_entry(
        &mut self,
        id: GroupId,
        entry: &v1::LogEntry,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        if self.groups.get(&id).is_none_or(Progress::is_out) {
            return self.hint(Hint::Group(id)).map(no_events);
        }
        let known = self.local.read(|tx| tx.group(id))?;
        match known.map(|group| group.cursor.next().0) {
            Some(next) if next > entry.sequence => Ok(Vec::new()),
            Some(next)
                if next == entry.sequence && !self.lacks_keys(std::slice::from_ref(entry))? =>
            {
                self.take_entries(id, std::slice::from_ref(entry), now)
            }
            _ => self.hint(Hint::Group(id)).map(no_events),
        }
    }

    pub(super) fn take_log(
        &mut self,
        asked: &v1::ReadLogRequest,
        page: &v1::ReadLogResponse,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let Some((id, _)) = self.progress(&asked.group_id) else {
            return Ok(Vec::new());
        };
        if let Some(events) = self.take_verdict(id, asked, page, now)? {
            return Ok(events);
        }
        if let Some(events) = self.take_overheard(id, asked, page, now)? {
            return Ok(events);
        }
        let before = self.local.read(|tx| tx.group(id))?;
        if before.is_none_or(|group| group.cursor.0 < asked.after_sequence) {
            // It was asked for before the group was joined again.
            return Ok(Vec::new());
        }
        if self.lacks_keys(&page.entries)? {
            return Ok(Vec::new());
        }
        let mut events = self.take_words(id, asked, page, now)?;
        events.extend(self.take_entries(id, &page.entries, now)?);
        let last = page.entries.last().map(|entry| entry.sequence);
        let is_end = last.is_none_or(|last| last >= page.readable_sequence);
        if let Some(progress) = self.groups.get_mut(&id)
            && progress.problem.is_none()
            // An entry waits for a newer list: this is not the end.
            && progress.unlisted.is_none()
        {
            progress.log_backoff.clear();
            if let (false, Some(read)) = (is_end, last) {
                events.push(Event::CatchingUp {
                    group: id,
                    read: Sequence(read),
                    of: Sequence(page.readable_sequence),
                });
            }
            if is_end {
                progress.log.done();
                self.note_departures(id, page, now);
                events.extend(self.compare_with_service(id, page, now)?);
                events.extend(self.go_with_the_last(id)?);
            }
        }
        Ok(events)
    }

    /// What members said of Commits before this device joined, where it asked for that.
    fn take_words(
        &mut self,
        id: GroupId,
        asked: &v1::ReadLogRequest,
        page: &v1::ReadLogResponse,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        if !asked.with_words {
            return Ok(Vec::new());
        }
        let run = self.local.write(|tx| tx.hear_before(id, &page.words))?;
        self.refresh(id)?;
        self.take_run(id, run, now)
    }

    /// Who has read a log to its end is in the epoch that the service names, or was led astray.
    fn compare_with_service(
        &mut self,
        id: GroupId,
        page: &v1::ReadLogResponse,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        // Reading a group is dear, and it changes epoch by Commits only.
        let has_commits = page
            .entries
            .iter()
            .any(|it| it.kind() == v1::EntryKind::Commit);
        let progress = self.groups.get_mut(&id);
        let compared = progress.and_then(|it| it.compared.replace(page.current_epoch));
        if !has_commits && compared == Some(page.current_epoch) {
            return Ok(Vec::new());
        }
        let is_astray = self.local.read(|tx| {
            let Some(group) = tx.group(id)?.filter(|it| it.standing != Standing::Ended) else {
                return Ok(false);
            };
            // Entries that came on a live stream may lie behind this page.
            let is_here = group.cursor.0 <= page.readable_sequence;
            Ok(is_here && tx.epoch_number(id)?.0 != page.current_epoch)
        })?;
        if is_astray {
            let reason = Reason::behind("the service is in another epoch");
            return self.resync(id, &reason, now);
        }
        Ok(Vec::new())
    }

    /// Devices that were deleted leave their leaves to be removed: by whoever waits shortest.
    fn note_departures(&mut self, id: GroupId, page: &v1::ReadLogResponse, now: UnixMillis) {
        let share = self.share();
        let Some(progress) = self.groups.get_mut(&id) else {
            return;
        };
        let departed = page.departed_device_ids.iter();
        let departed: Vec<_> = departed.filter_map(|id| device_id(id).ok()).collect();
        // Those that were seen to already and still stand were not revoked, or others are at it.
        if departed != progress.departed {
            let is_any = !departed.is_empty();
            progress.departed_heard = now;
            progress.departed_at = is_any.then(|| now.after(confirm_wait(share)));
            progress.departed = departed;
        }
    }

    fn take_entries(
        &mut self,
        id: GroupId,
        entries: &[v1::LogEntry],
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let listed = self.groups.get_mut(&id).and_then(|it| it.listed.take());
        let take_in = |tx: &Tx<'_>| tx.take_in(id, entries, listed.as_ref(), now);
        let run = self.local.write(take_in)?;
        self.refresh(id)?;
        let is_commit = |it: &v1::LogEntry| it.kind() == v1::EntryKind::Commit;
        if let Some(progress) = self.groups.get_mut(&id)
            && entries.iter().any(is_commit)
        {
            progress.has_turned = true;
            progress.leavers_are_gone(now);
        }
        let (unreadable, has_read) = (run.unreadable.clone(), run.has_read);
        let has_leaves = run.has_leaves;
        let mut events = self.take_run(id, run, now)?;
        events.extend(self.doubt(id, &unreadable, has_read, now)?);
        if has_leaves {
            events.extend(self.go_with_the_last(id)?);
        }
        Ok(events)
    }

    /// Takes this device as gone from a group that it and all others leave: nobody is left to confirm it, and the
    /// service takes no Commit of anybody who comes that would have leavers stay. Of devices that are no more the
    /// service's word will do, since this one gives up nothing but its own place.
    fn go_with_the_last(&mut self, id: GroupId) -> Result<Vec<Event>, ClientError> {
        let progress = self.groups.get(&id);
        let Some(progress) = progress.filter(|it| it.standing == Standing::Leaving && !it.is_out())
        else {
            return Ok(Vec::new());
        };
        let gone = &progress.departed;
        if !self.local.read(|tx| tx.is_deserted(id, gone))? {
            return Ok(Vec::new());
        }
        let events = self.local.write(|tx| tx.end_group(id))?;
        self.refresh(id)?;
        Ok(events)
    }

    /// What follows from a run of entries for what is to be done next.
    pub(super) fn take_run(
        &mut self,
        id: GroupId,
        run: Run,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let share = self.share();
        let goes_on = |event: &Event| matches!(event, Event::Continued { .. });
        if run.events.iter().any(goes_on) {
            self.look_everywhere()?;
        } else if !run.events.is_empty() {
            self.look_at_trials();
        }
        let Some(progress) = self.groups.get_mut(&id) else {
            return Ok(run.events);
        };
        progress.problem = None;
        if !run.events.is_empty() {
            // What was read may have settled an intent, or have put a new one in the outbox.
            progress.outbox.set();
        }
        if run.has_leaves {
            progress.leaves.more(now);
        }
        if run.has_landed {
            progress.outbox_backoff.clear();
        }
        if run.unlisted.is_some() {
            progress.log.set();
            progress.unlisted = run.unlisted;
        } else if let Some(problem) = run.problem {
            progress.log.set();
            match &problem {
                // A list that was read a moment ago may be older than the Commit.
                ClientError::Unlisted(user) if progress.log_backoff.is_clear() => {
                    progress.unlisted = user.parse().ok();
                }
                _ => progress.problem = Some(problem),
            }
            progress.log_backoff.fail(now, LOG_WAITS, share);
        }
        Ok(run.events)
    }

    /// The log can't be read on from where this device is: it comes back at the log's end.
    pub(super) fn take_unreadable_log(
        &mut self,
        id: GroupId,
        rejection: &Rejection,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        if let Some(progress) = self.groups.get(&id).filter(|it| it.is_out()) {
            if progress.trial.has_case && progress.join.is_none() {
                // What members say there, this device will not hear any more.
                self.local.write(|tx| tx.forget_cases(id))?;
            } else {
                self.local.write(|tx| tx.resync_failed(id, now))?;
            }
            self.refresh(id)?;
            return Ok(Vec::new());
        }
        let why = match rejection {
            Rejection::TooLate => "what comes next is no longer kept",
            _ => "the service does not let this device read on",
        };
        self.resync(id, &Reason::sure(why), now)
    }
}

/// A random part of the longest wait before this device does what any could.
fn confirm_wait(share: u16) -> Duration {
    let most = u64::try_from(CONFIRM_WAIT.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(part(most, share))
}
