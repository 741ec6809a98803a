//! The one connection that writes. Its callers' transactions are committed in groups.
//!
//! A commit waits for the disk, far longer than the work before it takes. So callers take turns on
//! one open transaction, each inside a savepoint, and whoever finds nobody waiting behind commits
//! for all. Nobody is answered before the group is durable. Each works on the thread it came on,
//! so what it writes is borrowed: a thread of the writer's own would need a copy.

use std::{
    any::Any,
    cell::RefCell,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use conclave_protocol::{Stamp, StampingKey};
use rusqlite::Connection;

use super::{
    super::{Result, StoreError},
    franks::{PLACE_BYTES, Unsigned},
};
use crate::{
    limits::{WRITES_PER_COMMIT_MAX, WRITES_QUEUED_MAX},
    metrics::Commits,
};

/// What a write works on. It is kept as a whole or not at all.
pub(super) struct Transaction<'a> {
    connection: &'a Connection,
    unsigned: &'a RefCell<Unsigned>,
}

impl Transaction<'_> {
    /// Has a stamp signed with all others of the commit; gives what stands beside the entry.
    pub(super) fn stamp(&self, stamp: &Stamp, key: &Arc<StampingKey>) -> Result<[u8; PLACE_BYTES]> {
        self.unsigned.borrow_mut().take(self.connection, stamp, key)
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// The connection, and who waits for it.
pub(super) struct Writer {
    queued: AtomicUsize,
    turn: Mutex<Turn>,
    commits: Commits,
}

/// What one caller at a time has.
struct Turn {
    connection: Connection,
    /// The group whose transaction is open.
    open: Option<Arc<Group>>,
    size: usize,
    unsigned: RefCell<Unsigned>,
    commits: Commits,
}

/// Writes that are committed together.
#[derive(Default)]
struct Group {
    committed: Mutex<Option<bool>>,
    settled: Condvar,
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Self {
        let commits = Commits::default();
        Self {
            queued: AtomicUsize::new(0),
            turn: Mutex::new(Turn {
                connection,
                open: None,
                size: 0,
                unsigned: RefCell::default(),
                commits: commits.clone(),
            }),
            commits,
        }
    }

    pub(super) fn commits(&self) -> Commits {
        self.commits.clone()
    }

    /// Runs one write transaction; what it gives is durable.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        if self.queued.fetch_add(1, Ordering::AcqRel) >= WRITES_QUEUED_MAX {
            self.queued.fetch_sub(1, Ordering::AcqRel);
            return Err(StoreError::Overloaded);
        }
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let result = turn.run(work);
        let group = turn.open.clone();
        // Who counted itself in before this will still take its turn, and commits if it is last.
        let is_last = self.queued.fetch_sub(1, Ordering::AcqRel) == 1;
        if is_last || turn.size >= WRITES_PER_COMMIT_MAX || turn.is_lost() {
            turn.settle();
        }
        drop(turn);
        let value = result.unwrap_or_else(|panic| resume_unwind(panic))?;
        match group {
            Some(group) if group.is_committed() => Ok(value),
            _ => Err(StoreError::NotCommitted),
        }
    }
}

impl Turn {
    /// Works inside a savepoint of the open transaction, or a new one. A panic is for whoever
    /// caused it: the others' writes stand.
    fn run<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<Result<T>, Box<dyn Any + Send>> {
        if let Err(error) = self.begin() {
            return Ok(Err(error.into()));
        }
        self.size += 1;
        let transaction = Transaction {
            connection: &self.connection,
            unsigned: &self.unsigned,
        };
        let stamped = self.unsigned.borrow().count();
        let result = catch_unwind(AssertUnwindSafe(|| work(&transaction)));
        if !matches!(result, Ok(Ok(_))) {
            self.unsigned.borrow_mut().forget_after(stamped);
        }
        let end = match result {
            Ok(Ok(_)) => "RELEASE turn",
            _ => "ROLLBACK TO turn",
        };
        // Where this fails, the transaction is lost as a whole, or what was undone stays until then.
        match (self.execute(end), result) {
            (Err(error), Ok(_)) => {
                self.abandon();
                Ok(Err(error.into()))
            }
            (_, result) => result.map_or_else(Err, Ok),
        }
    }

