//! What all members of a group must agree on, and the code points that stand for it in MLS.
//!
//! ```text
//! enum { member(0), admin(1), owner(2), (255) } Role;
//!
//! struct {
//!     Role add;                       // the least role that may add users,
//!     Role remove;                    // remove those of at most its own role,
//!     Role describe;                  // name and describe the group,
//!     Role send;                      // and send messages
//! } Permissions;
//!
//! struct {
//!     opaque user<V>;                 // name@domain, ASCII
//!     Role role;                      // admin or owner
//! } UserRole;
//!
//! struct {
//!     uint32 expires_after_seconds;   // of each message, at the latest; 0 for never
//!     opaque profile<V>;              // the hash of the group's profile, or nothing
//! } Settings;
//!
//! struct {
//!     opaque operator_key<V>;         // Ed25519, of the service's operator, or nothing
//!     uint8 unreportable;             // marked(0), refused(1)
//! } Reporting;
//!
//! struct {
//!     uint16 version;
//!     Permissions permissions;
//!     UserRole roles<V>;              // in the order of the users, each once
//!     Settings settings;
//!     select (GroupRules.version) { case 1: struct {}; case 2: Reporting; };
//! } GroupRules;
//! ```
//!
//! There is one encoding of each: rules that say nothing of reporting are of version 1, others of version 2;
//! rules that let everybody do everything, list nobody and set nothing are the version alone. They stand in the GroupContext's `app_data_dictionary`
//! (draft-ietf-mls-extensions §4.6) under [`COMPONENT_RULES`]. A member that does not know the
//! version neither joins nor continues: guessing would fork the group. What a later version adds
//! follows after the version.

mod judge;
mod reporting;

use std::{collections::BTreeMap, time::Duration};

use thiserror::Error;
use tls_codec::{
    DeserializeBytes as _, Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes,
};

use reporting::Reporting;

pub use judge::{Acts, Forbidden};
pub use reporting::Unreportable;

use crate::{
    ProfileHash, UserId, VerifyingKey,
    limits::{MESSAGE_EXPIRY_MAX, ROLES_MAX},
};

/// The MLS credential type of a [`DeviceCertificate`](crate::DeviceCertificate)
/// (RFC 9420 §17.5, private use).
pub const CREDENTIAL_TYPE: u16 = 0xF0C1;

/// The component that holds [`GroupRules`] (private use).
pub const COMPONENT_RULES: u16 = 0x8C01;

/// The component whose Safe AAD item carries a message's franking commitment (private use).
pub const COMPONENT_FRANKING: u16 = 0x8C02;

/// The newest rules that this program follows, and writes where an older version has no words for them.
pub const RULES_VERSION: u16 = 2;

/// The rules that say nothing of reporting.
const VERSION_1: u16 = 1;

/// What a user is in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Role {
    /// Whoever is not listed.
    #[default]
    Member,
    /// May do what the permissions leave to admins.
    Admin,
    /// May do everything, and say who is what.
    Owner,
}

impl Role {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// The role that a byte of [`GroupRules`] stands for.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Member, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.code() == code)
    }

    /// The byte that stands for it in [`GroupRules`].
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Member => 0,
            Self::Admin => 1,
            Self::Owner => 2,
        }
    }
}

/// The least role that may do each of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions {
    /// Add users.
    pub add: Role,
    /// Remove users, of at most the remover's own role.
    pub remove: Role,
    /// Name and describe the group.
    pub describe: Role,
    /// Send messages.
    pub send: Role,
}

impl Permissions {
    /// The bytes that stand for them in [`GroupRules`].
    #[must_use]
    pub fn codes(self) -> [u8; 4] {
        let Self {
            add,
            remove,
            describe,
            send,
        } = self;
        [add, remove, describe, send].map(Role::code)
    }

    /// The permissions that bytes of [`GroupRules`] stand for.
    #[must_use]
    pub fn from_codes(codes: [u8; 4]) -> Option<Self> {
        let [add, remove, describe, send] = codes.map(Role::from_code);
        Some(Self {
            add: add?,
            remove: remove?,
            describe: describe?,
            send: send?,
        })
    }
}

