//! The ways into a group besides a Welcome, and its end.

use conclave_protocol::{DeviceId, GroupId, UnixMillis};

use crate::ordering::Head;

/// What an external Commit into a group is made from, besides the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entrance {
    /// Where the group is.
    pub(crate) head: Head,
    /// Whether the device that asks may join.
    pub(crate) may_join: bool,
    /// The GroupInfo of the current epoch.
    pub(crate) group_info: Vec<u8>,
    /// The Proposals that wait.
    pub(crate) proposals: Vec<Vec<u8>>,
    /// The approval of this device, where it has one.
    pub(crate) approval: Option<Vec<u8>>,
}

/// An invitation to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewInvitation<'a> {
    /// Into which group.
    pub(crate) group: GroupId,
    /// Of a token that the service has not seen.
    pub(crate) token_hash: &'a [u8; 32],
    /// Who invites.
    pub(crate) inviter: DeviceId,
    /// The last moment it is good.
    pub(crate) expires: UnixMillis,
}

/// An invitation as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invitation {
    /// Who invites.
    pub(crate) inviter: DeviceId,
    /// The first device that asked.
    pub(crate) asker: Option<DeviceId>,
    /// Whether a member has approved it.
    pub(crate) approved: bool,
}

/// What became of the deletion of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupDeletion {
    /// Nothing of it is left.
    Done,
    /// There is no such group.
    Unknown,
    /// The caller is no member.
    NotMember,
    /// Other users are members.
    NotAlone,
}
