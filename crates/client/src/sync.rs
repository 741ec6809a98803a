//! Conversations with the service: reading what waits, and driving the outbox.
//!
//! Nothing is decided here. Each round trip is followed by one local transaction, and a crash
//! between any two leaves the outbox and the cursors to say where to go on.

use std::sync::Arc;

use conclave_protocol::{GroupId, limits::KEY_PACKAGE_STOCK};
use conclave_rpc::v1::{self, mailbox_item::Item};

use crate::{
    Client, ClientError, Event, Receipt, Standing,
    client::now,
    intent::Intent,
    local::{Step, Tx},
    remote::Rejected,
};

/// How often an intent is tried in a row before the application hears of it; it stays queued.
const TRIES_MAX: u32 = 100;

impl Client {
    /// Reads the mailbox and every group's log, then sends what waits in the outbox. A group that
    /// can't go on does not hold up the others; its error comes after they are done.
    pub(crate) async fn sync_all(&self) -> Result<Vec<Event>, ClientError> {
        let mut events = self.sync_mailbox().await?;
        let mut problem = None;
        for group in self.groups().await? {
            if matches!(group.standing, Standing::Member | Standing::Leaving) {
                let synced = self.sync_log(group.id, &mut events).await;
                keep_first(&mut problem, synced)?;
            }
        }
        self.confirm_leaves().await?;
        for group in self.groups().await? {
            if group.standing != Standing::Ended {
                let flushed = self.flush(group.id, &mut events).await;
                keep_first(&mut problem, flushed)?;
            }
        }
        problem.map_or(Ok(events), Err)
    }

    /// Does what a group's outbox asks for until the intent in `row` is settled.
    pub(crate) async fn drive(&self, group: GroupId, row: i64) -> Result<Receipt, ClientError> {
        self.flush(group, &mut Vec::new()).await?;
        match self.write(move |tx| tx.take_outcome(row)).await? {
            Some(Ok(receipt)) => Ok(receipt),
            Some(Err(reason)) => Err(ClientError::GivenUp(reason)),
            None => Err(ClientError::TooManyRaces),
        }
    }

    /// Joins the groups that Welcomes wait for.
    pub(crate) async fn sync_mailbox(&self) -> Result<Vec<Event>, ClientError> {
        let mut events = Vec::new();
        loop {
            let request = v1::ReadMailboxRequest {
                after_cursor: 0,
                limit: 0,
            };
            let page = self.inner.remote.read_mailbox(request).await?;
            let Some(last) = page.items.last().map(|item| item.cursor) else {
                break;
            };
            for item in page.items {
                events.extend(self.take_mail(item).await?);
            }
            // Only now are they durable here.
            self.inner.remote.acknowledge_mailbox(last).await?;
            if !page.more {
                break;
            }
        }
        self.replenish().await?;
        Ok(events)
    }

    /// Takes in one mailbox item; the caller acknowledges it.
    pub(crate) async fn take_mail(&self, item: v1::MailboxItem) -> Result<Vec<Event>, ClientError> {
        let welcome = match item.item {
            Some(Item::Welcome(welcome)) => welcome,
            // Whoever reads the mailbox fills the stock when it is read.
            Some(Item::KeyPackagesLow(_)) => {
                self.write(|tx| tx.set_stock_due(true)).await?;
                return Ok(Vec::new());
            }
            // The outbox is worked off after the mailbox, so many of these become one Commit.
            Some(Item::Intent(handed)) => {
                self.write(move |tx| tx.gather(&handed, now())).await?;
                return Ok(Vec::new());
            }
            _ => return Ok(Vec::new()),
        };
        let asked = welcome.clone();
        if !self.read(move |tx| tx.wants(&asked)).await? {
            return Ok(Vec::new());
        }
        let tree = self.inner.remote.fetch_tree(&welcome).await?;
        self.write(move |tx| tx.join(&welcome, &tree)).await
    }

    /// Reads a group's log from the cursor to its end, or to this device's removal.
    pub(crate) async fn sync_log(
        &self,
        group: GroupId,
        events: &mut Vec<Event>,
    ) -> Result<(), ClientError> {
        loop {
            let known = self.read(move |tx| tx.group(group)).await?;
            let Some(known) = known.filter(|group| group.standing != Standing::Ended) else {
                return Ok(());
            };
            let request = v1::ReadLogRequest {
                group_id: group.as_bytes().to_vec().into(),
                after_sequence: known.cursor.0,
                limit: 0,
            };
            let page = self.inner.remote.read_log(request).await?;
            let Some(last) = page.entries.last().map(|entry| entry.sequence) else {
                return Ok(());
            };
            self.take_in(group, page.entries, events).await?;
            if last >= page.readable_sequence {
                return Ok(());
            }
        }
    }

