//! The library that an application links: a device of a user, its groups, and what is said there.
//!
//! A [`Client`] keeps everything durable in a home folder and talks to one delivery service. What
//! an application asks for becomes an *intent* in the outbox before anything leaves; the log of the
//! group says when it has happened. So a program that dies at any moment comes back with a working
//! group, and what it had asked for still happens, once.
//!
//! The decisions are made in a [`session`], a state machine without a network, a clock or threads of
//! its own; a [`Client`] only drives one with tokio and tonic.
//!
//! ```no_run
//! # async fn example() -> Result<(), conclave_client::ClientError> {
//! use conclave_client::Client;
//!
//! let alice = Client::register("alice", "alice", "http://127.0.0.1:4400").await?;
//! let club = alice.create_group("club").await?;
//! alice.add(club, &[alice.user_named("bob")?]).await?;
//! alice.send(club, "hello").await?;
//! # Ok(())
//! # }
//! ```

/// The guide's code, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/client-guide.md")]
struct Guide;

mod attachment;
mod bulk;
mod client;
mod comparing;
mod devices;
mod drive;
mod entropy;
mod error;
mod events;
mod fingerprint;
mod home;
mod intent;
mod invitations;
mod linking;
mod local;
mod messages;
mod moderation;
mod past;
mod perform;
#[cfg(feature = "planted-bugs")]
mod planted;
mod posted;
mod profile;
mod reading;
mod recovery;
mod remote;
mod reporting;
mod roles;
pub mod session;
mod types;
mod waiting;
mod waits;

pub use attachment::{AttachmentError, Progress};
pub use bulk::{BulkAdded, BulkProgress};
pub use client::Client;
pub use conclave_protocol::{
    Attachment, DeviceId, Evidence, Forbidden, GroupId, Message, MessageId, Permissions, Profile,
    ReportId, Role, Sequence, UnixMillis, Unreportable, UserId,
};
pub use error::ClientError;
pub use events::Events;
pub use home::{Home, HomeState, Passphrase};
#[doc(hidden)]
pub use intent::outbox_row_holds;
pub use invitations::Asker;
pub use moderation::{
    AppealState, AuditEntry, Measure, MeasureKind, ModeratorAct, ModeratorRole, ReportCategory,
    ReportSummary, Reports, WaitingAppeal,
};
pub use past::HistoryProgress;
pub use perform::{Token, perform};
#[cfg(feature = "planted-bugs")]
pub use planted::Planted;
pub use posted::{Posted, Reaction};
pub use profile::ProfileChange;
pub use reading::{Unread, UserReceipt};
pub use recovery::{Recovery, RecoveryPhrase};
pub use reporting::{Report, Shown};
pub use types::{Entry, EntryKind, Event, Group, Member, Receipt, Registration, Standing, WishEnd};
pub use waiting::{Waiting, WaitingId};
