//! From evidence to decision: reports of messages, what moderators make of them, and what a third party can check
//! of both. Pure: the clock, the store and the sockets are the service's.
//!
//! A [`Report`] holds messages that their recipient chose, each as [`Evidence`](conclave_protocol::Evidence).
//! [`Report::prove`] checks what anybody can, [`Proven::in_context`] what only the service knows: where a group's
//! log has other entries, what the reporter could read, what was reported before. What fails gets a [`Verdict`], and
//! no person sees it.
//!
//! What moderators do are [`Entry`]s of an audit log, each hashed with the one before ([`Chain`]). Everything that
//! counts follows from that log: a [`Book`] reads it and says who is a moderator, which entry may come next, and
//! where somebody [stands](Book::standing) now.
//!
//! A [`CaseFile`] is a report with all its proofs and what was decided, signed by the operator. Whoever has it, and
//! nothing else, learns by [`CaseFile::examine`] what it proves, and what it does not.

mod audit;
mod book;
mod case;
mod encoding;
mod findings;
mod measure;
mod report;
#[cfg(test)]
mod tests;
mod verdict;

pub use audit::{Act, Actor, Chain, ChainError, Chained, Entry};
pub use book::{About, Appeal, Book, Decision, Refused, Role};
pub use case::{AuditLine, Case, CaseError, CaseFile, Context, operator_key};
pub use findings::{Findings, Sentence};
pub use measure::{Active, Measure, MeasureKind, Standing, Target};
pub use report::{Category, Item, Report, ReportError};
pub use verdict::{Authority, Checked, Facts, OutOfContext, Proven, Verdict};
