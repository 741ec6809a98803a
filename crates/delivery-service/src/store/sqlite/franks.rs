//! Franks: what is signed together is kept once, and each entry's proof is made of it when it is read.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use conclave_protocol::{Frank, FrankBatch, Stamp, StampingKey, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::{Result, StoreError};
use crate::limits::{EXPIRED_PER_TRANSACTION_MAX, FRANK_BATCHES_CACHED_MAX};

/// What stands beside an entry: its batch, its place in there, and the service's own proof.
pub(super) const PLACE_BYTES: usize = 8 + 4 + 32;

/// Stamps that the next commit signs.
#[derive(Default)]
pub(super) struct Unsigned {
    leaves: Vec<[u8; 32]>,
    /// What they have in common, from the first of them on.
    batch: Option<(i64, Arc<StampingKey>)>,
    latest: UnixMillis,
}

impl Unsigned {
    /// Takes a stamp in; gives what stands beside the entry.
    pub(super) fn take(
        &mut self,
        db: &Connection,
        stamp: &Stamp,
        key: &Arc<StampingKey>,
    ) -> Result<[u8; PLACE_BYTES]> {
        let (batch, key) = match &self.batch {
            Some(batch) => batch,
            None => self.batch.insert((next_batch(db)?, Arc::clone(key))),
        };
        let index = u32::try_from(self.leaves.len()).map_err(|_| CORRUPT)?;
        let mut place = [0; PLACE_BYTES];
        place[..8].copy_from_slice(&batch.to_be_bytes());
        place[8..12].copy_from_slice(&index.to_be_bytes());
        place[12..].copy_from_slice(&key.authenticate(stamp));
        self.leaves.push(stamp.leaf());
        self.latest = self.latest.max(stamp.accepted);
        Ok(place)
    }

    /// How many there are, for [`Self::forget_after`].
    pub(super) fn count(&self) -> usize {
        self.leaves.len()
    }

    /// Forgets what came after so many, whose entries are not kept.
    pub(super) fn forget_after(&mut self, count: usize) {
        self.leaves.truncate(count);
    }

    /// Signs them, as part of the transaction.
    pub(super) fn seal(self, db: &Connection) -> rusqlite::Result<()> {
        let Some((id, key)) = self.batch else {
            return Ok(());
        };
        // None where all were forgotten; at most as many as writes in a commit.
        let Some(batch) = FrankBatch::seal(self.leaves, &key) else {
            return Ok(());
        };
        db.prepare_cached("INSERT INTO frank_batch VALUES (?1, ?2, ?3)")?
            .execute(params![id, self.latest.0, batch.to_bytes()])?;
        Ok(())
    }
}

fn next_batch(db: &Connection) -> Result<i64> {
    let next = db
        .prepare_cached("SELECT coalesce(max(batch_id), 0) + 1 FROM frank_batch")?
        .query_row([], |row| row.get(0))?;
    Ok(next)
}

const CORRUPT: StoreError = StoreError::Corrupt("a frank is unreadable");

/// Batches that were read last: each is of messages of many groups, whose readers come one after the other.
#[derive(Default)]
pub(super) struct Recent(Mutex<VecDeque<(i64, Arc<FrankBatch>)>>);

impl Recent {
    fn find(&self, id: i64) -> Option<Arc<FrankBatch>> {
        let recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = recent.iter().find(|(known, _)| *known == id);
        found.map(|(_, batch)| Arc::clone(batch))
    }

    fn keep(&self, id: i64, batch: &Arc<FrankBatch>) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_front((id, Arc::clone(batch)));
        recent.truncate(FRANK_BATCHES_CACHED_MAX);
    }
}

/// Makes franks of what stands beside entries; looks for each batch once.
pub(super) struct Batches<'a> {
    recent: &'a Recent,
    known: HashMap<i64, Option<Arc<FrankBatch>>>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(recent: &'a Recent) -> Self {
        Self {
            recent,
            known: HashMap::new(),
        }
    }

    /// `None` where the batch had its time before the entry: logs are cut one after the other.
    pub(super) fn frank(&mut self, db: &Connection, place: &[u8]) -> Result<Option<Frank>> {
        let (id, rest) = place.split_first_chunk::<8>().ok_or(CORRUPT)?;
        let (index, mac) = rest.split_first_chunk::<4>().ok_or(CORRUPT)?;
        let batch = match self.known.entry(i64::from_be_bytes(*id)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let batch = batch(db, *new.key(), self.recent)?;
                new.insert(batch)
            }
        };
        let Some(batch) = batch else {
            return Ok(None);
        };
        let mac = mac.try_into().map_err(|_| CORRUPT)?;
        let frank = batch.frank(u32::from_be_bytes(*index), mac);
        frank.map(Some).ok_or(CORRUPT)
    }
}

