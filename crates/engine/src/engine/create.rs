//! Making KeyPackages and groups.

use conclave_protocol::{Forbidden, GroupId, GroupRules, UnixMillis, limits::KEY_PACKAGES_MAX};
use openmls::prelude::{KeyPackage, KeyPackageBuilder, MlsGroup, MlsMessageOut};

use super::{Engine, Provider, encode, encode_tree, mls_group_id};
use crate::{CreatedGroup, Effects, EngineError, RuleViolation, State, profile};

impl Engine {
    /// Makes KeyPackages to publish, each as an MLSMessage; their secrets are in the writes.
    ///
    /// # Errors
    /// [`EngineError::TooLarge`] for more than [`KEY_PACKAGES_MAX`].
    pub fn key_packages(
        &self,
        state: &dyn State,
        count: usize,
        now: UnixMillis,
    ) -> Result<Effects<Vec<Vec<u8>>>, EngineError> {
        if count > KEY_PACKAGES_MAX {
            return Err(EngineError::TooLarge);
        }
        self.transact(state, |provider| {
            (0..count)
                .map(|_| self.build_key_package(provider, KeyPackage::builder(), now))
                .collect()
        })
    }

    /// Makes a KeyPackage that may be used more than once, for when all others are taken
    /// (RFC 9420 §16.8).
    ///
    /// # Errors
    /// Those of the state.
    pub fn last_resort_key_package(
        &self,
        state: &dyn State,
        now: UnixMillis,
    ) -> Result<Effects<Vec<u8>>, EngineError> {
        self.transact(state, |provider| {
            let builder = KeyPackage::builder().mark_as_last_resort();
            self.build_key_package(provider, builder, now)
        })
    }

    /// Creates a group with this device alone in it, in epoch 0, under these rules. They list nobody
    /// but this device's user; a Commit may [change](crate::Change::govern) them.
    ///
    /// # Errors
    /// [`EngineError::GroupExists`], [`Certificate`](EngineError::Certificate) where this device's own
    /// is not valid at `now`, and [`Violation`](EngineError::Violation) for rules that list others.
    pub fn create_group(
        &self,
        state: &dyn State,
        group: GroupId,
        rules: &GroupRules,
        now: UnixMillis,
    ) -> Result<Effects<CreatedGroup>, EngineError> {
        self.device.check(now)?;
        let own = &self.device.certificate().address().user;
        if rules.listed().any(|(user, _)| user != own) && self.obeys() {
            return Err(RuleViolation::from(Forbidden::Stranger).into());
        }
        self.transact(state, |provider| {
            super::make_room(provider, group)?;
            provider.begin_lease(group)?;
            let group = self.build_group(provider, group, rules, now)?;
            Ok(CreatedGroup {
                group_info: self.signed_group_info(&group)?,
                ratchet_tree: encode_tree(&group)?,
            })
        })
    }

    fn build_key_package(
        &self,
        provider: &Provider<'_>,
        builder: KeyPackageBuilder,
        now: UnixMillis,
    ) -> Result<Vec<u8>, EngineError> {
        let bundle = builder
            .key_package_lifetime(profile::lifetime(now))
            .leaf_node_capabilities(profile::capabilities())
            .leaf_node_extensions(profile::leaf_extensions()?)
            .build(
                profile::SUITE,
                provider,
                &self.signer(),
                self.device.credential_with_key(),
            )
            .map_err(|_| EngineError::Internal("a KeyPackage cannot be made"))?;
        encode(&MlsMessageOut::from(bundle.into_key_package()))
    }

    fn build_group(
        &self,
        provider: &Provider<'_>,
        group: GroupId,
        rules: &GroupRules,
        now: UnixMillis,
    ) -> Result<MlsGroup, EngineError> {
        let config = profile::join_config();
        let extensions = profile::group_extensions(rules)?;
        MlsGroup::builder()
            .with_group_id(mls_group_id(group))
            .ciphersuite(profile::SUITE)
            .with_wire_format_policy(config.wire_format_policy())
            .use_ratchet_tree_extension(false)
            .max_past_epochs(0)
            .padding_size(config.padding_size())
            .sender_ratchet_configuration(*config.sender_ratchet_configuration())
            .lifetime(profile::lifetime(now))
            .with_capabilities(profile::capabilities())
            .with_group_context_extensions(extensions)
            .with_leaf_node_extensions(profile::leaf_extensions()?)
            .map_err(|_| EngineError::Internal("a leaf cannot be made"))?
            .build(provider, &self.signer(), self.device.credential_with_key())
            .map_err(|_| EngineError::Internal("a group cannot be made"))
    }
}
