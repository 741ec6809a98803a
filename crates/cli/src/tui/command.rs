//! Commands: lines that begin with a slash.

use std::time::Duration;

use conclave_client::{ReportCategory, Role};

use super::verbs::{Verb, find};
use crate::args::time;

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Quit,
    Create(String),
    Go(String),
    Add(Vec<String>),
    Remove(Vec<String>),
    Members,
    Rename(String),
    Topic(String),
    /// How long messages stay here.
    Stay(Option<Duration>),
    Role(String, Role),
    /// Shows who may do what, or says from which role on somebody may.
    Permissions(Option<(What, Role)>),
    Leave,
    End,
    Renew,
    Fingerprint,
    Invite(u16),
    Redeem(String),
    Askers,
    Approve(String),
    Digits(String),
    /// Asks whether the digits are the same.
    Compare(String),
    Verify(String, String),
    Reply(About, String),
    React(About, String),
    Unreact(About, String),
    Edit(About, String),
    Delete(About),
    /// Reports a message; what it is, and what is to be said of it.
    Report(About, ReportCategory, String),
    Expires(Duration, String),
    Attach(String),
    Save(About, Option<String>),
    Search(String, Scope),
    Export(String),
    Mute(bool),
    Block(String, bool),
    Receipts(Option<bool>),
    Retry,
    Drop,
}

/// The message that a command is about: one that was named by its number, or the selected one, or the
/// last that it can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct About(pub(super) Option<u64>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Here,
    Everywhere,
}

/// What one may do in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Add,
    Remove,
    Describe,
    Send,
}

/// A command, or what is wrong with it. Another line than a command gives `None`.
pub(super) fn parse(line: &str) -> Option<Result<Command, String>> {
    let command = line.strip_prefix('/').filter(|it| !it.starts_with('/'))?;
    let (name, rest) = command
        .split_once(char::is_whitespace)
        .unwrap_or((command, ""));
    let rest = rest.trim();
    let Some(verb) = find(name) else {
        return Some(Err(format!("there is no command /{name}; /help shows all")));
    };
    let parsed = command_of(verb, rest);
    Some(parsed.ok_or_else(|| format!("write it as /{} {}", verb.name, verb.takes)))
}

fn command_of(verb: &Verb, rest: &str) -> Option<Command> {
    let some = || (!rest.is_empty()).then(|| rest.to_owned());
    let words = || -> Option<Vec<String>> {
        let words = rest.split([' ', ',']).filter(|word| !word.is_empty());
        let words: Vec<String> = words.map(str::to_owned).collect();
        (!words.is_empty()).then_some(words)
    };
    let one = || words().filter(|words| words.len() == 1)?.pop();
    let (about, text) = named(rest);
    let text_of = || (!text.is_empty()).then(|| text.to_owned());
    Some(match verb.name {
        "help" => Command::Help,
        "quit" => Command::Quit,
        "create" => Command::Create(some()?),
        "go" => Command::Go(some()?),
        "add" => Command::Add(words()?),
        "remove" => Command::Remove(words()?),
        "members" => Command::Members,
        "leave" => Command::Leave,
        "end" => Command::End,
        "renew" => Command::Renew,
        "fingerprint" => Command::Fingerprint,
        "invite" if rest.is_empty() => Command::Invite(7),
        "invite" => Command::Invite(rest.parse().ok().filter(|days| (1..=30).contains(days))?),
        "redeem" => Command::Redeem(one()?),
        "askers" => Command::Askers,
        "approve" => Command::Approve(one()?),
        "digits" => Command::Digits(one()?),
        "verify" => match rest.split_once(' ') {
            Some((user, digits)) => Command::Verify(user.to_owned(), digits.trim().to_owned()),
            None => Command::Compare(one()?),
        },
        "reply" => Command::Reply(about, text.to_owned()),
        "react" => Command::React(about, text_of()?),
        "unreact" => Command::Unreact(about, text_of()?),
        "edit" => Command::Edit(about, text.to_owned()),
        "delete" => Command::Delete(about),
        "report" => {
            let (what, comment) = text.split_once(' ').unwrap_or((text, ""));
            let category: ReportCategory = what.parse().ok()?;
            Command::Report(about, category, comment.trim().to_owned())
        }
        "expires" => {
            let (after, text) = rest.split_once(' ')?;
            Command::Expires(time(after).ok()?, text.trim().to_owned())
        }
        "attach" => Command::Attach(some()?),
        "save" => Command::Save(about, text_of()),
        "search" => Command::Search(some()?, Scope::Here),
        "find" => Command::Search(some()?, Scope::Everywhere),
        "export" => Command::Export(some()?),
        "mute" => Command::Mute(true),
        "unmute" => Command::Mute(false),
        "block" => Command::Block(one()?, true),
        "unblock" => Command::Block(one()?, false),
        "receipts" => Command::Receipts(match rest {
            "" => None,
            "on" => Some(true),
            "off" => Some(false),
            _ => return None,
        }),
        "retry" => Command::Retry,
        "drop" => Command::Drop,
        _ => return of_group(verb, rest),
    })
}

