//! `conclave admin`: for whoever runs a server.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use anyhow::bail;
use conclave_delivery_service::{appoint_moderator, backup, delete_user, registration_code};
use conclave_safety::Role;
use serde_json::json;

use crate::{
    args::{Admin, ModeratorRole},
    output::Output,
};

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
        Admin::Moderator { user, role, data } => {
            let role = match role {
                ModeratorRole::Viewer => Some(Role::Viewer),
                ModeratorRole::Moderator => Some(Role::Moderator),
                ModeratorRole::Chief => Some(Role::Chief),
                ModeratorRole::None => None,
            };
            appoint_moderator(data, user, role, SystemTime::now().into())?;
            let text = match role {
                Some(role) => format!("{user} is a {role} now"),
                None => format!("{user} is no moderator any more"),
            };
            let role = role.map(|role| role.to_string());
            output.show(&text, &json!({ "user": user.as_str(), "role": role }))?;
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
