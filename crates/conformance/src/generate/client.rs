//! Somebody with keys and a KeyPackage.

use conclave_crypto::{CipherSuite, HpkeKeyPair, Secret, SigningKey, SystemRandomness};
use conclave_mls_member::Group;
use conclave_mls_public::wire::{
    Capabilities, Credential, Extensions, KeyPackage, LeafNode, LeafNodeSource, Lifetime, MLS10,
};

use super::random;

/// The kind of credential that is a bare name (RFC 9420 §5.3).
const BASIC: u16 = 1;

/// Valid as long as OpenMLS lets a lifetime be judged at all: for ever, which is its form for it.
const LIFETIME: Lifetime = Lifetime {
    not_before: 0,
    not_after: u64::MAX,
};

/// A client with all keys of its KeyPackage.
pub(super) struct Client {
    pub(super) suite: CipherSuite,
    pub(super) signature_priv: Secret,
    pub(super) key: SigningKey,
    pub(super) init: HpkeKeyPair,
    pub(super) leaf: HpkeKeyPair,
    pub(super) package: KeyPackage,
}

impl Client {
    pub(super) fn new(suite: CipherSuite, name: &str) -> anyhow::Result<Self> {
        let mut rng = SystemRandomness;
        let (init, leaf) = (
            suite.generate_key_pair(&mut rng)?,
            suite.generate_key_pair(&mut rng)?,
        );
        let (signature_priv, key) = signature_key(suite)?;
        let mut leaf_node = LeafNode {
            encryption_key: leaf.public().into(),
            signature_key: key.public().into(),
            credential: Credential::Basic(name.as_bytes().into()),
            capabilities: Capabilities {
                versions: vec![MLS10],
                cipher_suites: vec![suite.into()],
                credentials: vec![BASIC],
                ..Capabilities::default()
            },
            leaf_node_source: LeafNodeSource::KeyPackage(LIFETIME),
            extensions: Extensions::default(),
            signature: Vec::new().into(),
        };
        leaf_node.sign(&key, None)?;
        let mut package = KeyPackage {
            version: MLS10,
            cipher_suite: suite.into(),
            init_key: init.public().into(),
            leaf_node,
            extensions: Extensions::default(),
            signature: Vec::new().into(),
        };
        package.sign(&key)?;
        Ok(Self {
            suite,
            signature_priv,
            key,
            init,
            leaf,
            package,
        })
    }

    /// A group in which it is alone.
    pub(super) fn create(&self) -> anyhow::Result<Group> {
        Ok(Group::create(
            self.suite,
            &random(16)?,
            Extensions::default(),
            self.package.leaf_node.clone(),
            self.leaf.clone(),
            &self.key,
            &mut SystemRandomness,
        )?)
    }
}

/// A fresh signature key and its private bytes.
pub(super) fn signature_key(suite: CipherSuite) -> anyhow::Result<(Secret, SigningKey)> {
    // Every suite here has HPKE private keys that will do for its signatures too.
    let pair = suite.generate_key_pair(&mut SystemRandomness)?;
    let key = SigningKey::from_bytes(suite, pair.private().as_bytes())?;
    Ok((pair.private().clone(), key))
}
