//! What commands print: text for people, or JSON, one object a line, for programs.

use std::io::{self, IsTerminal as _, Write as _};

use conclave_client::{Entry, EntryKind, Posted, UnixMillis, UserId};
use indicatif::HumanBytes;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use crate::{
    hints,
    profile::{lifetime, seconds},
    qr,
    roles::{becomes, named, permissions_json, permissions_text},
};

pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints one thing, in the form that was asked for.
    pub(crate) fn show(&self, text: &str, value: &Value) -> io::Result<()> {
        if self.json {
            line(&value.to_string())
        } else {
            line(text)
        }
    }

    /// Prints one thing that is copied or compared, for people with `code` as a QR code before it: in a
    /// terminal with room for it, or where it `must`.
    pub(crate) fn code(&self, text: &str, code: &str, value: &Value, must: bool) -> io::Result<()> {
        if !self.json
            && let Some(square) = qr::square(code)
            && (must || (io::stdout().is_terminal() && square.fits()))
        {
            line(square.text())?;
        }
        self.show(text, value)
    }

    /// A remark for people that is no data.
    pub(crate) fn remark(&self, text: &str) -> io::Result<()> {
        if self.json { Ok(()) } else { line(text) }
    }

    /// One line of a group's history.
    pub(crate) fn entry(&self, entry: &Entry, own_domain: &str) -> io::Result<()> {
        self.show(&entry_text(entry, own_domain), &entry_json(entry))
    }

    /// A line of a group's history that was shown before and has changed.
    pub(crate) fn changed(&self, entry: &Entry, own_domain: &str) -> io::Result<()> {
        let mut value = entry_json(entry);
        value["changed"] = json!(true);
        self.show(&entry_text(entry, own_domain), &value)
    }

    /// What went wrong and what can be done about it, on the error stream.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let text = printable(&format!("{error:#}"));
        let mut stream = io::stderr().lock();
        // There is nowhere left to say that the error stream is closed.
        let _ = match hints::hint(error) {
            Some(hint) => writeln!(stream, "error: {text}\n  {hint}"),
            None => writeln!(stream, "error: {text}"),
        };
    }
}

/// Something that went wrong without stopping the command, on the error stream.
pub(crate) fn warning(text: &str) {
    // There is nowhere left to say that the error stream is closed.
    let _ = writeln!(io::stderr().lock(), "warning: {}", printable(text));
}

/// Whether the reader of the output went away, as `head` does: no failure.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// One line to the standard output.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut stream = io::stdout().lock();
    writeln!(stream, "{text}")?;
    stream.flush()
}

/// Text from elsewhere, without what would move the cursor or change the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' || is_bidi_control(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// Users of one's own server by their name alone.
pub(crate) fn short(user: &UserId, own_domain: &str) -> String {
    if user.domain() == own_domain {
        user.name().to_owned()
    } else {
        user.to_string()
    }
}

