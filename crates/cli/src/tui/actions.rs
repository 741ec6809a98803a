//! What commands have the library do, and how its errors are told here.

use std::{path::PathBuf, time::Duration};

use conclave_client::{Client, ClientError, Forbidden, GroupId, ProfileChange, Sequence, UserId};

use super::{
    command::What,
    event::{Action, Done},
    update::path,
};
use crate::{
    output::short,
    profile::lifetime,
    reading::write_history,
    roles::{named as named_role, permissions_text},
};

/// Messages that a search finds at most.
const FOUND_MAX: usize = 100;

/// Does it, and says what came of it, or why not.
pub(super) async fn run(client: &Client, action: Action) -> Result<Done, String> {
    let done = match action {
        Action::Save { group, at, to } => return save(client, group, at, to).await,
        Action::Export(group, file) => return export(client, group, &file).await,
        Action::Search(words, group) => {
            let found = client.search(&words, group, FOUND_MAX).await;
            found.map(|entries| Done::Found(words, entries))
        }
        action @ (Action::Digits(_)
        | Action::Compare(_)
        | Action::Verify(..)
        | Action::Fingerprint(_)
        | Action::Block(..)
        | Action::Receipts(_)) => of_person(client, action).await,
        Action::Report(group, report) => {
            let reported = client.report(group, &report).await;
            reported.map(|id| said(format!("reported; the report is called {id}")))
        }
        action @ (Action::React { .. } | Action::Edit(..) | Action::Delete(..)) => {
            of_message(client, action).await
        }
        action
        @ (Action::Invite(..) | Action::Redeem(_) | Action::Askers | Action::Approve(..)) => {
            of_invitation(client, action).await
        }
        action => of_group(client, action).await,
    };
    done.or_else(|error| explained(&error))
}

/// What went wrong, and what can be done about it here.
fn explained(error: &ClientError) -> Result<Done, String> {
    let hint = match error {
        ClientError::Unreachable { .. } => {
            return Ok(Done::Said(
                "kept; it happens when the server can be reached".to_owned(),
            ));
        }
        ClientError::UnknownUser(_) => "; names are those that people registered at your server",
        ClientError::NoKeyPackages(_) => "; their devices make new ones when they are online",
        ClientError::IdentityChanged(_) => "; /digits USER shows the new digits",
        ClientError::Forbidden(Forbidden::LastOwner) => "; /role USER owner does",
        ClientError::Forbidden(_) => "; /permissions shows who may, /members who is what",
        ClientError::NotAsked(_) => "; /askers shows who does",
        ClientError::OtherDigits => "; /digits USER shows them: compare all 60",
        _ => "",
    };
    Err(format!("{error}{hint}"))
}

fn said(text: impl Into<String>) -> Done {
    Done::Said(text.into())
}

fn named(client: &Client, users: &[String]) -> Result<Vec<UserId>, ClientError> {
    let users = users.iter();
    users
        .map(|user| client.user_named(user.trim_start_matches('@')))
        .collect()
}

fn one(client: &Client, user: &str) -> Result<UserId, ClientError> {
    client.user_named(user.trim_start_matches('@'))
}

