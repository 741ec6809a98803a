//! The lock of a home: a small file beside the database with the database's key, bare or sealed
//! under a passphrase.
//!
//! The database is encrypted with a random key of its own, so another passphrase seals those 32
//! bytes again and nothing else. The file is `CONCLAVE-KEY`, a version, a kind, what the kind needs,
//! and eight bytes of a checksum: without it, a damaged file would look like a wrong passphrase.

use std::{fmt, fs, io, io::Write as _, path::Path};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20poly1305::{
    Key, XChaCha20Poly1305, XNonce,
    aead::{AeadInPlace as _, KeyInit as _},
};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{ClientError, Passphrase, entropy::random};

/// The name of the file.
pub(super) const FILE: &str = "client.key";

/// What the file is called while it is written.
const NEW_FILE: &str = "client.key.new";

const MAGIC: &[u8] = b"CONCLAVE-KEY";

/// The version of the file's form. A later program may write a later one.
const VERSION: u8 = 1;

const BARE: u8 = 0;
const BY_PASSPHRASE: u8 = 1;

const KEY_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Bytes of the checksum, against damage: nobody is to be deceived by it.
const CHECK_BYTES: usize = 8;

/// The longest file that is one: the longest kind has 124 bytes.
const FILE_BYTES_MAX: u64 = 256;

/// The key of a home's database.
#[derive(Clone)]
pub(super) struct DatabaseKey(Zeroizing<[u8; KEY_BYTES]>);

/// The lock of a home.
#[derive(Debug, Clone)]
pub(crate) struct Lock(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Bare(DatabaseKey),
    ByPassphrase(Sealed),
}

/// A key that a passphrase opens.
#[derive(Debug, Clone)]
struct Sealed {
    cost: Cost,
    salt: [u8; SALT_BYTES],
    nonce: [u8; NONCE_BYTES],
    key: [u8; KEY_BYTES],
    tag: [u8; TAG_BYTES],
}

/// What one guess of a passphrase costs, by argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// The second choice of RFC 9106 §4, for machines that have other things in memory, with one lane
    /// instead of four: the lanes would not run beside each other here, and whoever guesses is not
    /// to have it easier by that.
    const USUAL: Self = Self {
        memory_kib: 64 * 1024,
        passes: 3,
        lanes: 1,
    };

    /// Memory that a file may ask for: of more, opening a home would stop other programs.
    const MEMORY_KIB_MAX: u32 = 1024 * 1024;

    /// Passes that a file may ask for: of more, opening takes longer than anybody waits.
    const PASSES_MAX: u32 = 16;

    /// Lanes that a file may ask for; RFC 9106 recommends 4.
    const LANES_MAX: u32 = 4;

    fn params(self) -> Option<Params> {
        let is_bounded = self.memory_kib <= Self::MEMORY_KIB_MAX
            && self.passes <= Self::PASSES_MAX
            && self.lanes <= Self::LANES_MAX;
        let params = || Params::new(self.memory_kib, self.passes, self.lanes, Some(KEY_BYTES));
        is_bounded.then(params)?.ok()
    }
}

impl DatabaseKey {
    pub(super) fn random() -> Self {
        Self(Zeroizing::new(random()))
    }

    pub(super) fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for DatabaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseKey(redacted)")
    }
}

impl Lock {
    /// A lock for a key.
    pub(super) fn new(
        key: &DatabaseKey,
        passphrase: Option<&Passphrase>,
    ) -> Result<Self, ClientError> {
        Self::with_cost(key, passphrase, Cost::USUAL)
    }

    fn with_cost(
        key: &DatabaseKey,
        passphrase: Option<&Passphrase>,
        cost: Cost,
    ) -> Result<Self, ClientError> {
        Ok(Self(match passphrase {
            None => Kind::Bare(key.clone()),
            Some(passphrase) => Kind::ByPassphrase(Sealed::new(key, passphrase, cost)?),
        }))
    }

