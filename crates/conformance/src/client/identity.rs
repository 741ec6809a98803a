//! Somebody with a signature key, and the KeyPackages that they make.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use conclave_crypto::{CipherSuite, HpkeKeyPair, Secret, SigningKey, SystemRandomness};
use conclave_mls_public::wire::{
    Capabilities, Credential, Extensions, KeyPackage, LeafNode, LeafNodeSource, Lifetime, MLS10,
};

/// The kind of credential that is a bare name (RFC 9420 §5.3).
const BASIC: u16 = 1;

/// Valid as long as OpenMLS lets a lifetime be judged at all: for ever, which is its form for it.
const LIFETIME: Lifetime = Lifetime {
    not_before: 0,
    not_after: u64::MAX,
};

/// Names that are remembered: whoever makes up more gets a fresh key each time.
const NAMES_MAX: usize = 10_000;

/// Who is who: a name has one signature key for each suite, so that somebody who comes back, or joins a
/// subgroup, is known by it.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<HashMap<Name, Arc<Identity>>>>);

type Name = (CipherSuite, Vec<u8>);

/// A name with a signature key of one suite.
pub(crate) struct Identity {
    pub(crate) suite: CipherSuite,
    pub(crate) name: Vec<u8>,
    pub(crate) private: Secret,
    pub(crate) key: SigningKey,
}

/// A KeyPackage with its private keys.
pub(crate) struct Keys {
    pub(crate) init: HpkeKeyPair,
    pub(crate) leaf: HpkeKeyPair,
    pub(crate) package: KeyPackage,
}

impl Names {
    pub(crate) fn identity(
        &self,
        suite: CipherSuite,
        name: &[u8],
    ) -> anyhow::Result<Arc<Identity>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (suite, name.to_vec());
        if let Some(identity) = known.get(&place) {
            return Ok(Arc::clone(identity));
        }
        let identity = Arc::new(Identity::new(suite, name)?);
        if known.len() < NAMES_MAX {
            known.insert(place, Arc::clone(&identity));
        }
        Ok(identity)
    }
}

impl Identity {
    pub(crate) fn new(suite: CipherSuite, name: impl AsRef<[u8]>) -> anyhow::Result<Self> {
        // Every suite here has HPKE private keys that will do for its signatures too.
        let pair = suite.generate_key_pair(&mut SystemRandomness)?;
        Self::of(suite, name.as_ref(), pair.private().clone())
    }

    pub(crate) fn of(suite: CipherSuite, name: &[u8], private: Secret) -> anyhow::Result<Self> {
        Ok(Self {
            suite,
            name: name.to_vec(),
            key: SigningKey::from_bytes(suite, private.as_bytes())?,
            private,
        })
    }

    /// A leaf with this encryption key, as a KeyPackage has it.
    pub(crate) fn leaf_node(&self, pair: &HpkeKeyPair) -> anyhow::Result<LeafNode> {
        let mut leaf_node = LeafNode {
            encryption_key: pair.public().into(),
            signature_key: self.key.public().into(),
            credential: Credential::Basic(self.name.as_slice().into()),
            capabilities: Capabilities {
                versions: vec![MLS10],
                cipher_suites: vec![self.suite.into()],
                credentials: vec![BASIC],
                ..Capabilities::default()
            },
            leaf_node_source: LeafNodeSource::KeyPackage(LIFETIME),
            extensions: Extensions::default(),
            signature: Vec::new().into(),
        };
        leaf_node.sign(&self.key, None)?;
        Ok(leaf_node)
    }

    pub(crate) fn key_package(&self) -> anyhow::Result<Keys> {
        let mut rng = SystemRandomness;
        let init = self.suite.generate_key_pair(&mut rng)?;
        let leaf = self.suite.generate_key_pair(&mut rng)?;
        let mut package = KeyPackage {
            version: MLS10,
            cipher_suite: self.suite.into(),
            init_key: init.public().into(),
            leaf_node: self.leaf_node(&leaf)?,
            extensions: Extensions::default(),
            signature: Vec::new().into(),
        };
        package.sign(&self.key)?;
        Ok(Keys {
            init,
            leaf,
            package,
        })
    }
}
