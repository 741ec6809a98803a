//! All that the terminal knows.

use conclave_client::UnixMillis;

use super::{chat::Chat, guide::Guide, look::Look};

/// What is shown, and what is remembered for it.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) stage: Stage,
    pub(super) look: Look,
    pub(super) now: UnixMillis,
    /// Columns and lines.
    pub(super) size: (u16, u16),
}

#[derive(Debug)]
pub(super) enum Stage {
    /// There is no account in this home.
    Guide(Box<Guide>),
    Chat(Box<Chat>),
}
