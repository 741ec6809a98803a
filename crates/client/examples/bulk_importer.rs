//! Brings what was said elsewhere into a group: one message a line, `author<TAB>text`. Users are added
//! as one change; what was cut off goes on where it stopped.
//!
//! `cargo run -p conclave-client --example bulk_importer -- URL HOME GROUP FILE [USER..]`

#![allow(clippy::print_stdout)]

use std::{env, error::Error, fs};

use conclave_client::{Client, ClientError, GroupId, Registration, Sequence, UserId};

/// How often the importer says how far it is, in messages.
const TOLD_EVERY: usize = 100;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [server, home, group, file, users @ ..] = &words[..] else {
        return Err("URL HOME GROUP FILE [USER..]".into());
    };
    let importer = Client::open_or_register(home, "importer", &Registration::at(server)).await?;
    let group = group_of(&importer, group, users).await?;
    import(&importer, group, &fs::read_to_string(file)?).await?;
    Ok(())
}

/// The group with these users, made where there is none.
pub(crate) async fn group_of(
    importer: &Client,
    name: &str,
    users: &[String],
) -> Result<GroupId, ClientError> {
    importer.sync().await?;
    let group = match importer.group_named(name).await {
        Err(ClientError::UnknownGroup(_)) => importer.create_group(name).await?,
        found => found?.id,
    };
    let users = users.iter().map(|user| importer.user_named(user));
    let mut users: Vec<UserId> = users.collect::<Result<_, _>>()?;
    let members = importer.members(group).await?;
    users.retain(|user| members.iter().all(|member| member.user != *user));
    if !users.is_empty() {
        importer.add(group, &users).await?;
    }
    Ok(group)
}

/// Sends all lines that were not sent before, and gives their number.
pub(crate) async fn import(
    importer: &Client,
    group: GroupId,
    lines: &str,
) -> Result<usize, ClientError> {
    importer.sync().await?;
    let said = importer.history(group, Sequence(0), usize::MAX).await?;
    let own = |author: &UserId| author == importer.user();
    let done = said
        .iter()
        .filter(|it| own(&it.author) && it.text().is_some());
    let (done, total) = (done.count(), lines.lines().count());
    for (line, number) in lines.lines().zip(1..).skip(done) {
        let (author, text) = line.split_once('\t').unwrap_or(("somebody", line));
        importer.send(group, format!("{author}: {text}")).await?;
        if number % TOLD_EVERY == 0 || number == total {
            println!("{number} of {total}");
        }
    }
    Ok(total.saturating_sub(done))
}
