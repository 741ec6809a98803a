//! `conclave admin`: for whoever runs a server.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use anyhow::bail;
use conclave_delivery_service::{backup, delete_user, registration_code};
use serde_json::json;

use crate::{args::Admin, output::Output};

pub(crate) fn run(command: &Admin, output: &Output) -> anyhow::Result<()> {
    match command {
        Admin::Invite { data, days } => {
            let lifetime = Duration::from_hours(u64::from(*days) * 24);
            let code = registration_code(data, lifetime, SystemTime::now().into())?;
            output.show(&code, &json!({ "code": code, "days": days }))?;
        }
        Admin::DeleteUser { user, data } => {
            if !delete_user(data, user)? {
                bail!("there is no user {user} in these data");
            }
            let text = format!("deleted {user}; the name can be registered again");
            output.show(&text, &json!({ "deleted": user.as_str() }))?;
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
