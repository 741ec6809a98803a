//! Taking in what waited in the mailbox: first of all, Welcomes and the trees that they are for.

use conclave_protocol::UnixMillis;
use conclave_rpc::v1::{self, mailbox_item::Item};
use sha2::{Digest as _, Sha256};

use crate::{
    ClientError, Event,
    local::{Wanted, welcome_group},
    session::{Session, Stock},
    waits::SERVICE_WAITS,
};

/// How often a tree that is not the one that was asked for is asked for again.
const WRONG_TREES_MAX: u32 = 3;

impl Session {
    pub(super) fn take_mail_page(
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
    pub(in crate::session) fn take_mail(&mut self, now: UnixMillis) -> Result<(), ClientError> {
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
                    progress.into_iter().for_each(|it| it.wishes.more(now));
                }
                Some(Item::Measure(measure)) => self.news.extend(Event::moderated(measure)),
                Some(Item::InvitationAsked(asked)) => self.take_asked(&asked.clone())?,
                Some(Item::InvitationApproved(it)) => self.take_approved(&it.clone(), now)?,
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

    pub(super) fn take_tree(
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
            Wanted::Yes => tx.join(welcome, tree, now),
            Wanted::No | Wanted::AfterLog => Ok(Vec::new()),
        })?;
        self.mail.pop();
        self.stock = Stock::Unknown;
        self.look_everywhere()?;
        self.look_at_devices()?;
        self.take_mail(now)?;
        Ok(events)
    }
}