    /// Takes in a page in one transaction; where an entry of it can't be, those before it are.
    async fn take_in(
        &self,
        group: GroupId,
        entries: Vec<v1::LogEntry>,
        events: &mut Vec<Event>,
    ) -> Result<(), ClientError> {
        let entries = Arc::new(entries);
        let page = Arc::clone(&entries);
        if let Ok(taken) = self.write(move |tx| tx.take_in(group, &page)).await {
            events.extend(taken);
            return Ok(());
        }
        for index in 0..entries.len() {
            let page = Arc::clone(&entries);
            let one = move |tx: &Tx<'_>| tx.take_in(group, &page[index..=index]);
            events.extend(self.write(one).await?);
        }
        Ok(())
    }

    /// Commits what others who leave wait for.
    pub(crate) async fn confirm_leaves(&self) -> Result<(), ClientError> {
        self.write(|tx| {
            for group in tx.groups_to_confirm()? {
                if !tx.is_queued(group, &Intent::Confirm)? {
                    tx.enqueue(group, &Intent::Confirm)?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Works a group's outbox off.
    pub(crate) async fn flush(
        &self,
        group: GroupId,
        events: &mut Vec<Event>,
    ) -> Result<(), ClientError> {
        let mut tries = Tries::default();
        loop {
            let step = self.write(move |tx| tx.next_step(group, now())).await?;
            let Some(row) = step.row() else {
                return Ok(());
            };
            tries.count(row)?;
            match self.perform(group, step, events).await {
                Ok(()) => {}
                Err(Rejected::WrongEpoch) => {
                    self.sync_log(group, events).await?;
                    self.write(move |tx| tx.rebase(group)).await?;
                }
                Err(Rejected::ForGood(reason)) => {
                    let reason = ClientError::Refused(reason).to_string();
                    self.write(move |tx| tx.give_up(group, row, &reason))
                        .await?;
                }
                Err(Rejected::Unknown(error)) => return Err(error),
            }
        }
    }

    async fn perform(
        &self,
        group: GroupId,
        step: Step,
        events: &mut Vec<Event>,
    ) -> Result<(), Rejected> {
        match step {
            Step::Idle => {}
            Step::Create { row, request } => {
                self.inner.remote.create_group(request).await?;
                self.write(move |tx| tx.group_created(group, row)).await?;
            }
            Step::TakeKeyPackages { row, request } => {
                let taken = self.inner.remote.take_key_packages(request).await?;
                self.write(move |tx| tx.keep_key_packages(row, &taken))
                    .await?;
            }
            Step::Submit { request, .. } => {
                self.inner.remote.submit(request).await?;
                self.sync_log(group, events).await?;
            }
        }
        Ok(())
    }

    /// Fills this device's stock of KeyPackages at the service where it may have run low.
    pub(crate) async fn replenish(&self) -> Result<(), ClientError> {
        if !self.read(|tx| tx.stock_is_due()).await? {
            return Ok(());
        }
        let ask = v1::PublishKeyPackagesRequest::default();
        let stock = self.inner.remote.publish_key_packages(ask).await?;
        if (stock as usize) < KEY_PACKAGE_STOCK / 2 {
            let packages = self
                .write(move |tx| tx.make_key_packages(stock, now()))
                .await?;
            self.inner.remote.publish_key_packages(packages).await?;
        }
        self.write(|tx| tx.set_stock_due(false)).await
    }
}

/// Keeps the first error of a group and goes on, unless the service itself is away.
fn keep_first(
    problem: &mut Option<ClientError>,
    result: Result<(), ClientError>,
) -> Result<(), ClientError> {
    match result {
        Err(error @ (ClientError::Unreachable { .. } | ClientError::RateLimited(_))) => Err(error),
        Err(error) => {
            problem.get_or_insert(error);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// How often the first intent of an outbox was tried without being settled.
#[derive(Default)]
struct Tries {
    row: i64,
    count: u32,
}

impl Tries {
    fn count(&mut self, row: i64) -> Result<(), ClientError> {
        self.count = if self.row == row { self.count + 1 } else { 1 };
        self.row = row;
        if self.count > TRIES_MAX {
            Err(ClientError::TooManyRaces)
        } else {
            Ok(())
        }
    }
}
