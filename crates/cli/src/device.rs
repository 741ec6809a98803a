//! The commands about a person's devices.

use std::path::Path;

use anyhow::bail;
use conclave_client::{Client, DeviceId};
use serde_json::json;

use crate::{
    args::Device,
    chat::{registration, sync},
    output::Output,
};

pub(crate) async fn run(home: &Path, command: Device, output: &Output) -> anyhow::Result<()> {
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
            qr,
        } => {
            let client = Client::open(home)?;
            let answer = match hand_over_identity {
                true => client.link_with_identity(&code).await?,
                false => client.link(&code).await?,
            };
            output.code(&answer, &answer, &json!({ "answer": answer }), qr)?;
            output.remark(
                "give this to `conclave device join` on the new device; it comes into your groups \
                 with the next command here",
            )?;
            Ok(())
        }
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

async fn list(home: &Path, output: &Output) -> anyhow::Result<()> {
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
