//! The tree in the state: whole, and what Commits have changed about it since.

use super::{Overlay, StorageError, Stored, pieces::Pieces, splices};
use crate::{
    limits::{TREE_PATCHES_MAX, WHOLE_BYTES_MAX},
    storage::Kind,
};

/// What MessagePack never begins with: a tree that may have patches does, and its name follows.
const MARK: u8 = 0xc1;

const NAME_BYTES: usize = 16;

/// What one writing of a whole tree is called, so that no patch is taken for one of another.
type Name = [u8; NAME_BYTES];

/// A tree as it is stored, whole and with the patches applied. It holds no secrets.
pub(crate) struct StoredTree {
    name: Name,
    text: Vec<u8>,
    whole_bytes: usize,
    patches: u32,
    patches_bytes: usize,
}

impl StoredTree {
    /// What its encoding has become, where that need not be written as a whole.
    ///
    /// As much again is read when the group is loaded, at most, and the whole is written anew once for so
    /// many bytes of patches.
    fn patch_to(&self, text: &[u8]) -> Option<Vec<u8>> {
        let patch = Pieces::of(&self.text).patch_to(&Pieces::of(text))?;
        let is_few = self.patches < TREE_PATCHES_MAX;
        (is_few && self.patches_bytes + patch.len() <= self.whole_bytes).then_some(patch)
    }
}

impl Overlay<'_> {
    /// Has the encoding of the tree under `key` read by `read`.
    pub(super) fn read_tree<T>(
        &self,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, StorageError>,
    ) -> Result<Option<T>, StorageError> {
        let Some(mut whole) = self.read(key)? else {
            return Ok(None);
        };
        let Some((name, _)) = split(&whole) else {
            self.tree.take();
            return read(&whole).map(Some);
        };
        // It holds no secrets, and is megabytes long: it is neither copied nor wiped.
        let mut whole = std::mem::take(&mut *whole);
        whole.drain(..1 + NAME_BYTES);
        let tree = self.patched(key, name, whole)?;
        let value = read(&tree.text)?;
        self.tree.replace(Some(tree));
        Ok(Some(value))
    }

    fn patched(
        &self,
        key: &[u8],
        name: Name,
        mut text: Vec<u8>,
    ) -> Result<StoredTree, StorageError> {
        let whole_bytes = text.len();
        let earlier = self.patches(Kind::TreeSplices, key, name)?;
        for patch in &earlier {
            text = splices::apply(&text, patch).ok_or_else(|| self.corrupt())?;
        }
        let patches = self.patches(Kind::TreePatch, key, name)?;
        if !patches.is_empty() {
            let mut pieces = Pieces::of(&text);
            for patch in &patches {
                pieces.apply(patch).ok_or_else(|| self.corrupt())?;
            }
            text = pieces.text();
        }
        let bytes = earlier.iter().chain(&patches).map(Vec::len).sum();
        Ok(StoredTree {
            name,
            text,
            whole_bytes,
            patches: u32::try_from(patches.len()).unwrap_or(u32::MAX),
            patches_bytes: bytes,
        })
    }

    /// The patches to one writing of a whole tree, in their order.
    fn patches(&self, kind: Kind, key: &[u8], of: Name) -> Result<Vec<Vec<u8>>, StorageError> {
        let mut patches = Vec::new();
        for number in 0..TREE_PATCHES_MAX {
            let Some(row) = self.read(&patch_key(kind, key, number))? else {
                break;
            };
            let Some((_, patch)) = split(&row).filter(|(name, _)| *name == of) else {
                break;
            };
            patches.push(patch.to_vec());
        }
        Ok(patches)
    }

    /// Writes what has changed about the tree since it was last read or written here, or all of it.
    pub(super) fn put_tree(&self, key: Vec<u8>, text: Vec<u8>) -> Stored {
        let known = self.tree.take();
        if text.len() < WHOLE_BYTES_MAX {
            self.delete_patches(&key)?;
            self.writes.borrow_mut().put(key, text);
            return Ok(());
        }
        let patch = known.as_ref().and_then(|tree| tree.patch_to(&text));
        if let (Some(mut tree), Some(patch)) = (known, patch) {
            let row = patch_key(Kind::TreePatch, &key, tree.patches);
            let mut writes = self.writes.borrow_mut();
            writes.put(row, named(tree.name, &patch));
            tree.patches += 1;
            tree.patches_bytes += patch.len();
            tree.text = text;
            self.tree.replace(Some(tree));
            return Ok(());
        }
        self.delete_patches(&key)?;
        let name = self.draw()?;
        self.writes.borrow_mut().put(key, named(name, &text));
        self.tree.replace(Some(StoredTree {
            name,
            whole_bytes: text.len(),
            text,
            patches: 0,
            patches_bytes: 0,
        }));
        Ok(())
    }

    pub(super) fn delete_tree_at(&self, key: Vec<u8>) -> Stored {
        self.tree.take();
        self.delete_patches(&key)?;
        self.writes.borrow_mut().delete(key);
        Ok(())
    }

    fn delete_patches(&self, key: &[u8]) -> Stored {
        for kind in [Kind::TreeSplices, Kind::TreePatch] {
            for number in 0..=TREE_PATCHES_MAX {
                let row = patch_key(kind, key, number);
                if self.read(&row)?.is_none() {
                    break;
                }
                self.writes.borrow_mut().delete(row);
            }
        }
        Ok(())
    }
}

/// The tree's own key under another kind, and the number behind it.
fn patch_key(kind: Kind, tree: &[u8], number: u32) -> Vec<u8> {
    let group = tree.get(1..).unwrap_or_default();
    [&[kind as u8], group, &number.to_be_bytes()].concat()
}

fn named(name: Name, text: &[u8]) -> Vec<u8> {
    [&[MARK], name.as_slice(), text].concat()
}

fn split(bytes: &[u8]) -> Option<(Name, &[u8])> {
    let (name, text) = bytes.strip_prefix(&[MARK])?.split_first_chunk()?;
    Some((*name, text))
}
