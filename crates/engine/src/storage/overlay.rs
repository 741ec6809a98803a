//! One operation's view of the state: what is committed, under what the operation writes.

use std::cell::{Cell, RefCell};

use conclave_crypto::Crypto;
use openmls_traits::{
    random::OpenMlsRand as _,
    storage::{CURRENT_VERSION, Entity},
};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{Kind, Stored, StoredTree, squeeze};
use crate::{
    EngineError, codec,
    limits::{SECRETS_BYTES_MAX, SQUEEZED_BYTES_MIN},
    state::{State, StateError, WriteSet},
};

/// The committed state under the writes of one operation.
pub(crate) struct Overlay<'a> {
    base: &'a dyn State,
    pub(super) writes: RefCell<WriteSet>,
    failure: Cell<Option<EngineError>>,
    /// The tree of the group that the operation is about, as it is stored.
    pub(super) tree: RefCell<Option<StoredTree>>,
    /// Whether the secrets of messages are not to be written now.
    spares_secrets: Cell<bool>,
    /// Bytes of the secrets of messages when they were last written.
    secrets_bytes: Cell<usize>,
}

/// Tells OpenMLS that storage failed. Why is kept in the [`Overlay`], because OpenMLS passes some
/// storage errors on and replaces others by its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the stored state could not be used")]
pub(crate) struct StorageError;

impl<'a> Overlay<'a> {
    pub(crate) fn new(base: &'a dyn State) -> Self {
        Self {
            base,
            writes: RefCell::default(),
            failure: Cell::new(None),
            tree: RefCell::new(None),
            spares_secrets: Cell::new(false),
            secrets_bytes: Cell::new(0),
        }
    }

    /// Whether the secrets of messages, which OpenMLS hands over whole with each one, are left
    /// unwritten from now on.
    pub(crate) fn spare_secrets(&self, spares: bool) {
        self.spares_secrets.set(spares);
    }

    /// Bytes of the secrets of messages, where this operation wrote them; otherwise 0.
    pub(crate) fn secrets_bytes(&self) -> usize {
        self.secrets_bytes.get()
    }

    /// Whether the operation wants anything written.
    pub(crate) fn has_writes(&self) -> bool {
        !self.writes.borrow().is_empty()
    }

    /// What is known of how the tree is stored, for the next operation on the same group.
    pub(crate) fn swap_tree(&self, tree: Option<StoredTree>) -> Option<StoredTree> {
        self.tree.replace(tree)
    }

    /// The row that says how far a group's stored state is behind.
    pub(crate) fn lease(
        &self,
        group: &impl Serialize,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
        self.read(&self.key(Kind::Lease, group)?)
    }

    /// Writes that row, or deletes it.
    pub(crate) fn put_lease(&self, group: &impl Serialize, lease: Option<Vec<u8>>) -> Stored {
        let key = self.key(Kind::Lease, group)?;
        match lease {
            Some(lease) => self.writes.borrow_mut().put(key, lease),
            None => self.writes.borrow_mut().delete(key),
        }
        Ok(())
    }

    /// Bytes that nobody has drawn before.
    pub(crate) fn draw(&self) -> Result<[u8; 16], StorageError> {
        Crypto::default().random_array().map_err(|_| self.corrupt())
    }

    /// What the operation wrote, unless storage failed in it: then why.
    pub(crate) fn into_writes(self) -> Result<WriteSet, EngineError> {
        match self.failure.into_inner() {
            Some(failure) => Err(failure),
            None => Ok(self.writes.into_inner()),
        }
    }

    pub(super) fn read(&self, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
        if let Some(written) = self.writes.borrow().lookup(key) {
            return Ok(written.map(|value| Zeroizing::new(value.to_vec())));
        }
        let value = self.base.read(key).map_err(|error: StateError| {
            self.failure.set(Some(error.into()));
            StorageError
        })?;
        Ok(value.map(Zeroizing::new))
    }

