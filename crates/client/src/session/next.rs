//! What to ask the service next.

use conclave_protocol::{GroupId, KeyPossession, UnixMillis};
use conclave_rpc::v1;

use super::{Call, Session, Stock, pace::Progress};
use crate::{
    ClientError, Standing,
    local::{Tx, Wanted, welcome_group},
};

impl Session {
    /// What to ask the service now; `None` where there is nothing to do before
    /// [`wake_at`](Self::wake_at). What the call says is durable here.
    ///
    /// # Errors
    /// [`ClientError::Database`], and what else is wrong with the local state.
    pub fn next_call(&mut self, now: UnixMillis) -> Result<Option<Call>, ClientError> {
        if !self.service.is_over(now) {
            return Ok(None);
        }
        if !self.local.account().is_registered() {
            return self.next_before_registration();
        }
        if let Some(call) = self.next_for_instance()? {
            return Ok(Some(call));
        }
        if let Some(call) = self.next_for_keys(now)? {
            return Ok(Some(call));
        }
        if let Some(call) = self.next_for_devices(now)? {
            return Ok(Some(call));
        }
        if let Some(call) = self.next_for_mail(now)? {
            return Ok(Some(call));
        }
        if let Some(call) = self.next_for_stock()? {
            return Ok(Some(call));
        }
        let groups: Vec<GroupId> = self.groups.keys().copied().collect();
        for group in groups {
            if let Some(call) = self.next_for_group(group, now)? {
                return Ok(Some(call));
            }
        }
        Ok(None)
    }

    /// What to ask the service now for one group, as where somebody waits for what was just asked of
    /// that group; nothing else, but for the check that comes first on each connection.
    ///
    /// # Errors
    /// Those of [`Self::next_call`].
    pub fn next_call_in(
        &mut self,
        group: GroupId,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        if !self.service.is_over(now) || !self.local.account().is_registered() {
            return Ok(None);
        }
        let checks = match self.next_for_instance()? {
            None => self.next_for_wanted_keys(),
            call => call,
        };
        match checks {
            Some(call) => Ok(Some(call)),
            None => self.next_for_group(group, now),
        }
    }

    pub(super) fn registration(&self) -> Call {
        let account = self.local.account();
        let possession = KeyPossession {
            server: account.server_name.clone(),
            user: account.user().clone(),
            device: account.device(),
        };
        let proof = possession.prove(&account.signature_key).to_vec();
        Call::Register(v1::RegisterRequest {
            certificate: account.certificate.to_bytes().into(),
            proof_of_possession: proof.into(),
            registration_code: self.code.clone().unwrap_or_default(),
        })
    }

    fn next_for_mail(&mut self, now: UnixMillis) -> Result<Option<Call>, ClientError> {
        self.take_mail(now)?;
        if let Some(welcome) = self.mail.welcome() {
            let (id, request) = (welcome_group(welcome)?, fetch_tree(welcome));
            if self.local.read(|tx| tx.wants(welcome))? == Wanted::Yes {
                return Ok(Some(Call::FetchTree(request)));
            }
            self.read_log_for_mail(id);
            return Ok(None);
        }
        if let Some(up_to_cursor) = self.mail.unacknowledged {
            let request = v1::AcknowledgeMailboxRequest { up_to_cursor };
            return Ok(Some(Call::AcknowledgeMailbox(request)));
        }
        Ok(self.mail_page())
    }

    fn mail_page(&mut self) -> Option<Call> {
        if !self.mail.due.is_due() {
            return None;
        }
        self.mail.due.ask();
        Some(Call::ReadMailbox(v1::ReadMailboxRequest::default()))
    }

    fn read_log_for_mail(&mut self, group: GroupId) {
        if let Some(progress) = self.groups.get_mut(&group)
            && !self.mail.log_was_read
        {
            progress.log.set();
            self.mail.log_was_read = true;
        }
    }

    /// Fills this device's stock of KeyPackages at the service where it may have run low.
    fn next_for_stock(&mut self) -> Result<Option<Call>, ClientError> {
        match &self.stock {
            Stock::Enough => Ok(None),
            Stock::Publishing(request) => Ok(Some(Call::PublishKeyPackages(request.clone()))),
            Stock::Unknown => {
                let is_due = self.local.read(|tx| tx.stock_is_due())?;
                if !is_due {
                    self.stock = Stock::Enough;
                }
                let ask = Call::PublishKeyPackages(v1::PublishKeyPackagesRequest::default());
                Ok(is_due.then_some(ask))
            }
        }
    }

