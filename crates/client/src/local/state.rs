//! The engine's state in the local database.

use conclave_engine::{Effects, LoadedGroups, State, StateError};
use rusqlite::OptionalExtension as _;

use super::Tx;
use crate::ClientError;

impl State for Tx<'_> {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.sql
            .prepare_cached("SELECT value FROM state WHERE key = ?")
            .and_then(|mut query| query.query_row([key], |row| row.get(0)).optional())
            .map_err(StateError::new)
    }

    fn loaded(&self) -> Option<&LoadedGroups> {
        Some(self.loaded)
    }
}

impl Tx<'_> {
    /// Takes the value of an engine's operation and makes its writes part of this transaction.
    pub(super) fn apply<T>(&self, effects: Effects<T>) -> Result<T, ClientError> {
        let mut put = self
            .sql
            .prepare_cached("INSERT OR REPLACE INTO state VALUES (?, ?)")?;
        let mut delete = self.sql.prepare_cached("DELETE FROM state WHERE key = ?")?;
        for (key, value) in effects.writes.iter() {
            match value {
                Some(value) => put.execute((key, value))?,
                None => delete.execute([key])?,
            };
        }
        Ok(effects.value)
    }
}
