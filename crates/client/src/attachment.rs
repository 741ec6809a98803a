//! Files that go with messages: encrypted here, kept by the service as bytes without a meaning; see
//! `docs/protocol.md`, "Attachments".

mod seal;
#[cfg(test)]
mod two_keys;

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
};

use conclave_protocol::{
    Attachment, AttachmentKey, GroupId, UnixMillis,
    limits::{BLOB_BYTES_MAX, CHUNK_BYTES},
};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::{sync::mpsc, task::spawn_blocking};
use zeroize::Zeroizing;

use self::seal::{Opener, Sealed, sealed_len};
use crate::{
    Client, ClientError,
    entropy::{now, random},
};

/// Parts of a file that may wait to be sent or written.
const PARTS: usize = 4;

/// Why a file can't be attached or saved.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AttachmentError {
    /// The file is too large.
    #[error("a file can be attached up to {} MiB", BLOB_BYTES_MAX / (1024 * 1024) - 1)]
    TooLarge,
    /// The path names no file.
    #[error("this is no file that can be attached")]
    NoFile,
    /// The service keeps it no longer.
    #[error("the attachment is no longer kept at the server")]
    Gone,
    /// What came is not what was sent.
    #[error("what the server gave is not the file that was sent; nothing was saved")]
    Damaged,
    /// There is a file already where it was to be saved.
    #[error("there is a file of this name already")]
    Exists,
    /// The file can't be read or written.
    #[error("the file can't be read or written: {0}")]
    Io(#[from] io::Error),
}

/// How much of an encrypted file has been transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that have been.
    pub done: u64,
    /// Bytes that are to be.
    pub total: u64,
}

impl Client {
    /// Encrypts a file and stores it at the service, for the members of a group. The attachment then
    /// goes with a [`Message`](crate::Message), which has the key. `progress` hears how far it is; it
    /// begins anew where the connection was lost meanwhile.
    ///
    /// # Errors
    /// [`ClientError::Attachment`], [`ClientError::Unreachable`]; [`ClientError::Refused`] where the
    /// user has too much stored.
    pub async fn upload(
        &self,
        group: GroupId,
        path: &Path,
        media_type: &str,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Attachment, ClientError> {
        let name = path.file_name().ok_or(AttachmentError::NoFile)?;
        let name = name.to_string_lossy().into_owned();
        let (source, home) = (path.to_owned(), self.home().to_owned());
        let key = AttachmentKey::from_bytes(random());
        let sealing_key = key.clone();
        let sealed = blocking(move || seal_file(&source, &home, &sealing_key)).await?;
        let kept_until = self
            .inner
            .remote
            .upload_blob(group, &sealed, &progress)
            .await?;
        Ok(Attachment {
            key,
            content_hash: sealed.content_hash,
            size_bytes: sealed.size_bytes,
            name,
            media_type: media_type.to_owned(),
            kept_until,
        })
    }

    /// Fetches an attachment and saves the file as `to`, which must not exist. Where something is
    /// wrong with it, nothing is saved.
    ///
    /// # Errors
    /// [`ClientError::Attachment`], [`ClientError::Unreachable`].
    pub async fn download(
        &self,
        group: GroupId,
        attachment: &Attachment,
        to: &Path,
        progress: impl Fn(Progress),
    ) -> Result<(), ClientError> {
        if to.exists() {
            return Err(AttachmentError::Exists.into());
        }
        let (parts, receiver) = mpsc::channel(PARTS);
        let (expected, path) = (attachment.clone(), to.to_owned());
        let writer = spawn_blocking(move || save(receiver, &expected, &path));
        let remote = &self.inner.remote;
        let fetched = remote
            .download_blob(group, &attachment.content_hash, &parts, progress)
            .await;
        // Without the last word, what is not whole is not saved.
        drop(parts);
        let saved = writer.await.map_err(|_| ClientError::ShuttingDown)?;
        match fetched {
            // Where the disk is full, it is not the service's fault that nobody took what it gave.
            Err(ClientError::ShuttingDown) | Ok(()) => Ok(saved?),
            Err(_) if attachment.kept_until <= now() => Err(AttachmentError::Gone.into()),
            Err(error) => Err(error),
        }
    }
}

impl Client {
    /// Has the service keep groups' pictures for longer, or for those who have come since. What can't
    /// be done now is done later.
    pub(crate) async fn keep_pictures(&self) -> Result<(), ClientError> {
        let pictures = self.session(|session| session.pictures_to_keep(now()));
        for (group, picture) in pictures.await? {
            let until = match self.store_again(group, &picture).await {
                Ok(until) => until,
                // It can't be brought back: somebody has to choose another.
                Err(ClientError::Attachment(AttachmentError::Gone | AttachmentError::Damaged)) => {
                    UnixMillis(u64::MAX)
                }
                Err(_) => continue,
            };
            self.session(move |session| session.picture_is_kept(group, until))
                .await?;
        }
        Ok(())
    }