    /// The lock of a home; `None` where there is no such file.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, ClientError> {
        let path = folder.join(FILE);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
            Ok(data) if data.len() > FILE_BYTES_MAX => return Err(ClientError::LockDamaged),
            Ok(_) => {}
        }
        Self::from_bytes(&Zeroizing::new(fs::read(path)?)).map(Some)
    }

    /// Puts the lock into a home, in the place of the one before or, if anything fails, not at all.
    pub(super) fn write(&self, folder: &Path) -> Result<(), ClientError> {
        let new = folder.join(NEW_FILE);
        super::files::make_private(&new)?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&new)?;
        file.write_all(&self.to_bytes())?;
        file.sync_all()?;
        drop(file);
        fs::rename(&new, folder.join(FILE))?;
        Ok(super::files::sync_folder(folder)?)
    }

    /// Whether this opens it: a passphrase, or none.
    pub(crate) fn opens_by(&self, passphrase: Option<&Passphrase>) -> Result<bool, ClientError> {
        use ClientError::{Locked, NotLocked, WrongPassphrase};
        match self.open(passphrase) {
            Ok(_) => Ok(true),
            Err(WrongPassphrase | Locked | NotLocked) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a passphrase opens it.
    pub(crate) fn takes_passphrase(&self) -> bool {
        matches!(self.0, Kind::ByPassphrase(_))
    }

    /// The key.
    pub(super) fn open(&self, passphrase: Option<&Passphrase>) -> Result<DatabaseKey, ClientError> {
        match (&self.0, passphrase) {
            (Kind::Bare(key), None) => Ok(key.clone()),
            (Kind::Bare(_), Some(_)) => Err(ClientError::NotLocked),
            (Kind::ByPassphrase(_), None) => Err(ClientError::Locked),
            (Kind::ByPassphrase(sealed), Some(passphrase)) => sealed.open(passphrase),
        }
    }

    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Room for all, so that no copy is left behind where it would have to grow.
        let mut bytes = Zeroizing::new(Vec::with_capacity(256));
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        match &self.0 {
            Kind::Bare(key) => {
                bytes.push(BARE);
                bytes.extend_from_slice(key.as_bytes());
            }
            Kind::ByPassphrase(sealed) => {
                bytes.push(BY_PASSPHRASE);
                bytes.extend_from_slice(&sealed.context());
                bytes.extend_from_slice(&sealed.nonce);
                bytes.extend_from_slice(&sealed.key);
                bytes.extend_from_slice(&sealed.tag);
            }
        }
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, ClientError> {
        let damaged = ClientError::LockDamaged;
        let (rest, given) = bytes
            .split_last_chunk::<CHECK_BYTES>()
            .ok_or(ClientError::LockDamaged)?;
        if check(rest) != *given {
            return Err(damaged);
        }
        let rest = rest.strip_prefix(MAGIC).ok_or(ClientError::LockDamaged)?;
        match rest {
            [VERSION, BARE, key @ ..] => {
                let key = key.try_into().map_err(|_| damaged)?;
                Ok(Self(Kind::Bare(DatabaseKey(Zeroizing::new(key)))))
            }
            [VERSION, BY_PASSPHRASE, sealed @ ..] => {
                let sealed = Sealed::from_bytes(sealed).ok_or(damaged)?;
                Ok(Self(Kind::ByPassphrase(sealed)))
            }
            [_, ..] => Err(ClientError::NewerHome),
            [] => Err(damaged),
        }
    }
}

impl Sealed {
    fn new(key: &DatabaseKey, passphrase: &Passphrase, cost: Cost) -> Result<Self, ClientError> {
        let mut sealed = Self {
            cost,
            salt: random(),
            nonce: random(),
            key: *key.as_bytes(),
            tag: [0; TAG_BYTES],
        };
        let cipher = sealed.cipher(passphrase)?;
        let nonce = XNonce::from(sealed.nonce);
        let tag = cipher.encrypt_in_place_detached(&nonce, &sealed.context(), &mut sealed.key);
        let Ok(tag) = tag else {
            // So short a text is never refused; what must not leave is wiped all the same.
            sealed.key.zeroize();
            return Err(ClientError::LockDamaged);
        };
        sealed.tag = tag.into();
        Ok(sealed)
    }

    fn open(&self, passphrase: &Passphrase) -> Result<DatabaseKey, ClientError> {
        let mut key = Zeroizing::new(self.key);
        self.cipher(passphrase)?
            .decrypt_in_place_detached(
                &XNonce::from(self.nonce),
                &self.context(),
                key.as_mut_slice(),
                &self.tag.into(),
            )
            .map_err(|_| ClientError::WrongPassphrase)?;
        Ok(DatabaseKey(key))
    }

    fn cipher(&self, passphrase: &Passphrase) -> Result<XChaCha20Poly1305, ClientError> {
        let params = self.cost.params().ok_or(ClientError::LockDamaged)?;
        let mut memory = Zeroizing::new(vec![Block::default(); params.block_count()]);
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(
                passphrase.as_bytes(),
                &self.salt,
                key.as_mut_slice(),
                memory.as_mut_slice(),
            )
            .map_err(|_| ClientError::LockDamaged)?;
        Ok(XChaCha20Poly1305::new(Key::from_slice(key.as_slice())))
    }

    /// What the seal covers beside the key: what a guess costs, and the salt.
    fn context(&self) -> Vec<u8> {
        let Cost {
            memory_kib,
            passes,
            lanes,
        } = self.cost;
        let numbers = [memory_kib, passes, lanes].map(u32::to_be_bytes);
        [numbers.as_flattened(), &self.salt].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let sealed = Self {
            cost: Cost {
                memory_kib: u32::from_be_bytes(take(&mut rest)?),
                passes: u32::from_be_bytes(take(&mut rest)?),
                lanes: u32::from_be_bytes(take(&mut rest)?),
            },
            salt: take(&mut rest)?,
            nonce: take(&mut rest)?,
            key: take(&mut rest)?,
            tag: take(&mut rest)?,
        };
        (rest.is_empty() && sealed.cost.params().is_some()).then_some(sealed)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = Sha256::digest(bytes);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&hash[..CHECK_BYTES]);
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };

    fn passphrase(text: &str) -> Passphrase {
        text.parse().unwrap()
    }

    #[test]
    fn only_its_passphrase_opens_a_lock_and_damage_is_told_from_a_wrong_one() {
        let key = DatabaseKey::random();
        let (right, wrong) = (passphrase("right"), passphrase("wrong"));
        let lock = Lock::with_cost(&key, Some(&right), CHEAP).unwrap();
        let bytes = lock.to_bytes();
        assert!(!bytes.windows(8).any(|it| it == &key.as_bytes()[..8]));
        let read = Lock::from_bytes(&bytes).unwrap();
        assert_eq!(read.open(Some(&right)).unwrap().as_bytes(), key.as_bytes());
        assert!(matches!(
            read.open(Some(&wrong)),
            Err(ClientError::WrongPassphrase)
        ));
        assert!(matches!(read.open(None), Err(ClientError::Locked)));

        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1;
            for bytes in [&damaged[..], &bytes[..at]] {
                let refused = Lock::from_bytes(bytes);
                assert!(matches!(refused, Err(ClientError::LockDamaged)), "{at}");
            }
        }
    }

    #[test]
    fn a_lock_without_a_passphrase_says_so_and_one_of_a_later_version_is_left_alone() {
        let key = DatabaseKey::random();
        let lock = Lock::new(&key, None).unwrap();
        let bytes = lock.to_bytes();
        let read = Lock::from_bytes(&bytes).unwrap();
        assert_eq!(read.open(None).unwrap().as_bytes(), key.as_bytes());
        let unasked = read.open(Some(&passphrase("any")));
        assert!(matches!(unasked, Err(ClientError::NotLocked)));
        assert_eq!(format!("{read:?}"), "Lock(Bare(DatabaseKey(redacted)))");

        let mut later = bytes[..bytes.len() - CHECK_BYTES].to_vec();
        later[MAGIC.len()] = VERSION + 1;
        later.extend(check(&later));
        let refused = Lock::from_bytes(&later);
        assert!(matches!(refused, Err(ClientError::NewerHome)));
    }

    #[test]
    fn a_file_can_t_ask_for_more_work_than_anybody_waits_for() {
        let key = DatabaseKey::random();
        let right = passphrase("right");
        for (memory_kib, passes, lanes) in [
            (Cost::MEMORY_KIB_MAX + 1, 1, 1),
            (8, Cost::PASSES_MAX + 1, 1),
            (64, 1, Cost::LANES_MAX + 1),
            (8, 0, 1),
            (7, 1, 1),
        ] {
            let mut lock = Lock::with_cost(&key, Some(&right), CHEAP).unwrap();
            if let Kind::ByPassphrase(sealed) = &mut lock.0 {
                sealed.cost = Cost {
                    memory_kib,
                    passes,
                    lanes,
                };
            }
            let refused = Lock::from_bytes(&lock.to_bytes());
            assert!(matches!(refused, Err(ClientError::LockDamaged)));
        }
    }
}