fn batch(db: &Connection, id: i64, recent: &Recent) -> Result<Option<Arc<FrankBatch>>> {
    if let Some(batch) = recent.find(id) {
        return Ok(Some(batch));
    }
    let bytes: Option<Vec<u8>> = db
        .prepare_cached("SELECT batch FROM frank_batch WHERE batch_id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let Some(bytes) = bytes else {
        return Ok(None);
    };
    let batch = Arc::new(FrankBatch::from_bytes(&bytes).ok_or(CORRUPT)?);
    recent.keep(id, &batch);
    Ok(Some(batch))
}

/// Drops batches whose messages have all had their time; but the last one, so that no number is given twice.
pub(super) fn expire(db: &Connection, before: UnixMillis) -> Result<()> {
    db.prepare_cached(
        "DELETE FROM frank_batch WHERE accepted_millis < ?1 AND batch_id IN
         (SELECT batch_id FROM frank_batch ORDER BY batch_id LIMIT ?2)
         AND batch_id < (SELECT max(batch_id) FROM frank_batch)",
    )?
    .execute(params![before.0, EXPIRED_PER_TRANSACTION_MAX])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use conclave_protocol::{Commitment, DeviceAddress, DeviceId, Epoch, GroupId, Sequence};

    use super::*;

    fn stamp(sequence: u64) -> Stamp {
        Stamp {
            group: GroupId::from_bytes([1; 16]),
            epoch: Epoch(0),
            sequence: Sequence(sequence),
            accepted: UnixMillis(sequence),
            sender: DeviceAddress {
                user: "alice@here".parse().unwrap(),
                device: DeviceId::from_bytes([2; 16]),
            },
            commitment: Commitment::from_bytes([3; 32]),
            message_hash: [4; 32],
        }
    }

    #[test]
    fn an_entry_that_is_not_kept_leaves_its_place_to_the_next() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(include_str!("schema_9.sql").split("ALTER").next().unwrap())
            .unwrap();
        let key = Arc::new(StampingKey::from_seed(&[5; 32]));
        let mut unsigned = Unsigned::default();
        let first = unsigned.take(&db, &stamp(1), &key).unwrap();
        let kept = unsigned.count();
        unsigned.take(&db, &stamp(2), &key).unwrap();
        unsigned.forget_after(kept);
        let third = unsigned.take(&db, &stamp(3), &key).unwrap();
        unsigned.seal(&db).unwrap();
        let recent = Recent::default();
        let mut batches = Batches::new(&recent);
        for (place, sequence, index) in [(first, 1, 0), (third, 3, 1)] {
            let frank = batches.frank(&db, &place).unwrap().unwrap();
            assert_eq!(frank.mac(), &key.authenticate(&stamp(sequence)));
            let batch = FrankBatch::seal(vec![stamp(1).leaf(), stamp(3).leaf()], &key).unwrap();
            assert_eq!(
                Some(frank),
                batch.frank(index, key.authenticate(&stamp(sequence)))
            );
        }
        // A number is never given twice, whatever has had its time.
        expire(&db, UnixMillis(9)).unwrap();
        let mut next = Unsigned::default();
        let fourth = next.take(&db, &stamp(4), &key).unwrap();
        assert_ne!(fourth[..8], first[..8], "a batch of its own");
        next.seal(&db).unwrap();
        expire(&db, UnixMillis(9)).unwrap();
        let frank = |place, recent: &Recent| Batches::new(recent).frank(&db, place).unwrap();
        assert_eq!(frank(&first, &Recent::default()), None);
        assert!(frank(&fourth, &Recent::default()).is_some());
        assert!(frank(&first, &recent).is_some(), "it was read before");
    }
}