    /// Stores the very bytes again that the service has.
    async fn store_again(
        &self,
        group: GroupId,
        attachment: &Attachment,
    ) -> Result<UnixMillis, ClientError> {
        let (parts, receiver) = mpsc::channel(PARTS);
        let (expected, home) = (attachment.clone(), self.home().to_owned());
        let writer = spawn_blocking(move || keep_sealed(receiver, &expected, &home));
        let remote = &self.inner.remote;
        let fetched = remote
            .download_blob(group, &attachment.content_hash, &parts, |_| {})
            .await;
        drop(parts);
        let sealed = writer.await.map_err(|_| ClientError::ShuttingDown)?;
        fetched?;
        remote.upload_blob(group, &sealed?, &|_| {}).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AttachmentError> + Send + 'static,
) -> Result<T, ClientError> {
    let done = spawn_blocking(work).await;
    Ok(done.map_err(|_| ClientError::ShuttingDown)??)
}

/// A file's ciphertext in a file without a name, so that it can be sent again, and is gone with the
/// program.
pub(crate) struct SealedFile {
    file: File,
    pub(crate) content_hash: [u8; 32],
    pub(crate) size_bytes: u64,
    pub(crate) total_bytes: u64,
}

impl SealedFile {
    /// The parts, from the first on.
    pub(crate) fn parts(&self) -> Result<mpsc::Receiver<Vec<u8>>, AttachmentError> {
        let mut file = self.file.try_clone()?;
        let (sender, receiver) = mpsc::channel(PARTS);
        spawn_blocking(move || {
            if file.rewind().is_err() {
                return;
            }
            loop {
                let mut part = Vec::new();
                let read = (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut part);
                // What can't be read is missing at the service, which then refuses the rest.
                if read.is_err() || part.is_empty() || sender.blocking_send(part).is_err() {
                    return;
                }
            }
        });
        Ok(receiver)
    }
}

fn seal_file(
    source: &Path,
    home: &Path,
    key: &AttachmentKey,
) -> Result<SealedFile, AttachmentError> {
    let source = File::open(source)?;
    let about = source.metadata()?;
    if !about.is_file() {
        return Err(AttachmentError::NoFile);
    }
    seal_from(source, about.len(), home, key)
}

/// Bytes of this program, as [`seal_file`] does a file.
pub(crate) fn seal_bytes(
    bytes: &[u8],
    home: &Path,
    key: &AttachmentKey,
) -> Result<SealedFile, AttachmentError> {
    seal_from(bytes, bytes.len() as u64, home, key)
}

fn seal_from(
    mut source: impl io::Read,
    size_bytes: u64,
    home: &Path,
    key: &AttachmentKey,
) -> Result<SealedFile, AttachmentError> {
    let total_bytes = sealed_len(size_bytes).ok_or(AttachmentError::TooLarge)?;
    let mut file = tempfile::tempfile_in(home)?;
    let mut sealed = Sealed::new(key, size_bytes);
    let mut buffer = Zeroizing::new(vec![0; seal::CHUNK_BYTES]);
    while let Some(wanted) = sealed.wants() {
        source.read_exact(&mut buffer[..wanted])?;
        file.write_all(&sealed.chunk(&buffer[..wanted])?)?;
    }
    Ok(SealedFile {
        file,
        content_hash: sealed.finish(),
        size_bytes,
        total_bytes,
    })
}

/// Decrypts what comes, in memory; nothing of it where something is wrong with it.
pub(crate) fn open_all(
    mut parts: mpsc::Receiver<Vec<u8>>,
    attachment: &Attachment,
) -> Result<Zeroizing<Vec<u8>>, AttachmentError> {
    let mut opener = Opener::new(attachment).ok_or(AttachmentError::Damaged)?;
    let mut opened = Zeroizing::new(Vec::new());
    while let Some(part) = parts.blocking_recv() {
        opener.open(&part, &mut *opened)?;
    }
    opener.finish()?;
    Ok(opened)
}

/// Takes what comes as it is, where it is what was stored.
fn keep_sealed(
    mut parts: mpsc::Receiver<Vec<u8>>,
    attachment: &Attachment,
    home: &Path,
) -> Result<SealedFile, AttachmentError> {
    let mut file = tempfile::tempfile_in(home)?;
    let (mut hash, mut total_bytes) = (Sha256::new(), 0);
    while let Some(part) = parts.blocking_recv() {
        file.write_all(&part)?;
        hash.update(&part);
        total_bytes += part.len() as u64;
    }
    if hash.finalize()[..] != attachment.content_hash {
        return Err(AttachmentError::Damaged);
    }
    Ok(SealedFile {
        file,
        content_hash: attachment.content_hash,
        size_bytes: attachment.size_bytes,
        total_bytes,
    })
}

/// Writes what comes to a file that gets its name when all of it is right.
fn save(
    mut parts: mpsc::Receiver<Vec<u8>>,
    attachment: &Attachment,
    to: &Path,
) -> Result<(), AttachmentError> {
    let folder = to.parent().filter(|it| !it.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    let mut opener = Opener::new(attachment).ok_or(AttachmentError::Damaged)?;
    while let Some(part) = parts.blocking_recv() {
        opener.open(&part, file.as_file_mut())?;
    }
    opener.finish()?;
    file.as_file().sync_all()?;
    file.persist_noclobber(to).map_err(|error| {
        let is_there = error.error.kind() == io::ErrorKind::AlreadyExists;
        match is_there {
            true => AttachmentError::Exists,
            false => AttachmentError::Io(error.error),
        }
    })?;
    Ok(())
}
