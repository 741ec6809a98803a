//! The scenes, in order. Alice and Bob stay throughout; the last person comes later; the third is
//! removed and comes back.

use std::collections::BTreeSet;

use conclave_client::{ClientError, Events, GroupId, Sequence, Standing};
use tokio::task::JoinSet;

use super::{people::People, server::ServerProcess, story::Story};

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

/// What each of two people sends while the server is killed.
const BURST: usize = 20;

pub(super) async fn play(
    story: &mut Story,
    mut people: People,
    mut server: ServerProcess,
) -> anyhow::Result<()> {
    let club = gather(story, &people).await?;
    chat(story, &people, club).await?;
    newcomer(story, &people, club).await?;
    removal(story, &people, club).await?;
    race(story, &people, club).await?;
    dropped(story, &mut people, club).await?;
    killed(story, &people, &mut server, club).await?;
    agreement(story, &people, club).await
}

async fn gather(story: &mut Story, people: &People) -> anyhow::Result<GroupId> {
    let (last, count) = (people.count() - 1, people.count());
    story.tell(&format!(
        "{count} people have registered, each on a device with keys of its own. Alice creates a \
         group and adds all but {}.",
        people.called(last)
    ))?;
    let club = people.client(ALICE).create_group("club").await?;
    let invited: Vec<_> = people.users((1..count).filter(|index| *index != last));
    people.client(ALICE).add(club, &invited).await?;
    people.sync().await?;
    let epochs = people.epochs(club).await?;
    let sizes: Vec<usize> = epochs.values().map(Vec::len).collect();
    story.check(
        &format!(
            "{} people are in the group, all in the same epoch with the same secrets",
            count - 1
        ),
        &sizes,
        &vec![count - 1],
    )?;
    let name = people
        .client(BOB)
        .group_named("club")
        .await
        .map(|group| group.id);
    story.check(
        "Bob learned the group's name from a message, not from the server",
        &name.ok(),
        &Some(club),
    )?;
    Ok(club)
}

async fn chat(story: &mut Story, people: &People, club: GroupId) -> anyhow::Result<()> {
    story.tell("They chat, both ways.")?;
    people.client(ALICE).send(club, "Hello, everybody.").await?;
    people.sync().await?;
    people.client(BOB).send(club, "Hello, Alice!").await?;
    people.sync().await?;
    for text in ["alice: Hello, everybody.", "bob: Hello, Alice!"] {
        let without = people.without(club, 0..people.count() - 1, text).await?;
        story.check(
            &format!("everybody in the group reads \"{text}\""),
            &without,
            &Vec::new(),
        )?;
    }
    Ok(())
}

async fn newcomer(story: &mut Story, people: &People, club: GroupId) -> anyhow::Result<()> {
    let last = people.count() - 1;
    let name = people.called(last);
    story.tell(&format!("Bob adds {name}."))?;
    people
        .client(BOB)
        .add(club, &people.users([last].into_iter()))
        .await?;
    people.sync().await?;
    people.client(ALICE).send(club, "Welcome!").await?;
    people.sync().await?;
    story.check(
        &format!("{name} reads what follows, and nothing of what was said before"),
        &people.texts(last, club).await?,
        &vec!["alice: Welcome!".to_owned()],
    )?;
    people
        .client(last)
        .send(club, "Thanks, I am new here.")
        .await?;
    people.sync().await?;
    let text = format!("{}: Thanks, I am new here.", people.name(last));
    let without = people.without(club, 0..people.count(), &text).await?;
    story
        .check(
            &format!("everybody reads {name}'s answer"),
            &without,
            &Vec::new(),
        )
        .map_err(Into::into)
}

async fn removal(story: &mut Story, people: &People, club: GroupId) -> anyhow::Result<()> {
    let name = people.called(CAROL);
    story.tell(&format!("Alice removes {name}, and says something."))?;
    people
        .client(ALICE)
        .remove(club, &people.users([CAROL].into_iter()))
        .await?;
    let before = people.texts(CAROL, club).await?;
    people
        .client(ALICE)
        .send(club, "This is not for everybody.")
        .await?;
    people.sync().await?;
    people.client(CAROL).sync().await?;
    story.check(
        &format!("{name} reads nothing that was said after the removal"),
        &people.texts(CAROL, club).await?,
        &before,
    )?;
    let standing = people.client(CAROL).group_named("club").await?.standing;
    story.check(
        &format!("{name}'s device knows that it is out"),
        &standing,
        &Standing::Ended,
    )?;
    let refused = people.client(CAROL).send(club, "Let me in!").await;
    story.check(
        &format!("{name} can no longer send"),
        &matches!(refused, Err(ClientError::NotMember)),
        &true,
    )?;
    let rest = (0..people.count()).filter(|index| *index != CAROL);
    let without = people
        .without(club, rest, "alice: This is not for everybody.")
        .await?;
    story.check("everybody else reads it", &without, &Vec::new())?;
    Ok(())
}

