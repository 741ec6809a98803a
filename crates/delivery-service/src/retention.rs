//! Dropping what has had its time, in the background, a little in each transaction.

use std::{sync::Arc, time::Duration};

use conclave_protocol::{
    UnixMillis,
    limits::{IDEMPOTENCY_LIFETIME, LOG_AGE_MAX},
};
use tokio::sync::watch;

use crate::{
    clock,
    limits::{EXPIRY_PAGE, REPORTS_KEPT, RETENTION_INTERVAL},
    store::{Expiry, Result, Store},
};

/// How long a server keeps things, and how much of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How long a log entry is kept; never longer than
    /// [`LOG_AGE_MAX`](conclave_protocol::limits::LOG_AGE_MAX). Who comes back later joins again.
    pub log_age: Duration,
    /// Bytes of messages that one group's log keeps: of more, the oldest go.
    pub log_bytes: u64,
    /// How long an attachment is kept.
    pub blob_age: Duration,
    /// Bytes of attachments that one user may have stored.
    pub blob_bytes_per_user: u64,
    /// How often what has had its time is dropped.
    pub interval: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            log_age: LOG_AGE_MAX,
            log_bytes: 1 << 30,
            blob_age: LOG_AGE_MAX,
            blob_bytes_per_user: 1 << 30,
            interval: RETENTION_INTERVAL,
        }
    }
}

impl Retention {
    fn expiry(&self, now: UnixMillis) -> Expiry {
        Expiry {
            now,
            log_before: now.before(self.log_age.min(LOG_AGE_MAX)),
            log_bytes_max: self.log_bytes,
            requests_before: now.before(IDEMPOTENCY_LIFETIME),
        }
    }
}

/// Drops what has had its time, again and again, until `stopping` says so.
pub(crate) async fn keep(
    store: Arc<dyn Store>,
    retention: Retention,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        let (store, seen) = (Arc::clone(&store), stopping.clone());
        let expiry = retention.expiry(clock::now());
        let passing =
            tokio::task::spawn_blocking(move || pass(&*store, &expiry, || *seen.borrow()));
        match passing.await {
            Ok(Ok(())) => {}
            // The next pass finds what this one left.
            Ok(Err(error)) => tracing::warn!(%error, "retention was cut short"),
            Err(_) => tracing::error!("retention panicked"),
        }
        let wait = stopping.wait_for(|stopping| *stopping);
        if tokio::time::timeout(retention.interval, wait).await.is_ok() {
            return;
        }
    }
}

/// Goes once through all groups and devices.
pub(crate) fn pass(
    store: &dyn Store,
    expiry: &Expiry,
    is_stopping: impl Fn() -> bool,
) -> Result<()> {
    store.expire_reports(expiry.now.before(REPORTS_KEPT))?;
    let mut last = None;
    loop {
        let groups = store.groups_after(last, EXPIRY_PAGE)?;
        for group in &groups {
            while !is_stopping() && store.expire_group(*group, expiry)? {}
        }
        last = groups.last().copied();
        if last.is_none() || is_stopping() {
            break;
        }
    }
    let mut last = None;
    loop {
        let devices = store.devices_after(last, EXPIRY_PAGE)?;
        for device in &devices {
            if is_stopping() {
                return Ok(());
            }
            store.expire_device(*device, expiry)?;
        }
        last = devices.last().copied();
        if last.is_none() {
            return Ok(());
        }
    }
}
