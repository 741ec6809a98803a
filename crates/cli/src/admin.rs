//! `conclave admin`: for whoever runs a server.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use conclave_delivery_service::{backup, registration_code};
use serde_json::json;

use crate::{args::Admin, output::Output};

pub(crate) fn run(command: &Admin, output: &Output) -> anyhow::Result<()> {
    match command {
        Admin::Invite { data, days } => {
            let lifetime = Duration::from_hours(u64::from(*days) * 24);
            let code = registration_code(data, lifetime, SystemTime::now().into())?;
            output.show(&code, &json!({ "code": code, "days": days }))?;
        }
        Admin::Backup { data, to } => copy(data, to, output)?,
    }
    Ok(())
}

fn copy(data: &Path, to: &Path, output: &Output) -> anyhow::Result<()> {
    backup(data, to)?;
    let bytes = std::fs::metadata(to)?.len();
    output.show(
        &format!("copied to {}, {bytes} bytes", to.display()),
        &json!({ "backup": to, "bytes": bytes }),
    )?;
    Ok(())
}
