//! RFC 9420 that only a member knows.
//!
//! - From epoch to epoch: [`InitSecret`], [`JoinerSecret`], [`MemberSecret`], [`EpochSecrets`] are
//!   the key schedule, into which [`psk_secret`] goes.
//! - Messages: [`SecretTree`] has the keys, [`private_message`] uses them.
//! - Commits: [`PrivateTree`] is what a member knows of the ratchet tree and opens update paths;
//!   [`FreshPath`] makes them.
//! - Joining: [`GroupSecrets`] and the GroupInfo of a Welcome.
//! - [`Group`] puts them together with the public state: it joins, follows, proposes and commits.
//!
//! Nothing here reads a clock, draws randomness that it was not given, or does I/O. Secrets are
//! wiped on drop and silent in `Debug`.

mod error;
mod group;
mod key_schedule;
pub mod limits;
mod path;
pub mod private_message;
mod psk;
mod ratchet;
mod secret_tree;
mod sender_data;
mod welcome;

pub use error::{MemberError, Result};
pub use group::{
    CommitForm, Committed, ExternalJoin, Founded, Founder, Group, Handshakes, Invitee, PathRule,
    PendingCommit, Received,
};
pub use key_schedule::{EncryptionSecret, EpochSecrets, InitSecret, JoinerSecret, MemberSecret};
pub use path::{FreshPath, PrivateTree};
pub use psk::{PskStore, psk_secret};
pub use secret_tree::{MessageKey, RatchetKind, SecretTree};
pub use sender_data::sender_data_keys;
pub use welcome::{GroupSecrets, open_group_info, seal_group_info};
