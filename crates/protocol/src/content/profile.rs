//! What the members of a group call it and say of it.
//!
//! The profile travels in application messages, so that the service never sees it. What all members
//! agree on by MLS is its hash, which stands in the group's [rules](crate::GroupRules): so only who may
//! describe the group can change it, and anybody can tell it to a newcomer.

use std::fmt;

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::{Attachment, ContentError, check, convert, wire};
use crate::limits::{DESCRIPTION_BYTES_MAX, PICTURE_BYTES_MAX};

/// What the hash of a profile begins with, so that it is a hash of nothing else.
const HASH_LABEL: &[u8] = b"Conclave 1.0 GroupProfile";

const SALT_BYTES: usize = 32;

/// What the members of a group call it and say of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// What it is about, in lines; may be empty.
    pub description: String,
    /// A picture that stands, encrypted, at the service.
    pub picture: Option<Attachment>,
}

/// The hash of a profile with its salt: it tells the service nothing of the profile.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProfileHash([u8; 32]);

impl Profile {
    /// A profile that says nothing but a name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// The bytes that are hashed and said. The salt is drawn at random for each, so that nobody can
    /// guess a profile from its hash.
    ///
    /// # Errors
    /// [`ContentError::GroupName`], [`ContentError::Description`], [`ContentError::Picture`].
    pub fn to_bytes(&self, salt: [u8; SALT_BYTES]) -> Result<Vec<u8>, ContentError> {
        self.check()?;
        let wire = wire::Profile {
            salt: salt.to_vec(),
            name: self.name.clone(),
            description: self.description.clone(),
            picture: self.picture.as_ref().map(convert::attachment_to),
        };
        Ok(wire.encode_to_vec())
    }

    /// Reads what [`Self::to_bytes`] made; `None` for anything else. What a later version adds is
    /// passed over here, and stays in the bytes that are hashed.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let wire = wire::Profile::decode(bytes).ok()?;
        let picture = match wire.picture {
            Some(picture) => Some(convert::attachment_from(picture)?),
            None => None,
        };
        let profile = Self {
            name: wire.name,
            description: wire.description,
            picture,
        };
        (wire.salt.len() == SALT_BYTES && profile.check().is_ok()).then_some(profile)
    }

    fn check(&self) -> Result<(), ContentError> {
        if !check::is_group_name(&self.name) {
            return Err(ContentError::GroupName);
        }
        let is_shown = |c: char| !c.is_control() || c == '\n';
        if self.description.len() > DESCRIPTION_BYTES_MAX || !self.description.chars().all(is_shown)
        {
            return Err(ContentError::Description);
        }
        let is_picture =
            |it: &Attachment| check::is_attachment(it) && it.size_bytes <= PICTURE_BYTES_MAX;
        match &self.picture {
            Some(picture) if !is_picture(picture) => Err(ContentError::Picture),
            _ => Ok(()),
        }
    }
}

impl ProfileHash {
    /// The hash of a profile's bytes.
    #[must_use]
    pub fn of(profile: &[u8]) -> Self {
        let hash = Sha256::new().chain_update(HASH_LABEL).chain_update(profile);
        Self(hash.finalize().into())
    }

    /// A hash of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ProfileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProfileHash({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}
