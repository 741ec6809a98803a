//! The commands about a person's devices.

use anyhow::bail;
use conclave_client::{Client, DeviceId, Event, GroupId, Home};
use serde_json::json;

use crate::{
    args::Device,
    chat::{registration, sync},
    message::{bar, show},
    output::{Output, printable},
    passphrase,
};

pub(crate) async fn run(home: &Home, command: Device, output: &Output) -> anyhow::Result<()> {
    match command {
        Device::List => list(home, output).await,
        Device::Code { qr } => {
            let code = Client::begin_link(home)?;
            output.code(&code, &code, &json!({ "code": code }), qr)?;
            output.remark("give this to `conclave device link` on your first device")?;
            Ok(())
        }
        Device::Link {
            code,
            hand_over_identity,
            no_history,
            qr,
        } => {
            let client = Client::open(home)?;
            link(&client, &code, hand_over_identity, !no_history, qr, output).await
        }
        Device::History => history(&Client::open(home)?, output).await,
        Device::Join {
            answer,
            server,
            ca,
            code,
        } => {
            let registration = registration(server, ca, code)?;
            let client = Client::finish_link(home, &registration, &answer).await?;
            let text = format!("this is now a device of {}", client.user());
            let device = client.device().to_string();
            let value = json!({ "user": client.user().as_str(), "device": device });
            output.show(&text, &value)?;
            passphrase::remark(home, output)?;
            Ok(())
        }
        Device::Revoke { device } => {
            let client = Client::open(home)?;
            let device = named(&client, &device).await?;
            client.revoke(device).await?;
            sync(&client).await?;
            let device = device.to_string();
            output.show(&format!("revoked {device}"), &json!({ "revoked": device }))?;
            Ok(())
        }
    }
}

async fn link(
    client: &Client,
    code: &str,
    hands_over_identity: bool,
    gives_history: bool,
    qr: bool,
    output: &Output,
) -> anyhow::Result<()> {
    let answer = match hands_over_identity {
        true => client.link_with_identity(code).await?,
        false => client.link(code).await?,
    };
    if gives_history {
        client.give_history(code).await?;
    }
    output.code(&answer, &answer, &json!({ "answer": answer }), qr)?;
    output.remark(
        "give this to `conclave device join` on the new device; it comes into your groups with the \
         next command here",
    )?;
    Ok(())
}

async fn history(client: &Client, output: &Output) -> anyhow::Result<()> {
    let moved = move_history(client).await?;
    for (group, lines) in &moved {
        let known = client
            .groups()
            .await?
            .into_iter()
            .find(|it| it.id == *group);
        let name = known
            .and_then(|it| it.name)
            .unwrap_or_else(|| group.to_string());
        let text = format!("{}: {lines} lines of before", printable(&name));
        output.show(
            &text,
            &json!({ "group": group.to_string(), "lines": lines }),
        )?;
    }
    if moved.is_empty() {
        output.remark("nothing has come that was said before")?;
    }
    Ok(())
}

/// Syncs with a line on the error stream that says how far history is, and gives what has come.
async fn move_history(client: &Client) -> anyhow::Result<Vec<(GroupId, usize)>> {
    let giving = bar("handing over what was said before");
    let taking = bar("taking what was said before");
    let events = client.sync_history(|it| show(if it.gives { &giving } else { &taking }, it.bytes));
    let events = events.await;
    giving.finish_and_clear();
    taking.finish_and_clear();
    let came = events?.into_iter().filter_map(|event| match event {
        Event::HistoryCame { group, lines } => Some((group, lines)),
        _ => None,
    });
    Ok(came.collect())
}

async fn list(home: &Home, output: &Output) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    // Where the server is away, what is known here is shown.
    let synced = sync(&client).await;
    for device in client.devices().await? {
        let is_this = device == client.device();
        let text = format!("{device}{}", if is_this { " (this one)" } else { "" });
        output.show(
            &text,
            &json!({ "device": device.to_string(), "this": is_this }),
        )?;
    }
    synced?;
    Ok(())
}

async fn named(client: &Client, text: &str) -> anyhow::Result<DeviceId> {
    let mut devices = client.devices().await?;
    devices.retain(|device| !text.is_empty() && device.to_string().starts_with(text));
    match devices[..] {
        [device] => Ok(device),
        [] => bail!("you have no device whose id begins so; `conclave device list` shows them"),
        _ => bail!("several of your devices have an id that begins so; write more of it"),
    }
}
