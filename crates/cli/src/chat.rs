//! The commands of a person who chats.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use conclave_client::{
    Client, ClientError, Event, Group as ClientGroup, GroupId, Home, Receipt, Registration, Role,
    Sequence, Standing, UserId,
};
use serde_json::json;

use crate::{
    args::{Group, Read},
    bulk, moderate,
    output::{Output, printable, short, warning},
    passphrase, profile, roles, verify,
};

/// Entries that are read from the local history at once.
pub(crate) const HISTORY_PAGE: usize = 1000;

pub(crate) fn registration(
    server: String,
    ca: Option<PathBuf>,
    code: Option<String>,
) -> anyhow::Result<Registration> {
    let read = |path: PathBuf| {
        std::fs::read_to_string(&path)
            .with_context(|| format!("can't read the certificate {}", path.display()))
    };
    Ok(Registration {
        server,
        authority: ca.map(read).transpose()?,
        code,
    })
}

pub(crate) async fn register(
    home: &Home,
    name: &str,
    registration: &Registration,
    output: &Output,
) -> anyhow::Result<()> {
    let client = Client::register_with(home, name, registration).await?;
    let text = format!("registered as {}", client.user());
    output.show(&text, &identity(&client))?;
    output
        .remark("`conclave recovery show` has words to write down, should you lose this device")?;
    passphrase::remark(home, output)?;
    Ok(())
}

pub(crate) fn whoami(home: &Home, output: &Output) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    let text = format!("{} on device {}", client.user(), client.device());
    output.show(&text, &identity(&client))?;
    Ok(())
}

pub(crate) async fn group(home: &Home, command: Group, output: &Output) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    match command {
        Group::Create { name, members_from } => {
            create(&client, &name, members_from.as_deref(), output).await?;
        }
        Group::List => {
            let synced = sync(&client).await;
            list(&client, output).await?;
            synced?;
        }
        Group::Add {
            group,
            users,
            from: Some(list),
        } => bulk::add(&client, &group, &users, &list, output).await?,
        Group::Add { group, users, .. } => {
            let (users, (group, _)) = (named(&client, &users)?, find(&client, &group).await?);
            let receipt = client.add(group.id, &users).await?;
            changed(output, "added", &client, &group, &users, receipt)?;
        }
        Group::Remove { group, users } => {
            let (users, (group, _)) = (named(&client, &users)?, find(&client, &group).await?);
            let receipt = client.remove(group.id, &users).await?;
            changed(output, "removed", &client, &group, &users, receipt)?;
        }
        Group::Role { group, user, role } => {
            roles::set_role(&client, &group, &user, role, output).await?;
        }
        Group::Permissions(wanted) => roles::permissions(&client, &wanted, output).await?,
        Group::Describe(wanted) => profile::describe(&client, wanted, output).await?,
        Group::Picture(wanted) => profile::picture(&client, wanted, output).await?,
        Group::Unreportable { group, choice } => {
            roles::unreportable(&client, &group, choice, output).await?;
        }
        Group::Expiry(wanted) => profile::expiry(&client, wanted, output).await?,
        Group::Leave {
            group,
            hand_over_to,
        } => leave(&client, &group, hand_over_to.as_deref(), output).await?,
        Group::Delete { group } => {
            let (group, _) = find(&client, &group).await?;
            client.delete_group(group.id).await?;
            let text = "deleted; what you read stays here";
            let value = json!({ "group": group.id.to_string(), "deleted": true });
            output.show(text, &value)?;
        }
        Group::Members { group } => {
            let (group, synced) = find(&client, &group).await?;
            members(&client, &group, output).await?;
            synced?;
        }
        Group::Fingerprint { group } => {
            let (group, synced) = find(&client, &group).await?;
            let digits = client.roster_fingerprint(group.id).await?;
            let value = json!({ "group": group.id.to_string(), "digits": digits });
            output.show(&digits, &value)?;
            synced?;
        }
        Group::Update { group } => {
            let (group, _) = find(&client, &group).await?;
            let receipt = client.update(group.id).await?;
            output.show("renewed your keys", &landed(group.id, receipt))?;
        }
    }
    Ok(())
}