async fn of_group(client: &Client, action: Action) -> Result<Done, ClientError> {
    match action {
        Action::Create(name) => match client.create_group(&name).await {
            Ok(group) => Ok(Done::Entered(Some(group), format!("created {name}"))),
            Err(ClientError::Unreachable { .. }) => Ok(Done::Entered(
                None,
                format!("{name} is made known when the server can be reached"),
            )),
            Err(error) => Err(error),
        },
        Action::Add(group, users) => {
            client.add(group, &named(client, &users)?).await?;
            Ok(said(format!("added {}", users.join(", "))))
        }
        Action::Remove(group, users) => {
            client.remove(group, &named(client, &users)?).await?;
            Ok(said(format!("removed {}", users.join(", "))))
        }
        Action::Leave(group) => {
            client.leave(group).await?;
            Ok(said("asked to leave; another member's device confirms it"))
        }
        Action::EndGroup(group) => {
            client.delete_group(group).await?;
            Ok(said("deleted; what you read stays here"))
        }
        Action::Renew(group) => {
            client.update(group).await?;
            Ok(said("renewed your keys"))
        }
        Action::Rename(group, name) => {
            let change = ProfileChange::default().name(&name);
            client.describe(group, change).await?;
            Ok(said(format!("renamed to {name}")))
        }
        Action::Topic(group, text) => {
            let change = ProfileChange::default().description(&text);
            client.describe(group, change).await?;
            Ok(said(""))
        }
        Action::Stay(group, time) => {
            client.set_expiry(group, time).await?;
            Ok(said(lifetime(time)))
        }
        Action::Role(group, user, role) => {
            client.set_role(group, &one(client, &user)?, role).await?;
            Ok(said(format!("{user} is {} now", named_role(role))))
        }
        Action::Permissions(group, change) => {
            let mut permissions = client.permissions(group).await?;
            if let Some((what, role)) = change {
                match what {
                    What::Add => permissions.add = role,
                    What::Remove => permissions.remove = role,
                    What::Describe => permissions.describe = role,
                    What::Send => permissions.send = role,
                }
                client.set_permissions(group, permissions).await?;
            }
            let lines = permissions_text(permissions);
            Ok(Done::Page("Who may do what".to_owned(), lines))
        }
        Action::Mute(group, muted) => {
            client.mute(group, muted).await?;
            Ok(said(if muted { "muted" } else { "not muted" }))
        }
        // All others were seen to before.
        _ => Ok(said("")),
    }
}

async fn of_message(client: &Client, action: Action) -> Result<Done, ClientError> {
    match action {
        Action::React {
            group,
            message,
            mark,
            withdraw: false,
        } => client.react(group, message, &mark).await?,
        Action::React {
            group,
            message,
            mark,
            ..
        } => client.withdraw_reaction(group, message, &mark).await?,
        Action::Edit(group, message, text) => client.edit(group, message, &text).await?,
        Action::Delete(group, message) => client.delete(group, message).await?,
        // All others were seen to before.
        _ => return Ok(said("")),
    };
    Ok(said(""))
}

async fn of_invitation(client: &Client, action: Action) -> Result<Done, ClientError> {
    match action {
        Action::Invite(group, days) => {
            let lifetime = Duration::from_hours(u64::from(days) * 24);
            let text = client.invite(group, lifetime).await?;
            let lines = vec![
                "Whoever has this can ask to be let in, once, with /redeem:".to_owned(),
                String::new(),
                text,
                String::new(),
                "You are told when somebody asks, and let them in with /approve.".to_owned(),
            ];
            Ok(Done::Page("Invitation".to_owned(), lines))
        }
        Action::Redeem(code) => {
            let group = client.redeem(&code).await?;
            Ok(Done::Entered(
                Some(group),
                "asked; you are in once a member approves".to_owned(),
            ))
        }
        Action::Askers => {
            let (askers, groups) = (client.askers().await?, client.groups().await?);
            if askers.is_empty() {
                return Ok(said("nobody asks to be let in"));
            }
            let lines = askers.iter().map(|asker| {
                let group = groups.iter().find(|group| group.id == asker.group);
                let name = group.and_then(|group| group.name.as_deref());
                let user = short(&asker.user, client.user().domain());
                format!("{user} asks to be let into {}", name.unwrap_or("a group"))
            });
            Ok(Done::Page("Who asks".to_owned(), lines.collect()))
        }
        Action::Approve(group, user) => {
            client.approve(group, &one(client, &user)?).await?;
            Ok(said(format!("let {user} in")))
        }
        // All others were seen to before.
        _ => Ok(said("")),
    }
}

