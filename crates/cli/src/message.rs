//! The commands about single messages.

use std::path::Path;

use conclave_client::{Client, Group, Message, MessageId, Receipt};

use crate::{
    args::{Named, Send},
    chat::{find, landed},
    output::Output,
};

pub(crate) async fn send(home: &Path, send: &Send, output: &Output) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    // Where the server is away, the group may be known all the same, and the text is kept.
    let (group, _) = find(&client, &send.group).await?;
    let mut message = Message::text(&send.text);
    if let Some(text) = &send.reply_to {
        message = message.reply_to(named(&client, &group, text).await?);
    }
    if let Some(time) = send.expires {
        message = message.expires_after(time);
    }
    let receipt = client.send(group.id, message).await?;
    say("sent", &client, &group, receipt, output).await
}

pub(crate) async fn react(
    home: &Path,
    message: &Named,
    reaction: &str,
    withdraw: bool,
    output: &Output,
) -> anyhow::Result<()> {
    let (client, group, id) = open(home, message).await?;
    let receipt = if withdraw {
        client.withdraw_reaction(group.id, id, reaction).await?
    } else {
        client.react(group.id, id, reaction).await?
    };
    output.show("done", &landed(group.id, receipt))?;
    Ok(())
}

pub(crate) async fn edit(
    home: &Path,
    message: &Named,
    text: &str,
    output: &Output,
) -> anyhow::Result<()> {
    let (client, group, id) = open(home, message).await?;
    let receipt = client.edit(group.id, id, text).await?;
    output.show("edited", &landed(group.id, receipt))?;
    Ok(())
}

pub(crate) async fn delete(home: &Path, message: &Named, output: &Output) -> anyhow::Result<()> {
    let (client, group, id) = open(home, message).await?;
    let receipt = client.delete(group.id, id).await?;
    output.show("deleted", &landed(group.id, receipt))?;
    Ok(())
}

async fn open(home: &Path, message: &Named) -> anyhow::Result<(Client, Group, MessageId)> {
    let client = Client::open(home)?;
    let (group, _) = find(&client, &message.group).await?;
    let id = named(&client, &group, &message.message).await?;
    Ok((client, group, id))
}

async fn named(client: &Client, group: &Group, text: &str) -> anyhow::Result<MessageId> {
    let text = text.strip_prefix('#').unwrap_or(text);
    let entry = client.message_named(group.id, text).await?;
    let posted = entry.message();
    Ok(posted
        .ok_or(conclave_client::ClientError::UnknownMessage)?
        .id)
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
