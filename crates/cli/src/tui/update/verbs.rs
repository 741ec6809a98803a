//! What commands do.

use std::path::PathBuf;

use conclave_client::{Entry, Group, GroupId, Message, Posted, Report, UnixMillis};

use super::compose;
use crate::tui::{
    chat::{Chat, Panel},
    command::{About, Command, Scope},
    editor::Editor,
    event::{Action, Effect},
    room::{Aim, Quoted, Room, Sending},
    text::clean_line,
    verbs::VERBS,
};

/// Keys as they are explained.
const KEYS: &[(&str, &str)] = &[
    ("Enter", "send; on a chosen message: answer it"),
    ("Alt-Enter, Ctrl-J", "another line"),
    ("Up, Down", "choose a message, for /react, /edit, /save"),
    ("PgUp, PgDn", "read back, and forward"),
    ("Ctrl-N, Ctrl-P, Alt-arrows", "next and last group"),
    ("Tab", "complete a command, a name, a file"),
    ("Ctrl-F", "search"),
    ("Esc", "leave what is in front; to the end"),
    ("Ctrl-L", "draw everything anew"),
    ("Ctrl-C", "empty the line; on an empty one: end"),
];

pub(super) fn help(chat: &mut Chat) -> Vec<Effect> {
    let keys = KEYS.iter().map(|(key, about)| format!("{key}\t{about}"));
    let verbs = VERBS.iter();
    let verbs = verbs.map(|verb| format!("/{} {}\t{}", verb.name, verb.takes, verb.about));
    let blank = [
        String::new(),
        "A message is named by #N, or chosen with the arrows; else it is the last one.".to_owned(),
        String::new(),
    ];
    chat.panel = Some(Panel::Text {
        title: "Help".to_owned(),
        lines: keys.chain(blank).chain(verbs).collect(),
        top: 0,
    });
    Vec::new()
}

/// Has the library do something that may take a while.
pub(super) fn ask(chat: &mut Chat, action: Action) -> Vec<Effect> {
    chat.busy += 1;
    vec![Effect::Do(action)]
}

pub(super) fn compare_member(chat: &mut Chat, chosen: usize) -> Vec<Effect> {
    let member = chat
        .room()
        .and_then(|room| room.details.members.get(chosen));
    match member.map(|member| member.user.clone()) {
        Some(user) if user != chat.me => ask(chat, Action::Compare(user.as_str().to_owned())),
        _ => Vec::new(),
    }
}

pub(super) fn run(chat: &mut Chat, command: Command, now: UnixMillis) -> Vec<Effect> {
    match tried(chat, command, now) {
        Ok(effects) => effects,
        Err(wrong) => {
            chat.complain(wrong, now);
            Vec::new()
        }
    }
}

/// What keeps a command from being tried.
type Tried = Result<Vec<Effect>, String>;

fn tried(chat: &mut Chat, command: Command, now: UnixMillis) -> Tried {
    let action = match command {
        Command::Help => return Ok(help(chat)),
        Command::Quit => return Ok(vec![Effect::Quit]),
        Command::Go(name) => return go(chat, &name),
        Command::Create(name) => Action::Create(name),
        Command::Redeem(code) => Action::Redeem(code),
        Command::Askers => Action::Askers,
        Command::Digits(user) => Action::Digits(user),
        Command::Compare(user) => Action::Compare(user),
        Command::Verify(user, digits) => Action::Verify(user, digits),
        Command::Block(user, blocked) => Action::Block(user, blocked),
        Command::Receipts(choice) => Action::Receipts(choice),
        Command::Search(words, Scope::Everywhere) => Action::Search(words, None),
        command => return of_group(chat, command, now),
    };
    Ok(ask(chat, action))
}

