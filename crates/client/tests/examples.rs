//! The examples, at work with a real server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

#[allow(dead_code)]
#[path = "../examples/bot.rs"]
mod bot;
#[allow(dead_code)]
#[path = "../examples/bulk_importer.rs"]
mod bulk_importer;
#[allow(dead_code)]
#[path = "../examples/echo_service.rs"]
mod echo_service;

use std::time::Duration;

use common::World;
use conclave_client::{Client, Entry, Event, GroupId};

/// The next message of another in a group, while something else runs.
async fn answer(person: &Client, group: GroupId, said: &str) -> Entry {
    let mut events = person.events();
    // What waits is old news, except that the other may be quick.
    person.send(group, said).await.unwrap();
    let answer = async {
        loop {
            match events.next().await.unwrap().unwrap() {
                Event::Entry(entry) if entry.author != *person.user() && entry.text().is_some() => {
                    return entry;
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answer)
        .await
        .expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_tosses_a_coin_for_who_asks() {
    let world = World::start().await;
    let (people, group) = world.group(&["alice", "coin"]).await;
    let bot = tokio::spawn(bot::run(people[1].clone()));
    people[0].send(group, "who begins?").await.unwrap();
    let tossed = answer(&people[0], group, "!toss").await;
    assert!(["heads", "tails"].contains(&tossed.text().unwrap()));
    let asked = tossed.message().unwrap().answers.unwrap();
    let asked = people[0].entry(group, asked).await.unwrap().unwrap();
    assert_eq!(asked.text(), Some("!toss"));
    bot.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_echo_service_answers_also_after_the_server_was_away() {
    let mut world = World::start().await;
    let (people, group) = world.group(&["alice", "echo"]).await;
    let echo = people[1].clone();
    let service = tokio::spawn(async move { echo_service::serve(&echo).await });
    let first = answer(&people[0], group, "is anybody there?").await;
    assert_eq!(first.text(), Some("is anybody there?"));
    world.stop_server().await;
    world.start_server().await;
    let second = answer(&people[0], group, "still?").await;
    assert_eq!(second.text(), Some("still?"));
    assert!(!service.is_finished());
    service.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_importer_goes_on_where_it_was_cut_off() {
    let world = World::start().await;
    let [importer, bob] = [world.person("importer").await, world.person("bob").await];
    let lines: Vec<String> = (0..25).map(|it| format!("carol\tline {it}")).collect();
    let users = ["bob".to_owned()];
    for (part, sent) in [(&lines[..10], 10), (&lines[..], 15), (&lines[..], 0)] {
        let group = bulk_importer::group_of(&importer, "archive", &users)
            .await
            .unwrap();
        let imported = bulk_importer::import(&importer, group, &part.join("\n")).await;
        assert_eq!(imported.unwrap(), sent);
    }
    bob.sync().await.unwrap();
    let group = bob.group_named("archive").await.unwrap();
    let texts = common::texts(&bob, group.id).await;
    let expected: Vec<String> = (0..25).map(|it| format!("carol: line {it}")).collect();
    assert_eq!(texts, expected);
}
