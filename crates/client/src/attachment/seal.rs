//! A file's encryption, chunk by chunk: each in its place, and the last one known as the last.

use std::io::Write;

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _,
    aead::stream::{DecryptorBE32, EncryptorBE32},
};
use conclave_protocol::{Attachment, AttachmentKey, limits::BLOB_BYTES_MAX};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use super::AttachmentError;

/// Bytes of the padded file in each chunk but the last.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// What encryption adds to each chunk.
const TAG_BYTES: usize = 16;

/// The smallest padded file.
const PADDED_BYTES_MIN: u64 = 256;

/// The key is used for one file, so the nonce needs nothing but the place of the chunk and whether
/// it is the last.
const NONCE_PREFIX: [u8; 7] = [0; 7];

/// Bytes of the ciphertext of a file of `size` bytes; `None` where that is too large.
pub(super) fn sealed_len(size: u64) -> Option<u64> {
    if size > BLOB_BYTES_MAX {
        return None;
    }
    let padded = padded_len(size);
    let sealed = padded + padded.div_ceil(CHUNK_BYTES as u64) * TAG_BYTES as u64;
    (sealed <= BLOB_BYTES_MAX).then_some(sealed)
}

/// Padmé ("Reducing Metadata Leakage from Encrypted Files", PETS 2019): at most 12 per cent more, and
/// as few sizes as that allows.
fn padded_len(size: u64) -> u64 {
    let size = size.max(PADDED_BYTES_MIN);
    let exponent = size.ilog2();
    let kept_bits = exponent.ilog2() + 1;
    let mask = (1_u64 << (exponent - kept_bits)) - 1;
    (size + mask) & !mask
}

/// The encryption of one file.
pub(super) struct Sealed {
    encryptor: Option<EncryptorBE32<ChaCha20Poly1305>>,
    hash: Sha256,
    /// Bytes of the file, and of the padded file, that are still to come.
    rest: u64,
    padded_rest: u64,
}

impl Sealed {
    pub(super) fn new(key: &AttachmentKey, size: u64) -> Self {
        let cipher = ChaCha20Poly1305::new(key.as_bytes().into());
        Self {
            encryptor: Some(EncryptorBE32::from_aead(cipher, &NONCE_PREFIX.into())),
            hash: Sha256::new(),
            rest: size,
            padded_rest: padded_len(size),
        }
    }

    /// Bytes of the file that the next chunk has; none where there is no further one.
    pub(super) fn wants(&self) -> Option<usize> {
        let chunk = usize::try_from(self.rest).map_or(CHUNK_BYTES, |it| it.min(CHUNK_BYTES));
        (self.padded_rest > 0).then_some(chunk)
    }

    /// The ciphertext of the next chunk.
    pub(super) fn chunk(&mut self, file: &[u8]) -> Result<Vec<u8>, AttachmentError> {
        let padded =
            usize::try_from(self.padded_rest).map_or(CHUNK_BYTES, |it| it.min(CHUNK_BYTES));
        self.rest -= file.len() as u64;
        self.padded_rest -= padded as u64;
        let mut chunk = Vec::with_capacity(padded + TAG_BYTES);
        chunk.extend_from_slice(file);
        chunk.resize(padded, 0);
        // 2^32 chunks do not fit into the largest file.
        let sealed = match (self.padded_rest, self.encryptor.take()) {
            (0, Some(encryptor)) => encryptor.encrypt_last_in_place(b"", &mut chunk),
            (_, Some(mut encryptor)) => {
                let sealed = encryptor.encrypt_next_in_place(b"", &mut chunk);
                self.encryptor = Some(encryptor);
                sealed
            }
            (_, None) => return Err(AttachmentError::TooLarge),
        };
        sealed.map_err(|_| AttachmentError::TooLarge)?;
        self.hash.update(&chunk);
        Ok(chunk)
    }

    /// The hash of all chunks.
    pub(super) fn finish(self) -> [u8; 32] {
        self.hash.finalize().into()
    }
}

/// The decryption of one attachment.
pub(super) struct Opener {
    decryptor: Option<DecryptorBE32<ChaCha20Poly1305>>,
    hash: Sha256,
    expected_hash: [u8; 32],
    /// What has come and is no whole chunk yet.
    waiting: Vec<u8>,
    /// Bytes of the file, and of the ciphertext, that are still to come.
    rest: u64,
    sealed_rest: u64,
}

impl Opener {
    /// `None` where there can be no such attachment.
    pub(super) fn new(attachment: &Attachment) -> Option<Self> {
        let cipher = ChaCha20Poly1305::new(attachment.key.as_bytes().into());
        Some(Self {
            decryptor: Some(DecryptorBE32::from_aead(cipher, &NONCE_PREFIX.into())),
            hash: Sha256::new(),
            expected_hash: attachment.content_hash,
            waiting: Vec::new(),
            rest: attachment.size_bytes,
            sealed_rest: sealed_len(attachment.size_bytes)?,
        })
    }