/// Commands about the group that is open.
fn of_group(chat: &mut Chat, command: Command, now: UnixMillis) -> Tried {
    let group = open(chat)?.id();
    let action = match command {
        Command::Members => {
            chat.panel = Some(Panel::Members { chosen: 0 });
            return Ok(Vec::new());
        }
        Command::Retry => return Ok(retry(chat, now)),
        Command::Drop => return Ok(forget(chat, now)),
        Command::Leave => {
            return Ok(sure(chat, "Leave", Action::Leave(group)));
        }
        Command::End => {
            return Ok(sure(chat, "Delete", Action::EndGroup(group)));
        }
        Command::Add(users) => Action::Add(group, users),
        Command::Remove(users) => Action::Remove(group, users),
        Command::Rename(name) => Action::Rename(group, name),
        Command::Topic(text) => Action::Topic(group, text),
        Command::Stay(time) => Action::Stay(group, time),
        Command::Role(user, role) => Action::Role(group, user, role),
        Command::Permissions(change) => Action::Permissions(group, change),
        Command::Renew => Action::Renew(group),
        Command::Fingerprint => Action::Fingerprint(group),
        Command::Invite(days) => Action::Invite(group, days),
        Command::Approve(user) => Action::Approve(group, user),
        Command::Search(words, _) => Action::Search(words, Some(group)),
        Command::Export(file) => Action::Export(group, file),
        Command::Mute(muted) => Action::Mute(group, muted),
        command => return of_message(chat, group, command, now),
    };
    Ok(ask(chat, action))
}

/// Commands that say something, or are about something that was said.
fn of_message(chat: &mut Chat, group: GroupId, command: Command, now: UnixMillis) -> Tried {
    if let Some(obstacle) = open(chat)?.obstacle()
        && !matches!(command, Command::Save(..) | Command::Report(..))
    {
        return Err(obstacle.to_owned());
    }
    let me = chat.me.clone();
    let is_own = |entry: &Entry, _: &Posted| entry.author == me;
    let is_others = |entry: &Entry, _: &Posted| entry.author != me;
    match command {
        Command::Attach(file) => Ok(attach(chat, &file)),
        Command::Expires(time, text) => {
            let message = compose::message(chat, &text).expires_after(time);
            Ok(compose::send(chat, message, None))
        }
        Command::Reply(about, text) => {
            let quoted = meant(chat, about, is_others)?;
            aim(chat, Aim::Reply(quoted), &text, now)
        }
        Command::Edit(about, text) => {
            let quoted = meant(chat, about, is_own)?;
            let text = if text.is_empty() {
                chat.draft_mut().insert(&quoted.text);
                String::new()
            } else {
                text
            };
            aim(chat, Aim::Edit(quoted), &text, now)
        }
        Command::React(about, mark) => react(chat, group, about, mark, false),
        Command::Unreact(about, mark) => react(chat, group, about, mark, true),
        Command::Delete(about) => {
            let quoted = meant(chat, about, is_own)?;
            let text = clean_line(&quoted.text);
            let question = format!("Take back \"{}\" ?", crate::tui::text::fit(&text, 40));
            let action = Action::Delete(group, quoted.id);
            chat.panel = Some(Panel::Sure { question, action });
            Ok(Vec::new())
        }
        Command::Report(about, category, comment) => {
            let quoted = meant(chat, about, is_others)?;
            let text = crate::tui::text::fit(&clean_line(&quoted.text), 40);
            let question = format!("Report \"{text}\" as {} ?", category.as_str());
            let report = Report {
                messages: vec![quoted.at],
                around: 0,
                category,
                comment,
            };
            let action = Action::Report(group, report);
            chat.panel = Some(Panel::Sure { question, action });
            Ok(Vec::new())
        }
        Command::Save(about, to) => {
            let has_file = |_: &Entry, posted: &Posted| !posted.message.attachments().is_empty();
            let at = meant(chat, about, has_file)?.at;
            Ok(ask(chat, Action::Save { group, at, to }))
        }
        // All others were seen to before.
        _ => Ok(Vec::new()),
    }
}

fn open(chat: &Chat) -> Result<&Room, String> {
    let room = chat.room();
    room.ok_or_else(|| "no group is open; /create NAME makes one".to_owned())
}

