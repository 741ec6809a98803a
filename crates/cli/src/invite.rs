//! The commands about invitations, and about the end of an account.

use std::time::Duration;

use anyhow::bail;
use conclave_client::{Client, GroupId, Home};
use serde_json::json;

use crate::{
    args::{Account, Invite},
    chat::{find, sync},
    moderate,
    output::{Output, printable, short},
};

pub(crate) async fn run(home: &Home, command: Invite, output: &Output) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    match command {
        Invite::Create { group, days } => {
            let (group, _) = find(&client, &group).await?;
            let lifetime = Duration::from_hours(u64::from(days) * 24);
            let text = client.invite(group.id, lifetime).await?;
            let value = json!({ "group": group.id.to_string(), "invitation": text });
            output.show(&text, &value)?;
            output.remark("whoever has it asks with `conclave invite redeem`; then you approve")?;
        }
        Invite::Redeem { invitation } => {
            let group = client.redeem(&invitation).await?;
            sync(&client).await?;
            show_redeemed(&client, group, output).await?;
        }
        Invite::List => {
            let synced = sync(&client).await;
            list(&client, output).await?;
            synced?;
        }
        Invite::Approve { group, user } => {
            let (group, _) = find(&client, &group).await?;
            let user = client.user_named(&user)?;
            client.approve(group.id, &user).await?;
            let text = format!("let {} in", short(&user, client.user().domain()));
            let value = json!({ "group": group.id.to_string(), "approved": user.as_str() });
            output.show(&text, &value)?;
        }
    }
    Ok(())
}

pub(crate) async fn account(home: &Home, command: &Account, output: &Output) -> anyhow::Result<()> {
    let name = match command {
        Account::Standing => return moderate::standing(home, output).await,
        Account::Delete { name } => name,
    };
    let client = Client::open(home)?;
    if client.user_named(name)? != *client.user() {
        bail!(
            "this is the home of {}, not of {}",
            client.user(),
            printable(name)
        );
    }
    client.delete_account().await?;
    let user = client.user();
    output.show(
        &format!("deleted {user}"),
        &json!({ "deleted": user.as_str() }),
    )?;
    Ok(())
}

async fn show_redeemed(client: &Client, group: GroupId, output: &Output) -> anyhow::Result<()> {
    let groups = client.groups().await?;
    let is_in = groups.iter().any(|known| known.id == group);
    let text = if is_in {
        "a member has let you in"
    } else {
        "asked; you are in once a member approves, with your next command after that"
    };
    let value = json!({ "group": group.to_string(), "approved": is_in });
    output.show(text, &value)?;
    Ok(())
}

async fn list(client: &Client, output: &Output) -> anyhow::Result<()> {
    let (askers, groups) = (client.askers().await?, client.groups().await?);
    if askers.is_empty() {
        output.remark("nobody asks to be let in")?;
    }
    for asker in askers {
        let group = groups.iter().find(|group| group.id == asker.group);
        let name = group.and_then(|group| group.name.clone());
        let text = format!(
            "{} asks to be let into {}",
            short(&asker.user, client.user().domain()),
            printable(name.as_deref().unwrap_or("a group"))
        );
        let value = json!({ "group": asker.group.to_string(), "user": asker.user.as_str() });
        output.show(&text, &value)?;
    }
    Ok(())
}