    fn next_for_group(
        &mut self,
        id: GroupId,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        let Some(progress) = self.groups.get_mut(&id) else {
            return Ok(None);
        };
        if progress.has_report {
            let report = self.local.read(|tx| tx.report(id))?;
            return Ok(report.map(Call::ReportCommit));
        }
        if progress.is_out() {
            if let Some(call) = self.next_to_overhear(id, now)? {
                return Ok(Some(call));
            }
            return match self.next_of_trial(id, now)? {
                None => self.next_of_rejoin(id, now),
                call => Ok(call),
            };
        }
        let standing = progress.standing;
        self.look_at_asked(id, now)?;
        let Some(progress) = self.groups.get_mut(&id) else {
            return Ok(None);
        };
        match standing {
            Standing::Ended if progress.has_farewell => {
                let farewell = self.local.read(|tx| tx.farewell(id))?;
                Ok(farewell.map(Call::VoteForSuccessor))
            }
            Standing::Ended if progress.hands_over => self.next_of_outbox(id, now),
            Standing::Ended | Standing::Joining => Ok(None),
            Standing::Creating => self.next_of_outbox(id, now),
            Standing::Member | Standing::Leaving => {
                // What is behind the log is of a past epoch, so nothing is sent before it is read.
                if progress.log.is_due() {
                    return self.next_of_log(id, now);
                }
                if let Some(call) = self.next_of_trial(id, now)? {
                    return Ok(Some(call));
                }
                if let Some(call) = self.next_to_ask(id, now)? {
                    return Ok(Some(call));
                }
                self.do_wishes(id, now)?;
                self.confirm_leaves(id, now)?;
                self.repair(id, now)?;
                if let Some(call) = self.remove_revoked(id, now)? {
                    return Ok(Some(call));
                }
                self.send_receipt(id, now)?;
                self.next_of_outbox(id, now)
            }
        }
    }

    fn next_of_log(&mut self, id: GroupId, now: UnixMillis) -> Result<Option<Call>, ClientError> {
        let Some(progress) = self.groups.get_mut(&id) else {
            return Ok(None);
        };
        if !progress.log_backoff.is_over(now) {
            return Ok(None);
        }
        if let Some(user) = &progress.unlisted {
            let users = vec![user.to_string()];
            let request = v1::FetchDeviceListsRequest { users };
            return Ok(Some(Call::FetchDeviceLists(request)));
        }
        progress.log.ask();
        let read = |tx: &Tx<'_>| Ok((tx.group(id)?, tx.is_unheard(id)?));
        let (group, is_unheard) = self.local.read(read)?;
        Ok(group.map(|group| {
            Call::ReadLog(v1::ReadLogRequest {
                group_id: id.as_bytes().to_vec().into(),
                after_sequence: group.cursor.0,
                limit: 0,
                with_words: is_unheard,
            })
        }))
    }

    /// Removes devices that were deleted, where their users' newest lists show that they were revoked.
    /// On the service's word alone nobody is removed.
    fn remove_revoked(
        &mut self,
        id: GroupId,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        let Some(progress) = self.groups.get_mut(&id) else {
            return Ok(None);
        };
        if progress.departed_at.is_none_or(|at| now < at) {
            return Ok(None);
        }
        let stale = self
            .local
            .write(|tx| tx.remove_revoked(id, &progress.departed, progress.departed_heard))?;
        if !stale.is_empty() {
            let request = v1::FetchDeviceListsRequest { users: stale };
            return Ok(Some(Call::FetchDeviceLists(request)));
        }
        progress.departed_at = None;
        progress.outbox.set();
        Ok(None)
    }

    fn next_of_outbox(
        &mut self,
        id: GroupId,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        if self.lets_others_go_first(id, now)? {
            return Ok(None);
        }
        let Some(progress) = self.groups.get_mut(&id).filter(|it| it.may_send(now)) else {
            return Ok(None);
        };
        // Most often nothing waits, and a look costs no wait for the disk.
        let call = if self.local.read(|tx| tx.has_waiting(id))? {
            self.local.write(|tx| tx.next_call(id, now))?
        } else {
            None
        };
        if call.is_none() {
            progress.outbox.ask();
            progress.outbox.done();
        }
        Ok(call)
    }
}

fn fetch_tree(welcome: &v1::Welcome) -> v1::FetchTreeRequest {
    v1::FetchTreeRequest {
        group_id: welcome.group_id.clone(),
        epoch: welcome.epoch,
        tree_hash: welcome.tree_hash.clone(),
    }
}

impl Progress {
    fn may_send(&self, now: UnixMillis) -> bool {
        self.outbox.is_due() && self.outbox_backoff.is_over(now)
    }
}
