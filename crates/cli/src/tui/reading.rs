//! Reads what is shown from the local database.

use std::path::Path;

use conclave_client::{Client, ClientError, GroupId, Sequence};

use super::{
    event::{Details, Event, GroupState, Load, Span},
    update::path,
    window::PAGE,
};

/// Names of a folder that are looked at for completing one.
const NAMES_MAX: usize = 10_000;

pub(super) async fn read(client: &Client, load: &Load) -> Result<Event, ClientError> {
    Ok(match load {
        Load::Groups => groups(client).await?,
        Load::Details(group) => Event::Details(*group, details(client, *group).await?),
        Load::Receipts(group) => Event::Read(*group, client.receipts(*group).await?),
        Load::Unread(group) => Event::Unread(*group, client.unread(*group).await?),
        Load::History(group, span) => history(client, *group, *span).await?,
        Load::Waiting(group) => Event::Waiting(*group, client.waiting(*group).await?),
        Load::Files(beginning) => {
            let wanted = beginning.clone();
            let names = tokio::task::spawn_blocking(move || files(&wanted)).await;
            Event::Files(beginning.clone(), names.unwrap_or_default())
        }
    })
}

async fn groups(client: &Client) -> Result<Event, ClientError> {
    let muted = client.muted().await?;
    let mut states = Vec::new();
    for group in client.groups().await? {
        states.push(GroupState {
            unread: client.unread(group.id).await?,
            is_muted: muted.contains(&group.id),
            group,
        });
    }
    Ok(Event::Groups(states, client.changed_identities().await?))
}

async fn details(client: &Client, group: GroupId) -> Result<Details, ClientError> {
    // Of a group that has ended there is nobody to tell.
    let (Ok(members), Ok((epoch, _))) = (client.members(group).await, client.epoch(group).await)
    else {
        return Ok(Details::default());
    };
    let topic = client.profile(group).await?;
    Ok(Details {
        epoch: Some(epoch),
        topic: topic.map_or_else(String::new, |it| it.description),
        members,
        verified: client.compared_identities().await?,
    })
}

async fn history(client: &Client, group: GroupId, span: Span) -> Result<Event, ClientError> {
    let entries = match span {
        Span::Last => {
            client
                .history_before(group, Sequence(u64::MAX), PAGE)
                .await?
        }
        Span::Before(at) => client.history_before(group, at, PAGE).await?,
        Span::After(at) => client.history(group, at, PAGE).await?,
        Span::Again(after, count) => client.history(group, after, count).await?,
        Span::Around(at) => {
            let mut entries = client.history_before(group, at, PAGE / 2).await?;
            let before = Sequence(at.0.saturating_sub(1));
            entries.extend(client.history(group, before, PAGE / 2).await?);
            entries
        }
    };
    Ok(Event::History(group, span, entries))
}

/// The files whose paths begin so; folders end in a slash.
fn files(beginning: &str) -> Vec<String> {
    let (folder, name) = match beginning.rfind('/') {
        Some(at) => beginning.split_at(at + 1),
        None => ("", beginning),
    };
    let place = if folder.is_empty() {
        Path::new(".").to_owned()
    } else {
        path(folder)
    };
    let Ok(listed) = std::fs::read_dir(place) else {
        return Vec::new();
    };
    let mut names: Vec<String> = listed
        .take(NAMES_MAX)
        .filter_map(|file| {
            let file = file.ok()?;
            let called = file.file_name().into_string().ok()?;
            let is_hidden = called.starts_with('.') && !name.starts_with('.');
            if is_hidden || !called.starts_with(name) {
                return None;
            }
            let end = if file.path().is_dir() { "/" } else { "" };
            Some(format!("{folder}{called}{end}"))
        })
        .collect();
    names.sort();
    names
}
