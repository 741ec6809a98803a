//! The commands about single messages.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use conclave_client::{Client, ClientError, Group, Home, Message, Posted, Progress, Receipt};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::{
    args::{Named, Send},
    chat::{find, landed},
    output::{Output, printable},
};

pub(crate) async fn send(home: &Home, send: &Send, output: &Output) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    // Where the server is away, the group may be known all the same, and the text is kept.
    let (group, _) = find(&client, &send.group).await?;
    let mut message = Message::text(&send.text);
    if let Some(text) = &send.reply_to {
        message = message.reply_to(named(&client, &group, text).await?.id);
    }
    if let Some(time) = send.expires {
        message = message.expires_after(time);
    }
    for file in &send.attach {
        let bar = bar(&format!("sending {}", file.display()));
        let uploaded = client.upload(group.id, file, "", |it| show(&bar, it));
        let attachment = uploaded.await;
        bar.finish_and_clear();
        let attachment = attachment.with_context(|| format!("can't send {}", file.display()))?;
        message = message.attach(attachment);
    }
    let receipt = client.send(group.id, message).await?;
    say("sent", &client, &group, receipt, output).await
}

pub(crate) async fn react(
    home: &Home,
    message: &Named,
    reaction: &str,
    withdraw: bool,
    output: &Output,
) -> anyhow::Result<()> {
    let (client, group, posted) = open(home, message).await?;
    let id = posted.id;
    let receipt = if withdraw {
        client.withdraw_reaction(group.id, id, reaction).await?
    } else {
        client.react(group.id, id, reaction).await?
    };
    output.show("done", &landed(group.id, receipt))?;
    Ok(())
}

pub(crate) async fn edit(
    home: &Home,
    message: &Named,
    text: &str,
    output: &Output,
) -> anyhow::Result<()> {
    let (client, group, posted) = open(home, message).await?;
    let receipt = client.edit(group.id, posted.id, text).await?;
    output.show("edited", &landed(group.id, receipt))?;
    Ok(())
}

pub(crate) async fn delete(home: &Home, message: &Named, output: &Output) -> anyhow::Result<()> {
    let (client, group, posted) = open(home, message).await?;
    let receipt = client.delete(group.id, posted.id).await?;
    output.show("deleted", &landed(group.id, receipt))?;
    Ok(())
}

pub(crate) async fn download(
    home: &Home,
    message: &Named,
    number: usize,
    to: Option<PathBuf>,
    output: &Output,
) -> anyhow::Result<()> {
    let (client, group, posted) = open(home, message).await?;
    let attachments = posted.message.attachments();
    let Some(attachment) = number.checked_sub(1).and_then(|at| attachments.get(at)) else {
        bail!("this message has {} attachments", attachments.len());
    };
    let to = to.unwrap_or_else(|| PathBuf::from(&attachment.name));
    let bar = bar(&format!("saving {}", to.display()));
    let downloaded = client.download(group.id, attachment, &to, |it| show(&bar, it));
    let downloaded = downloaded.await;
    bar.finish_and_clear();
    downloaded.with_context(|| format!("can't save {}", to.display()))?;
    let value = json!({ "file": to, "size_bytes": attachment.size_bytes });
    output.show(&format!("saved {}", to.display()), &value)?;
    Ok(())
}

/// A line on the error stream that says how far something is, where somebody watches.
pub(crate) fn bar(what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bytes} of {total_bytes} ({eta} left)");
    let bar = ProgressBar::new(0).with_message(printable(what));
    // The template is one that is known to be right.
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

pub(crate) fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_length(progress.total);
    bar.set_position(progress.done);
}

async fn open(home: &Home, message: &Named) -> anyhow::Result<(Client, Group, Posted)> {
    let client = Client::open(home)?;
    let (group, _) = find(&client, &message.group).await?;
    let posted = named(&client, &group, &message.message).await?;
    Ok((client, group, posted))
}

async fn named(client: &Client, group: &Group, text: &str) -> Result<Posted, ClientError> {
    let text = text.strip_prefix('#').unwrap_or(text);
    let entry = client.message_named(group.id, text).await?;
    entry.message().cloned().ok_or(ClientError::UnknownMessage)
}

/// Says where a message stands, and what names it.
async fn say(
    what: &str,
    client: &Client,
    group: &Group,
    receipt: Receipt,
    output: &Output,
) -> anyhow::Result<()> {
    let entry = client.entry(group.id, receipt.sequence).await?;
    let mut value = landed(group.id, receipt);
    if let Some(posted) = entry.as_ref().and_then(|entry| entry.message()) {
        value["id"] = posted.id.to_string().into();
    }
    output.show(&format!("{what} #{}", receipt.sequence), &value)?;
    Ok(())
}
