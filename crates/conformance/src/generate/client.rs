use conclave_crypto::{CipherSuite, SystemRandomness};
use conclave_mls_member::Group;
use conclave_mls_public::wire::Extensions;

use super::random;
use crate::client::identity::{Identity, Keys};

/// Somebody with a KeyPackage.
pub(super) struct Client {
    pub(super) identity: Identity,
    pub(super) keys: Keys,
}

impl Client {
    pub(super) fn new(suite: CipherSuite, name: &str) -> anyhow::Result<Self> {
        let identity = Identity::new(suite, name)?;
        let keys = identity.key_package()?;
        Ok(Self { identity, keys })
    }

    /// A group in which it is alone.
    pub(super) fn create(&self) -> anyhow::Result<Group> {
        Ok(Group::create(
            self.identity.suite,
            &random(16)?,
            Extensions::default(),
            self.keys.package.leaf_node.clone(),
            self.keys.leaf.clone(),
            &self.identity.key,
            &mut SystemRandomness,
        )?)
    }
}
