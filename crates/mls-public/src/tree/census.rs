use std::collections::BTreeMap;

use conclave_crypto::CipherSuite;

use super::encryption_key;
use crate::{
    Error,
    wire::{ExtensionType, LeafNode, Node, RequiredCapabilities},
};

/// What has to be unique, or agreed on, among all nodes: counted as they come and go, so that no
/// check looks at all members.
#[derive(Debug, Clone, Default)]
pub(super) struct Census {
    members: u32,
    encryption_keys: KeyCount,
    signature_keys: KeyCount,
    credentials_in_use: Count,
    credentials: Count,
    extensions: Count,
    proposals: Count,
}

type Count = BTreeMap<u16, u32>;

impl Census {
    pub(super) fn insert(&mut self, node: &Node) {
        self.encryption_keys.insert(encryption_key(node));
        if let Node::Leaf(leaf) = node {
            self.members += 1;
            self.signature_keys.insert(leaf.signature_key.as_slice());
            self.for_each_ability(leaf, |count, kind| *count.entry(kind).or_default() += 1);
        }
    }

    pub(super) fn remove(&mut self, node: &Node) {
        self.encryption_keys.remove(encryption_key(node));
        if let Node::Leaf(leaf) = node {
            self.members -= 1;
            self.signature_keys.remove(leaf.signature_key.as_slice());
            self.for_each_ability(leaf, |count, kind| {
                count.entry(kind).and_modify(|members| *members -= 1);
                if count.get(&kind) == Some(&0) {
                    count.remove(&kind);
                }
            });
        }
    }

    /// Whether a node has this HPKE public key.
    pub(super) fn has_encryption_key(&self, key: &[u8]) -> bool {
        self.encryption_keys.contains(key)
    }

    /// # Errors
    /// [`Error::DuplicateKey`] if two members have the same signature key, or two nodes the same
    /// encryption key.
    pub(super) fn check_unique(&self) -> Result<(), Error> {
        // RFC 9420 §7.3 for members, §12.4.3.1 for parents.
        match self.encryption_keys.repeated + self.signature_keys.repeated {
            0 => Ok(()),
            _ => Err(Error::DuplicateKey),
        }
    }

    /// # Errors
    /// [`Error::LeafCapabilities`] if a member does not understand another's credential.
    pub(super) fn check_credentials(&self) -> Result<(), Error> {
        let mut in_use = self.credentials_in_use.keys();
        // RFC 9420 §7.3
        self.demand(in_use.all(|kind| self.all_have(&self.credentials, *kind)))
    }

    /// # Errors
    /// [`Error::LeafCapabilities`] if a member can't do all that is required.
    pub(super) fn check_required(&self, required: &RequiredCapabilities) -> Result<(), Error> {
        let mut proposals = required.proposal_types.iter();
        let mut credentials = required.credential_types.iter();
        // RFC 9420 §11.1
        self.check_extensions(required.extension_types.iter().copied())?;
        self.demand(
            proposals.all(|kind| kind.is_default() || self.all_have(&self.proposals, kind.0))
                && credentials.all(|kind| self.all_have(&self.credentials, *kind)),
        )
    }

    /// # Errors
    /// [`Error::LeafCapabilities`] if a member does not know one of the extensions.
    pub(super) fn check_extensions(
        &self,
        mut extensions: impl Iterator<Item = ExtensionType>,
    ) -> Result<(), Error> {
        // RFC 9420 §13.4
        self.demand(
            extensions.all(|kind| kind.is_default() || self.all_have(&self.extensions, kind.0)),
        )
    }

    fn all_have(&self, count: &Count, kind: u16) -> bool {
        count.get(&kind).copied().unwrap_or(0) == self.members
    }

    fn demand(&self, holds: bool) -> Result<(), Error> {
        if holds {
            Ok(())
        } else {
            Err(Error::LeafCapabilities)
        }
    }

    /// Visits each ability once, also if a leaf lists it twice.
    fn for_each_ability(&mut self, leaf: &LeafNode, mut visit: impl FnMut(&mut Count, u16)) {
        let capabilities = &leaf.capabilities;
        visit(
            &mut self.credentials_in_use,
            leaf.credential.credential_type(),
        );
        for kind in unique(capabilities.credentials.iter().copied()) {
            visit(&mut self.credentials, kind);
        }
        for kind in unique(capabilities.extensions.iter().map(|kind| kind.0)) {
            visit(&mut self.extensions, kind);
        }
        for kind in unique(capabilities.proposals.iter().map(|kind| kind.0)) {
            visit(&mut self.proposals, kind);
        }
    }
}

impl<'a> FromIterator<&'a Node> for Census {
    fn from_iter<I: IntoIterator<Item = &'a Node>>(nodes: I) -> Self {
        let mut census = Self::default();
        nodes.into_iter().for_each(|node| census.insert(node));
        census
    }
}

fn unique(kinds: impl Iterator<Item = u16>) -> Vec<u16> {
    let mut kinds: Vec<_> = kinds.collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// How often each key occurs. A key is known by 128 bits of its hash: a collision would take 2^64
/// work and make only its author's own key refused.
#[derive(Debug, Clone, Default)]
struct KeyCount {
    counts: BTreeMap<u128, u32>,
    /// How many keys occur more than once.
    repeated: usize,
}

impl KeyCount {
    fn insert(&mut self, key: &[u8]) {
        let count = self.counts.entry(fingerprint(key)).or_default();
        *count += 1;
        self.repeated += usize::from(*count == 2);
    }

    fn remove(&mut self, key: &[u8]) {
        let key = fingerprint(key);
        let Some(count) = self.counts.get_mut(&key) else {
            return;
        };
        *count -= 1;
        self.repeated -= usize::from(*count == 1);
        if *count == 0 {
            self.counts.remove(&key);
        }
    }

    fn contains(&self, key: &[u8]) -> bool {
        self.counts.contains_key(&fingerprint(key))
    }
}

fn fingerprint(key: &[u8]) -> u128 {
    let hash = CipherSuite::X25519Aes128Sha256Ed25519.hash(key);
    let mut first = [0; 16];
    first.copy_from_slice(&hash.as_bytes()[..16]);
    u128::from_be_bytes(first)
}
