//! The commands about a person's devices, and about who others are.

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
        Device::Code => {
            let code = Client::begin_link(home)?;
            output.show(&code, &json!({ "code": code }))?;
            output.remark("give this to `conclave device link` on your first device")?;
            Ok(())
        }
        Device::Link { code } => {
            let client = Client::open(home)?;
            let answer = client.link(&code).await?;
            output.show(&answer, &json!({ "answer": answer }))?;
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

/// What a user compares with another.
pub(crate) async fn verify(home: &Path, user: &str, output: &Output) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    let user = client.user_named(user)?;
    let digits = client.safety_number(&user).await?;
    output.show(&digits, &json!({ "user": user.as_str(), "digits": digits }))?;
    Ok(())
}

async fn list(home: &Path, output: &Output) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    for device in client.devices().await? {
        let is_this = device == client.device();
        let text = format!("{device}{}", if is_this { " (this one)" } else { "" });
        output.show(
            &text,
            &json!({ "device": device.to_string(), "this": is_this }),
        )?;
    }
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