async fn of_person(client: &Client, action: Action) -> Result<Done, ClientError> {
    match action {
        Action::Digits(user) => digits(client, &one(client, &user)?).await,
        Action::Compare(user) => compare(client, &one(client, &user)?).await,
        Action::Verify(user, digits) => {
            let user = one(client, &user)?;
            let name = short(&user, client.user().domain());
            if client.new_safety_number(&user).await?.is_some() {
                client.accept_identity(&user, &digits).await?;
                return Ok(said(format!("the new key of {name} counts from now on")));
            }
            client.note_compared(&user, &digits).await?;
            Ok(said(format!("noted: you compared digits with {name}")))
        }
        Action::Fingerprint(group) => {
            let digits = client.roster_fingerprint(group).await?;
            let lines = vec![
                "All members see these digits, where they are in it with the same devices:"
                    .to_owned(),
                String::new(),
                digits,
            ];
            Ok(Done::Page("Fingerprint".to_owned(), lines))
        }
        Action::Block(user, blocked) => {
            client.block(&one(client, &user)?, blocked).await?;
            let state = if blocked { "blocked" } else { "not blocked" };
            Ok(said(format!("{user} is {state}")))
        }
        Action::Receipts(choice) => {
            if let Some(choice) = choice {
                client.send_receipts(choice).await?;
            }
            Ok(said(if client.sends_receipts().await? {
                "others see how far you have read"
            } else {
                "nobody sees how far you have read"
            }))
        }
        // All others were seen to before.
        _ => Ok(said("")),
    }
}

/// What a person compares with another.
async fn digits(client: &Client, user: &UserId) -> Result<Done, ClientError> {
    let name = short(user, client.user().domain());
    let digits = client.safety_number(user).await?;
    let mut lines = vec![format!(
        "{name} sees the same digits, with /digits, where nobody stands between you:"
    )];
    lines.extend([String::new(), digits]);
    if let Some(new) = client.new_safety_number(user).await? {
        let but = format!("But {name} appeared with another key since, whose digits are:");
        lines.extend([String::new(), but, String::new(), new]);
    } else if client.compared_identities().await?.contains(user) {
        lines.extend([String::new(), "You have compared them.".to_owned()]);
    }
    lines.extend([
        String::new(),
        format!("/verify {name} notes that they are the same."),
    ]);
    Ok(Done::Page(format!("Digits with {name}"), lines))
}

/// Asks whether another person sees the same.
async fn compare(client: &Client, user: &UserId) -> Result<Done, ClientError> {
    let name = short(user, client.user().domain());
    let (digits, about) = match client.new_safety_number(user).await? {
        Some(new) => (new, " has a new key, whose digits are these"),
        None => (client.safety_number(user).await?, " sees these digits"),
    };
    let question = format!(
        "{name}{about}, where nobody stands between you:\n\n{digits}\n\nAsk them by another way \
         than this one. Does {name} see all of them?"
    );
    let action = Action::Verify(user.as_str().to_owned(), digits);
    Ok(Done::Asks(question, action))
}

async fn save(
    client: &Client,
    group: GroupId,
    at: Sequence,
    to: Option<String>,
) -> Result<Done, String> {
    let entry = client.entry(group, at).await.map_err(|it| it.to_string())?;
    let attachments = entry.as_ref().and_then(|entry| entry.message());
    let attachments = attachments.map(|posted| posted.message.attachments());
    let mut saved = Vec::new();
    for file in attachments.unwrap_or_default() {
        // The library gives names without folders.
        let to = to
            .as_deref()
            .map_or_else(|| PathBuf::from(&file.name), path);
        let done = client.download(group, file, &to, |_| {}).await;
        done.map_err(|error| format!("{error}: {}; /save FILE saves it elsewhere", to.display()))?;
        saved.push(to.display().to_string());
    }
    if saved.is_empty() {
        return Err("no file came with this message".to_owned());
    }
    Ok(said(format!("saved {}", saved.join(", "))))
}

async fn export(client: &Client, group: GroupId, file: &str) -> Result<Done, String> {
    let count = write_history(client, group, &path(file)).await;
    let count = count.map_err(|error| format!("{error:#}"))?;
    Ok(said(format!("wrote {count} entries to {file}")))
}