async fn create(
    client: &Client,
    name: &str,
    members: Option<&Path>,
    output: &Output,
) -> anyhow::Result<()> {
    if let Some(list) = members {
        return bulk::create(client, name, list, output).await;
    }
    let id = client.create_group(name).await?;
    let text = format!("created {}", printable(name));
    output.show(&text, &json!({ "group": id.to_string(), "name": name }))?;
    Ok(())
}

async fn leave(
    client: &Client,
    group: &str,
    heir: Option<&str>,
    output: &Output,
) -> anyhow::Result<()> {
    let (group, _) = find(client, group).await?;
    if let Some(heir) = heir {
        let heir = client.user_named(heir)?;
        client.set_role(group.id, &heir, Role::Owner).await?;
    }
    let receipt = client.leave(group.id).await?;
    let text = "asked to leave; it takes effect when another member's device confirms it";
    output.show(text, &landed(group.id, receipt))?;
    Ok(())
}

pub(crate) async fn read(home: &Home, read: &Read, output: &Output) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    let (group, synced) = find(&client, &read.group).await?;
    let mut id = group.id;
    if read.after == 0 {
        for earlier in continued_by(&client, id).await? {
            print_history(&client, earlier, Sequence(0), output).await?;
        }
    }
    let mut shown = print_history(&client, id, Sequence(read.after), output).await?;
    synced?;
    client.mark_read(id, shown).await?;
    if read.follow {
        let mut events = client.events();
        while let Some(event) = events.next().await {
            let event = event?;
            if let Event::Disconnected = event {
                warning("the connection is lost; trying again");
                continue;
            }
            // Another program may have read the log for this home, so the history is what counts.
            if let Event::Changed(entry) = &event
                && entry.group == id
                && entry.sequence <= shown
            {
                output.changed(entry, client.user().domain())?;
                continue;
            }
            shown = print_history(&client, id, shown, output).await?;
            client.mark_read(id, shown).await?;
            if let Event::Continued { from, to } = event
                && from == id
            {
                (id, shown) = (to, Sequence(0));
            }
        }
    }
    Ok(())
}

/// The groups that a group continues, the first one first.
async fn continued_by(client: &Client, id: GroupId) -> Result<Vec<GroupId>, ClientError> {
    let groups = client.groups().await?;
    let mut chain = vec![id];
    let before = |id| groups.iter().find(|it| it.successor == Some(id));
    while let Some(earlier) = chain.last().and_then(|id| before(*id)) {
        // A group that continues itself in the end would never be done with.
        if chain.contains(&earlier.id) {
            break;
        }
        chain.push(earlier.id);
    }
    chain.remove(0);
    chain.reverse();
    Ok(chain)
}

/// Reads what waits at the server, then finds a group. A group that is not known here may be one
/// that only the server could have told of, so then its absence is the error.
pub(crate) async fn find(
    client: &Client,
    group: &str,
) -> Result<(ClientGroup, Result<(), ClientError>), ClientError> {
    let synced = sync(client).await;
    match (client.group_named(group).await, synced) {
        (Ok(group), synced) => Ok((group, synced)),
        (Err(ClientError::UnknownGroup(_)), Err(error)) | (Err(error), _) => Err(error),
    }
}

/// Reads what waits at the server and says what this device did not accept.
pub(crate) async fn sync(client: &Client) -> Result<(), ClientError> {
    for event in client.sync().await? {
        match event {
            Event::Refused { reason, .. } => warning(&format!(
                "an invitation to a group was not accepted: {reason}"
            )),
            Event::IdentityChanged { user } => warning(&verify::changed(client, &user)),
            Event::Moderated(measure) => warning(&moderate::told(&measure)),
            _ => {}
        }
    }
    Ok(())
}

