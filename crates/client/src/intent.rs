//! What an application wants done, as it is kept in the outbox.
//!
//! An intent says "add bob", not "this Commit": the bytes are made when its turn comes, and made
//! anew when another member changed the group first.

use std::time::Duration;

use conclave_protocol::{
    DeviceId, Epoch, GroupRules, Message, Permissions, Role, Unreportable, UserId,
};
use prost::Message as _;

use crate::ProfileChange;

/// Something to be done in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Make the group known to the service.
    Create,
    /// Send content, in the encoding that members decrypt.
    Send(Vec<u8>),
    /// Say how far this user has read.
    Receipt,
    /// Add all devices of these users.
    Add(Vec<UserId>),
    /// Remove all devices of these users.
    Remove(Vec<UserId>),
    /// Renew this device's keys.
    Update,
    /// Renew this device's keys for the sake of the tree, as long as the group is in this epoch.
    Repair(Epoch),
    /// Ask to leave.
    Leave,
    /// Commit the leaving of others.
    Confirm,
    /// Add those of these users who can be added, as other members asked.
    AddFor(Vec<UserId>),
    /// Remove these users, as other members asked.
    RemoveFor(Vec<UserId>),
    /// Add this user's devices that are not there.
    AddOwn,
    /// Remove these devices.
    RemoveDevices(Vec<DeviceId>),
    /// Remove the devices that their users' newest lists do not name.
    RemoveUnlisted,
    /// Make a user this.
    SetRole(UserId, Role),
    /// Say from which role on somebody may do what.
    SetPermissions(Permissions),
    /// Say from then on after what time messages are gone.
    SetExpiry(Option<Duration>),
    /// Say from then on what becomes of messages that nobody could report.
    SetUnreportable(Unreportable),
    /// Say something else of the group.
    Describe(ProfileChange),
    /// Have these rules, where another group had them.
    Govern(GroupRules),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Row {
    #[prost(enumeration = "Kind", tag = "1")]
    kind: i32,
    #[prost(bytes = "vec", tag = "2")]
    content: Vec<u8>,
    #[prost(string, repeated, tag = "3")]
    users: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum Kind {
    Unspecified = 0,
    Create = 1,
    Send = 2,
    Add = 3,
    Remove = 4,
    Update = 5,
    Leave = 6,
    Confirm = 7,
    AddFor = 8,
    RemoveFor = 9,
    AddOwn = 10,
    RemoveDevices = 11,
    RemoveUnlisted = 12,
    Receipt = 13,
    SetRole = 14,
    SetPermissions = 15,
    Govern = 16,
    SetExpiry = 17,
    Describe = 18,
    SetUnreportable = 19,
    Repair = 20,
}

impl Intent {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let (kind, content, users) = match self {
            Self::Create => (Kind::Create, Vec::new(), &[][..]),
            Self::Send(content) => (Kind::Send, content.clone(), &[][..]),
            Self::Receipt => (Kind::Receipt, Vec::new(), &[][..]),
            Self::Add(users) => (Kind::Add, Vec::new(), users.as_slice()),
            Self::Remove(users) => (Kind::Remove, Vec::new(), users.as_slice()),
            Self::Update => (Kind::Update, Vec::new(), &[][..]),
            Self::Repair(epoch) => (Kind::Repair, epoch.0.to_be_bytes().to_vec(), &[][..]),
            Self::Leave => (Kind::Leave, Vec::new(), &[][..]),
            Self::Confirm => (Kind::Confirm, Vec::new(), &[][..]),
            Self::AddFor(users) => (Kind::AddFor, Vec::new(), users.as_slice()),
            Self::RemoveFor(users) => (Kind::RemoveFor, Vec::new(), users.as_slice()),
            Self::AddOwn => (Kind::AddOwn, Vec::new(), &[][..]),
            Self::RemoveUnlisted => (Kind::RemoveUnlisted, Vec::new(), &[][..]),
            Self::RemoveDevices(devices) => {
                let ids = devices.iter().flat_map(|id| id.as_bytes().to_vec());
                (Kind::RemoveDevices, ids.collect(), &[][..])
            }
            Self::SetRole(user, role) => {
                (Kind::SetRole, vec![role.code()], std::slice::from_ref(user))
            }
            Self::SetPermissions(permissions) => {
                (Kind::SetPermissions, permissions.codes().to_vec(), &[][..])
            }
            Self::SetExpiry(expiry) => {
                let seconds = expiry.map_or(0, |time| time.as_secs());
                (Kind::SetExpiry, seconds.to_be_bytes().to_vec(), &[][..])
            }
            Self::SetUnreportable(it) => (Kind::SetUnreportable, vec![it.code()], &[][..]),
            Self::Describe(change) => (Kind::Describe, encode_change(change), &[][..]),
            Self::Govern(rules) => (Kind::Govern, rules.to_bytes(), &[][..]),
        };
        let users = users.iter().map(ToString::to_string).collect();
        Row {
            kind: kind as i32,
            content,
            users,
        }
        .encode_to_vec()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let row = Row::decode(bytes).ok()?;
        let users = || {
            row.users
                .iter()
                .map(|user| user.parse().ok())
                .collect::<Option<_>>()
        };
        Some(match row.kind() {
            Kind::Unspecified => return None,
            Kind::Create => Self::Create,
            Kind::Send => Self::Send(row.content),
            Kind::Receipt => Self::Receipt,
            Kind::Add => Self::Add(users()?),
            Kind::Remove => Self::Remove(users()?),
            Kind::Update => Self::Update,
            Kind::Repair => {
                Self::Repair(Epoch(u64::from_be_bytes(row.content[..].try_into().ok()?)))
            }
            Kind::Leave => Self::Leave,
            Kind::Confirm => Self::Confirm,
            Kind::AddFor => Self::AddFor(users()?),
            Kind::RemoveFor => Self::RemoveFor(users()?),
            Kind::AddOwn => Self::AddOwn,
            Kind::RemoveUnlisted => Self::RemoveUnlisted,
            Kind::RemoveDevices => {
                let ids = row.content.chunks(16).map(|id| DeviceId::try_from(id).ok());
                Self::RemoveDevices(ids.collect::<Option<_>>()?)
            }
            Kind::SetRole => {
                let [code] = row.content[..].try_into().ok()?;
                let mut users: Vec<UserId> = users()?;
                Self::SetRole(users.pop()?, Role::from_code(code)?)
            }
            Kind::SetPermissions => {
                let codes = row.content[..].try_into().ok()?;
                Self::SetPermissions(Permissions::from_codes(codes)?)
            }
            Kind::SetExpiry => {
                let seconds = u64::from_be_bytes(row.content[..].try_into().ok()?);
                Self::SetExpiry((seconds > 0).then(|| Duration::from_secs(seconds)))
            }
            Kind::SetUnreportable => {
                let [code] = row.content[..].try_into().ok()?;
                Self::SetUnreportable(Unreportable::from_code(code)?)
            }
            Kind::Describe => Self::Describe(decode_change(&row.content)?),
            Kind::Govern => Self::Govern(GroupRules::from_bytes(&row.content).ok()?),
        })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct Change {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    description: Option<String>,
    /// A message with the picture as its attachment, or with none.
    #[prost(bytes = "vec", optional, tag = "3")]
    picture: Option<Vec<u8>>,
}

fn encode_change(change: &ProfileChange) -> Vec<u8> {
    let picture = change.picture.clone();
    Change {
        name: change.name.clone(),
        description: change.description.clone(),
        picture: picture.map(|it| {
            it.into_iter()
                .fold(Message::default(), Message::attach)
                .to_bytes()
        }),
    }
    .encode_to_vec()
}

fn decode_change(bytes: &[u8]) -> Option<ProfileChange> {
    let change = Change::decode(bytes).ok()?;
    let picture = match change.picture {
        None => None,
        Some(bytes) => Some(Message::from_bytes(&bytes)?.attachments().first().cloned()),
    };
    Some(ProfileChange {
        name: change.name,
        description: change.description,
        picture,
    })
}

/// Whether what the outbox reads means the same when it is written again; for the fuzzer.
#[doc(hidden)]
pub fn outbox_row_holds(bytes: &[u8]) -> bool {
    let read = Intent::from_bytes(bytes);
    read.is_none_or(|intent| Intent::from_bytes(&intent.to_bytes()) == Some(intent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intents_survive_the_outbox() {
        let users: Vec<UserId> = vec!["a@x".parse().unwrap(), "b@x".parse().unwrap()];
        let permissions = Permissions {
            send: Role::Admin,
            ..Permissions::default()
        };
        for intent in [
            Intent::Create,
            Intent::Send(b"content".to_vec()),
            Intent::Add(users.clone()),
            Intent::Remove(users.clone()),
            Intent::AddFor(users.clone()),
            Intent::SetRole(users[0].clone(), Role::Owner),
            Intent::SetPermissions(permissions),
            Intent::Govern(GroupRules::founded_by(users[1].clone()).with_permissions(permissions)),
            Intent::SetExpiry(None),
            Intent::SetUnreportable(Unreportable::Refused),
            Intent::SetExpiry(Some(Duration::from_secs(60))),
            Intent::Describe(ProfileChange::default().name("club").picture(None)),
            Intent::Describe(ProfileChange::default().description("")),
            Intent::RemoveFor(users),
            Intent::AddOwn,
            Intent::RemoveUnlisted,
            Intent::RemoveDevices(vec![
                DeviceId::from_bytes([1; 16]),
                DeviceId::from_bytes([2; 16]),
            ]),
            Intent::Receipt,
            Intent::Update,
            Intent::Repair(Epoch(7)),
            Intent::Leave,
            Intent::Confirm,
        ] {
            assert_eq!(Intent::from_bytes(&intent.to_bytes()), Some(intent));
        }
        assert_eq!(Intent::from_bytes(b"\xff"), None);
    }
}
