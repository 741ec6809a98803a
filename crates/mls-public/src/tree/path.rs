use super::RatchetTree;
use crate::{
    Error,
    math::NodeIndex,
    wire::{LeafNode, LeafNodeSource, Node, ParentNode, UpdatePath},
};

impl RatchetTree {
    /// The nodes that a Commit of this leaf renews, from below, each with its child beside the path
    /// (RFC 9420 §4.1.2): those above the leaf whose child beside the path has somebody below it.
    pub fn filtered_direct_path(&self, leaf: u32) -> Vec<(NodeIndex, NodeIndex)> {
        let at = NodeIndex::of_leaf(leaf);
        self.size
            .path_with_copath(at)
            .filter(|(_, beside)| self.members_below(*beside) > 0)
            .collect()
    }

    /// Checks an UpdatePath from this leaf and merges it (RFC 9420 §7.5, §12.4.2). The leaf's
    /// signature and capabilities are the caller's to check, as for every leaf. `added` are the
    /// leaves that the same Commit added, from the left: nothing is encrypted to them.
    ///
    /// # Errors
    /// The clause that the path breaks; the tree may be partly changed then.
    pub fn apply_path(
        &mut self,
        sender: u32,
        path: &UpdatePath,
        added: &[u32],
    ) -> Result<(), Error> {
        let filtered = self.filtered_direct_path(sender);
        // RFC 9420 §7.5: one node for each of the filtered direct path.
        if path.nodes.len() != filtered.len() {
            return Err(Error::PathLength);
        }
        for (node, (_, beside)) in path.nodes.iter().zip(&filtered) {
            let mut receivers = self.resolution(*beside);
            // RFC 9420 §12.4.2: one ciphertext for each node of the resolution, new leaves left out.
            receivers.retain(|node| {
                node.leaf()
                    .is_none_or(|leaf| added.binary_search(&leaf).is_err())
            });
            if node.encrypted_path_secret.len() != receivers.len() {
                return Err(Error::PathCiphertexts);
            }
        }
        self.check_path_keys(path)?;
        let keys = path.nodes.iter().map(|node| node.encryption_key.as_slice());
        let parent_hash = self.merge_keys(sender, &filtered, keys);
        // RFC 9420 §7.9
        match &path.leaf_node.leaf_node_source {
            LeafNodeSource::Commit(claimed) if claimed.as_slice() == parent_hash => {}
            LeafNodeSource::Commit(_) => return Err(Error::ParentHash),
            LeafNodeSource::KeyPackage(_) | LeafNodeSource::Update => {
                return Err(Error::LeafSource);
            }
        }
        self.merge_leaf(sender, path.leaf_node.clone());
        Ok(())
    }

    /// Sets fresh keys on the filtered direct path, from below, and blanks the rest of the direct
    /// path (RFC 9420 §7.5). Gives the parent hash that the sender's new leaf must have (§7.9).
    pub fn merge_keys<'a>(
        &mut self,
        sender: u32,
        filtered: &[(NodeIndex, NodeIndex)],
        keys: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> Vec<u8> {
        let above: Vec<_> = self.size.direct_path(NodeIndex::of_leaf(sender)).collect();
        for index in above {
            self.set(index, None);
        }
        let mut parent_hash = Vec::new();
        for ((index, beside), key) in filtered.iter().rev().zip(keys.rev()) {
            let parent = ParentNode {
                encryption_key: key.into(),
                parent_hash: parent_hash.into(),
                unmerged_leaves: Vec::new(),
            };
            // Nothing is unmerged, so what is beside the path is as it originally was.
            self.compute(*beside);
            parent_hash = self.parent_hash_input(&parent, self.known_hash(*beside));
            self.set(*index, Some(Node::Parent(Box::new(parent))));
        }
        parent_hash
    }

    /// Sets the sender's new leaf, leaving alone what is above it.
    pub fn merge_leaf(&mut self, sender: u32, leaf: LeafNode) {
        self.set(NodeIndex::of_leaf(sender), Some(Node::Leaf(Box::new(leaf))));
    }

    /// No key of a path may be in the tree already, nor twice in the path.
    fn check_path_keys(&self, path: &UpdatePath) -> Result<(), Error> {
        let nodes = path.nodes.iter().map(|node| &node.encryption_key);
        let mut keys: Vec<_> = nodes.chain([&path.leaf_node.encryption_key]).collect();
        // RFC 9420 §12.4.2
        if keys
            .iter()
            .any(|key| self.census.has_encryption_key(key.as_slice()))
        {
            return Err(Error::DuplicateKey);
        }
        keys.sort_unstable();
        match keys.windows(2).any(|pair| pair[0] == pair[1]) {
            true => Err(Error::DuplicateKey),
            false => Ok(()),
        }
    }
}
