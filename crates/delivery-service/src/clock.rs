//! The one place that reads the clock: once for each request, which is passed down from there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use conclave_protocol::UnixMillis;

/// This moment.
pub(crate) fn now() -> UnixMillis {
    SystemTime::now().into()
}

/// Whose time the service goes by.
#[derive(Debug, Clone, Default)]
pub(crate) enum Clock {
    /// The system's.
    #[default]
    System,
    /// Somebody's who says when it moves, in milliseconds since 1970.
    Given(Arc<AtomicU64>),
}

impl Clock {
    pub(crate) fn now(&self) -> UnixMillis {
        match self {
            Self::System => now(),
            Self::Given(millis) => UnixMillis(millis.load(Ordering::Relaxed)),
        }
    }
}
