//! Every bound of this crate, each with its reason.

/// Bytes of one encoded object: a ratchet tree of 100,000 members has about 30 MB, and nothing else
/// comes near it. Input is held against this before it is parsed.
pub const OBJECT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Leaves of a ratchet tree. Node indices stay far from the end of `u32`, so that the tree's
/// arithmetic can't overflow, and four times what the plan calls reachable fits.
pub const LEAVES_MAX: u32 = 1 << 19;

/// Threads that check the signatures of one tree: more only helps machines that have better to do.
pub const VERIFIER_THREADS_MAX: usize = 16;

/// Proposals of one epoch that wait for a Commit: as many as one Commit may sensibly hold.
pub const PROPOSALS_MAX: usize = 4096;