/// The commands about what a group is, and who is what there.
fn of_group(verb: &Verb, rest: &str) -> Option<Command> {
    let some = || (!rest.is_empty()).then(|| rest.to_owned());
    Some(match verb.name {
        "rename" => Command::Rename(some()?),
        "topic" => Command::Topic(rest.to_owned()),
        "stay" if rest == "off" => Command::Stay(None),
        "stay" => Command::Stay(Some(time(rest).ok()?)),
        "role" => {
            let (user, role) = rest.split_once(' ')?;
            Command::Role(user.to_owned(), role_of(role.trim())?)
        }
        "permissions" if rest.is_empty() => Command::Permissions(None),
        "permissions" => {
            let (what, who) = rest.split_once(' ')?;
            Command::Permissions(Some((what_of(what)?, who_of(who.trim())?)))
        }
        _ => return None,
    })
}

fn role_of(word: &str) -> Option<Role> {
    let roles = [Role::Owner, Role::Admin, Role::Member];
    roles.into_iter().find(|role| role.as_str() == word)
}

fn who_of(word: &str) -> Option<Role> {
    Some(match word {
        "everyone" => Role::Member,
        "admins" => Role::Admin,
        "owners" => Role::Owner,
        _ => return None,
    })
}

fn what_of(word: &str) -> Option<What> {
    Some(match word {
        "add" => What::Add,
        "remove" => What::Remove,
        "describe" => What::Describe,
        "send" => What::Send,
        _ => return None,
    })
}

/// Which message is meant, and the rest: `#12 hello`.
fn named(rest: &str) -> (About, &str) {
    let word = rest.split_whitespace().next().unwrap_or("");
    let number = word.strip_prefix('#').and_then(|it| it.parse().ok());
    match number {
        Some(number) => (About(Some(number)), rest[word.len()..].trim()),
        None => (About(None), rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::verbs::VERBS;

    fn understood(line: &str) -> Command {
        parse(line).unwrap().unwrap()
    }

    #[test]
    fn every_command_that_is_explained_is_understood() {
        for verb in VERBS {
            let words = match verb.name {
                "expires" => "10m soon gone",
                "stay" => "7d",
                "invite" => "3",
                "receipts" => "on",
                "role" => "bob admin",
                "permissions" => "add admins",
                "report" => "spam",
                _ if verb.takes.is_empty() => "",
                _ => "word",
            };
            let line = format!("/{} {words}", verb.name);
            assert!(matches!(parse(&line), Some(Ok(_))), "{line}");
            if verb.takes.starts_with(|c: char| c.is_uppercase()) {
                let said = parse(&format!("/{}", verb.name)).unwrap().unwrap_err();
                assert!(said.contains(verb.takes), "{said}");
            }
        }
    }

    #[test]
    fn commands_are_about_a_message_that_was_named_or_another() {
        assert_eq!(
            understood("/react #12 👍"),
            Command::React(About(Some(12)), "👍".to_owned())
        );
        assert_eq!(
            understood("/reply at  7"),
            Command::Reply(About(None), "at  7".to_owned())
        );
        assert_eq!(
            understood("/add bob, carol"),
            Command::Add(vec!["bob".to_owned(), "carol".to_owned()])
        );
        assert_eq!(understood("/mem"), Command::Members);
        assert_eq!(parse("hello"), None);
        assert_eq!(parse("//hello"), None);
        assert!(parse("/re x").unwrap().is_err());
        assert!(parse("/").unwrap().is_err());
        assert!(parse("/invite 99").unwrap().is_err());
    }
}
