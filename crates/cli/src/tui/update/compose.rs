//! What a person says.

use std::path::PathBuf;

use conclave_client::{Member, Message, UnixMillis, UserId};

use super::verbs;
use crate::tui::{
    chat::Chat,
    command,
    event::{Action, Effect, Load, Span},
    room::{Aim, Outgoing, Sending},
    scroll::Scroll,
};

/// Takes the line that was typed: a command, or something to say.
pub(super) fn submit(chat: &mut Chat, now: UnixMillis) -> Vec<Effect> {
    (chat.completion, chat.notice) = (None, None);
    let line = chat.draft().text().trim().to_owned();
    match command::parse(&line) {
        Some(Err(wrong)) => {
            chat.complain(wrong, now);
            Vec::new()
        }
        Some(Ok(command)) => {
            // What a command is about may be what was being answered or changed.
            chat.draft_mut().take();
            verbs::run(chat, command, now)
        }
        None => {
            let text = match line.strip_prefix("//") {
                Some(rest) => format!("/{rest}"),
                None => line,
            };
            said(chat, &text, now)
        }
    }
}

/// Says what is being typed, whatever it looks like.
pub(super) fn say_draft(chat: &mut Chat, now: UnixMillis) -> Vec<Effect> {
    let text = chat.draft().text().trim().to_owned();
    said(chat, &text, now)
}

fn said(chat: &mut Chat, text: &str, now: UnixMillis) -> Vec<Effect> {
    let Some(room) = chat.room_mut() else {
        chat.complain("no group is open; /create NAME makes one", now);
        return Vec::new();
    };
    if let Some(obstacle) = room.obstacle() {
        chat.complain(obstacle, now);
        return Vec::new();
    }
    room.draft.take();
    match std::mem::take(&mut room.aim) {
        Aim::Edit(quoted) => {
            let group = room.id();
            verbs::ask(chat, Action::Edit(group, quoted.id, text.to_owned()))
        }
        Aim::Reply(quoted) => {
            let message = message(chat, text).reply_to(quoted.id);
            send(chat, message, None)
        }
        Aim::Say => {
            let message = message(chat, text);
            send(chat, message, None)
        }
    }
}

/// A message of this text, with the members it names.
pub(super) fn message(chat: &Chat, text: &str) -> Message {
    let members = chat.room().map(|room| room.details.members.as_slice());
    mentions(text, members.unwrap_or_default(), &chat.me)
        .into_iter()
        .fold(Message::text(text), |message, (range, user)| {
            message.mention(range, user)
        })
}

/// Where a text names members: `@bob`.
fn mentions(text: &str, members: &[Member], me: &UserId) -> Vec<(std::ops::Range<usize>, UserId)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('@') {
        let rest = &text[at + 1..];
        let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
        let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        let name = rest[..end].trim_end_matches(['.', '@']);
        let called = members.iter().find(|member| {
            let user = &member.user;
            user.as_str() == name || (user.domain() == me.domain() && user.name() == name)
        });
        if let Some(member) = called {
            found.push((at..at + 1 + name.len(), member.user.clone()));
        }
    }
    found
}

/// Shows a message as being on its way, and has it sent.
pub(super) fn send(chat: &mut Chat, message: Message, file: Option<PathBuf>) -> Vec<Effect> {
    let local = chat.next_local;
    chat.next_local += 1;
    let Some(room) = chat.room_mut() else {
        return Vec::new();
    };
    let group = room.id();
    room.outgoing.push(Outgoing {
        local,
        id: None,
        message: message.clone(),
        file: file.clone(),
        state: Sending::Going(None),
    });
    room.selected = None;
    room.scroll = Scroll::End;
    let mut effects = vec![Effect::Send {
        group,
        local,
        message,
        file,
    }];
    if !room.window.is_at_end && room.window.is_loaded {
        effects.push(Effect::Load(Load::History(group, Span::Last)));
    }
    effects
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_named_where_a_text_says_their_names() {
        let user = |text: &str| text.parse::<UserId>().unwrap();
        let members = ["alice@here", "bob@here", "bob@there"].map(|it| Member {
            user: user(it),
            role: conclave_client::Role::Member,
            devices: Vec::new(),
        });
        let text = "@bob, @bob@there. and @carol; a@alice";
        let found = mentions(text, &members, &user("alice@here"));
        let named: Vec<&str> = found
            .iter()
            .map(|(range, _)| &text[range.clone()])
            .collect();
        assert_eq!(named, ["@bob", "@bob@there", "@alice"]);
        assert_eq!(found[1].1, user("bob@there"));
    }
}
