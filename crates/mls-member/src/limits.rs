//! The bounds of what a member does for messages that others made, each with its reason.

/// Generations of one ratchet that may be skipped before the next message: each costs a derivation
/// (RFC 9420 §9.2 asks for a bound).
pub const FORWARD_GENERATIONS_MAX: u32 = 1000;

/// Skipped generations of one ratchet whose keys are kept, so that messages may overtake each other;
/// the oldest goes first. Each is a key and a nonce.
pub const SKIPPED_KEYS_MAX: usize = 64;

/// Epochs whose resumption PSK a member keeps (RFC 9420 §8.6): each is one hash long.
pub const RESUMPTION_EPOCHS_MAX: usize = 64;

/// Past epochs whose application messages a member can be told to read still: each costs the keys of
/// all its leaves and what is left of its ratchets, and an attacker who takes the state gets them too.
pub const PAST_EPOCHS_MAX: usize = 8;

/// PSKs in one Commit or Welcome: each costs two derivations and, for an application, a look-up.
pub const PSKS_MAX: usize = 256;

/// Bytes of padding that this crate adds at most to one message.
pub const PADDING_BYTES_MAX: usize = 64 * 1024;
