//! Somebody with a signature key, and the KeyPackages that they make.

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

/// A name with a signature key of one suite.
pub(crate) struct Identity {
    pub(crate) suite: CipherSuite,
    pub(crate) name: String,
    pub(crate) private: Secret,
    pub(crate) key: SigningKey,
}

/// A KeyPackage with its private keys.
pub(crate) struct Keys {
    pub(crate) init: HpkeKeyPair,
    pub(crate) leaf: HpkeKeyPair,
    pub(crate) package: KeyPackage,
}

impl Identity {
    pub(crate) fn new(suite: CipherSuite, name: &str) -> anyhow::Result<Self> {
        // Every suite here has HPKE private keys that will do for its signatures too.
        let pair = suite.generate_key_pair(&mut SystemRandomness)?;
        Self::of(suite, name, pair.private().clone())
    }

    pub(crate) fn of(suite: CipherSuite, name: &str, private: Secret) -> anyhow::Result<Self> {
        Ok(Self {
            suite,
            name: name.to_owned(),
            key: SigningKey::from_bytes(suite, private.as_bytes())?,
            private,
        })
    }

    /// A leaf with this encryption key, as a KeyPackage has it.
    pub(crate) fn leaf_node(&self, pair: &HpkeKeyPair) -> anyhow::Result<LeafNode> {
        let mut leaf_node = LeafNode {
            encryption_key: pair.public().into(),
            signature_key: self.key.public().into(),
            credential: Credential::Basic(self.name.as_bytes().into()),
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