/// The rules of a group.
///
/// Version 1: every leaf's credential is a device certificate that is valid for the leaf's key. Who
/// may add, remove, describe and send is in [`Permissions`], and who is more than a member is listed;
/// a user's own devices may be added and removed by the user whatever they say, and everybody may
/// leave. A leaf never changes its user, device or signature key; of Proposals only SelfRemove travels
/// on its own; there are no external senders; of the GroupContext nothing changes but these rules, by
/// a Commit; an external Commit removes nothing but an older leaf of the same device's user and
/// device, and comes from a user who has a device in the group or with a member's
/// [`Approval`](crate::Approval). Version 2 names the key by which the service's stamps are known, and what
/// becomes of messages that can't be reported; only owners change that.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupRules {
    permissions: Permissions,
    /// Those who are more than members.
    roles: BTreeMap<UserId, Role>,
    /// After how many seconds messages are to be gone.
    expires_after_seconds: u32,
    profile: Option<ProfileHash>,
    reporting: Reporting,
}

/// Why a group's rules can't be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The group states no rules, or not in this form.
    #[error("the group states no rules")]
    Malformed,
    /// The group is newer than this program.
    #[error(
        "the group follows rules of version {0}, and this program knows version {RULES_VERSION}: \
         a newer program is needed"
    )]
    Version(u16),
    /// More users are to be listed than there is room for.
    #[error("at most {ROLES_MAX} users of a group are admins or owners")]
    TooMany,
    /// Messages are to be gone too late or at once.
    #[error(
        "messages are to be gone after 1 s to {} days",
        MESSAGE_EXPIRY_MAX.as_secs() / 86_400
    )]
    Expiry,
}

impl GroupRules {
    /// The rules of a group with one owner: everybody may do everything, but say who is what.
    #[must_use]
    pub fn founded_by(founder: UserId) -> Self {
        Self {
            permissions: Permissions::default(),
            roles: BTreeMap::from([(founder, Role::Owner)]),
            ..Self::default()
        }
    }

    /// The least roles that may do things.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        self.permissions
    }

    /// What a user is, should the user be in the group.
    #[must_use]
    pub fn role(&self, user: &UserId) -> Role {
        self.roles.get(user).copied().unwrap_or_default()
    }

    /// Those who are more than members, in the order of their names.
    pub fn listed(&self) -> impl Iterator<Item = (&UserId, Role)> {
        self.roles.iter().map(|(user, role)| (user, *role))
    }

    /// After what time each message is to be gone at the latest; `None` for never.
    #[must_use]
    pub fn expiry(&self) -> Option<Duration> {
        let seconds = self.expires_after_seconds;
        (seconds > 0).then(|| Duration::from_secs(seconds.into()))
    }

    /// The hash of what the members call the group and say of it.
    #[must_use]
    pub fn profile(&self) -> Option<ProfileHash> {
        self.profile
    }

    /// What becomes of messages that nobody could report.
    #[must_use]
    pub fn unreportable(&self) -> Unreportable {
        self.reporting.unreportable
    }

    /// Whether the rules say whose service stamps the group's messages.
    #[must_use]
    pub fn names_operator(&self) -> bool {
        self.reporting.operator_key.is_some()
    }

    /// Whether the service of the operator with this key stamps the group's messages. Where whoever made the
    /// group knew no such key, any does.
    #[must_use]
    pub fn trusts_operator(&self, key: &VerifyingKey) -> bool {
        let pinned = self.reporting.operator_key;
        pinned.is_none_or(|pinned| pinned == *key.as_bytes())
    }

    /// The same rules for a group whose messages the service of this operator stamps.
    #[must_use]
    pub fn with_operator_key(mut self, key: Option<&VerifyingKey>) -> Self {
        self.reporting.operator_key = key.map(|key| *key.as_bytes());
        self
    }

    /// The same rules with another answer to messages that nobody could report.
    #[must_use]
    pub fn with_unreportable(mut self, unreportable: Unreportable) -> Self {
        self.reporting.unreportable = unreportable;
        self
    }

    /// The same rules with another time after which messages are to be gone, in whole seconds.
    ///
    /// # Errors
    /// [`RulesError::Expiry`].
    pub fn with_expiry(mut self, expiry: Option<Duration>) -> Result<Self, RulesError> {
        self.expires_after_seconds = match expiry {
            None => 0,
            Some(time) if time.as_secs() > 0 && time <= MESSAGE_EXPIRY_MAX => {
                u32::try_from(time.as_secs()).map_err(|_| RulesError::Expiry)?
            }
            Some(_) => return Err(RulesError::Expiry),
        };
        Ok(self)
    }

    /// The same rules for a group with this profile.
    #[must_use]
    pub fn with_profile(mut self, profile: Option<ProfileHash>) -> Self {
        self.profile = profile;
        self
    }

    /// The same rules with other permissions.
    #[must_use]
    pub fn with_permissions(mut self, permissions: Permissions) -> Self {
        self.permissions = permissions;
        self
    }

    /// The same rules with another role for a user.
    ///
    /// # Errors
    /// [`RulesError::TooMany`].
    pub fn with_role(mut self, user: UserId, role: Role) -> Result<Self, RulesError> {
        if role == Role::Member {
            self.roles.remove(&user);
        } else {
            self.roles.insert(user, role);
        }
        if self.roles.len() > ROLES_MAX {
            return Err(RulesError::TooMany);
        }
        Ok(self)
    }

    /// The same rules where no owner is left: those who acted for one are owners.
    #[must_use]
    pub fn with_heirs(mut self) -> Self {
        if self.owners().next().is_none() {
            // Whoever is listed is an admin then.
            self.roles.values_mut().for_each(|role| *role = Role::Owner);
        }
        self
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let says_reporting = self.reporting != Reporting::default();
        let version = if says_reporting {
            RULES_VERSION
        } else {
            VERSION_1
        };
        let mut bytes = version.to_be_bytes().to_vec();
        if *self == Self::default() {
            return bytes;
        }
        let wire = Wire {
            permissions: self.permissions.codes(),
            roles: self.roles.iter().map(WireRole::from).collect(),
            expires_after_seconds: self.expires_after_seconds,
            profile: self
                .profile
                .map_or_else(Vec::new, |it| it.as_bytes().to_vec())
                .into(),
        };
        // Serializing fails only past 2^30 bytes, and the roles are bounded far below.
        bytes.extend(wire.tls_serialize_detached().unwrap_or_default());
        if says_reporting {
            bytes.extend(self.reporting.to_bytes());
        }
        bytes
    }

    /// Reads the rules of a group.
    ///
    /// # Errors
    /// [`RulesError::Version`] for a version that this program does not know, whatever follows it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RulesError> {
        let (version, rest) = bytes.split_first_chunk().ok_or(RulesError::Malformed)?;
        let rules = match u16::from_be_bytes(*version) {
            VERSION_1 if rest.is_empty() => Some(Self::default()),
            VERSION_1 => Wire::tls_deserialize_exact_bytes(rest)
                .ok()
                .and_then(Wire::into_rules),
            RULES_VERSION => with_reporting(rest),
            other => return Err(RulesError::Version(other)),
        };
        let rules = rules.ok_or(RulesError::Malformed)?;
        // One encoding for each: order, doubles and the form of lengths are held by this.
        if rules.to_bytes() == bytes && rules.roles.len() <= ROLES_MAX {
            Ok(rules)
        } else {
            Err(RulesError::Malformed)
        }
    }
}

