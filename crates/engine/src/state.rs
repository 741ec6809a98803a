//! How state comes in and goes out: reads of what is committed, and a set of writes to commit.

use std::{
    collections::{BTreeMap, btree_map},
    error::Error,
    fmt,
};

use thiserror::Error;
use zeroize::Zeroizing;

use crate::LoadedGroups;

/// The committed key-value state of one device. Keys and values are the engine's own.
///
/// Each operation of the engine reads from here what it needs and never writes: what it wants
/// written comes out as a [`WriteSet`].
pub trait State {
    /// The value under `key`, if there is one.
    ///
    /// # Errors
    /// [`StateError`] where the store behind it fails.
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Where groups of this state stay loaded between operations, if they do. Then each is written in
    /// part only, and every operation's writes have to be applied before the next operation.
    fn loaded(&self) -> Option<&LoadedGroups> {
        None
    }
}

/// The store behind [`State`] failed.
#[derive(Debug, Error)]
#[error("the stored state could not be read")]
pub struct StateError(#[source] Box<dyn Error + Send + Sync>);

impl StateError {
    /// Wraps the store's own error.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// What an operation wants written: for each key the new value, or `None` to delete it.
///
/// Apply all of it in one transaction, together with whatever else the operation's result leads
/// to, or none of it: an operation whose writes are dropped has not happened. Values hold secrets;
/// they are zeroized on drop, and `Debug` shows none.
#[derive(Default, Clone, PartialEq, Eq)]
pub struct WriteSet(BTreeMap<Vec<u8>, Option<Zeroizing<Vec<u8>>>>);

impl WriteSet {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys to write or delete.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The writes in the order of their keys; `None` deletes.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_ref().map(|value| value.as_slice())))
    }

    /// Adds the writes of a later operation, which win where both write.
    pub fn merge(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    /// The state as it would be with these writes applied, to ask about before they are.
    #[must_use]
    pub fn over<'a>(&'a self, state: &'a dyn State) -> impl State + 'a {
        Ahead {
            writes: self,
            state,
        }
    }

    pub(crate) fn lookup(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.0
            .get(key)
            .map(|value| value.as_ref().map(|value| value.as_slice()))
    }

    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.0.insert(key, Some(Zeroizing::new(value)));
    }

    pub(crate) fn delete(&mut self, key: Vec<u8>) {
        self.0.insert(key, None);
    }
}

impl fmt::Debug for WriteSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriteSet({} keys)", self.0.len())
    }
}

impl IntoIterator for WriteSet {
    type Item = (Vec<u8>, Option<Zeroizing<Vec<u8>>>);
    type IntoIter = btree_map::IntoIter<Vec<u8>, Option<Zeroizing<Vec<u8>>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// See [`WriteSet::over`].
struct Ahead<'a> {
    writes: &'a WriteSet,
    state: &'a dyn State,
}

impl State for Ahead<'_> {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.writes.lookup(key) {
            Some(written) => Ok(written.map(<[u8]>::to_vec)),
            None => self.state.read(key),
        }
    }
}

/// What an operation gives, and the writes that make it so.
#[derive(Debug)]
#[must_use = "an operation has happened only once its writes are applied"]
pub struct Effects<T> {
    /// The result.
    pub value: T,
    /// To be applied all at once, or dropped.
    pub writes: WriteSet,
}

/// State in memory, for tests and simulations.
#[derive(Default, Clone)]
pub struct MemoryState(BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>);

impl MemoryState {
    /// Applies the writes of an operation.
    pub fn apply(&mut self, writes: WriteSet) {
        for (key, value) in writes {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is stored, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_slice()))
    }
}

impl State for MemoryState {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(key).map(|value| value.to_vec()))
    }
}

impl fmt::Debug for MemoryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryState({} keys)", self.0.len())
    }
}
