//! What the members call a group and say of it, and how long messages stay there.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use conclave_client::{Attachment, Client, Group, Profile, ProfileChange};
use indicatif::HumanBytes;
use serde_json::{Value, json};

use crate::{
    args::{Describe, Expiry, Picture},
    chat::{find, landed},
    message::{bar, show},
    output::{Output, printable},
};

/// Shows what is said of a group, after changing it where that is wanted.
pub(crate) async fn describe(
    client: &Client,
    wanted: Describe,
    output: &Output,
) -> anyhow::Result<()> {
    let (group, synced) = find(client, &wanted.group).await?;
    let mut change = ProfileChange::default();
    if let Some(name) = &wanted.name {
        change = change.name(name);
    }
    if let Some(text) = &wanted.text {
        change = change.description(text);
    }
    if change == ProfileChange::default() {
        synced?;
    } else {
        client.describe(group.id, change).await?;
        client.sync().await?;
    }
    let group = client.group_named(&group.id.to_string()).await?;
    let profile = client.profile(group.id).await?;
    let profile = profile.unwrap_or_else(|| Profile::named(group.name.clone().unwrap_or_default()));
    let expiry = client.expiry(group.id).await?;
    output.show(&text(&profile, expiry), &value(&group, &profile, expiry))?;
    Ok(())
}

/// Gives a group a picture, takes it away, or saves it.
pub(crate) async fn picture(
    client: &Client,
    wanted: Picture,
    output: &Output,
) -> anyhow::Result<()> {
    let (group, _) = find(client, &wanted.group).await?;
    if let Some(to) = wanted.save {
        return save(client, &group, to, output).await;
    }
    let (receipt, said) = match wanted.file {
        Some(file) => {
            let bar = bar(&format!("sending {}", file.display()));
            let set = client.set_picture(group.id, &file, "", |it| show(&bar, it));
            let set = set.await;
            bar.finish_and_clear();
            let set = set.with_context(|| format!("can't send {}", file.display()))?;
            (set, "the group has a new picture")
        }
        None if wanted.remove => {
            let change = ProfileChange::default().picture(None);
            let receipt = client.describe(group.id, change).await?;
            (receipt, "the group has no picture now")
        }
        None => bail!("say which picture, or --save FILE or --remove"),
    };
    output.show(said, &landed(group.id, receipt))?;
    Ok(())
}

/// Shows after what time messages are gone, after changing it where that is wanted.
pub(crate) async fn expiry(client: &Client, wanted: Expiry, output: &Output) -> anyhow::Result<()> {
    let (group, synced) = find(client, &wanted.group).await?;
    let expiry = match wanted.time {
        Some(time) => {
            client.set_expiry(group.id, time.0).await?;
            time.0
        }
        None => {
            synced?;
            client.expiry(group.id).await?
        }
    };
    let value = json!({ "group": group.id.to_string(), "expires_after_seconds": seconds(expiry) });
    output.show(&lifetime(expiry), &value)?;
    Ok(())
}

async fn save(client: &Client, group: &Group, to: PathBuf, output: &Output) -> anyhow::Result<()> {
    let profile = client.profile(group.id).await?;
    let Some(picture) = profile.and_then(|profile| profile.picture) else {
        bail!("this group has no picture");
    };
    let bar = bar(&format!("saving {}", to.display()));
    let saved = client.download(group.id, &picture, &to, |it| show(&bar, it));
    let saved = saved.await;
    bar.finish_and_clear();
    saved.with_context(|| format!("can't save {}", to.display()))?;
    let value = json!({ "file": to, "size_bytes": picture.size_bytes });
    output.show(&format!("saved {}", to.display()), &value)?;
    Ok(())
}

fn text(profile: &Profile, expiry: Option<Duration>) -> String {
    let mut lines = vec![printable(&profile.name)];
    if !profile.description.is_empty() {
        lines.push(printable(&profile.description));
    }
    if let Some(Attachment {
        name, size_bytes, ..
    }) = &profile.picture
    {
        lines.push(format!(
            "[picture: {}, {}]",
            printable(name),
            HumanBytes(*size_bytes)
        ));
    }
    if expiry.is_some() {
        lines.push(lifetime(expiry));
    }
    lines.join("\n")
}

fn value(group: &Group, profile: &Profile, expiry: Option<Duration>) -> Value {
    let picture = profile.picture.as_ref();
    json!({
        "group": group.id.to_string(),
        "name": profile.name,
        "description": profile.description,
        "picture": picture.map(|it| json!({ "name": it.name, "size_bytes": it.size_bytes })),
        "expires_after_seconds": seconds(expiry),
    })
}

/// When messages are gone, in words.
pub(crate) fn lifetime(expiry: Option<Duration>) -> String {
    let Some(seconds) = seconds(expiry) else {
        return "messages stay".to_owned();
    };
    let units = [("d", 86_400), ("h", 3600), ("m", 60)];
    let whole = units.iter().find(|(_, unit)| seconds % unit == 0);
    let (unit, size) = whole.copied().unwrap_or(("s", 1));
    format!("messages are gone after {}{unit}", seconds / size)
}

pub(crate) fn seconds(expiry: Option<Duration>) -> Option<u64> {
    expiry.map(|time| time.as_secs())
}
