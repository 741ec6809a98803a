//! Franks: what is signed together is kept once, and each entry's proof is made of it when it is read. A stamp that is
//! signed alone stands with its entry, whole: a row of its own would be half of what it costs.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use conclave_protocol::{Frank, FrankBatch, GroupId, Sequence, Stamp, StampingKey, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::{Result, StoreError};
use crate::limits::{EXPIRED_PER_TRANSACTION_MAX, FRANK_BATCHES_CACHED_MAX};

/// What stands beside an entry that was signed with others: its batch, its place in there, and the service's own proof.
/// A whole frank is longer.
pub(super) const PLACE_BYTES: usize = 8 + 4 + 32;

/// Stamps that the next commit signs.
#[derive(Default)]
pub(super) struct Unsigned {
    stamped: Vec<Stamped>,
    /// What they have in common, from the first of them on.
    batch: Option<(i64, Arc<StampingKey>)>,
    latest: UnixMillis,
}

/// A stamp, and the entry that it is of.
struct Stamped {
    leaf: [u8; 32],
    group: GroupId,
    sequence: Sequence,
    mac: [u8; 32],
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
        let index = u32::try_from(self.stamped.len()).map_err(|_| CORRUPT)?;
        let mut place = [0; PLACE_BYTES];
        place[..8].copy_from_slice(&batch.to_be_bytes());
        place[8..12].copy_from_slice(&index.to_be_bytes());
        let mac = key.authenticate(stamp);
        place[12..].copy_from_slice(&mac);
        self.stamped.push(Stamped {
            leaf: stamp.leaf(),
            group: stamp.group,
            sequence: stamp.sequence,
            mac,
        });
        self.latest = self.latest.max(stamp.accepted);
        Ok(place)
    }

    /// How many there are, for [`Self::forget_after`].
    pub(super) fn count(&self) -> usize {
        self.stamped.len()
    }

    /// Forgets what came after so many, whose entries are not kept.
    pub(super) fn forget_after(&mut self, count: usize) {
        self.stamped.truncate(count);
    }

    /// Signs them, as part of the transaction.
    pub(super) fn seal(self, db: &Connection) -> rusqlite::Result<()> {
        let Some((id, key)) = self.batch else {
            return Ok(());
        };
        let leaves = self.stamped.iter().map(|it| it.leaf).collect();
        // None where all were forgotten; at most as many as writes in a commit.
        let Some(batch) = FrankBatch::seal(leaves, &key) else {
            return Ok(());
        };
        if let [only] = &self.stamped[..] {
            return only.keep(db, batch.frank(0, only.mac));
        }
        db.prepare_cached("INSERT INTO frank_batch VALUES (?1, ?2, ?3)")?
            .execute(params![id, self.latest.0, batch.to_bytes()])?;
        Ok(())
    }
}

impl Stamped {
    fn keep(&self, db: &Connection, frank: Option<Frank>) -> rusqlite::Result<()> {
        db.prepare_cached("UPDATE log SET frank = ?3 WHERE group_id = ?1 AND sequence = ?2")?
            .execute(params![
                self.group.as_bytes(),
                self.sequence.0,
                frank.map(|frank| frank.to_bytes()),
            ])?;
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
        if place.len() > PLACE_BYTES {
            return Frank::from_bytes(place).map(Some).ok_or(CORRUPT);
        }
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

    fn database() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        let franks = include_str!("schema_9.sql").split("ALTER").next().unwrap();
        db.execute_batch(franks).unwrap();
        db.execute_batch("CREATE TABLE log (group_id BLOB, sequence INTEGER, frank BLOB)")
            .unwrap();
        db
    }

    /// Appends entries in one commit, of which the first so many are kept.
    fn commit(db: &Connection, key: &Arc<StampingKey>, entries: &[u64], kept: usize) {
        let mut unsigned = Unsigned::default();
        for entry in entries {
            let place = unsigned.take(db, &stamp(*entry), key).unwrap();
            db.execute(
                "INSERT INTO log VALUES (?1, ?2, ?3)",
                params![[1_u8; 16], entry, place],
            )
            .unwrap();
            unsigned.forget_after(kept);
        }
        unsigned.seal(db).unwrap();
    }

    #[test]
    fn a_stamp_that_is_signed_alone_stands_with_its_entry() {
        let (db, key) = (database(), Arc::new(StampingKey::from_seed(&[5; 32])));
        commit(&db, &key, &[10], 1);
        commit(&db, &key, &[20, 21, 22], 1);
        commit(&db, &key, &[30, 31, 32], 2);
        for (entry, together, index) in [
            (10, vec![10], 0),
            (20, vec![20], 0),
            (30, vec![30, 31], 0),
            (31, vec![30, 31], 1),
        ] {
            let query = "SELECT frank FROM log WHERE sequence = ?1";
            let place: Vec<u8> = db.query_row(query, [entry], |row| row.get(0)).unwrap();
            assert_eq!(place.len() > PLACE_BYTES, together.len() == 1);
            let leaves = together.iter().map(|it| stamp(*it).leaf()).collect();
            let batch = FrankBatch::seal(leaves, &key).unwrap();
            let wanted = batch.frank(index, key.authenticate(&stamp(entry)));
            let frank = Batches::new(&Recent::default()).frank(&db, &place);
            assert_eq!(frank.unwrap(), wanted);
        }
    }

    #[test]
    fn an_entry_that_is_not_kept_leaves_its_place_to_the_next() {
        let (db, key) = (database(), Arc::new(StampingKey::from_seed(&[5; 32])));
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
        next.take(&db, &stamp(5), &key).unwrap();
        assert_ne!(fourth[..8], first[..8], "a batch of its own");
        next.seal(&db).unwrap();
        expire(&db, UnixMillis(9)).unwrap();
        let frank = |place, recent: &Recent| Batches::new(recent).frank(&db, place).unwrap();
        assert_eq!(frank(&first, &Recent::default()), None);
        assert!(frank(&fourth, &Recent::default()).is_some());
        assert!(frank(&first, &recent).is_some(), "it was read before");
    }
}
