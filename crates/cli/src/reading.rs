//! The commands about reading: what is looked for, written out, and not to be heard of.

use std::{
    fs::OpenOptions,
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::Context as _;
use conclave_client::{Client, GroupId, Home, Sequence};
use serde_json::json;

use crate::{
    args::Choice,
    chat::{HISTORY_PAGE, find},
    output::{Output, entry_json, printable, short},
};

pub(crate) async fn search(
    home: &Home,
    words: &str,
    group: Option<&str>,
    limit: usize,
    output: &Output,
) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    let group = match group {
        Some(group) => Some(client.group_named(group).await?.id),
        None => None,
    };
    let found = client.search(words, group, limit).await?;
    if found.is_empty() {
        output.remark("nothing found in what this device has read")?;
    }
    for entry in found {
        output.entry(&entry, client.user().domain())?;
    }
    Ok(())
}

pub(crate) async fn export(
    home: &Home,
    group: &str,
    to: &Path,
    output: &Output,
) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    let (group, _) = find(&client, group).await?;
    let count = write_history(&client, group.id, to).await?;
    let value = json!({ "group": group.id.to_string(), "file": to, "entries": count });
    output.show(
        &format!("wrote {count} entries to {}", to.display()),
        &value,
    )?;
    Ok(())
}

/// Writes a group's history to a file that does not exist yet, and says of how many entries.
pub(crate) async fn write_history(
    client: &Client,
    group: GroupId,
    to: &Path,
) -> anyhow::Result<u64> {
    let failed = || format!("can't write {}", to.display());
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    // What was said in private is for nobody else on this machine.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = BufWriter::new(options.open(to).with_context(failed)?);
    let (mut after, mut count) = (Sequence(0), 0_u64);
    loop {
        let entries = client.history(group, after, HISTORY_PAGE).await?;
        let Some(last) = entries.last() else { break };
        after = last.sequence;
        for entry in &entries {
            let mut value = entry_json(entry);
            // Whoever gets the file can show others that this was said; see docs/franking.md.
            if let Some(evidence) = client.evidence(group, entry.sequence).await? {
                value["evidence"] = json!(hex(&evidence.to_bytes()));
            }
            writeln!(file, "{value}").with_context(failed)?;
            count += 1;
        }
    }
    file.flush().with_context(failed)?;
    Ok(count)
}

fn hex(bytes: &[u8]) -> String {
    let digits = b"0123456789abcdef";
    let pairs = bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15].map(|it| char::from(digits[usize::from(it)])));
    pairs.collect()
}

pub(crate) async fn mute(
    home: &Home,
    group: &str,
    muted: bool,
    output: &Output,
) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    let (group, _) = find(&client, group).await?;
    client.mute(group.id, muted).await?;
    let name = printable(group.name.as_deref().unwrap_or("the group"));
    let text = format!("{name} is {}", if muted { "muted" } else { "not muted" });
    output.show(
        &text,
        &json!({ "group": group.id.to_string(), "muted": muted }),
    )?;
    Ok(())
}

pub(crate) async fn block(
    home: &Home,
    user: &str,
    blocked: bool,
    output: &Output,
) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    let user = client.user_named(user)?;
    client.block(&user, blocked).await?;
    let name = short(&user, client.user().domain());
    let text = format!(
        "{name} is {}",
        if blocked { "blocked" } else { "not blocked" }
    );
    output.show(&text, &json!({ "user": user.as_str(), "blocked": blocked }))?;
    Ok(())
}

pub(crate) async fn receipts(
    home: &Home,
    choice: Option<Choice>,
    output: &Output,
) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    if let Some(choice) = choice {
        client.send_receipts(choice == Choice::On).await?;
    }
    let sends = client.sends_receipts().await?;
    let text = if sends {
        "receipts are sent"
    } else {
        "no receipts are sent"
    };
    output.show(text, &json!({ "receipts": sends }))?;
    Ok(())
}