    pub(super) fn put(
        &self,
        kind: Kind,
        key: &impl Serialize,
        value: &impl Entity<CURRENT_VERSION>,
    ) -> Stored {
        if kind == Kind::MessageSecrets && self.spares_secrets.get() {
            return Ok(());
        }
        let key = self.key(kind, key)?;
        let mut value = self.encode(kind, value)?;
        if kind == Kind::Tree {
            return self.put_tree(key, value);
        }
        if is_squeezed(kind) && value.len() > SQUEEZED_BYTES_MIN {
            value = squeeze::squeeze(&Zeroizing::new(value));
        }
        if kind == Kind::MessageSecrets {
            self.secrets_bytes.set(value.len());
        }
        self.writes.borrow_mut().put(key, value);
        Ok(())
    }

    pub(super) fn get<E: DeserializeOwned>(
        &self,
        kind: Kind,
        key: &impl Serialize,
    ) -> Result<Option<E>, StorageError> {
        let key = self.key(kind, key)?;
        let decode = |value: &[u8]| codec::decode(value).map_err(|_| self.corrupt());
        if kind == Kind::Tree {
            return self.read_tree(&key, decode);
        }
        let value = match is_squeezed(kind) {
            true => self.read_secrets(&key)?,
            false => self.read(&key)?,
        };
        value.map(|value| decode(&value)).transpose()
    }

    fn read_secrets(&self, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
        let value = self.read(key)?;
        value
            .map(|value| squeeze::expand(value, SECRETS_BYTES_MAX).ok_or_else(|| self.corrupt()))
            .transpose()
    }

    pub(super) fn delete(&self, kind: Kind, key: &impl Serialize) -> Stored {
        let key = self.key(kind, key)?;
        if kind == Kind::Tree {
            return self.delete_tree_at(key);
        }
        self.writes.borrow_mut().delete(key);
        Ok(())
    }

    /// Appends to a list, which is stored as its items one after the other.
    pub(super) fn append(
        &self,
        kind: Kind,
        key: &impl Serialize,
        item: &impl Entity<CURRENT_VERSION>,
    ) -> Stored {
        let key = self.key(kind, key)?;
        let mut list = self.read(&key)?.unwrap_or_default();
        list.append(&mut self.encode(kind, item)?);
        self.writes.borrow_mut().put(key, std::mem::take(&mut list));
        Ok(())
    }

    pub(super) fn list<E: DeserializeOwned>(
        &self,
        kind: Kind,
        key: &impl Serialize,
    ) -> Result<Vec<E>, StorageError> {
        let list = self.read(&self.key(kind, key)?)?.unwrap_or_default();
        codec::decode_list(&list).map_err(|_| self.corrupt())
    }

    pub(super) fn put_list<E: Entity<CURRENT_VERSION>>(
        &self,
        kind: Kind,
        key: &impl Serialize,
        items: &[E],
    ) -> Stored {
        let mut list = Zeroizing::new(Vec::new());
        for item in items {
            list.append(&mut self.encode(kind, item)?);
        }
        let key = self.key(kind, key)?;
        self.writes.borrow_mut().put(key, std::mem::take(&mut list));
        Ok(())
    }

    pub(super) fn key(&self, kind: Kind, key: &impl Serialize) -> Result<Vec<u8>, StorageError> {
        let mut bytes = vec![kind as u8];
        codec::encode_into(&mut bytes, key).map_err(|_| self.corrupt())?;
        Ok(bytes)
    }

    pub(super) fn encode(
        &self,
        kind: Kind,
        value: &impl Entity<CURRENT_VERSION>,
    ) -> Result<Vec<u8>, StorageError> {
        #[cfg(test)]
        codec::tests::observe(kind, value);
        #[cfg(not(test))]
        let _ = kind;
        let mut bytes = Vec::new();
        codec::encode_into(&mut bytes, value).map_err(|_| self.corrupt())?;
        Ok(bytes)
    }

    pub(super) fn corrupt(&self) -> StorageError {
        self.failure.set(Some(EngineError::Corrupt));
        StorageError
    }
}

/// Whether what is not there is left out where there is much of it.
fn is_squeezed(kind: Kind) -> bool {
    matches!(kind, Kind::MessageSecrets | Kind::GroupState)
}
