//! The secret tree (RFC 9420 §9): from the epoch's encryption secret to each member's ratchets.
//!
//! It is lazy: it holds only the nodes whose secret somebody still needs and that were passed on the
//! way to a leaf in use, so an epoch in which one member speaks costs the depth of the tree and not
//! its size.

use std::collections::BTreeMap;

use conclave_crypto::{CipherSuite, CryptoError, Secret};
use conclave_mls_public::math::{NodeIndex, TreeSize};

use crate::{EncryptionSecret, MemberError, ratchet::Ratchet};

pub use crate::ratchet::MessageKey;

/// Which of a member's two ratchets a message belongs to (RFC 9420 §9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RatchetKind {
    /// Proposals and Commits.
    Handshake,
    /// Application data.
    Application,
}

/// The message keys of one epoch. Every secret is dropped when what follows from it is derived.
#[derive(Debug)]
pub struct SecretTree {
    suite: CipherSuite,
    size: TreeSize,
    nodes: BTreeMap<NodeIndex, Secret>,
    leaves: BTreeMap<u32, [Ratchet; 2]>,
}

impl SecretTree {
    /// The tree of an epoch whose ratchet tree has `size`.
    pub fn new(suite: CipherSuite, size: TreeSize, encryption: EncryptionSecret) -> Self {
        Self {
            suite,
            size,
            nodes: BTreeMap::from([(size.root(), encryption.0)]),
            leaves: BTreeMap::new(),
        }
    }

    /// The next key to send with, and its generation. It can't be had a second time.
    ///
    /// # Errors
    /// [`MemberError::UnknownLeaf`] if the leaf is outside of the tree,
    /// [`MemberError::RatchetExhausted`] after 2^32 - 1 messages.
    pub fn next(&mut self, leaf: u32, kind: RatchetKind) -> Result<(u32, MessageKey), MemberError> {
        let suite = self.suite;
        self.ratchet(leaf, kind)?.next(suite)
    }

    /// Uses the key of `generation`, and forgets it if `attempt` succeeds. If it fails, nothing has
    /// changed: a message that nobody sent must not cost the key of one that somebody did.
    ///
    /// # Errors
    /// [`MemberError::UnknownLeaf`]; [`MemberError::GenerationGone`] if the key was used before or
    /// is too old; [`MemberError::GenerationTooFar`] past
    /// [`FORWARD_GENERATIONS_MAX`](crate::limits::FORWARD_GENERATIONS_MAX); what `attempt` gives.
    pub fn with_key<T>(
        &mut self,
        leaf: u32,
        kind: RatchetKind,
        generation: u32,
        attempt: impl FnOnce(&MessageKey) -> Result<T, MemberError>,
    ) -> Result<T, MemberError> {
        let suite = self.suite;
        let ratchet = self.ratchet(leaf, kind)?;
        let mut advanced = ratchet.clone();
        let outcome = attempt(&advanced.take(suite, generation)?)?;
        *ratchet = advanced;
        Ok(outcome)
    }

    /// How many secrets are held now: what shows that memory follows use.
    pub fn held(&self) -> usize {
        let ratchets = self.leaves.values().flatten();
        self.nodes.len() + ratchets.map(Ratchet::held).sum::<usize>()
    }

    fn ratchet(&mut self, leaf: u32, kind: RatchetKind) -> Result<&mut Ratchet, MemberError> {
        if leaf >= self.size.leaves() {
            return Err(MemberError::UnknownLeaf);
        }
        if !self.leaves.contains_key(&leaf) {
            let secret = self.leaf_secret(leaf)?;
            let ratchets = [Ratchet::new(self.suite, &secret, "handshake")?, {
                Ratchet::new(self.suite, &secret, "application")?
            }];
            self.leaves.insert(leaf, ratchets);
        }
        let [handshake, application] =
            self.leaves.get_mut(&leaf).ok_or(MemberError::UnknownLeaf)?;
        Ok(match kind {
            RatchetKind::Handshake => handshake,
            RatchetKind::Application => application,
        })
    }

