//! The delivery service (RFC 9750 §5): it orders each group's messages, keeps them, and keeps
//! KeyPackages and Welcomes until they are wanted. It reads no content and holds no group's secret.
//!
//! A request is decoded and authenticated in `service`, by a token that `auth` gave. `accounts`
//! knows users, devices and their KeyPackages. A message for a group goes through `groups`: a
//! handshake message is first checked by the group's `follower`, which knows all that is public of
//! the group; then `ordering` decides, inside the one transaction in which the `store` appends the
//! message with everything that belongs to it. `hub` wakes the live streams, which read the store
//! as far as `access` lets them. `moderation` takes reports of messages, once they are verified, and holds whom
//! moderators suspended to it. What all of them do is counted (`metrics`). The clock and the random generator are read at the edge.
//! [`InProcess`] is the same service without its edge, for simulations.

mod access;
mod accounts;
mod auth;
mod backup;
mod blobs;
mod clock;
mod deletion;
mod edge;
mod error;
mod folder;
mod follower;
mod followers;
mod groups;
mod hub;
mod in_process;
mod limits;
#[cfg(test)]
mod measure;
mod metrics;
mod moderation;
mod ordering;
mod registration;
mod retention;
mod server;
mod service;
mod stamping;
mod status;
mod store;
mod tails;
mod wire;

pub use backup::backup;
pub use deletion::delete_user;
pub use edge::{ClientVersion, Rate, RateLimits, Tls};
pub use error::{BackupError, ServeError};
pub use in_process::{Connection, InProcess};
pub use moderation::appoint_moderator;
pub use registration::registration_code;
pub use retention::Retention;
pub use server::{Config, Registration, Server};
