//! What all members of a group must agree on, and the code points that stand for it in MLS.
//!
//! ```text
//! struct {
//!     uint16 version = 1;
//! } GroupRules;
//! ```
//!
//! It stands in the GroupContext's `app_data_dictionary` (draft-ietf-mls-extensions §4.6) under
//! [`COMPONENT_RULES`]. A member that does not know the version neither joins nor continues:
//! guessing would fork the group. What a later version adds follows after the version.

use thiserror::Error;

/// The MLS credential type of a [`DeviceCertificate`](crate::DeviceCertificate)
/// (RFC 9420 §17.5, private use).
pub const CREDENTIAL_TYPE: u16 = 0xF0C1;

/// The component that holds [`GroupRules`] (private use).
pub const COMPONENT_RULES: u16 = 0x8C01;

/// The component whose Safe AAD item carries a message's franking commitment (private use).
pub const COMPONENT_FRANKING: u16 = 0x8C02;

/// The rules that this program writes into a new group.
pub const RULES_VERSION: u16 = 1;

/// The rules of a group.
///
/// Version 1: every leaf's credential is a device certificate that is valid for the leaf's key. A
/// member may add, remove and update; a leaf never changes its user, device or signature key; of
/// Proposals only SelfRemove travels on its own; there are no external senders; an external Commit
/// removes nothing but an older leaf of the same device's user and device, and comes from a user who
/// has a device in the group or with a member's [`Approval`](crate::Approval).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupRules {
    version: u16,
}

/// Why a group's rules can't be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The group states no rules, or not in this form.
    #[error("the group states no rules")]
    Malformed,
    /// The group is newer than this program.
    #[error("the group follows rules of version {0}; this program knows version {RULES_VERSION}")]
    Version(u16),
}

impl GroupRules {
    /// The rules that a new group gets.
    #[must_use]
    pub const fn current() -> Self {
        Self {
            version: RULES_VERSION,
        }
    }

    /// Their version.
    #[must_use]
    pub const fn version(self) -> u16 {
        self.version
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        self.version.to_be_bytes().to_vec()
    }

    /// Reads the rules of a group.
    ///
    /// # Errors
    /// [`RulesError::Version`] for a version that this program does not know, whatever follows it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RulesError> {
        let (version, rest) = bytes.split_first_chunk().ok_or(RulesError::Malformed)?;
        match (u16::from_be_bytes(*version), rest) {
            (RULES_VERSION, []) => Ok(Self {
                version: RULES_VERSION,
            }),
            (RULES_VERSION, _) => Err(RulesError::Malformed),
            (other, _) => Err(RulesError::Version(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_rules_are_followed() {
        let rules = GroupRules::current();
        assert_eq!(GroupRules::from_bytes(&rules.to_bytes()), Ok(rules));
        assert_eq!(
            GroupRules::from_bytes(&[0, 2, 9]),
            Err(RulesError::Version(2))
        );
        assert_eq!(
            GroupRules::from_bytes(&[0, 1, 9]),
            Err(RulesError::Malformed)
        );
        assert_eq!(GroupRules::from_bytes(&[1]), Err(RulesError::Malformed));
    }
}
