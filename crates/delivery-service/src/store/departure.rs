//! Devices that are no more, and what is left of them in groups.
//!
//! The service can't take a leaf out of a tree: a member's Commit does. Until then the leaf waits
//! here, where every member who reads the group is told of it.

use std::collections::BTreeSet;

use conclave_protocol::{DeviceId, GroupId};

/// Devices that were deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Departure {
    /// Which.
    pub(crate) devices: Vec<DeviceId>,
    /// The groups in which a leaf of theirs now waits to be removed.
    pub(crate) groups: BTreeSet<GroupId>,
}

/// What became of a device list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listed {
    /// It counts, now or before; the devices that it does not name were deleted.
    Done(Departure),
    /// There is no such user with this identity key.
    UnknownUser,
    /// A list of this version is there, which is not earlier.
    Stale(u64),
}

/// The members of a group who are about to go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Going {
    /// Those who asked to leave in this epoch.
    pub(crate) leaving: Vec<DeviceId>,
    /// Devices that were deleted and whose leaf nobody has removed yet, in the order of their ids.
    pub(crate) departed: Vec<DeviceId>,
}