    /// Takes in what has come, however it was cut, and writes what is whole.
    pub(super) fn open(
        &mut self,
        part: &[u8],
        file: &mut impl Write,
    ) -> Result<(), AttachmentError> {
        self.hash.update(part);
        self.waiting.extend_from_slice(part);
        if self.waiting.len() as u64 > self.sealed_rest {
            return Err(AttachmentError::Damaged);
        }
        loop {
            let most = CHUNK_BYTES + TAG_BYTES;
            let len = usize::try_from(self.sealed_rest).map_or(most, |it| it.min(most));
            if len == 0 || self.waiting.len() < len {
                return Ok(());
            }
            let later = self.waiting.split_off(len);
            let chunk = std::mem::replace(&mut self.waiting, later);
            self.open_chunk(Zeroizing::new(chunk), file)?;
        }
    }

    fn open_chunk(
        &mut self,
        mut chunk: Zeroizing<Vec<u8>>,
        file: &mut impl Write,
    ) -> Result<(), AttachmentError> {
        self.sealed_rest -= chunk.len() as u64;
        let opened = match (self.sealed_rest, self.decryptor.take()) {
            (0, Some(decryptor)) => decryptor.decrypt_last_in_place(b"", &mut *chunk),
            (_, Some(mut decryptor)) => {
                let opened = decryptor.decrypt_next_in_place(b"", &mut *chunk);
                self.decryptor = Some(decryptor);
                opened
            }
            (_, None) => return Err(AttachmentError::Damaged),
        };
        opened.map_err(|_| AttachmentError::Damaged)?;
        let of_file = usize::try_from(self.rest).map_or(chunk.len(), |it| it.min(chunk.len()));
        let (of_file, padding) = chunk.split_at(of_file);
        if padding.iter().any(|byte| *byte != 0) {
            return Err(AttachmentError::Damaged);
        }
        file.write_all(of_file)?;
        self.rest -= of_file.len() as u64;
        chunk.zeroize();
        Ok(())
    }

    /// Whether all has come, and was what was sent.
    pub(super) fn finish(self) -> Result<(), AttachmentError> {
        let is_whole =
            self.sealed_rest == 0 && <[u8; 32]>::from(self.hash.finalize()) == self.expected_hash;
        if is_whole {
            Ok(())
        } else {
            Err(AttachmentError::Damaged)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use conclave_protocol::UnixMillis;
    use proptest::prelude::*;

    use super::*;

    fn seal(file: &[u8]) -> (Vec<u8>, Attachment) {
        let key = AttachmentKey::from_bytes([7; 32]);
        let mut sealed = Sealed::new(&key, file.len() as u64);
        let (mut bytes, mut rest) = (Vec::new(), file);
        while let Some(wanted) = sealed.wants() {
            let (chunk, later) = rest.split_at(wanted);
            bytes.extend(sealed.chunk(chunk).unwrap());
            rest = later;
        }
        let attachment = Attachment {
            key,
            content_hash: sealed.finish(),
            size_bytes: file.len() as u64,
            name: "file".into(),
            media_type: String::new(),
            kept_until: UnixMillis(0),
        };
        (bytes, attachment)
    }

    fn open(bytes: &[u8], attachment: &Attachment, cut: usize) -> Result<Vec<u8>, AttachmentError> {
        let (mut opener, mut file) = (Opener::new(attachment).unwrap(), Vec::new());
        for part in bytes.chunks(cut) {
            opener.open(part, &mut file)?;
        }
        opener.finish().map(|()| file)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn files_come_back_whole_or_not_at_all(
            size in prop_oneof![0..2000_usize, 60_000..200_000_usize],
            cut in 1000..100_000_usize,
            at: prop::sample::Index,
        ) {
            let file: Vec<u8> = (0..size).map(|it| it.to_le_bytes()[0] ^ 0x5a).collect();
            let (bytes, attachment) = seal(&file);
            prop_assert_eq!(bytes.len() as u64, sealed_len(size as u64).unwrap());
            prop_assert_eq!(open(&bytes, &attachment, cut).unwrap(), file);
            let at = at.index(bytes.len());
            prop_assert!(open(&bytes[..at], &attachment, cut).is_err());
            let mut other = bytes.clone();
            other[at] ^= 1;
            prop_assert!(open(&other, &attachment, cut).is_err());
            // With the right hash, too: chunks have their places.
            let chunk = CHUNK_BYTES + TAG_BYTES;
            if bytes.len() > 2 * chunk {
                let swapped = [&bytes[chunk..2 * chunk], &bytes[..chunk], &bytes[2 * chunk..]].concat();
                let claimed = Attachment {
                    content_hash: Sha256::digest(&swapped).into(),
                    ..attachment
                };
                prop_assert!(open(&swapped, &claimed, cut).is_err());
            }
        }
    }

    #[test]
    fn files_take_few_sizes_and_little_more_room() {
        let mut sizes = BTreeSet::new();
        for size in (0..8_000_000).step_by(997) {
            let padded = padded_len(size);
            assert!(
                padded >= size && padded <= size.max(256) * 112 / 100,
                "{size}"
            );
            assert_eq!(padded_len(padded), padded);
            sizes.insert(padded);
        }
        assert!(sizes.len() < 400, "{}", sizes.len());
        assert!(sealed_len(BLOB_BYTES_MAX).is_none());
        assert!(sealed_len(BLOB_BYTES_MAX - 1024 * 1024).is_some());
    }
}
