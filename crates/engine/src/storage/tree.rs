//! The tree in the state: whole, and what Commits have changed about it since.

use super::{Overlay, StorageError, Stored, patch};
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

impl Overlay<'_> {
    /// The encoding of the tree under `key`.
    pub(super) fn read_tree(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(whole) = self.read(key)? else {
            return Ok(None);
        };
        let Some((name, text)) = split(&whole) else {
            self.tree.take();
            return Ok(Some(whole.to_vec()));
        };
        let mut tree = StoredTree {
            name,
            text: text.to_vec(),
            whole_bytes: text.len(),
            patches: 0,
            patches_bytes: 0,
        };
        while let Some(patch) = self.read(&patch_key(key, tree.patches))? {
            let Some((_, patch)) = split(&patch).filter(|(of, _)| *of == tree.name) else {
                break;
            };
            patch::apply(&mut tree.text, patch).ok_or_else(|| self.corrupt())?;
            tree.patches += 1;
            tree.patches_bytes += patch.len();
        }
        let text = tree.text.clone();
        self.tree.replace(Some(tree));
        Ok(Some(text))
    }

    /// Writes what has changed about the tree since it was last read or written here, or all of it.
    pub(super) fn put_tree(&self, key: Vec<u8>, text: Vec<u8>) -> Stored {
        let known = self.tree.take();
        if text.len() < WHOLE_BYTES_MAX {
            self.delete_patches(&key)?;
            self.writes.borrow_mut().put(key, text);
            return Ok(());
        }
        if let Some(mut tree) = known {
            let patch = patch::diff(&tree.text, &text);
            // Half as much again is read when the group is loaded, and the whole is written anew once
            // for so many bytes of patches.
            if tree.patches < TREE_PATCHES_MAX
                && tree.patches_bytes + patch.len() <= tree.whole_bytes / 2
            {
                let row = named(tree.name, &patch);
                let mut writes = self.writes.borrow_mut();
                writes.put(patch_key(&key, tree.patches), row);
                tree.patches += 1;
                tree.patches_bytes += patch.len();
                tree.text = text;
                self.tree.replace(Some(tree));
                return Ok(());
            }
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
        for number in 0..=TREE_PATCHES_MAX {
            let row = patch_key(key, number);
            if self.read(&row)?.is_none() {
                break;
            }
            self.writes.borrow_mut().delete(row);
        }
        Ok(())
    }
}

/// The tree's own key under another kind, and the number behind it.
fn patch_key(tree: &[u8], number: u32) -> Vec<u8> {
    let group = tree.get(1..).unwrap_or_default();
    [&[Kind::TreePatch as u8], group, &number.to_be_bytes()].concat()
}

fn named(name: Name, text: &[u8]) -> Vec<u8> {
    [&[MARK], name.as_slice(), text].concat()
}

fn split(bytes: &[u8]) -> Option<(Name, &[u8])> {
    let (name, text) = bytes.strip_prefix(&[MARK])?.split_first_chunk()?;
    Some((*name, text))
}
