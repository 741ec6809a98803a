//! What the service says of its keys: asked for once a day, and where a message is stamped by a key that is not
//! known yet.

use std::{collections::BTreeSet, time::Duration};

use conclave_protocol::{Frank, KeyId, UnixMillis};
use conclave_rpc::v1;

use super::{Call, Session};
use crate::ClientError;

/// How long what the service said counts as new: it shows each key a week before it stamps.
const FRESH_FOR: Duration = Duration::from_hours(24);

/// Keys that are known, or were asked for in vain: what a service that makes no sense can cost.
const SETTLED_MAX: usize = 256;

/// How well the service's keys are known.
#[derive(Debug, Default)]
pub(super) struct Keys {
    standing: Standing,
    /// Keys that need not be asked for again.
    settled: BTreeSet<KeyId>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// To be looked up.
    #[default]
    Unknown,
    /// It is a while since they were asked for.
    Old,
    /// A message waits for them.
    Wanted,
    New,
}

impl Keys {
    pub(super) fn has_business(&self) -> bool {
        self.standing != Standing::New
    }

    pub(super) fn look_again(&mut self) {
        if self.standing == Standing::New {
            self.standing = Standing::Unknown;
        }
    }
}

impl Session {
    pub(super) fn next_for_keys(&mut self, now: UnixMillis) -> Result<Option<Call>, ClientError> {
        if self.keys.standing == Standing::Unknown {
            let read = self.local.read(|tx| tx.keys_read_at())?;
            let is_new = read.is_some_and(|read| now < read.after(FRESH_FOR));
            self.keys.standing = if is_new { Standing::New } else { Standing::Old };
        }
        let ask = Call::Describe(v1::DescribeRequest {});
        Ok(self.keys.has_business().then_some(ask))
    }

    /// The same where a message waits for it.
    pub(super) fn next_for_wanted_keys(&self) -> Option<Call> {
        let is_wanted = self.keys.standing == Standing::Wanted;
        is_wanted.then(|| Call::Describe(v1::DescribeRequest {}))
    }

    pub(super) fn take_service(
        &mut self,
        said: &v1::DescribeResponse,
        now: UnixMillis,
    ) -> Result<(), ClientError> {
        self.local.write(|tx| tx.take_service(said, now))?;
        self.keys.standing = Standing::New;
        Ok(())
    }

    /// Whether one of these entries is stamped by a key that is not known here, and for which the service is to
    /// be asked before they are taken in.
    pub(super) fn lacks_keys(&mut self, entries: &[v1::LogEntry]) -> Result<bool, ClientError> {
        let mut lacks = false;
        for frank in entries.iter().filter_map(|it| Frank::from_bytes(&it.frank)) {
            let key = frank.key();
            if self.keys.settled.contains(&key) {
                continue;
            }
            lacks |= !self.local.read(|tx| tx.knows_stamping_key(key))?;
            if self.keys.settled.len() >= SETTLED_MAX {
                self.keys.settled.clear();
            }
            self.keys.settled.insert(key);
        }
        if lacks {
            self.keys.standing = Standing::Wanted;
        }
        Ok(lacks)
    }
}
