//! Taking in what the service answered.

mod mail;

use std::time::Duration;

use conclave_protocol::{Epoch, GroupId, Sequence, UnixMillis, UserId, limits::KEY_PACKAGE_STOCK};
use conclave_rpc::v1::{self, submit_request::Body};
use prost::Message as _;
use tonic::Code;

use super::{Call, Rejection, Reply, Session, Stock, pace::Progress};
use crate::{
    ClientError, Event, Standing,
    local::Reason,
    waits::{RACE_WAITS, SERVICE_WAITS},
};

impl Session {
    /// Takes in what came of a call, in one local transaction, and says what happened. A reply that
    /// no longer fits, since it came late or twice, changes nothing.
    ///
    /// # Errors
    /// [`ClientError::Database`], and what else is wrong with the local state: then nothing has
    /// changed, and the call will be asked for again.
    pub fn take_in(
        &mut self,
        call: &Call,
        reply: Result<Reply, Rejection>,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let mut events = self.take_answer(call, reply, now)?;
        events.append(&mut self.news);
        Ok(events)
    }

    fn take_answer(
        &mut self,
        call: &Call,
        reply: Result<Reply, Rejection>,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let reply = match reply {
            Ok(reply) => reply,
            Err(rejection) => return self.take_rejection(call, &rejection, now),
        };
        self.service.clear();
        match (call, reply) {
            (Call::Register(_), Reply::Register(_)) => {
                self.local.registered()?;
                self.look_at_devices().map(no_events)
            }
            (Call::CheckInstance(asked), Reply::CheckInstance(reply)) => {
                self.take_instance(asked, &reply, now)
            }
            (Call::Describe(_), Reply::Describe(said)) => {
                self.take_service(&said, now).map(no_events)
            }
            (Call::PublishKeyPackages(sent), Reply::PublishKeyPackages(reply)) => {
                self.take_stock(sent, &reply, now).map(no_events)
            }
            (Call::PublishDeviceList(asked), Reply::PublishDeviceList(_)) => {
                self.take_own_list(&asked.device_list, now).map(no_events)
            }
            (Call::FindGroups(_), Reply::FindGroups(found)) => self.take_groups(&found, now),
            (Call::FetchDeviceLists(_), Reply::FetchDeviceLists(lists)) => {
                self.take_lists(&lists, now)
            }
            (Call::TakeKeyPackages(asked), Reply::TakeKeyPackages(taken))
                if self.is_device_question(asked) =>
            {
                self.take_awaited(&taken, now)
            }
            (Call::TakeKeyPackages(asked), Reply::TakeKeyPackages(taken)) => {
                let keep = |tx: &crate::local::Tx<'_>| {
                    tx.keep_key_packages(&asked.request_id, &taken)
                        .map(no_events)
                };
                self.local.write(keep)
            }
            (Call::ReadMailbox(_), Reply::ReadMailbox(page)) => {
                self.take_mail_page(page, now).map(no_events)
            }
            (Call::AcknowledgeMailbox(asked), Reply::AcknowledgeMailbox(_)) => {
                if self.mail.unacknowledged == Some(asked.up_to_cursor) {
                    self.mail.unacknowledged = None;
                }
                Ok(Vec::new())
            }
            (Call::FetchTree(asked), Reply::FetchTree(tree)) => self.take_tree(asked, &tree, now),
            (Call::CreateGroup(request), Reply::CreateGroup(_)) => {
                self.take_created(request).map(no_events)
            }
            (Call::ReportCommit(asked), Reply::ReportCommit(_)) => self.take_report(asked),
            (Call::VoteForSuccessor(asked), Reply::VoteForSuccessor(_)) => self.take_vote(asked),
            (Call::FetchGroupInfo(asked), Reply::FetchGroupInfo(first, tree)) => {
                self.take_opening(asked, &first, &tree, now)
            }
            (Call::Submit(request), Reply::Submit(reply)) => self.take_accepted(request, &reply),
            (Call::SubmitIntent(asked), Reply::SubmitIntent(reply)) => {
                let device = conclave_rpc::device_id(&reply.committer_device_id).ok();
                self.take_ask(asked, device, now).map(no_events)
            }
            (Call::ReadLog(asked), Reply::ReadLog(page)) => self.take_log(asked, &page, now),
            _ => Err(ClientError::Protocol(
                "an answer to another question".into(),
            )),
        }
    }

    fn take_rejection(
        &mut self,
        call: &Call,
        rejection: &Rejection,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let share = self.share();
        if matches!(call, Call::PublishDeviceList(_)) && !self.is_registered() {
            // A user who is not known has no list, and may register.
            self.devices.list_refused |= rejection.is_answer();
        }
        if let Call::SubmitIntent(asked) = call
            && (rejection.is_decision() || rejection.is_answer())
        {
            self.service.clear();
            return self.take_ask(asked, None, now).map(no_events);
        }
        match rejection {
            Rejection::RateLimited(wait) => self.limited(call, *wait, now)?,
            Rejection::Unreachable(_) | Rejection::Broken(_) | Rejection::NotNow(_) => {
                self.service.fail(now, SERVICE_WAITS, share);
            }
            Rejection::StaleList(newest) => {
                // Where it is news, the next list is made from it.
                if !self.take_own_list(newest, now)? {
                    self.service.fail(now, SERVICE_WAITS, share);
                }
            }
            // Whatever it was, it must not be asked for again and again.
            _ if is_routine(call) => self.service.fail(now, SERVICE_WAITS, share),
            Rejection::Refused { .. } | Rejection::WrongEpoch { .. } | Rejection::TooLate => {
                self.service.clear();
                return self.take_refusal(call, rejection, now);
            }
        }
        Ok(Vec::new())
    }

    /// The service has decided, against what was asked.
    fn take_refusal(
        &mut self,
        call: &Call,
        rejection: &Rejection,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        if let Call::Submit(request) = call {
            if self.take_join_answer(request, false)? {
                return self.take_refused_join(call, rejection, now);
            }
            if let Some(events) = self.take_handed_over(request, Err(rejection))? {
                return Ok(events);
            }
        }
        let reason = rejection.clone().into_error("").to_string();
        match (call, rejection) {
            (Call::Register(_), _) if self.is_too_early(rejection) => {
                let share = self.share();
                self.service.fail(now, SERVICE_WAITS, share);
            }
            (Call::Register(_), _) => self.registration_refused = true,
            (Call::Submit(request), Rejection::WrongEpoch { current, head }) => {
                return self.take_wrong_epoch(request, *current, *head, now);
            }
            // The service has it already, in other bytes (see `local::prepare`).
            (Call::Submit(request), Rejection::Refused { code, .. })
                if *code == Code::AlreadyExists =>
            {
                let bytes = request.encode_to_vec();
                self.of_group(&request.group_id, |session, id| {
                    session.local.write(|tx| tx.was_sent_before(id, &bytes))?;
                    Ok(Vec::new())
                })?;
                self.log_is_due(&request.group_id);
            }
            (Call::Submit(request), _) => {
                self.give_up(&request.group_id, &request.encode_to_vec(), &reason)?;
                self.log_is_due(&request.group_id);
            }
            (Call::CreateGroup(request), _) => {
                self.give_up(&request.group_id, &request.encode_to_vec(), &reason)?;
            }
            (Call::TakeKeyPackages(request), _) if self.is_device_question(request) => {
                return self.take_awaited(&v1::TakeKeyPackagesResponse::default(), now);
            }
            (Call::TakeKeyPackages(request), _) => {
                self.local
                    .write(|tx| match tx.waits_for_key_packages(&request.request_id)? {
                        Some((group, row)) => tx.give_up(group, row, &reason),
                        None => Ok(()),
                    })?;
            }
            (Call::ReadLog(request), _) => {
                return self.of_group(&request.group_id, |session, id| {
                    session.take_unreadable_log(id, rejection, now)
                });
            }
            (Call::FetchGroupInfo(request), _) => {
                return self.of_group(&request.group_id, |session, id| {
                    session.take_rejoin_refusal(id, call, rejection, now)
                });
            }
            (Call::ReportCommit(request), _) => return self.take_report(request),
            (Call::VoteForSuccessor(request), _) => return self.take_vote(request),
            (Call::FetchTree(request), _) => return self.take_lost_tree(request, rejection, now),
            // The stock stays due, and is looked after on the next connection.
            (Call::PublishKeyPackages(_), _) => self.stock = Stock::Enough,
            _ => {}
        }
        Ok(Vec::new())
    }

    /// The service wants less of something. What else there is to ask need not wait for that.
    fn limited(&mut self, call: &Call, wait: Duration, now: UnixMillis) -> Result<(), ClientError> {
        let share = self.share();
        let group = match call {
            Call::TakeKeyPackages(asked) if self.is_device_question(asked) => {
                self.wait_for_devices(now, wait);
                return Ok(());
            }
            Call::TakeKeyPackages(asked) => self
                .local
                .read(|tx| tx.waits_for_key_packages(&asked.request_id))?
                .map(|(group, _)| group),
            Call::Submit(_) | Call::SubmitIntent(_) | Call::CreateGroup(_) => call.group(),
            _ => None,
        };
        match group.and_then(|id| self.groups.get_mut(&id)) {
            Some(progress) if !progress.is_out() => progress.outbox_backoff.wait(now, wait, share),
            _ => self.service.wait(now, wait, share),
        }
        Ok(())
    }

    /// The service did not take an external Commit. Where another Commit came first, or seems to
    /// have, the log says which.
    fn take_refused_join(
        &mut self,
        call: &Call,
        rejection: &Rejection,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        match (rejection, call.group()) {
            (Rejection::WrongEpoch { .. }, _) | (_, None) => Ok(Vec::new()),
            (_, Some(id)) => self.take_rejoin_refusal(id, call, rejection, now),
        }
    }

    /// The tree of a Welcome is gone, so the Welcome is of no use.
    fn take_lost_tree(
        &mut self,
        asked: &v1::FetchTreeRequest,
        rejection: &Rejection,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let awaited = self.mail.welcome();
        let Some(welcome) = awaited.filter(|it| it.tree_hash == asked.tree_hash) else {
            return Ok(Vec::new());
        };
        let reason = rejection.clone().into_error("");
        let events = self
            .local
            .write(|tx| tx.join_from_outside(welcome, &reason, now))?;
        self.mail.pop();
        self.look_at_groups()?;
        Ok(events)
    }

    /// The service has the message. The log says so too, unless this device has joined again since:
    /// then it will not read the entry, and this answer settles the intent.
    fn take_accepted(
        &mut self,
        request: &v1::SubmitRequest,
        reply: &v1::SubmitResponse,
    ) -> Result<Vec<Event>, ClientError> {
        if self.take_join_answer(request, true)? {
            return Ok(Vec::new());
        }
        if let Some(events) = self.take_handed_over(request, Ok(reply))? {
            return Ok(events);
        }
        self.log_is_due(&request.group_id);
        self.of_group(&request.group_id, |session, id| {
            let submission = request.encode_to_vec();
            session
                .local
                .write(|tx| tx.landed_unread(id, &submission, reply))
        })
    }

    /// Another Commit came first: the intent is made anew, once the log has been read.
    fn take_wrong_epoch(
        &mut self,
        request: &v1::SubmitRequest,
        current: Epoch,
        head: Sequence,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let share = self.share();
        let Some((id, progress)) = self.progress(&request.group_id) else {
            return Ok(Vec::new());
        };
        progress.log.set();
        // Messages do not race: whoever comes second is not turned away.
        if matches!(request.body, Some(Body::Commit(_))) {
            progress.outbox_backoff.fail(now, RACE_WAITS, share);
        }
        let submission = request.encode_to_vec();
        let (own, cursor) = self.local.write(|tx| {
            let Some(row) = tx.row_of(id, &submission)? else {
                // It was made anew already.
                return Ok((current, Sequence(0)));
            };
            let cursor = tx.group(id)?.map(|group| group.cursor);
            let epoch = tx.epoch_number(id)?;
            tx.came_second(id, row)?;
            Ok((epoch, cursor.unwrap_or(head)))
        })?;
        if own > current || (own < current && cursor >= head) {
            let reason = Reason::behind("the service is in another epoch");
            return self.resync(id, &reason, now);
        }
        Ok(Vec::new())
    }

    fn give_up(&mut self, group: &[u8], bytes: &[u8], reason: &str) -> Result<(), ClientError> {
        let Some((id, _)) = self.progress(group) else {
            return Ok(());
        };
        self.local.write(|tx| match tx.row_of(id, bytes)? {
            Some(row) => tx.give_up(id, row, reason),
            None => Ok(()),
        })
    }

    fn take_stock(
        &mut self,
        sent: &v1::PublishKeyPackagesRequest,
        reply: &v1::PublishKeyPackagesResponse,
        now: UnixMillis,
    ) -> Result<(), ClientError> {
        let was_question = sent.key_packages.is_empty();
        if was_question && (reply.stock as usize) < KEY_PACKAGE_STOCK / 2 {
            let packages = self
                .local
                .write(|tx| tx.make_key_packages(reply.stock, now))?;
            self.stock = Stock::Publishing(packages);
            return Ok(());
        }
        self.local.write(|tx| tx.set_stock_due(false))?;
        self.stock = Stock::Enough;
        Ok(())
    }

    /// The newest device lists that the service has; what waited for them is looked at again.
    fn take_lists(
        &mut self,
        lists: &v1::FetchDeviceListsResponse,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let events = self.local.write(|tx| tx.take_lists(lists, now))?;
        for progress in self.groups.values_mut() {
            let waited_for = progress.unlisted.take();
            let is_answered = |it: &UserId| lists.users.iter().any(|list| list.user == it.as_str());
            progress.listed = waited_for.filter(is_answered).or(progress.listed.take());
        }
        self.look_at_devices()?;
        Ok(events)
    }

    fn take_created(&mut self, request: &v1::CreateGroupRequest) -> Result<(), ClientError> {
        let Some((id, progress)) = self.progress(&request.group_id) else {
            return Ok(());
        };
        progress.standing = Standing::Member;
        let submission = request.encode_to_vec();
        self.local.write(|tx| match tx.row_of(id, &submission)? {
            Some(row) => tx.group_created(id, row),
            None => Ok(()),
        })
    }

    /// Does something for the group of a request, where it is known.
    fn of_group(
        &mut self,
        group: &[u8],
        work: impl FnOnce(&mut Self, GroupId) -> Result<Vec<Event>, ClientError>,
    ) -> Result<Vec<Event>, ClientError> {
        match self.progress(group) {
            Some((id, _)) => work(self, id),
            None => Ok(Vec::new()),
        }
    }

    fn log_is_due(&mut self, group: &[u8]) {
        if let Some((_, progress)) = self.progress(group) {
            progress.log.set();
        }
    }

    /// The progress of the group of a request.
    pub(super) fn progress(&mut self, group: &[u8]) -> Option<(GroupId, &mut Progress)> {
        let id = conclave_rpc::group_id(group).ok()?;
        Some((id, self.groups.get_mut(&id)?))
    }
}

/// Whether a call is no answer to anything that was asked for: what is refused of these would be
/// asked again at once.
fn is_routine(call: &Call) -> bool {
    matches!(
        call,
        Call::ReadMailbox(_)
            | Call::AcknowledgeMailbox(_)
            | Call::CheckInstance(_)
            | Call::Describe(_)
            | Call::PublishDeviceList(_)
            | Call::FindGroups(_)
            | Call::FetchDeviceLists(_)
    )
}

pub(super) fn no_events<T>(_: T) -> Vec<Event> {
    Vec::new()
}
