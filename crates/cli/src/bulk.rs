//! Adding many users at once, from a list.

use std::{
    io::{self, Read as _},
    path::Path,
};

use anyhow::{Context as _, bail};
use conclave_client::{BulkAdded, BulkProgress, Client, UserId};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::{
    chat::find,
    output::{Output, short},
};

pub(crate) async fn add(
    client: &Client,
    group: &str,
    users: &[String],
    list: &Path,
    output: &Output,
) -> anyhow::Result<()> {
    let wanted = wanted(client, users, list)?;
    let (group, _) = find(client, group).await?;
    let bar = bar(wanted.len());
    let came = client
        .add_many(group.id, &wanted, |it| show(&bar, it))
        .await;
    bar.finish_and_clear();
    tell(client, &group.id.to_string(), &came?, output)
}

/// Makes a group of those whom a list names.
pub(crate) async fn create(
    client: &Client,
    name: &str,
    list: &Path,
    output: &Output,
) -> anyhow::Result<()> {
    let wanted = wanted(client, &[], list)?;
    let bar = bar(wanted.len());
    let made = client
        .create_group_with(name, &wanted, |it| show(&bar, it))
        .await;
    bar.finish_and_clear();
    let (group, came) = made?;
    tell(client, &group.to_string(), &came, output)
}

/// Those who are named, and those whom the list names.
fn wanted(client: &Client, users: &[String], list: &Path) -> anyhow::Result<Vec<UserId>> {
    let listed = read(list).with_context(|| format!("can't read {}", list.display()))?;
    let listed = listed.lines().map(str::trim);
    let named = listed.filter(|line| !line.is_empty() && !line.starts_with('#'));
    users
        .iter()
        .map(String::as_str)
        .chain(named)
        .map(|user| {
            client
                .user_named(user)
                .with_context(|| format!("\"{user}\""))
        })
        .collect()
}

fn bar(users: usize) -> ProgressBar {
    let bar = ProgressBar::new(users as u64).with_message("adding");
    // The template is one that is known to be right.
    let style = ProgressStyle::with_template("{msg} {pos} of {len} ({eta} left)");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn show(bar: &ProgressBar, progress: BulkProgress) {
    bar.set_length(progress.total as u64);
    bar.set_position(progress.done as u64);
}

fn tell(client: &Client, group: &str, came: &BulkAdded, output: &Output) -> anyhow::Result<()> {
    let names = |users: &[UserId]| users.iter().map(ToString::to_string).collect::<Vec<_>>();
    let failed = came.failed.iter();
    let failed = failed.map(|(user, why)| json!({ "user": user.as_str(), "why": why.to_string() }));
    let value = json!({
        "group": group,
        "added": names(&came.added),
        "present": names(&came.present),
        "failed": failed.collect::<Vec<_>>(),
    });
    let present = match came.present.len() {
        0 => String::new(),
        count => format!("; {count} were there already"),
    };
    output.show(&format!("added {}{present}", came.added.len()), &value)?;
    let domain = client.user().domain();
    let failed = came.failed.iter();
    let failed: Vec<String> = failed
        .map(|(user, why)| format!("\n  {}: {why}", short(user, domain)))
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    bail!("these could not be added:{}", failed.concat())
}

fn read(list: &Path) -> io::Result<String> {
    if list.as_os_str() == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(list)
}
