//! What is told of a group besides what its members say.

use conclave_client::{Entry, EntryKind, UserId};

use crate::{
    profile::lifetime,
    roles::{becomes, named, permissions_text},
    tui::{chat::Chat, text::clean_line},
};

/// A sentence about what the author did.
pub(super) fn remark(chat: &Chat, entry: &Entry) -> String {
    let author = chat.short(&entry.author);
    let list = |users: &[UserId]| {
        let names: Vec<String> = users.iter().map(|user| chat.short(user)).collect();
        match names.len() {
            0..=6 => names.join(", "),
            count => format!("{}, and {} more", names[..5].join(", "), count - 5),
        }
    };
    match &entry.kind {
        EntryKind::Named(name) => format!("{author} calls this group {}", clean_line(name)),
        EntryKind::Added(users) if users[..] == [entry.author.clone()] => {
            format!("{author} joined")
        }
        EntryKind::Added(users) => format!("{author} added {}", list(users)),
        EntryKind::Removed(users) => format!("{author} removed {}", list(users)),
        EntryKind::Changed { added, removed } => {
            format!(
                "{author} added {} and removed {}",
                list(added),
                list(removed)
            )
        }
        EntryKind::Expelled(users) => format!(
            "{author} put out devices that the lists of {} do not name",
            list(users)
        ),
        EntryKind::Leaves => format!("{author} leaves"),
        EntryKind::Rejoined => format!("a device of {author} came back with new keys"),
        EntryKind::Reported(user) => {
            format!("{author} could not process what {} did", chat.short(user))
        }
        EntryKind::Continued { without, .. } => match without {
            Some(user) => format!("this group goes on without {}", chat.short(user)),
            None => "this group goes on as another".to_owned(),
        },
        EntryKind::Described(text) => {
            format!("{author} says of this group: {}", clean_line(text))
        }
        EntryKind::Pictured => format!("{author} changed the group's picture"),
        EntryKind::Expiring(time) => {
            format!("{author} has it that {}", lifetime(*time))
        }
        EntryKind::Governed { roles, permissions } => {
            let roles = roles
                .iter()
                .map(|(user, role)| format!("{} is {}", chat.short(user), named(*role)));
            let permissions = permissions.map(permissions_text).unwrap_or_default();
            let what: Vec<String> = roles.chain(permissions).collect();
            format!("{author} has it that {}", what.join(", "))
        }
        EntryKind::Reporting(unreportable) => {
            format!("{author} has it that {}", becomes(*unreportable))
        }
        EntryKind::Unreadable => format!("{author} sent something that can't be read"),
        EntryKind::Unreportable => {
            format!("{author} sent something that nobody could report: it is refused")
        }
        _ => format!("{author} sent something that this version does not know"),
    }
}