/// Characters that reorder what stands around them, so that a line seems to say something else.
pub(crate) fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn entry_text(entry: &Entry, own_domain: &str) -> String {
    let time = clock(entry.accepted);
    let author = short(&entry.author, own_domain);
    let list = |users: &[UserId]| {
        let names: Vec<String> = users.iter().map(|user| short(user, own_domain)).collect();
        names.join(", ")
    };
    match &entry.kind {
        EntryKind::Message(posted) => {
            let text = message_text(posted, own_domain);
            format!("{time}  #{} {author}: {text}", entry.sequence)
        }
        EntryKind::Named(name) => {
            format!("{time}  * {author} calls this group {}", printable(name))
        }
        EntryKind::Added(users) if users[..] == [entry.author.clone()] => {
            format!("{time}  * {author} joined")
        }
        EntryKind::Added(users) => format!("{time}  * {author} added {}", list(users)),
        EntryKind::Removed(users) => format!("{time}  * {author} removed {}", list(users)),
        EntryKind::Changed { added, removed } => format!(
            "{time}  * {author} added {} and removed {}",
            list(added),
            list(removed)
        ),
        EntryKind::Expelled(users) => {
            let users = list(users);
            format!("{time}  * {author} put out devices that the lists of {users} do not name")
        }
        EntryKind::Described(text) => {
            let text = printable(text).replace('\n', "\n       ");
            format!("{time}  * {author} describes this group: {text}")
        }
        EntryKind::Pictured => format!("{time}  * {author} changed the group's picture"),
        EntryKind::Expiring(after) => {
            format!("{time}  * {author} has it that {}", lifetime(*after))
        }
        EntryKind::Governed { roles, permissions } => {
            let roles = roles
                .iter()
                .map(|(user, role)| format!("{} is {}", short(user, own_domain), named(*role)));
            let permissions = permissions.map(permissions_text).unwrap_or_default();
            let what: Vec<String> = roles.chain(permissions).collect();
            format!("{time}  * {author} has it that {}", what.join(", "))
        }
        EntryKind::Leaves => format!("{time}  * {author} leaves"),
        EntryKind::Rejoined => format!("{time}  * a device of {author} came back with new keys"),
        EntryKind::Reported(user) => format!(
            "{time}  * {author} could not process what {} did",
            short(user, own_domain)
        ),
        EntryKind::Continued { to, without } => format!(
            "{time}  * this group goes on{} as {to}",
            match without {
                Some(user) => format!(" without {},", short(user, own_domain)),
                None => String::new(),
            }
        ),
        EntryKind::Reporting(unreportable) => {
            format!("{time}  * {author} has it that {}", becomes(*unreportable))
        }
        EntryKind::Unreadable => format!("{time}  * {author} sent something that can't be read"),
        EntryKind::Unreportable => {
            format!("{time}  * {author} sent something that nobody could report: it is refused")
        }
        _ => format!("{time}  * {author} sent something that this version does not know"),
    }
}

/// What a message says, and below it what came of it.
fn message_text(posted: &Posted, own_domain: &str) -> String {
    let mut text = String::new();
    if let Some(answers) = posted.answers {
        text += &format!("(to #{answers}) ");
    }
    // A second line must not look like another person's first.
    text += &printable(posted.text()).replace('\n', "\n       ");
    for (place, file) in posted.message.attachments().iter().enumerate() {
        let gap = if text.is_empty() || text.ends_with(' ') {
            ""
        } else {
            " "
        };
        let (number, name) = (place + 1, printable(&file.name));
        text += &format!(
            "{gap}[file {number}: {name}, {}]",
            HumanBytes(file.size_bytes)
        );
    }
    if posted.deleted {
        text += "(deleted)";
    }
    if posted.edited.is_some() {
        text += " (edited)";
    }
    if !posted.is_reportable && !posted.deleted {
        text += " (can't be reported)";
    }
    if let Some(until) = posted.expires {
        text += &format!(" (until {})", clock(until));
    }
    for reaction in &posted.reactions {
        let user = short(&reaction.user, own_domain);
        text += &format!("\n       {} {user}", printable(&reaction.text));
    }
    text
}

fn message_json(posted: &Posted) -> Value {
    let message = &posted.message;
    let mentions = message.mentions().iter().map(
        |it| json!({ "start": it.range.start, "end": it.range.end, "user": it.user.as_str() }),
    );
    // Without the keys: whoever reads a log of this program is not to read the files.
    let attachments = message.attachments().iter().map(|it| {
        json!({
            "name": it.name,
            "size_bytes": it.size_bytes,
            "media_type": it.media_type,
            "kept_until_millis": it.kept_until.0,
        })
    });
    let reactions = posted.reactions.iter();
    let reactions = reactions.map(|it| json!({ "user": it.user.as_str(), "reaction": it.text }));
    json!({
        "id": posted.id.to_string(),
        "text": posted.text(),
        "mentions": mentions.collect::<Vec<_>>(),
        "reply_to": message.replies_to().map(|id| id.to_string()),
        "reply_to_sequence": posted.answers.map(|it| it.0),
        "attachments": attachments.collect::<Vec<_>>(),
        "edited_millis": posted.edited.map(|it| it.0),
        "deleted": posted.deleted,
        "reportable": posted.is_reportable,
        "expires_millis": posted.expires.map(|it| it.0),
        "reactions": reactions.collect::<Vec<_>>(),
    })
}

