//! The certificates of a whole group, as whoever joins it meets them.
//!
//! None of them can wait: the first thing that a joiner is shown is who is there, its contacts keep the
//! identity keys that it meets, and the first message that it sends is encrypted to all. So each is
//! verified before there is a group. What can be spared is to do it twice: a certificate says the same of
//! its user's device in each group and after each restart, and those of a large group are kept as verified
//! once they were. The others are verified on other threads while OpenMLS checks the tree. Each is verified
//! alone: verified in batches, crafted signatures pass that others refuse, and members would disagree.

use std::{collections::HashSet, num::NonZeroUsize, thread};

use conclave_protocol::DeviceCertificate;
use openmls::prelude::{LeafNode, RatchetTreeIn};
use openmls_traits::{OpenMlsProvider as _, crypto::OpenMlsCrypto as _, types::HashType};

use crate::{
    EngineError, certificates,
    engine::Provider,
    limits::{CERTIFICATES_PER_THREAD_MIN, MEMBERS_KEPT_MIN, THREADS_MAX},
    storage::Hash,
};

/// The certificates of a tree that is to be joined, before any is verified.
pub(crate) struct Vetting {
    known: HashSet<Hash>,
    others: Vec<(Hash, Vec<u8>)>,
    is_kept: bool,
}

/// Which certificates of the tree are known to be signed.
pub(crate) struct Vetted {
    signed: HashSet<Hash>,
    /// Those that were not known before, where it pays to keep them.
    fresh: Vec<Hash>,
}

impl Vetting {
    /// Looks up which certificates of a tree were verified before.
    pub(crate) fn of(provider: &Provider<'_>, tree: &RatchetTreeIn) -> Result<Self, EngineError> {
        let mut others = Vec::new();
        for leaf in tree.leaves() {
            let certificate = leaf.credential().serialized_content();
            others.push((hash(provider, certificate)?, certificate.to_vec()));
        }
        let is_kept = others.len() >= MEMBERS_KEPT_MIN;
        let mut known = HashSet::new();
        if is_kept {
            let hashes: Vec<Hash> = others.iter().map(|(hash, _)| *hash).collect();
            let kept = provider.storage().verified(&hashes);
            known.extend(kept.map_err(|_| EngineError::Corrupt)?);
            others.retain(|(hash, _)| !known.contains(hash));
        }
        Ok(Self {
            known,
            others,
            is_kept,
        })
    }

    /// Does something else while others verify what is left. Of few, nothing is gained by that: they are
    /// verified when they are read.
    pub(crate) fn beside<T>(self, work: impl FnOnce() -> T) -> (T, Vetted) {
        let Self {
            known,
            others,
            is_kept,
        } = self;
        if others.len() < CERTIFICATES_PER_THREAD_MIN {
            let (signed, fresh) = (known, Vec::new());
            return (work(), Vetted { signed, fresh });
        }
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = threads.saturating_sub(1).clamp(1, THREADS_MAX);
        let each = others.len().div_ceil(threads);
        let (value, fresh) = thread::scope(|scope| {
            let parts = others.chunks(each.max(CERTIFICATES_PER_THREAD_MIN));
            let parts: Vec<_> = parts.map(|part| scope.spawn(|| signed(part))).collect();
            let value = work();
            // What a thread that panicked had to verify is verified when it is read.
            let signed = parts.into_iter().filter_map(|part| part.join().ok());
            (value, signed.flatten().collect::<Vec<Hash>>())
        });
        let signed = known.into_iter().chain(fresh.iter().copied()).collect();
        let fresh = if is_kept { fresh } else { Vec::new() };
        (value, Vetted { signed, fresh })
    }
}

impl Vetted {
    /// Checks a leaf that this device has not seen before, whatever the time, and says whose it is.
    pub(crate) fn verify_leaf(
        &self,
        provider: &Provider<'_>,
        leaf: &LeafNode,
    ) -> Result<DeviceCertificate, EngineError> {
        let hash = hash(provider, leaf.credential().serialized_content())?;
        certificates::verify_leaf_by(
            leaf,
            match self.signed.contains(&hash) {
                true => DeviceCertificate::from_verified_bytes,
                false => DeviceCertificate::from_bytes,
            },
        )
    }

    /// Keeps what was verified, for the next group of the same people.
    pub(crate) fn keep(&self, provider: &Provider<'_>) -> Result<(), EngineError> {
        let kept = provider.storage().keep_verified(&self.fresh);
        kept.map_err(|_| EngineError::Corrupt)
    }
}

/// Those whose signatures verify. Why another does not is said when it is read.
fn signed(certificates: &[(Hash, Vec<u8>)]) -> Vec<Hash> {
    let is_signed = |bytes: &[u8]| DeviceCertificate::from_bytes(bytes).is_ok();
    let signed = certificates.iter().filter(|(_, bytes)| is_signed(bytes));
    signed.map(|(hash, _)| *hash).collect()
}

fn hash(provider: &Provider<'_>, certificate: &[u8]) -> Result<Hash, EngineError> {
    let hash = provider.crypto().hash(HashType::Sha2_256, certificate);
    let hash = hash.ok().and_then(|hash| hash.try_into().ok());
    hash.ok_or(EngineError::Internal("a certificate cannot be hashed"))
}