async fn race(story: &mut Story, people: &People, club: GroupId) -> anyhow::Result<()> {
    let name = people.called(CAROL);
    story.tell(&format!(
        "At the same moment Alice adds {name} again and Bob renews his keys: two Commits for one \
         epoch."
    ))?;
    let (epoch_before, _) = people.client(ALICE).epoch(club).await?;
    let carol = people.users([CAROL].into_iter());
    let (added, renewed) = tokio::join!(
        people.client(ALICE).add(club, &carol),
        people.client(BOB).update(club)
    );
    let (added, renewed) = (added?, renewed?);
    let winners = [added, renewed]
        .iter()
        .filter(|receipt| receipt.rebased == 0)
        .count();
    story.check("exactly one of them wins", &winners, &1)?;
    people.sync().await?;
    let (epoch_after, _) = people.client(ALICE).epoch(club).await?;
    story.check(
        "the other is told, makes its Commit anew, and lands one epoch later",
        &(
            epoch_after - epoch_before,
            added.sequence == renewed.sequence,
        ),
        &(2, false),
    )?;
    let back = people
        .client(BOB)
        .members(club)
        .await?
        .iter()
        .any(|member| carol[0] == member.user);
    story.check(&format!("{name} is back"), &back, &true)?;
    Ok(())
}

async fn dropped(story: &mut Story, people: &mut People, club: GroupId) -> anyhow::Result<()> {
    story.tell("Bob's client is cut off in the middle of the conversation.")?;
    let mut events = people.client(BOB).events();
    people
        .client(ALICE)
        .send(club, "Bob, are you there?")
        .await?;
    let live = wait_for(&mut events, "Bob, are you there?").await;
    story.expect("Bob reads the message live, as it is sent", live)?;
    drop(events);
    for number in 1..=BURST {
        people
            .client(ALICE)
            .send(club, &format!("while Bob is away {number}"))
            .await?;
    }
    people.client(ALICE).update(club).await?;
    people.client(CAROL).sync().await?;
    people.client(CAROL).send(club, "And one of mine.").await?;
    people.reopen(BOB)?;
    people.client(BOB).sync().await?;
    let texts = people.texts(BOB, club).await?;
    let missed = texts
        .iter()
        .filter(|text| text.contains("while Bob is away"))
        .count();
    story.check(
        "started again, he reads all that he missed, across a change of keys",
        &(missed, texts.last().cloned()),
        &(
            BURST,
            Some(format!("{}: And one of mine.", people.name(CAROL))),
        ),
    )?;
    Ok(())
}

async fn killed(
    story: &mut Story,
    people: &People,
    server: &mut ServerProcess,
    club: GroupId,
) -> anyhow::Result<()> {
    story
        .tell("The server is killed while Alice and Bob write, and restarted on the same data.")?;
    people.sync().await?;
    let mut writers = JoinSet::new();
    for writer in [ALICE, BOB] {
        let client = people.client(writer).clone();
        writers.spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 1..=BURST {
                let text = format!("through the crash {number}");
                // What is not acknowledged is no promise; it stays in the outbox.
                if client.send(club, &text).await.is_ok() {
                    acknowledged.push(format!("{}: {text}", client.user().name()));
                }
            }
            acknowledged
        });
    }
    wait_for_log_to_grow(people, club).await?;
    server.kill().await?;
    server.restart().await?;
    let acknowledged: Vec<String> = writers.join_all().await.into_iter().flatten().collect();
    people.sync().await?;
    people.sync().await?;
    let read = people.texts(ALICE, club).await?;
    let lost: Vec<&String> = acknowledged
        .iter()
        .filter(|text| !read.contains(text))
        .collect();
    story.check(
        &format!(
            "nothing that was acknowledged is missing ({} messages)",
            acknowledged.len()
        ),
        &lost,
        &Vec::new(),
    )?;
    let crash: Vec<&String> = read
        .iter()
        .filter(|text| text.contains("the crash"))
        .collect();
    let distinct: BTreeSet<&String> = crash.iter().copied().collect();
    story.check(
        "every message arrived once, also those whose answer was lost",
        &(crash.len(), distinct.len()),
        &(2 * BURST, 2 * BURST),
    )?;
    Ok(())
}

async fn agreement(story: &mut Story, people: &People, club: GroupId) -> anyhow::Result<()> {
    story.tell("In the end:")?;
    people.sync().await?;
    let sizes: Vec<usize> = people.epochs(club).await?.values().map(Vec::len).collect();
    story.check(
        "all are in the same epoch with the same secrets",
        &sizes,
        &vec![people.count()],
    )?;
    // An entry is equal only at the same place in the log.
    let alice = people.history(ALICE, club).await?;
    let mut differing = Vec::new();
    for index in 1..people.count() {
        let texts = people.history(index, club).await?.into_iter();
        let mut texts = texts.filter(|entry| entry.message().is_some());
        if !texts.all(|entry| alice.contains(&entry)) {
            differing.push(people.name(index).to_owned());
        }
    }
    story.check(
        "what each of them read stands at the same place for all",
        &differing,
        &Vec::new(),
    )?;
    Ok(())
}

async fn wait_for(events: &mut Events, text: &str) -> Result<(), String> {
    let found = async {
        while let Some(event) = events.next().await {
            match event {
                Ok(conclave_client::Event::Entry(entry)) if entry.text() == Some(text) => {
                    return Ok(());
                }
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Err("the stream ended".to_owned())
    };
    let limit = std::time::Duration::from_secs(10);
    tokio::time::timeout(limit, found)
        .await
        .map_err(|_| "it did not arrive in 10 s".to_owned())?
}

/// Waits until the writers have begun, so that the kill falls among their messages.
async fn wait_for_log_to_grow(people: &People, club: GroupId) -> anyhow::Result<()> {
    let alice = people.client(ALICE);
    let before = alice.history(club, Sequence(0), usize::MAX).await?.len();
    while alice.history(club, Sequence(0), usize::MAX).await?.len() < before + BURST / 4 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    Ok(())
}
