//! Which certificates were verified before: their hashes, in rows by the first byte.

use std::collections::BTreeMap;

use super::{Kind, Overlay, StorageError, Stored};
use crate::limits::VERIFIED_PER_ROW_MAX;

/// The SHA-256 of a certificate. Shorter ones would be enough to tell them apart, but two might be made
/// alike: one that is signed, and one that is not.
pub(crate) type Hash = [u8; 32];

impl Overlay<'_> {
    /// Those of these that were kept.
    pub(crate) fn verified(&self, hashes: &[Hash]) -> Result<Vec<Hash>, StorageError> {
        let mut known = Vec::new();
        for (row, wanted) in by_row(hashes) {
            let kept = self.row(row)?;
            known.extend(wanted.into_iter().filter(|hash| kept.contains(hash)));
        }
        Ok(known)
    }

    /// Keeps some more. Where there are too many, those that were kept first are forgotten.
    pub(crate) fn keep_verified(&self, hashes: &[Hash]) -> Stored {
        for (row, more) in by_row(hashes) {
            let mut kept = self.row(row)?;
            kept.extend(more);
            let over = kept.len().saturating_sub(VERIFIED_PER_ROW_MAX);
            let bytes = kept[over..].concat();
            self.writes.borrow_mut().put(key(row), bytes);
        }
        Ok(())
    }

    fn row(&self, row: u8) -> Result<Vec<Hash>, StorageError> {
        let bytes = self.read(&key(row))?.unwrap_or_default();
        match bytes.as_chunks() {
            (hashes, []) => Ok(hashes.to_vec()),
            _ => Err(self.corrupt()),
        }
    }
}

fn key(row: u8) -> Vec<u8> {
    vec![Kind::Verified as u8, row]
}

fn by_row(hashes: &[Hash]) -> BTreeMap<u8, Vec<Hash>> {
    let mut rows: BTreeMap<u8, Vec<Hash>> = BTreeMap::new();
    for hash in hashes {
        rows.entry(hash[0]).or_default().push(*hash);
    }
    rows
}
