use std::{num::NonZeroUsize, thread};

use super::RatchetTree;
use crate::{
    Error,
    limits::VERIFIER_THREADS_MAX,
    math::NodeIndex,
    wire::{Extensions, GroupContext, LeafNode, ParentNode},
};

impl RatchetTree {
    /// Checks everything that a joiner must (RFC 9420 §12.4.3.1): the hash, the structure, every leaf
    /// and every signature, the latter on up to `threads` threads. What credentials mean and whether
    /// lifetimes are current is the application's to check.
    ///
    /// # Errors
    /// The clause that does not hold.
    pub fn validate(&mut self, context: &GroupContext, threads: NonZeroUsize) -> Result<(), Error> {
        // RFC 9420 §12.4.3.1
        if self.tree_hash() != context.tree_hash.as_slice() {
            return Err(Error::TreeHash);
        }
        self.validate_structure(&context.extensions)?;
        self.verify_leaf_signatures(context.group_id.as_slice(), threads)
    }

    /// All of [`validate`](Self::validate) but the hash and the signatures.
    ///
    /// # Errors
    /// The clause that does not hold.
    pub fn validate_structure(&mut self, extensions: &Extensions) -> Result<(), Error> {
        for (_, leaf) in self.members() {
            self.check_leaf_itself(leaf)?;
        }
        self.check_members(extensions)?;
        self.check_unmerged_leaves()?;
        self.check_parent_hashes()
    }

    /// Checks what all members together must fulfil, at no cost that grows with their number
    /// (RFC 9420 §7.3): unique keys, mutual understanding of credentials, and what the group's
    /// extensions demand.
    ///
    /// # Errors
    /// [`Error::DuplicateKey`], [`Error::LeafCapabilities`], [`Error::Malformed`] for the required
    /// capabilities.
    pub fn check_members(&self, extensions: &Extensions) -> Result<(), Error> {
        self.census.check_unique()?;
        self.census.check_credentials()?;
        self.census.check_extensions(extensions.types())?;
        match extensions.required_capabilities()? {
            Some(required) => self.census.check_required(&required),
            None => Ok(()),
        }
    }

    /// Checks what a leaf must fulfil by itself (RFC 9420 §7.3).
    ///
    /// # Errors
    /// [`Error::DuplicateExtension`], [`Error::LeafCapabilities`].
    pub fn check_leaf_itself(&self, leaf: &LeafNode) -> Result<(), Error> {
        leaf.extensions.check_unique()?;
        let capabilities = &leaf.capabilities;
        let mut extensions = leaf.extensions.types();
        // RFC 9420 §7.2, §7.3: a leaf's own extensions and credential are among its capabilities. Of
        // the suite no clause says so, and the official vectors hold leaves that don't list theirs.
        let fits = capabilities.supports_credential(&leaf.credential)
            && extensions.all(|kind| capabilities.supports_extension(kind));
        if fits {
            Ok(())
        } else {
            Err(Error::LeafCapabilities)
        }
    }

    /// Checks every leaf's signature (RFC 9420 §7.3), on up to `threads` threads.
    ///
    /// # Errors
    /// [`Error::LeafSignature`].
    pub fn verify_leaf_signatures(
        &self,
        group_id: &[u8],
        threads: NonZeroUsize,
    ) -> Result<(), Error> {
        let leaves: Vec<_> = self.members().collect();
        let threads = threads.get().min(VERIFIER_THREADS_MAX);
        let share = leaves.len().div_ceil(threads).max(1);
        let verify = |leaves: &[(u32, &LeafNode)]| {
            let mut leaves = leaves.iter();
            leaves.try_for_each(|(index, leaf)| leaf.verify(self.suite, (group_id, *index)))
        };
        if threads == 1 {
            return verify(&leaves);
        }
        thread::scope(|scope| {
            let shares = leaves.chunks(share);
            let running: Vec<_> = shares.map(|share| scope.spawn(|| verify(share))).collect();
            // A verifier that died has verified nothing.
            let mut results = running
                .into_iter()
                .map(|one| one.join().unwrap_or(Err(Error::LeafSignature)));
            results.try_for_each(|result| result)
        })
    }

    fn check_unmerged_leaves(&self) -> Result<(), Error> {
        for index in (1..self.size.nodes()).step_by(2).map(NodeIndex) {
            if let Some(parent) = self.parent(index) {
                self.check_unmerged_leaves_of(index, parent)?;
            }
        }
        Ok(())
    }

    fn check_unmerged_leaves_of(&self, index: NodeIndex, parent: &ParentNode) -> Result<(), Error> {
        let unmerged = &parent.unmerged_leaves;
        // RFC 9420 §7.1
        if !unmerged.is_sorted_by(|one, next| one < next) {
            return Err(Error::UnmergedLeaves);
        }
        for leaf in unmerged {
            let at = NodeIndex::of_leaf(*leaf);
            // RFC 9420 §12.4.3.1
            if !index.covers(at) || self.leaf(*leaf).is_none() {
                return Err(Error::UnmergedLeaves);
            }
            let between = self
                .size
                .direct_path(at)
                .take_while(|above| *above != index);
            let mut parents = between.filter_map(|between| self.parent(between));
            // RFC 9420 §12.4.3.1
            if !parents.all(|between| between.unmerged_leaves.contains(leaf)) {
                return Err(Error::UnmergedLeaves);
            }
        }
        Ok(())
    }
}