fn with_reporting(bytes: &[u8]) -> Option<GroupRules> {
    let (wire, rest) = Wire::tls_deserialize_bytes(bytes).ok()?;
    let reporting = Reporting::from_bytes(rest)?;
    let rules = wire.into_rules()?;
    Some(GroupRules { reporting, ..rules })
}

#[derive(Debug, TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct Wire {
    permissions: [u8; 4],
    roles: Vec<WireRole>,
    expires_after_seconds: u32,
    profile: VLBytes,
}

#[derive(Debug, TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct WireRole {
    user: VLBytes,
    role: u8,
}

impl From<(&UserId, &Role)> for WireRole {
    fn from((user, role): (&UserId, &Role)) -> Self {
        Self {
            user: user.as_str().as_bytes().into(),
            role: role.code(),
        }
    }
}

impl Wire {
    fn into_rules(self) -> Option<GroupRules> {
        let mut roles = BTreeMap::new();
        for listed in self.roles {
            let user = std::str::from_utf8(listed.user.as_slice()).ok()?;
            roles.insert(user.parse().ok()?, Role::from_code(listed.role)?);
        }
        let profile = match self.profile.as_slice() {
            [] => None,
            hash => Some(ProfileHash::from_bytes(hash.try_into().ok()?)),
        };
        let is_bounded = u64::from(self.expires_after_seconds) <= MESSAGE_EXPIRY_MAX.as_secs();
        Some(GroupRules {
            expires_after_seconds: is_bounded.then_some(self.expires_after_seconds)?,
            profile,
            reporting: Reporting::default(),
            permissions: Permissions::from_codes(self.permissions)?,
            // A member who is listed as one would be a second encoding.
            roles: roles
                .values()
                .all(|role| *role != Role::Member)
                .then_some(roles)?,
        })
    }
}

#[cfg(test)]
mod tests;
