//! A device's durable state, and what it has in memory.

use conclave_engine::{LoadedGroups, MemoryState, State, StateError, WriteSet};

/// State in which groups stay loaded, as a client's does.
#[derive(Default)]
pub(crate) struct Home {
    pub(crate) state: MemoryState,
    loaded: LoadedGroups,
}

impl Home {
    /// Commits a transaction.
    pub(crate) fn apply(&mut self, writes: WriteSet) {
        self.state.apply(writes);
        self.loaded.kept();
    }

    /// Rolls a transaction back.
    pub(crate) fn roll_back(&self) {
        self.loaded.lost();
    }

    /// The program dies, and another is started.
    pub(crate) fn restart(&mut self) {
        self.loaded = LoadedGroups::default();
    }
}

impl State for Home {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.state.read(key)
    }

    fn loaded(&self) -> Option<&LoadedGroups> {
        Some(&self.loaded)
    }
}
