//! Names and numbers. Each is checked when it is made and cheap to copy or clone afterwards.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::limits::USER_PART_CHARS_MAX;

/// Why bytes or text are not an id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdError {
    /// An id of fixed size came with another size.
    #[error("an id has {expected} bytes, not {actual}")]
    Length {
        /// Bytes the id has.
        expected: usize,
        /// Bytes that came.
        actual: usize,
    },
    /// An id written as text is not hexadecimal.
    #[error("an id is written in hexadecimal digits")]
    NotHex,
    /// A user is not of the form `name@domain`.
    #[error(
        "a user is written name@domain, each of 1 to {USER_PART_CHARS_MAX} characters out of \
         a-z, 0-9, '.', '-' and '_', starting with a letter or digit"
    )]
    User,
}

/// A person, as `name@domain`: lower case, each part 1 to 64 characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(String);

impl UserId {
    /// The user `name` at the service that calls itself `domain`.
    ///
    /// # Errors
    /// [`IdError::User`] where either part has a character or length that ids do not have.
    pub fn new(name: &str, domain: &str) -> Result<Self, IdError> {
        if is_user_part(name) && is_user_part(domain) {
            Ok(Self(format!("{name}@{domain}")))
        } else {
            Err(IdError::User)
        }
    }

    /// The part before the `@`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }

    /// The part after the `@`: the service that the user registered with.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.split('@').next_back().unwrap_or_default()
    }

    /// The whole, as `name@domain`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_user_part(part: &str) -> bool {
    (1..=USER_PART_CHARS_MAX).contains(&part.len())
        && part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && part
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_'))
}

impl FromStr for UserId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (name, domain) = text.split_once('@').ok_or(IdError::User)?;
        Self::new(name, domain)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserId({})", self.0)
    }
}

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Bytes an id of this kind has.
            pub const BYTES: usize = 16;

            /// An id of these bytes; the caller draws them at random.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = IdError;

            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                bytes.try_into().map(Self).map_err(|_| IdError::Length {
                    expected: Self::BYTES,
                    actual: bytes.len(),
                })
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

bytes_id! {
    /// One MLS client of a user: 16 random bytes, chosen by the device when its key is made.
    DeviceId
}
bytes_id! {
    /// A group: 16 random bytes, used as the MLS `group_id` (RFC 9420 §8.1).
    GroupId
}
bytes_id! {
    /// A request that may be sent again: 16 random bytes, unique for the device that sends it.
    RequestId
}
bytes_id! {
    /// What tells a device's state from its copies: 16 random bytes, drawn anew at each check.
    InstanceNonce
}
bytes_id! {
    /// A report of messages: 16 random bytes, chosen by the device that reports.
    ReportId
}
bytes_id! {
    /// A key that stamps messages: the first 16 bytes of a hash of its public half.
    KeyId
}

pub(crate) fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], IdError> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(IdError::Length {
            expected: N,
            actual: digits.len() / 2,
        });
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |c: u8| char::from(c).to_digit(16).ok_or(IdError::NotHex);
        let value = digit(pair[0])? << 4 | digit(pair[1])?;
        *byte = u8::try_from(value).map_err(|_| IdError::NotHex)?;
    }
    Ok(bytes)
}

/// A device together with the user it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceAddress {
    /// The person.
    pub user: UserId,
    /// One of the person's MLS clients.
    pub device: DeviceId,
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub u64);

        impl $name {
            /// The one after this; stays at the largest number, which no group reaches.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// An MLS epoch (RFC 9420 §8.1): a group starts in epoch 0 and each Commit starts the next.
    Epoch
}
number! {
    /// The place of an entry in a group's log: 1 for the first entry, without gaps. As a cursor it
    /// means "everything up to and including this has been read"; 0 is "nothing yet".
    Sequence
}

/// A moment, in milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The moment in whole seconds, as MLS lifetimes and certificates count (RFC 9420 §7.2).
    #[must_use]
    pub const fn as_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// This moment and `duration` later; stays at the last moment there is.
    #[must_use]
    pub fn after(self, duration: std::time::Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// This moment and `duration` earlier; stays at the first moment there is.
    #[must_use]
    pub fn before(self, duration: std::time::Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }
}

impl From<std::time::SystemTime> for UnixMillis {
    fn from(time: std::time::SystemTime) -> Self {
        let since = time
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn users_outside_the_grammar_are_refused() {
        let long = "a".repeat(USER_PART_CHARS_MAX + 1);
        for text in [
            "alice", "@x", "alice@", "Alice@x", "a b@x", "a@b@c", "-a@x", "é@x", &long,
        ] {
            assert_eq!(text.parse::<UserId>(), Err(IdError::User), "{text}");
        }
        let alice: UserId = "alice@example.org".parse().unwrap();
        assert_eq!((alice.name(), alice.domain()), ("alice", "example.org"));
    }

    proptest! {
        #[test]
        fn ids_survive_text_and_bytes(bytes: [u8; 16]) {
            let id = GroupId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<GroupId>(), Ok(id));
            prop_assert_eq!(GroupId::try_from(&bytes[..]), Ok(id));
        }

        #[test]
        fn no_text_makes_an_id_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<GroupId>();
            let _ = text.parse::<UserId>();
        }
    }
}
