//! Who may do what in a group.

use conclave_client::{Client, Permissions, Role, Unreportable};
use serde_json::{Value, json};

use crate::{
    args,
    chat::{find, landed},
    output::{Output, short},
};

pub(crate) async fn set_role(
    client: &Client,
    group: &str,
    user: &str,
    role: args::MemberRole,
    output: &Output,
) -> anyhow::Result<()> {
    let user = client.user_named(user)?;
    let (group, _) = find(client, group).await?;
    let role = Role::from(role);
    let receipt = client.set_role(group.id, &user, role).await?;
    let mut value = landed(group.id, receipt);
    value["user"] = json!(user.as_str());
    value["role"] = json!(role.as_str());
    let name = short(&user, client.user().domain());
    output.show(&format!("{name} is {} now", named(role)), &value)?;
    Ok(())
}

/// Shows who may do what, after changing it where that is wanted.
pub(crate) async fn permissions(
    client: &Client,
    wanted: &args::Permissions,
    output: &Output,
) -> anyhow::Result<()> {
    let (group, synced) = find(client, &wanted.group).await?;
    let before = client.permissions(group.id).await?;
    let role = |who: Option<args::Who>, before| who.map_or(before, Role::from);
    let after = Permissions {
        add: role(wanted.add, before.add),
        remove: role(wanted.remove, before.remove),
        describe: role(wanted.describe, before.describe),
        send: role(wanted.send, before.send),
    };
    if after == before {
        synced?;
    } else {
        client.set_permissions(group.id, after).await?;
    }
    let mut value = permissions_json(after);
    value["group"] = json!(group.id.to_string());
    output.show(&permissions_text(after).join("\n"), &value)?;
    Ok(())
}

/// Shows what becomes of messages that nobody could report, after changing it where that is wanted.
pub(crate) async fn unreportable(
    client: &Client,
    group: &str,
    choice: Option<args::Unreportable>,
    output: &Output,
) -> anyhow::Result<()> {
    let (group, synced) = find(client, group).await?;
    let unreportable = match choice.map(Unreportable::from) {
        Some(choice) => {
            client.set_unreportable(group.id, choice).await?;
            choice
        }
        None => {
            synced?;
            client.unreportable(group.id).await?
        }
    };
    let value = json!({
        "group": group.id.to_string(),
        "unreportable": unreportable.as_str(),
    });
    output.show(becomes(unreportable), &value)?;
    Ok(())
}

/// What becomes of messages that nobody could report.
pub(crate) fn becomes(unreportable: Unreportable) -> &'static str {
    match unreportable {
        Unreportable::Marked => "messages that nobody could report are marked",
        Unreportable::Refused => "messages that nobody could report are refused",
    }
}

/// An owner, an admin, a member.
pub(crate) fn named(role: Role) -> &'static str {
    match role {
        Role::Owner => "an owner",
        Role::Admin => "an admin",
        Role::Member => "a member",
    }
}

/// A line for each thing that one may do, such as "admins may add".
pub(crate) fn permissions_text(permissions: Permissions) -> Vec<String> {
    let each = each(permissions).into_iter();
    each.map(|(what, role)| format!("{} may {what}", who(role)))
        .collect()
}

pub(crate) fn permissions_json(permissions: Permissions) -> Value {
    let each = each(permissions).into_iter();
    each.map(|(what, role)| (what.to_owned(), json!(who(role))))
        .collect()
}

fn each(permissions: Permissions) -> [(&'static str, Role); 4] {
    [
        ("add", permissions.add),
        ("remove", permissions.remove),
        ("describe", permissions.describe),
        ("send", permissions.send),
    ]
}

fn who(role: Role) -> &'static str {
    match role {
        Role::Member => "everyone",
        Role::Admin => "admins",
        Role::Owner => "owners",
    }
}

impl From<args::MemberRole> for Role {
    fn from(role: args::MemberRole) -> Self {
        match role {
            args::MemberRole::Owner => Self::Owner,
            args::MemberRole::Admin => Self::Admin,
            args::MemberRole::Member => Self::Member,
        }
    }
}

impl From<args::Unreportable> for Unreportable {
    fn from(choice: args::Unreportable) -> Self {
        match choice {
            args::Unreportable::Marked => Self::Marked,
            args::Unreportable::Refused => Self::Refused,
        }
    }
}

impl From<args::Who> for Role {
    fn from(who: args::Who) -> Self {
        match who {
            args::Who::Everyone => Self::Member,
            args::Who::Admins => Self::Admin,
            args::Who::Owners => Self::Owner,
        }
    }
}
