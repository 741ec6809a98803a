//! The audit log: a book in memory that follows what the store holds.

use std::sync::{
    Mutex, PoisonError, RwLock, RwLockReadGuard,
    atomic::{AtomicBool, Ordering},
};

use conclave_protocol::{DeviceId, UserId};
use conclave_safety::{Book, Chained, Entry, Refused};

use crate::{
    error::Refusal,
    limits::{AUDIT_ATTEMPTS_MAX, AUDIT_PAGE},
    store::{Asked, NewAudit, Notice, Store},
};

/// What the log comes to, as far as it was read.
#[derive(Default)]
pub(super) struct Ledger {
    /// Who writes; the book is not held meanwhile, since every message asks it.
    writing: Mutex<()>,
    book: RwLock<Book>,
    is_open: AtomicBool,
}

/// Who is told what.
pub(super) type Told = (UserId, Option<DeviceId>, Notice);

/// The number of the entry that a request got before.
pub(super) fn done_before(store: &dyn Store, asked: &Asked) -> Result<Option<u64>, Refusal> {
    match store.applied(asked.device, asked.request)? {
        None => Ok(None),
        Some(applied) if applied.body_hash == asked.body_hash => {
            Ok(Some(applied.receipt.sequence.0))
        }
        Some(_) => Err(Refusal::Taken("request_id: used before, with another body")),
    }
}

impl Ledger {
    /// The book.
    pub(super) fn book(&self) -> RwLockReadGuard<'_, Book> {
        // An entry is taken in as a whole or not at all.
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what was done before this process began, once.
    pub(super) fn open(&self, store: &dyn Store) -> Result<(), Refusal> {
        if !self.is_open.load(Ordering::Acquire) {
            self.catch_up(store)?;
            self.is_open.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Reads what came since.
    pub(super) fn catch_up(&self, store: &dyn Store) -> Result<(), Refusal> {
        loop {
            let entries = store.audit(self.book().chain().entries(), AUDIT_PAGE)?;
            for chained in &entries {
                self.take(chained)?;
            }
            if entries.len() < AUDIT_PAGE {
                return Ok(());
            }
        }
    }

    /// Writes an entry behind all that are there. Gives its number, and the devices that are told. What was asked for
    /// before in the same words is not done again.
    pub(super) fn write(
        &self,
        store: &dyn Store,
        asked: Option<Asked>,
        propose: impl Fn(&Book) -> Result<Entry, Refused>,
        tells: impl Fn(&Book, &Entry) -> Option<Told>,
    ) -> Result<(u64, Vec<DeviceId>), Refusal> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..AUDIT_ATTEMPTS_MAX {
            self.catch_up(store)?;
            if let Some(number) = asked
                .map(|it| done_before(store, &it))
                .transpose()?
                .flatten()
            {
                return Ok((number, Vec::new()));
            }
            let (chained, about, decides, tells) = {
                let book = self.book();
                let entry = propose(&book)?;
                let (chained, about) = (book.chain().link(&entry), book.about(&entry.act));
                (chained, about, entry.act.decides(), tells(&book, &entry))
            };
            let tells = tells.as_ref();
            let new = NewAudit {
                chained: &chained,
                asked,
                about,
                decides,
                tells: tells.map(|(user, device, notice)| (user, *device, notice)),
            };
            if let Some(told) = store.append_audit(&new)? {
                self.take(&chained)?;
                return Ok((chained.number, told));
            }
        }
        Err(Refusal::Overloaded)
    }

    fn take(&self, chained: &Chained) -> Result<(), Refusal> {
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have read it at the same moment.
        if chained.number <= book.chain().entries() {
            return Ok(());
        }
        book.take(chained).map_err(|error| {
            tracing::error!(%error, "the audit log does not hold");
            Refusal::Internal("the audit log does not hold")
        })
    }
}

#[cfg(test)]
mod tests {
    use conclave_protocol::UnixMillis;
    use conclave_safety::{Actor, Role};

    use super::*;
    use crate::store::MemoryStore;

    /// Several nodes write behind each other: no entry is lost or written twice, and all come to the same book.
    #[test]
    fn who_writes_at_the_same_moment_writes_one_log() {
        let (store, nodes) = (MemoryStore::default(), [(); 3].map(|()| Ledger::default()));
        let appoint = |node: &Ledger, user: String| {
            let user: UserId = user.parse().unwrap();
            let role = Some(Role::Viewer);
            let propose =
                |book: &Book| book.appoint(Actor::Operator, user.clone(), role, UnixMillis(1));
            loop {
                match node.write(&store, None, propose, |_, _| None) {
                    Err(Refusal::Overloaded) => {}
                    written => return written.unwrap().0,
                }
            }
        };
        let mut numbers = std::thread::scope(|scope| {
            let writers = nodes.iter().enumerate().flat_map(|(at, node)| {
                let write = move |writer| {
                    move || {
                        let names = (0..8).map(|it| format!("user-{at}-{writer}-{it}@here"));
                        names.map(|name| appoint(node, name)).collect::<Vec<_>>()
                    }
                };
                [scope.spawn(write(0)), scope.spawn(write(1))]
            });
            let writers: Vec<_> = writers.collect();
            let written = writers.into_iter().map(|it| it.join().unwrap());
            written.flatten().collect::<Vec<_>>()
        });
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=48).collect::<Vec<u64>>());
        for node in &nodes {
            node.catch_up(&store).unwrap();
            assert_eq!(*node.book(), *nodes[0].book());
            assert_eq!(node.book().moderators().count(), 48);
        }
    }
}
