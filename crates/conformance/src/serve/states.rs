//! What the server's numbers name.

use std::{
    collections::{BTreeMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tonic::Status;

use super::ask::status;
use crate::client::{Client, Outsider};

/// States that are kept: whoever never frees any loses the oldest.
const STATES_MAX: usize = 16_384;

/// Everything that has a number.
#[derive(Default)]
pub(super) struct States(Mutex<Table>);

#[derive(Default)]
struct Table {
    last: u32,
    kept: BTreeMap<u32, Arc<Mutex<Option<Kept>>>>,
}

/// What a number names.
pub(super) enum Kept {
    Client(Place),
    Signer(Outsider),
}

/// A client, and where it stands.
pub(super) struct Place {
    pub(super) client: Box<dyn Client>,
    pub(super) standing: Standing,
    /// Proposals of this epoch that it made or has received.
    known: HashSet<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It waits for a Welcome.
    Invited,
    /// It is in a group.
    Member,
    /// Its group was ended, and goes on as another.
    Ended,
}

impl Place {
    pub(super) fn new(client: Box<dyn Client>, standing: Standing) -> Self {
        Self {
            client,
            standing,
            known: HashSet::new(),
        }
    }

    /// Has the client take in the proposals that it does not know yet.
    pub(super) fn hear(&mut self, proposals: Vec<Vec<u8>>) -> anyhow::Result<()> {
        for proposal in proposals {
            if !self.known.contains(&proposal) {
                self.client.receive(&proposal)?;
                self.known.insert(proposal);
            }
        }
        Ok(())
    }

    pub(super) fn note(&mut self, proposal: &[u8]) {
        self.known.insert(proposal.to_vec());
    }

    /// A new epoch has begun; gives its authenticator.
    pub(super) fn arrive(&mut self) -> anyhow::Result<Vec<u8>> {
        self.known.clear();
        self.client.epoch_authenticator()
    }
}

impl States {
    pub(super) fn keep(&self, kept: Kept) -> u32 {
        let mut table = lock(&self.0);
        table.last = table.last.wrapping_add(1);
        let id = table.last;
        table.kept.insert(id, Arc::new(Mutex::new(Some(kept))));
        if table.kept.len() > STATES_MAX {
            table.kept.pop_first();
        }
        id
    }

    pub(super) fn free(&self, id: u32) -> Result<(), Status> {
        let freed = lock(&self.0).kept.remove(&id);
        freed.map(drop).ok_or_else(|| unknown(id))
    }

    /// Has this client do something, if it stands there. It is gone if the engine panics.
    pub(super) fn with_client<T>(
        &self,
        id: u32,
        standings: &[Standing],
        act: impl FnOnce(&mut Place) -> anyhow::Result<T>,
    ) -> Result<T, Status> {
        self.with(id, |kept| match kept {
            Kept::Client(place) if standings.contains(&place.standing) => Some(act(place)),
            _ => None,
        })
    }

    pub(super) fn with_signer<T>(
        &self,
        id: u32,
        act: impl FnOnce(&Outsider) -> anyhow::Result<T>,
    ) -> Result<T, Status> {
        self.with(id, |kept| match kept {
            Kept::Signer(signer) => Some(act(signer)),
            Kept::Client(_) => None,
        })
    }

    /// Takes a client out that waits for a Welcome.
    pub(super) fn take_invited(&self, id: u32) -> Result<Box<dyn Client>, Status> {
        let slot = lock(&self.0).kept.remove(&id).ok_or_else(|| unknown(id))?;
        let mut slot = lock(&slot);
        match slot.take() {
            Some(Kept::Client(place)) if place.standing == Standing::Invited => Ok(place.client),
            kept => {
                let back = Arc::new(Mutex::new(kept));
                lock(&self.0).kept.insert(id, back);
                Err(misplaced(id))
            }
        }
    }

    fn with<T>(
        &self,
        id: u32,
        act: impl FnOnce(&mut Kept) -> Option<anyhow::Result<T>>,
    ) -> Result<T, Status> {
        let slot = lock(&self.0).kept.get(&id).cloned();
        let slot = slot.ok_or_else(|| unknown(id))?;
        let mut slot = lock(&slot);
        let mut kept = slot.take().ok_or_else(|| unknown(id))?;
        let outcome = guarded(|| act(&mut kept));
        match outcome {
            Ok(done) => {
                *slot = Some(kept);
                done.ok_or_else(|| misplaced(id))?
                    .map_err(|error| status(&error))
            }
            // Nobody knows what a state is in that was left in the middle of something.
            Err(panicked) => {
                lock(&self.0).kept.remove(&id);
                Err(panicked)
            }
        }
    }
}

/// Runs an engine's code, of which a panic must not be the server's end.
pub(super) fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, Status> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| Status::internal("the engine panicked"))
}

/// Nothing is left half done under these locks: a panic in an engine was caught below them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unknown(id: u32) -> Status {
    Status::not_found(format!("nothing has the number {id}"))
}

fn misplaced(id: u32) -> Status {
    Status::failed_precondition(format!("what has the number {id} can't do that now"))
}
