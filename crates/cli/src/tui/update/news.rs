//! What the library tells of.

use conclave_client::{Entry, EntryKind, Event as News, GroupId, UnixMillis};

use crate::{
    moderate,
    tui::{
        chat::{Chat, Connection},
        event::{Effect, Load},
        room::Sending,
    },
};

pub(super) fn take(chat: &mut Chat, news: News, now: UnixMillis) -> Vec<Effect> {
    match news {
        News::Entry(entry) => said(chat, &entry),
        News::Changed(entry) => chat.history_again(entry.group),
        News::Expired { group, .. } => chat.history_again(group),
        News::Receipt { group, user, .. } if user == chat.me => {
            vec![Effect::Load(Load::Unread(group))]
        }
        News::Receipt { group, .. } => vec![Effect::Load(Load::Receipts(group))],
        News::Typing { group, user } => {
            let is_other = user != chat.me;
            if let Some(room) = chat.room_of(group).filter(|_| is_other) {
                room.types(user, now);
            }
            Vec::new()
        }
        News::Asked(asker) => {
            let name = chat.short(&asker.user);
            chat.say(
                format!("{name} asks to be let in: /approve {name} does it, in the group"),
                now,
            );
            Vec::new()
        }
        News::Joined(group) => {
            if chat.open.is_none() {
                chat.wanted = Some(group);
            }
            both(chat, group)
        }
        News::Ended(group) | News::Resynced(group) => both(chat, group),
        News::Continued { from, to } => {
            if chat.open == Some(from) {
                chat.wanted = Some(to);
            }
            chat.say(
                "a group goes on as another, without somebody who spoilt it",
                now,
            );
            both(chat, to)
        }
        News::CatchingUp { read, of, .. } => {
            chat.connection = Connection::CatchingUp(percent(read.0, of.0));
            Vec::new()
        }
        News::CaughtUp => caught_up(chat),
        News::Disconnected => {
            if !matches!(chat.connection, Connection::Lost(_)) {
                chat.connection = Connection::Lost(now);
            }
            Vec::new()
        }
        rare => told(chat, rare, now),
    }
}

/// What seldom happens, and is told in a sentence.
fn told(chat: &mut Chat, news: News, now: UnixMillis) -> Vec<Effect> {
    match news {
        News::HistoryCame { group, lines } => {
            chat.say(
                format!("{lines} earlier lines came from your other device"),
                now,
            );
            both(chat, group)
        }
        News::Refused { reason, .. } => {
            chat.complain(format!("an invitation was not accepted: {reason}"), now);
            Vec::new()
        }
        News::IdentityChanged { user } => {
            let name = chat.short(&user);
            chat.complain(
                format!("{name} has a new identity key: /digits {name} before you trust it"),
                now,
            );
            vec![Effect::Load(Load::Groups)]
        }
        News::Moderated(measure) => {
            chat.complain(moderate::told(&measure), now);
            Vec::new()
        }
        News::Resyncing { group, reason } => {
            chat.complain(format!("coming back into a group: {reason}"), now);
            both(chat, group)
        }
        _ => Vec::new(),
    }
}

fn percent(done: u64, of: u64) -> u64 {
    done.saturating_mul(100)
        .checked_div(of)
        .unwrap_or(0)
        .min(100)
}

/// A new line in a group's history.
fn said(chat: &mut Chat, entry: &Entry) -> Vec<Effect> {
    let group = entry.group;
    let is_own = entry.author == chat.me;
    let is_open = chat.open == Some(group);
    let Some(room) = chat.room_of(group) else {
        return vec![Effect::Load(Load::Groups)];
    };
    room.stopped_typing(&entry.author);
    let is_muted = room.is_muted;
    let mut effects = chat.history_again(group);
    let is_message = matches!(entry.kind, EntryKind::Message(_));
    match entry.kind {
        EntryKind::Message(_) => effects.push(Effect::Load(Load::Unread(group))),
        EntryKind::Named(_) => effects.push(Effect::Load(Load::Groups)),
        _ if is_open => effects.push(Effect::Load(Load::Details(group))),
        _ => {}
    }
    if is_own {
        effects.extend(settle(chat, group));
    } else if is_message && !is_muted && !chat.has_focus {
        effects.push(Effect::Ring);
    }
    effects
}

/// A group that came or went, and what is shown of it where it is open.
fn both(chat: &Chat, group: GroupId) -> Vec<Effect> {
    let mut effects = vec![Effect::Load(Load::Groups)];
    if chat.open == Some(group) {
        effects.push(Effect::Load(Load::Details(group)));
        effects.extend(chat.history_again(group));
    }
    effects
}

fn caught_up(chat: &mut Chat) -> Vec<Effect> {
    chat.connection = Connection::Online;
    let mut effects = vec![Effect::Load(Load::Groups)];
    let groups: Vec<GroupId> = chat.rooms.iter().map(|room| room.id()).collect();
    for group in groups {
        effects.extend(settle(chat, group));
    }
    if let Some(open) = chat.open {
        effects.extend(both(chat, open));
    }
    effects
}

/// Asks what became of the messages that waited.
fn settle(chat: &mut Chat, group: GroupId) -> Vec<Effect> {
    let Some(room) = chat.room_of(group) else {
        return Vec::new();
    };
    let mut effects = Vec::new();
    for sent in &mut room.outgoing {
        if let (Sending::Waits, Some(id)) = (&sent.state, &sent.id) {
            effects.push(Effect::Settle {
                group,
                local: sent.local,
                id: *id,
            });
            sent.state = Sending::Going(None);
        }
    }
    effects
}
