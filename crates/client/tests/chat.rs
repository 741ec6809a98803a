//! People, a real server, and what they can rely on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{World, assert_agreement, bad_line, history, sync_all, texts};
use conclave_client::{Client, ClientError, EntryKind, Event, Standing, UserId};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn all_read_the_same_in_the_same_order() {
    let world = World::start().await;
    let (people, group) = world.group(&["alice", "bob", "carol"]).await;
    let mut writers = JoinSet::new();
    for person in people.clone() {
        writers.spawn(async move {
            for number in 0..10 {
                person
                    .send(group, &format!("{} {number}", person.user()))
                    .await
                    .unwrap();
            }
        });
    }
    writers.join_all().await;
    sync_all(&people).await;
    let first = texts(&people[0], group).await;
    assert_eq!(first.len(), 30);
    for person in &people {
        assert_eq!(texts(person, group).await, first);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_race_all_land() {
    let world = World::start().await;
    let (mut people, group) = world.group(&["alice", "bob", "carol", "dave"]).await;
    let (erin, frank) = (world.person("erin").await, world.person("frank").await);
    let [alice, bob, carol, dave] = [0, 1, 2, 3].map(|index| people[index].clone());
    let before = alice.epoch(group).await.unwrap().0;
    let erin_alone = [erin.user().clone()];
    let frank_alone = [frank.user().clone()];
    let dave_alone = [dave.user().clone()];
    let (a, b, c) = tokio::join!(
        alice.add(group, &erin_alone),
        bob.add(group, &frank_alone),
        carol.remove(group, &dave_alone),
    );
    let rebased: Vec<u32> = [a, b, c]
        .into_iter()
        .map(|receipt| receipt.unwrap().rebased)
        .collect();
    assert_eq!(
        rebased.iter().filter(|count| **count == 0).count(),
        1,
        "{rebased:?}"
    );
    people.truncate(3);
    people.extend([erin, frank]);
    sync_all(&people).await;
    assert_agreement(&people, group).await;
    assert_eq!(people[0].epoch(group).await.unwrap().0, before + 3);
    let names: Vec<String> = people[0]
        .members(group)
        .await
        .unwrap()
        .iter()
        .map(|member| member.user.name().to_owned())
        .collect();
    assert_eq!(names, ["alice", "bob", "carol", "erin", "frank"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_removed_reads_nothing_later_and_who_comes_back_nothing_between() {
    let world = World::start().await;
    let (people, group) = world.group(&["alice", "bob"]).await;
    let [alice, bob] = [0, 1].map(|index| people[index].clone());
    alice.send(group, "one").await.unwrap();
    alice.remove(group, &[bob.user().clone()]).await.unwrap();
    alice.send(group, "two").await.unwrap();
    bob.sync().await.unwrap();
    assert_eq!(texts(&bob, group).await, ["one"]);
    assert!(matches!(
        bob.send(group, "no").await,
        Err(ClientError::NotMember)
    ));
    alice.add(group, &[bob.user().clone()]).await.unwrap();
    alice.send(group, "three").await.unwrap();
    bob.sync().await.unwrap();
    assert_eq!(texts(&bob, group).await, ["one", "three"]);
    bob.send(group, "back").await.unwrap();
    sync_all(&people).await;
    assert_agreement(&people, group).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_gone_once_somebody_online_confirms() {
    let world = World::start().await;
    let (people, group) = world.group(&["alice", "bob", "carol"]).await;
    let mut events = people[0].events();
    people[2].leave(group).await.unwrap();
    let confirmed = async {
        while let Some(event) = events.next().await {
            if let Event::Entry(entry) = event.unwrap()
                && matches!(entry.kind, EntryKind::Removed(_))
            {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), confirmed)
        .await
        .expect("nobody confirmed");
    people[2].sync().await.unwrap();
    assert_eq!(
        people[2].group_named("club").await.unwrap().standing,
        Standing::Ended
    );
    // A message goes out although the leaving is still pending for who sends it.
    people[1].send(group, "they left").await.unwrap();
    sync_all(&people[..2]).await;
    assert_agreement(&people[..2], group).await;
    assert_eq!(people[1].members(group).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knows_of_a_leaving_commits_it_before_saying_more() {
    let world = World::start().await;
    let (people, group) = world.group(&["alice", "bob", "carol"]).await;
    let mut events = people[1].events();
    people[2].leave(group).await.unwrap();
    // Bob's device waits a moment before it confirms, so what he says now comes first.
    while let Some(event) = events.next().await {
        if matches!(event.unwrap(), Event::Entry(entry) if entry.kind == EntryKind::Leaves) {
            break;
        }
    }
    people[1].send(group, "between us").await.unwrap();
    sync_all(&people).await;
    assert_eq!(people[1].members(group).await.unwrap().len(), 2);
    assert_eq!(texts(&people[0], group).await, ["between us"]);
    assert!(texts(&people[2], group).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_loses_nothing_and_doubles_nothing() {
    let world = World::start().await;
    let line = format!("http://{}", bad_line(world.address).await);
    let alice = world.person("alice").await;
    // Registration too can be cut off, and made again.
    let bob = loop {
        match Client::register(&world.home("bob"), "bob", &line).await {
            Ok(bob) => break bob,
            Err(ClientError::Unreachable { .. }) => {}
            Err(ClientError::AlreadyRegistered(_)) => {
                break Client::open(world.home("bob")).unwrap();
            }
            Err(other) => panic!("{other}"),
        }
    };
    let patiently = async || {
        while let Err(error) = bob.sync().await {
            assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
        }
    };
    patiently().await;
    let group = alice.create_group("club").await.unwrap();
    alice.add(group, &[bob.user().clone()]).await.unwrap();
    patiently().await;
    for number in 0..40 {
        match bob.send(group, &number.to_string()).await {
            // What is not acknowledged stays in the outbox.
            Ok(_) | Err(ClientError::Unreachable { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        if number % 8 == 0 {
            alice.update(group).await.unwrap();
        }
    }
    patiently().await;
    alice.sync().await.unwrap();
    let expected: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    assert_eq!(texts(&alice, group).await, expected);
    patiently().await;
    assert_eq!(texts(&bob, group).await, expected);
    assert_agreement(&[alice, bob], group).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_while_the_server_is_away_happens_later() {
    let mut world = World::start().await;
    let (people, group) = world.group(&["alice", "bob"]).await;
    world.stop_server().await;
    for text in ["one", "two"] {
        let error = people[0].send(group, text).await.unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    }
    let reopened = Client::open(world.home("alice")).unwrap();
    world.start_server().await;
    reopened.sync().await.unwrap();
    people[1].sync().await.unwrap();
    assert_eq!(texts(&people[1], group).await, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_listed_until_it_has_landed_also_after_a_restart() {
    let mut world = World::start().await;
    let alice = world.person("alice").await;
    let club = alice.create_group("club").await.unwrap();
    world.stop_server().await;
    let first = alice.keep(club, "first").await.unwrap();
    let second = alice.keep(club, "second").await.unwrap();
    let error = alice.landed(club, second).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    let home = alice.home().to_owned();
    drop(alice);

    let alice = Client::open(&home).unwrap();
    let waiting = alice.waiting(club).await.unwrap();
    let said: Vec<_> = waiting
        .iter()
        .map(|it| (it.id, it.message.body()))
        .collect();
    assert_eq!(said, [(first, "first"), (second, "second")]);
    world.start_server().await;
    let second = alice.landed(club, second).await.unwrap();
    let first = alice.landed(club, first).await.unwrap();
    assert!(first.sequence < second.sequence);
    assert_eq!(alice.waiting(club).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_share_a_home() {
    let world = World::start().await;
    let (people, group) = world.group(&["alice", "bob"]).await;
    let other = Client::open(world.home("alice")).unwrap();
    let (first, second) = (people[0].clone(), other.clone());
    let send = |client: Client, word: &'static str| async move {
        for number in 0..10 {
            client
                .send(group, &format!("{word} {number}"))
                .await
                .unwrap();
        }
    };
    tokio::join!(send(first, "left"), send(second, "right"));
    sync_all(&people).await;
    assert_eq!(texts(&people[1], group).await.len(), 20);
    assert_eq!(
        history(&other, group).await,
        history(&people[0], group).await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_hears_also_what_another_program_took_in_and_everything_once() {
    let world = World::start().await;
    let (people, group) = world.group(&["alice", "bob"]).await;
    let other = Client::open(world.home("bob")).unwrap();
    let mut events = people[1].events();
    while events.next().await.unwrap().unwrap() != Event::CaughtUp {}
    for number in 0..20 {
        // The other program reads its own message in the log before or after the follower does.
        other.send(group, &number.to_string()).await.unwrap();
    }
    people[0].send(group, "end").await.unwrap();
    let mut heard = Vec::new();
    while heard.last().is_none_or(|text| text != "end") {
        let next = tokio::time::timeout(Duration::from_secs(20), events.next());
        let event = next.await.expect("nothing more is heard").unwrap();
        if let Event::Entry(entry) = event.unwrap()
            && let Some(text) = entry.text()
        {
            heard.push(text.to_owned());
        }
    }
    let expected = (0..20)
        .map(|number| number.to_string())
        .chain(["end".into()]);
    assert_eq!(heard, expected.collect::<Vec<String>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_gets_its_own_error_and_changes_nothing() {
    let world = World::start().await;
    let (people, group) = world.group(&["alice", "bob"]).await;
    let alice = &people[0];
    let before = history(alice, group).await;
    let user = |name: &str| alice.user_named(name).unwrap();

    assert!(matches!(
        alice.group_named("nope").await,
        Err(ClientError::UnknownGroup(_))
    ));
    assert!(matches!(
        alice.user_named("No Name"),
        Err(ClientError::Id(_))
    ));
    assert!(matches!(
        alice.create_group("\n").await,
        Err(ClientError::Content(_))
    ));
    assert!(matches!(
        alice.add(group, &[user("bob")]).await,
        Err(ClientError::AlreadyMember(_))
    ));
    assert!(matches!(
        alice.remove(group, &[user("zoe")]).await,
        Err(ClientError::NoSuchMember(_))
    ));
    let unknown = alice.add(group, &[user("zoe")]).await.unwrap_err();
    assert!(unknown.to_string().contains("zoe"), "{unknown}");
    let long = "x".repeat(100_000);
    assert!(matches!(
        alice.send(group, &long).await,
        Err(ClientError::Content(_))
    ));

    let taken = Client::register(&world.home("eve"), "alice", &world.url()).await;
    assert!(matches!(taken, Err(ClientError::NameTaken(_))));
    assert!(matches!(
        Client::open(world.home("eve")),
        Err(ClientError::NotRegistered)
    ));
    Client::register(&world.home("eve"), "eve", &world.url())
        .await
        .unwrap();
    let again = Client::register(&world.home("eve"), "mallory", &world.url()).await;
    assert!(matches!(again, Err(ClientError::AlreadyRegistered(_))));
    let nowhere = Client::register(&world.home("x"), "x", "http://127.0.0.1:9").await;
    assert!(matches!(nowhere, Err(ClientError::Unreachable { .. })));
    let no_url = Client::register(&world.home("x"), "x", "localhost").await;
    assert!(matches!(no_url, Err(ClientError::ServerUrl(_))));
    assert!(matches!(
        Client::open(world.home("nobody")),
        Err(ClientError::NotRegistered)
    ));
    common::damage(&world.home("eve").join("client.db")).await;
    assert!(matches!(
        Client::open(world.home("eve")),
        Err(ClientError::Database(_))
    ));

    alice.sync().await.unwrap();
    assert_eq!(history(alice, group).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_many_ask_of_one_who_is_online_becomes_few_commits() {
    let world = World::start().await;
    let (people, group) = world.group(&["alice", "bob", "carol"]).await;
    let mut newcomers = Vec::new();
    for name in ["dave", "erin", "frank", "grace"] {
        newcomers.push(world.person(name).await);
    }
    let nobody: UserId = "nobody@localhost".parse().unwrap();
    let before = people[0].epoch(group).await.unwrap().0;
    let mut events = people[0].events();
    // The stream is there once the service names Alice's device.
    while people[1]
        .ask_for(group, std::slice::from_ref(&nobody), &[])
        .await
        .unwrap()
        != people[0].device()
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asked = newcomers.iter().enumerate().map(|(at, newcomer)| {
        let (asker, whom) = (&people[1 + at % 2], [newcomer.user().clone()]);
        async move { asker.ask_for(group, &whom, &[]).await.unwrap() }
    });
    for ask in asked {
        assert_eq!(ask.await, people[0].device());
    }
    let all_in = async {
        while people[0].members(group).await.unwrap().len() < 7 {
            events.next().await.unwrap().unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all_in)
        .await
        .unwrap();
    drop(events);
    sync_all(&people).await;
    sync_all(&newcomers).await;
    sync_all(&people).await;
    assert_agreement(&people, group).await;
    assert_agreement(&newcomers, group).await;
    let commits = people[0].epoch(group).await.unwrap().0 - before;
    assert!(commits < 4, "{commits} Commits for four");

    // Nobody is online, so who asks does it, but not to itself.
    let whom = [newcomers[0].user().clone(), people[1].user().clone()];
    assert_eq!(
        people[1].ask_for(group, &[], &whom).await.unwrap(),
        people[1].device()
    );
    people[1].sync().await.unwrap();
    let members = people[1].members(group).await.unwrap();
    assert!(members.iter().all(|member| member.user != whom[0]));
    assert!(members.iter().any(|member| member.user == whom[1]));
}
