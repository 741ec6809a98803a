//! What every group and leaf is made of. Members check each other against it, so none of it can
//! change without all of them.

use conclave_protocol::{
    COMPONENT_FRANKING, COMPONENT_RULES, CREDENTIAL_TYPE, GroupRules, RulesError, UnixMillis,
    limits::{
        CLOCK_SKEW, FORWARD_GENERATIONS_MAX, KEY_PACKAGE_LIFETIME, OUT_OF_ORDER_GENERATIONS_MAX,
    },
};
use openmls::{
    component::{ComponentId, ComponentsList},
    prelude::{
        AppDataDictionary, AppDataDictionaryExtension, Capabilities, Ciphersuite, CredentialType,
        Extension, ExtensionType, Extensions, GroupContext, InvalidExtensionError, LeafNode,
        Lifetime, MlsGroupJoinConfig, PURE_PLAINTEXT_WIRE_FORMAT_POLICY, ProposalType,
        ProtocolVersion, RequiredCapabilitiesExtension, SenderRatchetConfiguration,
        tls_codec::{DeserializeBytes as _, Serialize as _},
    },
};

use crate::{EngineError, RuleViolation};

pub(crate) const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;

// Components that list components (draft-ietf-mls-extensions).
const APP_COMPONENTS: ComponentId = 1;
const SAFE_AAD: ComponentId = 2;

const CREDENTIAL: CredentialType = CredentialType::Other(CREDENTIAL_TYPE);

/// What a leaf states that its device can do (RFC 9420 §7.2).
pub(crate) fn capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[SUITE]),
        Some(&[ExtensionType::AppDataDictionary, ExtensionType::LastResort]),
        Some(&[ProposalType::SelfRemove, ProposalType::AppDataUpdate]),
        Some(&[CREDENTIAL]),
    )
}

/// A leaf's extensions: the components that its device supports, in general and as Safe AAD
/// (draft-ietf-mls-extensions §4.6, §4.9).
pub(crate) fn leaf_extensions() -> Result<Extensions<LeafNode>, EngineError> {
    let mut dictionary = AppDataDictionary::new();
    dictionary.insert(
        APP_COMPONENTS,
        components(&[SAFE_AAD, COMPONENT_RULES, COMPONENT_FRANKING])?,
    );
    dictionary.insert(SAFE_AAD, components(&[COMPONENT_FRANKING])?);
    Extensions::single(dictionary_extension(dictionary)).map_err(not_allowed)
}

/// The GroupContext's extensions, which are the same in every group under the same rules.
pub(crate) fn group_extensions(
    rules: &GroupRules,
) -> Result<Extensions<GroupContext>, EngineError> {
    let mut dictionary = AppDataDictionary::new();
    dictionary.insert(SAFE_AAD, components(&[COMPONENT_FRANKING])?);
    dictionary.insert(COMPONENT_RULES, rules.to_bytes());
    let required = RequiredCapabilitiesExtension::new(
        &[ExtensionType::AppDataDictionary],
        &[ProposalType::SelfRemove],
        &[CREDENTIAL],
    );
    Extensions::from_vec(vec![
        Extension::RequiredCapabilities(required),
        dictionary_extension(dictionary),
    ])
    .map_err(not_allowed)
}

/// Checks that a group is one whose rules this program follows; gives the rules.
pub(crate) fn check_group_context(context: &GroupContext) -> Result<GroupRules, EngineError> {
    let rules = context
        .extensions()
        .app_data_dictionary()
        .and_then(|extension| extension.dictionary().get(&COMPONENT_RULES))
        .ok_or(RulesError::Malformed)?;
    // The version comes first: what else a later version allows is not for this one to judge.
    let rules = GroupRules::from_bytes(rules)?;
    if context.ciphersuite() != SUITE || *context.extensions() != group_extensions(&rules)? {
        return Err(RuleViolation::GroupContext.into());
    }
    Ok(rules)
}

/// Checks that a leaf supports what the rules need of every member (RFC 9420 §7.3).
pub(crate) fn check_capabilities(leaf: &LeafNode) -> Result<(), EngineError> {
    let stated = leaf.capabilities();
    let needed = capabilities();
    let supports_franking = leaf
        .extensions()
        .app_data_dictionary()
        .and_then(|extension| extension.dictionary().get(&SAFE_AAD))
        .and_then(|list| ComponentsList::tls_deserialize_exact_bytes(list).ok())
        .is_some_and(|list| list.ids().contains(&COMPONENT_FRANKING));
    let covers = includes(stated.extensions(), needed.extensions())
        && includes(stated.proposals(), needed.proposals())
        && includes(stated.credentials(), needed.credentials())
        && includes(stated.ciphersuites(), needed.ciphersuites());
    if covers && supports_franking {
        Ok(())
    } else {
        Err(RuleViolation::Capabilities.into())
    }
}

/// How this device takes part in a group.
pub(crate) fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .use_ratchet_tree_extension(false)
        .max_past_epochs(0)
        // Content comes padded to few sizes; what MLS adds to it is always the same.
        .padding_size(0)
        .sender_ratchet_configuration(SenderRatchetConfiguration::new(
            OUT_OF_ORDER_GENERATIONS_MAX,
            FORWARD_GENERATIONS_MAX,
        ))
        .build()
}

/// How long a leaf that is made at `now` may be used to add its device (RFC 9420 §7.2).
pub(crate) fn lifetime(now: UnixMillis) -> Lifetime {
    let now_seconds = now.as_seconds();
    Lifetime::init(
        now_seconds.saturating_sub(CLOCK_SKEW.as_secs()),
        now_seconds.saturating_add(KEY_PACKAGE_LIFETIME.as_secs()),
    )
}

fn dictionary_extension(dictionary: AppDataDictionary) -> Extension {
    Extension::AppDataDictionary(AppDataDictionaryExtension::new(dictionary))
}

fn components(ids: &[ComponentId]) -> Result<Vec<u8>, EngineError> {
    ComponentsList::new(ids.to_vec())
        .tls_serialize_detached()
        .map_err(|_| EngineError::Internal("a list of components cannot be encoded"))
}

fn includes<T: PartialEq>(all: &[T], some: &[T]) -> bool {
    some.iter().all(|item| all.contains(item))
}

fn not_allowed(_: InvalidExtensionError) -> EngineError {
    EngineError::Internal("an extension stands in the wrong place")
}