    fn begin(&mut self) -> rusqlite::Result<()> {
        if self.open.is_none() {
            // The write lock is taken at once: taken later, it could fail in the middle.
            self.execute("BEGIN IMMEDIATE")?;
            self.open = Some(Arc::default());
            self.size = 0;
        }
        self.execute("SAVEPOINT turn")
    }

    fn execute(&self, statement: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(statement)?.execute([])?;
        Ok(())
    }

    /// Some failures, such as a full disk, make SQLite roll back the whole transaction.
    fn is_lost(&self) -> bool {
        self.open.is_some() && self.connection.is_autocommit()
    }

    fn abandon(&self) {
        self.unsigned.take();
        if !self.connection.is_autocommit() && self.execute("ROLLBACK").is_err() {
            tracing::error!("a transaction was neither committed nor rolled back");
        }
    }

    /// Commits, and tells all whose writes are in the group.
    fn settle(&mut self) {
        let Some(group) = self.open.take() else {
            return;
        };
        let (unsigned, begun) = (self.unsigned.take(), Instant::now());
        let committed = !self.connection.is_autocommit()
            && match unsigned
                .seal(&self.connection)
                .and_then(|()| self.execute("COMMIT"))
            {
                Ok(()) => true,
                Err(error) => {
                    tracing::error!(%error, "a transaction was not committed");
                    self.abandon();
                    false
                }
            };
        self.commits.ended(begun, self.size, committed);
        group.settle(committed);
    }
}

impl Group {
    fn settle(&self, committed: bool) {
        let mut outcome = self
            .committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *outcome = Some(committed);
        self.settled.notify_all();
    }

    fn is_committed(&self) -> bool {
        let outcome = self
            .committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let outcome = self
            .settled
            .wait_while(outcome, |outcome| outcome.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        *outcome == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use std::{panic, thread};

    use super::*;

    fn writer(folder: &tempfile::TempDir) -> Writer {
        let connection = Connection::open(folder.path().join("test.db")).unwrap();
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .unwrap();
        let table = "CREATE TABLE note (number INTEGER UNIQUE)";
        connection.execute_batch(table).unwrap();
        Writer::new(connection)
    }

    fn put(writer: &Writer, number: usize) -> Result<()> {
        writer.write(|db| {
            db.execute("INSERT INTO note VALUES (?1)", [number])?;
            match number % 4 {
                1 => Err(StoreError::Corrupt("refused")),
                2 => panic!("on purpose"),
                _ => Ok(()),
            }
        })
    }

    /// Writes that share a transaction share its commit and nothing else.
    #[test]
    fn a_write_that_fails_or_panics_takes_no_other_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder);
        let quiet = panic::take_hook();
        panic::set_hook(Box::new(|_| {}));
        thread::scope(|scope| {
            for at in 0..16 {
                let writer = &writer;
                scope.spawn(move || {
                    for number in (at..480).step_by(16) {
                        let outcome = catch_unwind(AssertUnwindSafe(|| put(writer, number)));
                        match number % 4 {
                            1 => assert!(matches!(outcome, Ok(Err(StoreError::Corrupt(_))))),
                            2 => assert!(outcome.is_err()),
                            _ => assert!(matches!(outcome, Ok(Ok(())))),
                        }
                    }
                });
            }
        });
        panic::set_hook(quiet);
        let reader = Connection::open(folder.path().join("test.db")).unwrap();
        let mut statement = reader
            .prepare("SELECT number FROM note ORDER BY number")
            .unwrap();
        let kept: Vec<usize> = statement
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let wanted: Vec<usize> = (0..480)
            .filter(|number| matches!(number % 4, 0 | 3))
            .collect();
        assert_eq!(kept, wanted);
    }

    /// Where SQLite gives up the whole transaction, nobody in it is told that it was kept.
    #[test]
    fn a_lost_transaction_is_nobodys_success() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder);
        let lost = writer.write(|db| {
            db.execute("INSERT INTO note VALUES (1)", [])?;
            db.execute_batch("ROLLBACK")?;
            Ok(())
        });
        assert!(lost.is_err());
        writer
            .write(|db| Ok(db.execute("INSERT INTO note VALUES (2)", [])?))
            .unwrap();
        let reader = Connection::open(folder.path().join("test.db")).unwrap();
        let sum: u64 = reader
            .query_row("SELECT sum(number) FROM note", [], |row| row.get(0))
            .unwrap();
        assert_eq!(sum, 2);
    }
}
