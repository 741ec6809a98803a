//! Taking in what the service answered.

use conclave_protocol::{GroupId, UnixMillis, limits::KEY_PACKAGE_STOCK};
use conclave_rpc::v1::{self, mailbox_item::Item, submit_request::Body};
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::{
    Call, Hint, Rejection, Reply, Session, Stock,
    pace::{CONFIRM_WAIT, LOG_WAITS, Progress, RACE_WAITS, SERVICE_WAITS, part},
};
use crate::{
    ClientError, Event, Standing,
    local::{Wanted, welcome_group},
};

/// How often a tree that is not the one that was asked for is asked for again.
const WRONG_TREES_MAX: u32 = 3;

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
        let reply = match reply {
            Ok(reply) => reply,
            Err(rejection) => {
                self.take_rejection(call, &rejection, now)?;
                return Ok(Vec::new());
            }
        };
        self.service.clear();
        match (call, reply) {
            (Call::Register(_), Reply::Register(_)) => self.local.registered().map(no_events),
            (Call::PublishKeyPackages(sent), Reply::PublishKeyPackages(reply)) => {
                self.take_stock(sent, &reply, now).map(no_events)
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
            (Call::Submit(request), Reply::Submit(_)) => {
                self.log_is_due(&request.group_id);
                Ok(Vec::new())
            }
            (Call::ReadLog(asked), Reply::ReadLog(page)) => self.take_log(asked, &page, now),
            _ => Err(ClientError::Protocol(
                "an answer to another question".into(),
            )),
        }
    }

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
        let known = self.local.read(|tx| tx.group(id))?;
        match known.map(|group| group.cursor.next().0) {
            Some(next) if next > entry.sequence => Ok(Vec::new()),
            Some(next) if next == entry.sequence => {
                self.take_entries(id, std::slice::from_ref(entry), now)
            }
            _ => self.hint(Hint::Group(id)).map(no_events),
        }
    }

    fn take_rejection(
        &mut self,
        call: &Call,
        rejection: &Rejection,
        now: UnixMillis,
    ) -> Result<(), ClientError> {
        let share = self.share();
        match rejection {
            Rejection::RateLimited(wait) => self.service.wait(now, *wait, share),
            Rejection::Unreachable(_) | Rejection::Broken(_) | Rejection::NotNow(_) => {
                self.service.fail(now, SERVICE_WAITS, share);
            }
            Rejection::Refused { .. } | Rejection::WrongEpoch { .. } | Rejection::TooLate => {
                self.service.clear();
                self.take_refusal(call, rejection, now)?;
            }
        }
        Ok(())
    }

    /// The service has decided, against what was asked.
    fn take_refusal(
        &mut self,
        call: &Call,
        rejection: &Rejection,
        now: UnixMillis,
    ) -> Result<(), ClientError> {
        let reason = rejection.clone().into_error("").to_string();
        match (call, rejection) {
            (Call::Register(_), _) => self.registration_refused = true,
            (Call::Submit(request), Rejection::WrongEpoch { .. }) => {
                self.take_wrong_epoch(request, now)?;
            }
            (Call::Submit(request), _) => {
                let submission = request.encode_to_vec();
                self.give_up(&request.group_id, &submission, &reason)?;
                self.log_is_due(&request.group_id);
            }
            (Call::CreateGroup(request), _) => {
                self.give_up(&request.group_id, &request.encode_to_vec(), &reason)?;
            }
            (Call::TakeKeyPackages(request), _) => {
                self.local
                    .write(|tx| match tx.waits_for_key_packages(&request.request_id)? {
                        Some((group, row)) => tx.give_up(group, row, &reason),
                        None => Ok(()),
                    })?;
            }
            (Call::ReadLog(request), _) => {
                self.log_failed(&request.group_id, rejection.clone().into_error(""), now);
            }
            // Whatever it was, it must not be asked for again and again.
            _ => self.service.fail(now, SERVICE_WAITS, self.share()),
        }
        Ok(())
    }

    /// Another Commit came first: the intent is made anew, once the log has been read.
    fn take_wrong_epoch(
        &mut self,
        request: &v1::SubmitRequest,
        now: UnixMillis,
    ) -> Result<(), ClientError> {
        let share = self.share();
        let Some((id, progress)) = self.progress(&request.group_id) else {
            return Ok(());
        };
        progress.log.set();
        // Messages do not race: whoever comes second is not turned away.
        if matches!(request.body, Some(Body::Commit(_))) {
            progress.outbox_backoff.fail(now, RACE_WAITS, share);
        }
        let submission = request.encode_to_vec();
        self.local.write(|tx| match tx.row_of(id, &submission)? {
            Some(_) => tx.rebase(id),
            None => Ok(()),
        })
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

    fn take_mail_page(
        &mut self,
        page: v1::ReadMailboxResponse,
        now: UnixMillis,
    ) -> Result<(), ClientError> {
        self.mail.due.done();
        if page.more {
            self.mail.due.set();
        }
        self.mail.items = page.items.into();
        self.take_mail(now)
    }

    /// Takes in mail up to the first Welcome that needs something of the service.
    pub(super) fn take_mail(&mut self, now: UnixMillis) -> Result<(), ClientError> {
        while let Some(item) = self.mail.items.front() {
            match &item.item {
                Some(Item::Welcome(welcome)) => match self.local.read(|tx| tx.wants(welcome))? {
                    Wanted::No => {}
                    Wanted::AfterLog if self.mail.log_was_read && !self.reads_log(welcome)? => {}
                    Wanted::Yes | Wanted::AfterLog => return Ok(()),
                },
                Some(Item::KeyPackagesLow(_)) => {
                    self.local.write(|tx| tx.set_stock_due(true))?;
                    self.stock = Stock::Unknown;
                }
                Some(Item::Intent(handed)) => {
                    let group = self.local.write(|tx| tx.gather(handed, now))?;
                    let progress = group.and_then(|id| self.groups.get_mut(&id));
                    progress.into_iter().for_each(|it| it.outbox.set());
                }
                _ => {}
            }
            self.mail.pop();
        }
        Ok(())
    }

    fn reads_log(&self, welcome: &v1::Welcome) -> Result<bool, ClientError> {
        let progress = self.groups.get(&welcome_group(welcome)?);
        Ok(progress.is_some_and(|progress| progress.log.is_due()))
    }

    fn take_tree(
        &mut self,
        asked: &v1::FetchTreeRequest,
        tree: &[u8],
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let awaited = self.mail.welcome();
        let Some(welcome) = awaited.filter(|it| it.tree_hash == asked.tree_hash) else {
            return Ok(Vec::new());
        };
        let is_it = Sha256::digest(tree).as_slice() == &welcome.tree_hash[..];
        if !is_it && self.mail.wrong_trees < WRONG_TREES_MAX {
            self.mail.wrong_trees += 1;
            let share = self.share();
            self.service.fail(now, SERVICE_WAITS, share);
            return Ok(Vec::new());
        }
        let events = self.local.write(|tx| match tx.wants(welcome)? {
            Wanted::Yes => tx.join(welcome, tree),
            Wanted::No | Wanted::AfterLog => Ok(Vec::new()),
        })?;
        self.mail.pop();
        self.stock = Stock::Unknown;
        self.look_at_groups()?;
        self.take_mail(now)?;
        Ok(events)
    }

    fn take_log(
        &mut self,
        asked: &v1::ReadLogRequest,
        page: &v1::ReadLogResponse,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let Some((id, _)) = self.progress(&asked.group_id) else {
            return Ok(Vec::new());
        };
        let events = self.take_entries(id, &page.entries, now)?;
        let last = page.entries.last().map(|entry| entry.sequence);
        if let Some(progress) = self.groups.get_mut(&id)
            && progress.problem.is_none()
        {
            progress.log_backoff.clear();
            if last.is_none_or(|last| last >= page.readable_sequence) {
                progress.log.done();
            }
        }
        Ok(events)
    }

    fn take_entries(
        &mut self,
        id: GroupId,
        entries: &[v1::LogEntry],
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let (run, group) = self
            .local
            .write(|tx| Ok((tx.take_in(id, entries)?, tx.group(id)?)))?;
        let share = self.share();
        let Some(progress) = self.groups.get_mut(&id) else {
            return Ok(run.events);
        };
        progress.problem = None;
        if let Some(group) = group {
            progress.standing = group.standing;
        }
        if !run.events.is_empty() {
            // What was read may have settled an intent, or have put a new one in the outbox.
            progress.outbox.set();
        }
        if run.has_leaves {
            progress.confirm_in(true, now, share);
        }
        if run.has_landed {
            progress.outbox_backoff.clear();
        }
        if let Some(problem) = run.problem {
            progress.log.set();
            progress.log_backoff.fail(now, LOG_WAITS, share);
            progress.problem = Some(problem);
        }
        Ok(run.events)
    }

    fn log_failed(&mut self, group: &[u8], problem: ClientError, now: UnixMillis) {
        let share = self.share();
        if let Some((_, progress)) = self.progress(group) {
            progress.log_backoff.fail(now, LOG_WAITS, share);
            progress.problem = Some(problem);
        }
    }

    fn log_is_due(&mut self, group: &[u8]) {
        if let Some((_, progress)) = self.progress(group) {
            progress.log.set();
        }
    }

    /// The progress of the group of a request.
    fn progress(&mut self, group: &[u8]) -> Option<(GroupId, &mut Progress)> {
        let id = conclave_rpc::group_id(group).ok()?;
        Some((id, self.groups.get_mut(&id)?))
    }
}

impl Progress {
    /// Waits a random moment before confirming that somebody leaves, where somebody does.
    pub(super) fn confirm_in(&mut self, has_leaves: bool, now: UnixMillis, share: u16) {
        let most = u64::try_from(CONFIRM_WAIT.as_millis()).unwrap_or(u64::MAX);
        let wait = std::time::Duration::from_millis(part(most, share));
        self.confirm_at = has_leaves.then(|| self.confirm_at.unwrap_or(now.after(wait)));
    }
}

fn no_events<T>(_: T) -> Vec<Event> {
    Vec::new()
}
