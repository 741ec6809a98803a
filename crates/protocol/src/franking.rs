//! What makes a message reportable: its *frank*. `docs/franking.md` says it byte for byte.
//!
//! The sender puts a [`Commitment`] to exactly what is encrypted into the Safe AAD, where the service reads it
//! and the sender's signature covers it. The service knows who asks, so it states in a [`Stamp`] who sent what
//! commitment to which group, when, at which place of the log. It signs the stamps of all messages that it
//! appends together once, over the root of a tree (RFC 9162 §2.1), and each entry carries its [`Frank`]: what
//! proves that the stamp is one of those. The stamp itself travels nowhere: whoever has decrypted the message
//! knows all of it, and so can't be told of another sender, group or time than MLS and the log say.
//!
//! [`Evidence`] is a message together with its stamp and frank: it proves itself to somebody who knows nothing but
//! the operator's key and certificates.
//!
//! [`StampingKey`]s are short-lived. The operator's long-lived key, which members know, certifies them.

mod batch;
mod commitment;
mod evidence;
mod frank;
mod key;
mod stamp;
#[cfg(test)]
mod tests;
mod tree;

pub use batch::FrankBatch;
pub use commitment::Commitment;
pub use evidence::{Evidence, EvidenceError, Proved};
pub use frank::{CertifiedKey, Frank, FrankError, SignedRoot};
pub use key::{StampingKey, StampingKeyCertificate};
pub use stamp::Stamp;
