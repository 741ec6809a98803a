//! How much the engine keeps in memory, and how much it puts off.

/// Groups that stay loaded: a group of 10,000 takes some 30 MB.
pub(crate) const GROUPS_LOADED_MAX: usize = 16;

/// Messages after which the secrets of a small group's messages are written: a kilobyte then.
pub(crate) const MESSAGES_UNWRITTEN_MIN: u32 = 64;

/// The same for the largest group.
pub(crate) const MESSAGES_UNWRITTEN_MAX: u32 = 400;

/// Messages by which the stored secrets of one sender may be behind, whoever left them behind: fewer than
/// [`FORWARD_GENERATIONS_MAX`](conclave_protocol::limits::FORWARD_GENERATIONS_MAX), of which some are for what
/// its sender encrypted and could not submit. Where there is no room left, secrets are written with each
/// message until the epoch ends.
pub(crate) const BEHIND_MAX: u32 = 800;

/// By how much that count goes up in the state at once: a crash counts as so many too many at most.
pub(crate) const BEHIND_STEP: u32 = 16;

/// Bytes of secrets for each message that is put off, between those two.
pub(crate) const BYTES_A_MESSAGE: usize = 1024;

/// Bytes of a tree's encoding from which on it pays to write less than the whole.
pub(crate) const WHOLE_BYTES_MAX: usize = 16 * 1024;

/// Bytes of secrets from which on it pays to leave out what is not there.
pub(crate) const SQUEEZED_BYTES_MIN: usize = 512;

/// Patches to one tree. Each is a row to be read when a group is loaded, some 10 us.
pub(crate) const TREE_PATCHES_MAX: u32 = 2048;

/// Bytes that squeezed secrets may expand to: 100,000 members of whom everybody has spoken take some 13 MB.
pub(crate) const SECRETS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Threads that check signatures: a device has other things to do too.
pub(crate) const THREADS_MAX: usize = 8;

/// KeyPackages for which a thread is worth its while: some 5 ms.
pub(crate) const PACKAGES_PER_THREAD_MIN: usize = 32;

/// Certificates for which one is: some 3 ms.
pub(crate) const CERTIFICATES_PER_THREAD_MIN: usize = 64;

/// Members of a group from which on it pays to keep whose certificates were verified: some 12 ms.
pub(crate) const MEMBERS_KEPT_MIN: usize = 256;

/// Certificates that are kept as verified, in each of 256 rows: those of 131,072 devices, in 4 MiB.
pub(crate) const VERIFIED_PER_ROW_MAX: usize = 512;