    /// Walks up to the nearest node that still has its secret, then down again, leaving the
    /// siblings' secrets and none on the way (RFC 9420 §9.2).
    fn leaf_secret(&mut self, leaf: u32) -> Result<Secret, MemberError> {
        let (suite, target) = (self.suite, NodeIndex::of_leaf(leaf));
        let mut path = vec![target];
        let mut secret = loop {
            let node = *path.last().ok_or(MemberError::UnknownLeaf)?;
            if let Some(secret) = self.nodes.remove(&node) {
                break secret;
            }
            path.push(self.size.parent(node).ok_or(MemberError::UnknownLeaf)?);
        };
        path.pop();
        while let Some(child) = path.pop() {
            let sibling = self.size.sibling(child).ok_or(MemberError::UnknownLeaf)?;
            let (child_side, sibling_side) = if child < sibling {
                ("left", "right")
            } else {
                ("right", "left")
            };
            self.nodes
                .insert(sibling, branch(suite, &secret, sibling_side)?);
            secret = branch(suite, &secret, child_side)?;
        }
        Ok(secret)
    }
}

/// A child's secret (RFC 9420 §9).
fn branch(suite: CipherSuite, secret: &Secret, side: &str) -> Result<Secret, CryptoError> {
    suite.expand_with_label(secret, "tree", side.as_bytes(), suite.hash_len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::{FORWARD_GENERATIONS_MAX, SKIPPED_KEYS_MAX};

    const SUITE: CipherSuite = CipherSuite::X25519Aes128Sha256Ed25519;

    fn tree(leaves: u32) -> SecretTree {
        let size = TreeSize::of_leaves(leaves).unwrap();
        SecretTree::new(SUITE, size, EncryptionSecret(Secret::from(&[7; 32][..])))
    }

    fn take(tree: &mut SecretTree, leaf: u32, generation: u32) -> Result<Vec<u8>, MemberError> {
        let key = |key: &MessageKey| Ok(key.key().as_bytes().to_vec());
        tree.with_key(leaf, RatchetKind::Application, generation, key)
    }

    proptest! {
        /// Whatever the order of use, a sender and a receiver have the same keys, each of them once.
        #[test]
        fn keys_agree_in_any_order_and_are_given_out_once(
            height in 0_u32..8,
            uses in proptest::collection::vec((any::<u32>(), 0_u32..20), 1..40),
        ) {
            let leaves = 1 << height;
            let mut receiver = tree(leaves);
            let mut used = std::collections::BTreeSet::new();
            for (leaf, generation) in uses {
                let leaf = leaf % leaves;
                let mut sender = tree(leaves);
                let mut sent = sender.next(leaf, RatchetKind::Application).unwrap();
                while sent.0 < generation {
                    sent = sender.next(leaf, RatchetKind::Application).unwrap();
                }
                let taken = take(&mut receiver, leaf, generation);
                if used.insert((leaf, generation)) {
                    prop_assert_eq!(taken.unwrap(), sent.1.key().as_bytes());
                } else {
                    prop_assert_eq!(taken, Err(MemberError::GenerationGone));
                }
            }
        }
    }

    #[test]
    fn memory_follows_use_and_not_the_size_of_the_group() {
        let mut tree = tree(1 << 16);
        assert_eq!(tree.held(), 1);
        tree.next(12_345, RatchetKind::Application).unwrap();
        assert!(tree.held() <= 16 + 2, "{}", tree.held());
        assert_eq!(take(&mut tree, 1 << 16, 0), Err(MemberError::UnknownLeaf));
    }

    #[test]
    fn a_failed_attempt_costs_no_key_and_gaps_are_bounded() {
        let mut tree = tree(2);
        let fail = |_: &MessageKey| Err::<(), _>(MemberError::Padding);
        let failed = tree.with_key(0, RatchetKind::Application, 5, fail);
        assert_eq!(failed, Err(MemberError::Padding));
        assert!(take(&mut tree, 0, 0).is_ok());
        let too_far = take(&mut tree, 0, FORWARD_GENERATIONS_MAX + 2);
        assert_eq!(too_far, Err(MemberError::GenerationTooFar));
        assert!(take(&mut tree, 0, FORWARD_GENERATIONS_MAX + 1).is_ok());
        assert!(tree.held() <= SKIPPED_KEYS_MAX + 3);
        assert_eq!(take(&mut tree, 0, 1), Err(MemberError::GenerationGone));
    }
}
