//! Where a device's state lies, and what opens it.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use zeroize::Zeroizing;

use crate::{ClientError, entropy::random, local::Lock};

/// The longest passphrase, in bytes: far more than anybody types, so that a wrong file is noticed.
const PASSPHRASE_BYTES_MAX: usize = 1024;

/// The folder that holds one device's state, and the passphrase that opens it, where there is one.
///
/// Everything in a home is encrypted. Without a passphrase the key lies beside it, for programs that
/// start by themselves: then whoever copies the folder can read it.
///
/// Wherever a home is asked for, its path alone does where it has no passphrase.
///
/// ```
/// use conclave_client::{Home, Passphrase};
///
/// # fn main() -> Result<(), conclave_client::ClientError> {
/// let home = Home::at("alice").locked_by("correct horse battery".parse::<Passphrase>()?);
/// assert_eq!(home.folder().to_str(), Some("alice"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Home {
    folder: PathBuf,
    passphrase: Option<Passphrase>,
}

/// What a home looks like from outside, without its passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HomeState {
    /// There is nothing yet.
    Empty,
    /// It opens without a passphrase: whoever can read the folder can read all.
    Open,
    /// It takes a passphrase.
    Locked,
}

/// A passphrase: wiped from memory after use, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<String>);

impl Home {
    /// The home in a folder, without a passphrase.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            passphrase: None,
        }
    }

    /// The home with the passphrase that opens it, or that a new one gets.
    #[must_use]
    pub fn locked_by(self, passphrase: Passphrase) -> Self {
        Self {
            passphrase: Some(passphrase),
            ..self
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it was given a passphrase, be it the right one or not.
    #[must_use]
    pub fn has_passphrase(&self) -> bool {
        self.passphrase.is_some()
    }

    pub(crate) fn passphrase(&self) -> Option<&Passphrase> {
        self.passphrase.as_ref()
    }

    /// Whether there is something in it, and whether that takes a passphrase.
    ///
    /// # Errors
    /// [`ClientError::LockDamaged`], [`ClientError::NewerHome`], [`ClientError::Io`].
    pub fn state(&self) -> Result<HomeState, ClientError> {
        if crate::local::is_new(&self.folder) {
            return Ok(HomeState::Empty);
        }
        Ok(match Lock::read(&self.folder)? {
            Some(lock) if lock.takes_passphrase() => HomeState::Locked,
            // One of an earlier version, which is encrypted when it is opened.
            Some(_) | None => HomeState::Open,
        })
    }

    /// Whether it opens by the passphrase that it was given, or without one. Finding out takes as long as opening it.
    ///
    /// # Errors
    /// [`ClientError::NotRegistered`] where there is no home, [`ClientError::LockDamaged`],
    /// [`ClientError::NewerHome`], [`ClientError::Io`].
    pub fn opens(&self) -> Result<bool, ClientError> {
        let lock = Lock::read(&self.folder)?.ok_or(ClientError::NotRegistered)?;
        lock.opens_by(self.passphrase())
    }

    /// Gives the home another passphrase, or none. What is stored is not written anew: the key that
    /// it is encrypted with stays, and is sealed under the new passphrase. So whoever has an older
    /// copy of the folder and its passphrase can read a newer copy too.
    ///
    /// # Errors
    /// [`ClientError::NotRegistered`] where there is no home, [`ClientError::Locked`],
    /// [`ClientError::WrongPassphrase`], [`ClientError::NotLocked`] where this one names a passphrase
    /// and the home has none, [`ClientError::LockDamaged`].
    pub fn set_passphrase(&self, new: Option<&Passphrase>) -> Result<(), ClientError> {
        crate::local::relock(self, new)
    }
}

impl From<PathBuf> for Home {
    fn from(folder: PathBuf) -> Self {
        Self::at(folder)
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Home {
    fn from(folder: &P) -> Self {
        Self::at(folder.as_ref())
    }
}

impl From<&Self> for Home {
    fn from(home: &Self) -> Self {
        home.clone()
    }
}

impl Passphrase {
    /// One that nobody could guess or remember, 256 random bits in hexadecimal: for a system's keyring.
    #[must_use]
    pub fn random() -> Self {
        let bits = Zeroizing::new(random::<32>());
        // Room for all, so that no copy stays behind where it would have to grow.
        let mut text = Zeroizing::new(String::with_capacity(2 * bits.len()));
        for byte in bits.iter() {
            for half in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(half.into(), 16));
            }
        }
        Self(text)
    }

    /// The passphrase itself, for whoever is to keep it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl TryFrom<Zeroizing<String>> for Passphrase {
    type Error = ClientError;

    fn try_from(text: Zeroizing<String>) -> Result<Self, ClientError> {
        if text.is_empty() || text.len() > PASSPHRASE_BYTES_MAX {
            return Err(ClientError::Passphrase);
        }
        Ok(Self(text))
    }
}

impl FromStr for Passphrase {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        Zeroizing::new(text.to_owned()).try_into()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(redacted)")
    }
}