async fn print_history(
    client: &Client,
    group: GroupId,
    mut after: Sequence,
    output: &Output,
) -> anyhow::Result<Sequence> {
    loop {
        let entries = client.history(group, after, HISTORY_PAGE).await?;
        let Some(last) = entries.last() else {
            return Ok(after);
        };
        after = last.sequence;
        for entry in &entries {
            output.entry(entry, client.user().domain())?;
        }
    }
}

async fn list(client: &Client, output: &Output) -> anyhow::Result<()> {
    let (groups, muted) = (client.groups().await?, client.muted().await?);
    if groups.is_empty() {
        output.remark("no groups yet; `conclave group create NAME` makes one")?;
    }
    for group in groups {
        let standing = match group.standing {
            Standing::Creating => "not yet known to the server",
            Standing::Joining => "joining",
            Standing::Member => "member",
            Standing::Leaving => "leaving",
            Standing::Ended if group.successor.is_some() => "goes on",
            Standing::Ended => "ended",
        };
        let name = printable(group.name.as_deref().unwrap_or("(name not known yet)"));
        let id = group.id.to_string();
        let unread = client.unread(group.id).await?.count;
        let is_muted = muted.contains(&group.id);
        let mut text = format!("{name:<24} {standing:<10} {}", id.get(..8).unwrap_or(&id));
        if unread > 0 {
            text += &format!("  {unread} new");
        }
        if is_muted {
            text += "  (muted)";
        }
        let mut value = json!({
            "group": id,
            "name": group.name,
            "standing": standing,
            "unread": unread,
            "muted": is_muted,
        });
        if let Some(successor) = group.successor {
            value["successor"] = json!(successor.to_string());
        }
        output.show(&text, &value)?;
    }
    Ok(())
}

async fn members(client: &Client, group: &ClientGroup, output: &Output) -> anyhow::Result<()> {
    let changed = client.changed_identities().await?;
    for member in client.members(group.id).await? {
        let is_changed = changed.contains(&member.user);
        let devices: Vec<String> = member.devices.iter().map(ToString::to_string).collect();
        let you = if member.user == *client.user() {
            " (you)"
        } else {
            ""
        };
        let new_key = if is_changed {
            " (new identity key)"
        } else {
            ""
        };
        let role = match member.role {
            Role::Member => String::new(),
            role => format!(" ({})", role.as_str()),
        };
        let name = short(&member.user, client.user().domain());
        let mut value = json!({
            "user": member.user.as_str(),
            "role": member.role.as_str(),
            "devices": devices,
        });
        if is_changed {
            value["identity_changed"] = json!(true);
        }
        output.show(&format!("{name}{you}{role}{new_key}"), &value)?;
    }
    Ok(())
}

fn named(client: &Client, users: &[String]) -> anyhow::Result<Vec<UserId>> {
    Ok(users
        .iter()
        .map(|user| client.user_named(user))
        .collect::<Result<_, _>>()?)
}

fn changed(
    output: &Output,
    what: &str,
    client: &Client,
    group: &ClientGroup,
    users: &[UserId],
    receipt: Receipt,
) -> anyhow::Result<()> {
    let names: Vec<String> = users
        .iter()
        .map(|user| short(user, client.user().domain()))
        .collect();
    let mut value = landed(group.id, receipt);
    value[what] = json!(users.iter().map(UserId::as_str).collect::<Vec<_>>());
    output.show(&format!("{what} {}", names.join(", ")), &value)?;
    Ok(())
}

pub(crate) fn landed(group: GroupId, receipt: Receipt) -> serde_json::Value {
    json!({
        "group": group.to_string(),
        "sequence": receipt.sequence.0,
        "rebased": receipt.rebased,
    })
}

fn identity(client: &Client) -> serde_json::Value {
    json!({
        "user": client.user().as_str(),
        "device": client.device().to_string(),
        "home": client.home(),
    })
}