/// The message that a command is about: the one that was named or chosen, or else the last that fits.
fn meant(
    chat: &Chat,
    about: About,
    fits: impl Fn(&Entry, &Posted) -> bool,
) -> Result<Quoted, String> {
    let room = open(chat)?;
    let named = about.0.map(conclave_client::Sequence).or(room.selected);
    let found = match named {
        Some(at) => room.posted(at),
        None => room.last_posted(fits),
    };
    let found = found.map(|(entry, posted)| Quoted::of(entry, posted));
    found.ok_or_else(|| "there is no such message on the screen; choose one with Up".to_owned())
}

fn aim(chat: &mut Chat, aim: Aim, text: &str, now: UnixMillis) -> Tried {
    if let Some(room) = chat.room_mut() {
        room.aim = aim;
        room.selected = None;
    }
    if text.is_empty() {
        return Ok(Vec::new());
    }
    *chat.draft_mut() = Editor::with(text);
    Ok(compose::say_draft(chat, now))
}

fn react(chat: &mut Chat, group: GroupId, about: About, mark: String, withdraw: bool) -> Tried {
    let me = chat.me.clone();
    let fits = |entry: &Entry, posted: &Posted| {
        if withdraw {
            let mut marks = posted.reactions.iter();
            marks.any(|it| it.user == me && it.text == mark)
        } else {
            entry.author != me
        }
    };
    let quoted = meant(chat, about, fits)?;
    let action = Action::React {
        group,
        message: quoted.id,
        mark,
        withdraw,
    };
    Ok(ask(chat, action))
}

fn attach(chat: &mut Chat, file: &str) -> Vec<Effect> {
    let aim = chat.room_mut().map(|room| std::mem::take(&mut room.aim));
    let mut message = Message::text("");
    if let Some(Aim::Reply(quoted)) = aim {
        message = message.reply_to(quoted.id);
    }
    compose::send(chat, message, Some(path(file)))
}

/// A path as people write it: `~` is their own folder.
pub(in crate::tui) fn path(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}

/// Asks again before something that can't be taken back.
fn sure(chat: &mut Chat, what: &str, action: Action) -> Vec<Effect> {
    let name = chat.room().map(Room::name).unwrap_or_default();
    let question = format!("{what} {name} ?");
    chat.panel = Some(Panel::Sure { question, action });
    Vec::new()
}

/// Opens the group of this name, or the only one whose name begins so.
fn go(chat: &mut Chat, name: &str) -> Tried {
    let is = |room: &&Room| room.name() == name;
    let begins = |group: &Group| group.id.to_string().starts_with(name);
    let mut starting = chat.rooms.iter().filter(|room| {
        let called = room.name().to_lowercase();
        called.starts_with(&name.to_lowercase()) || begins(&room.group)
    });
    let found = chat.rooms.iter().find(is).or_else(|| {
        let first = starting.next();
        first.filter(|_| starting.next().is_none())
    });
    let found = found.map(Room::id);
    found.map_or_else(
        || Err(format!("there is no one group that is called {name}")),
        |group| Ok(chat.open(group)),
    )
}

fn failed(chat: &mut Chat) -> Vec<crate::tui::room::Outgoing> {
    let Some(room) = chat.room_mut() else {
        return Vec::new();
    };
    let has_failed = |it: &mut crate::tui::room::Outgoing| matches!(it.state, Sending::Failed(_));
    room.outgoing.extract_if(.., has_failed).collect()
}

fn retry(chat: &mut Chat, now: UnixMillis) -> Vec<Effect> {
    let failed = failed(chat);
    if failed.is_empty() {
        chat.say("everything was sent", now);
    }
    let again = failed.into_iter();
    again
        .flat_map(|it| compose::send(chat, it.message, it.file))
        .collect()
}

fn forget(chat: &mut Chat, now: UnixMillis) -> Vec<Effect> {
    let count = failed(chat).len();
    chat.say(format!("{count} forgotten"), now);
    Vec::new()
}