pub(crate) fn entry_json(entry: &Entry) -> Value {
    let mut value = json!({
        "group": entry.group.to_string(),
        "sequence": entry.sequence.0,
        "accepted_millis": entry.accepted.0,
        "author": entry.author.as_str(),
    });
    let users = |users: &[UserId]| json!(users.iter().map(UserId::as_str).collect::<Vec<_>>());
    let (kind, body) = match &entry.kind {
        EntryKind::Changed { added, removed } => {
            value["removed"] = users(removed);
            ("changed", Some(("added", users(added))))
        }
        EntryKind::Message(posted) => {
            if let (Value::Object(all), Value::Object(more)) = (&mut value, message_json(posted)) {
                all.extend(more);
            }
            ("message", None)
        }
        EntryKind::Named(name) => ("named", Some(("name", json!(name)))),
        EntryKind::Added(added) => ("added", Some(("users", users(added)))),
        EntryKind::Removed(removed) => ("removed", Some(("users", users(removed)))),
        EntryKind::Expelled(of) => ("expelled", Some(("users", users(of)))),
        EntryKind::Described(text) => ("described", Some(("description", json!(text)))),
        EntryKind::Pictured => ("pictured", None),
        EntryKind::Expiring(after) => (
            "expiring",
            Some(("expires_after_seconds", json!(seconds(*after)))),
        ),
        EntryKind::Governed { roles, permissions } => {
            value["permissions"] = json!(permissions.map(permissions_json));
            let roles = roles
                .iter()
                .map(|(user, role)| json!({ "user": user.as_str(), "role": role.as_str() }));
            ("governed", Some(("roles", roles.collect())))
        }
        EntryKind::Leaves => ("leaves", None),
        EntryKind::Rejoined => ("rejoined", None),
        EntryKind::Reported(user) => ("reported", Some(("user", json!(user.as_str())))),
        EntryKind::Continued { to, without } => {
            value["without"] = json!(without.as_ref().map(UserId::as_str));
            ("continued", Some(("to", json!(to.to_string()))))
        }
        EntryKind::Reporting(unreportable) => (
            "reporting",
            Some(("unreportable", json!(unreportable.as_str()))),
        ),
        EntryKind::Unreadable => ("unreadable", None),
        EntryKind::Unreportable => ("unreportable", None),
        _ => ("unknown", None),
    };
    value["kind"] = json!(kind);
    if let Some((key, body)) = body {
        value[key] = body;
    }
    value
}

/// A day and a time of day, where the reader is.
pub(crate) fn moment(time: UnixMillis) -> String {
    in_words(time, "%Y-%m-%d %H:%M")
}

/// The time of day, where the reader is.
fn clock(time: UnixMillis) -> String {
    in_words(time, "%H:%M")
}

fn in_words(time: UnixMillis, format: &str) -> String {
    i64::try_from(time.0)
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok())
        .map_or_else(
            || "--:--".to_owned(),
            |time| {
                time.to_zoned(TimeZone::system())
                    .strftime(format)
                    .to_string()
            },
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_drives_the_terminal() {
        let hostile = "a\u{1b}[2J\rb\u{202e}c\u{9b}31m";
        let shown = printable(hostile);
        assert!(
            !shown.chars().any(|c| c.is_control() || is_bidi_control(c)),
            "{shown:?}"
        );
        let posted = Posted {
            id: conclave_client::MessageId::from_bytes([0; 32]),
            message: "hi\n12:00  alice: me too".into(),
            answers: None,
            edited: None,
            deleted: false,
            expires: None,
            is_reportable: true,
            reactions: Vec::new(),
        };
        let text = message_text(&posted, "here");
        assert!(
            text.lines().nth(1).unwrap().starts_with("       "),
            "{text}"
        );
    }
}
