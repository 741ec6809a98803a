//! What members can rely on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{GROUP, Person, World, bundle, id};
use conclave_engine::Change;
use conclave_rpc::{ErrorDetail, v1, v1::stream_response::Event};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

#[tokio::test(flavor = "multi_thread")]
async fn who_is_added_reads_from_there_until_removed_and_again_when_back() {
    let world = World::start().await;
    let mut people = world.group(&["alice", "bob"]).await;
    let mut carol = world.person("carol").await;
    people[0].send("before carol").await.unwrap();
    let refused = carol.page(0, 0).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);

    let added = people[0].add(&["carol"]).await.unwrap();
    let welcome = carol.mailbox().await.pop().unwrap();
    let address = people[0].engine.device().address().clone();
    assert_eq!(welcome.sequence, added);
    assert_eq!(
        welcome.added_by,
        format!("{}/{}", address.user, address.device)
    );
    carol.join().await;
    people[0].send("for carol").await.unwrap();
    assert_eq!(carol.read().await.unwrap(), ["for carol"]);

    people[1].read().await.unwrap();
    let removal = people[1].prepare(Change::remove(vec![carol.device()]));
    let removed = people[1].commit(removal).await.unwrap();
    people[0].read().await.unwrap();
    people[0].send("after carol").await.unwrap();
    let page = carol.page(0, 0).await.unwrap();
    let places: Vec<u64> = page.entries.iter().map(|entry| entry.sequence).collect();
    assert_eq!(places, (added..=removed).collect::<Vec<_>>());
    assert_eq!(page.readable_sequence, removed);
    assert_eq!(page.head_sequence, removed, "it learns nothing later");
    assert_eq!(page.current_epoch, 3);
    let refused = carol.send("still here?").await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let tree = carol.tree(welcome.epoch).await.unwrap();
    assert!(!tree.is_empty(), "of the epoch it joined");

    carol.read().await.unwrap();
    let back = people[0].add(&["carol"]).await.unwrap();
    carol.join().await;
    people[0].send("welcome back").await.unwrap();
    assert_eq!(carol.read().await.unwrap(), ["welcome back"]);
    let page = carol.page(removed, 0).await.unwrap();
    assert_eq!(
        page.entries[0].sequence, back,
        "nothing of the time between"
    );
    let refused = people[1].tree(99).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let mut dave = world.person("dave").await;
    let refused = dave.tree(welcome.epoch).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_commits_in_an_epoch_one_wins_and_the_other_learns_where_the_group_is() {
    let world = World::start().await;
    let mut people = world.group(&["alice", "bob"]).await;
    let commits = [0, 1].map(|at| bundle(&people[at].prepare(Change::update())));
    let [alice, bob] = people.get_disjoint_mut([0, 1]).unwrap();
    let [first, second] = commits;
    let results = tokio::join!(alice.submit_new(first), bob.submit_new(second));
    let (won, lost) = match results {
        (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
        other => panic!("{other:?}"),
    };
    assert_eq!(won, 2);
    assert_eq!(lost.code(), Code::FailedPrecondition);
    let detail = v1::WrongEpoch {
        current_epoch: 2,
        head_sequence: 2,
    };
    assert_eq!(
        ErrorDetail::of(&lost),
        Some(ErrorDetail::WrongEpoch(detail))
    );
    // The loser catches up, and the two agree.
    let mut authenticators = Vec::new();
    for person in [&mut *alice, &mut *bob] {
        person.read().await.unwrap();
        authenticators.push(
            person
                .engine
                .epoch_authenticator(&person.state, GROUP)
                .unwrap(),
        );
    }
    assert_eq!(authenticators[0], authenticators[1]);
    alice.send("we agree").await.unwrap();
    assert_eq!(bob.read().await.unwrap(), ["we agree"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_answered_as_the_first_time_and_applied_once() {
    let world = World::start().await;
    let mut people = world.group(&["alice", "bob"]).await;
    let [alice, bob] = people.get_disjoint_mut([0, 1]).unwrap();
    let message = alice.encrypt("once");
    let first = alice.submit(201, message.clone()).await.unwrap();
    let update = bundle(&bob.prepare(Change::update()));
    // Bob has not read the message; that is no matter of order in MLS.
    let committed = bob.submit(201, update.clone()).await.unwrap();
    assert_eq!(committed, first + 1, "ids of two devices are apart");

    // The epoch is over, and still the answer is the same.
    assert_eq!(alice.submit(201, message.clone()).await.unwrap(), first);
    assert_eq!(bob.submit(201, update.clone()).await.unwrap(), committed);
    let reused = alice.submit(201, update).await.unwrap_err();
    assert_eq!(reused.code(), Code::AlreadyExists);
    let stale = alice.submit(202, message).await.unwrap_err();
    assert_eq!(stale.code(), Code::FailedPrecondition);
    let page = alice.page(0, 0).await.unwrap();
    assert_eq!(page.head_sequence, committed);

    let create = alice.create_with(vec![1], vec![2]).await.unwrap_err();
    assert_eq!(create.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_restart() {
    let mut world = World::start().await;
    let mut people = world.group(&["alice", "bob", "carol"]).await;
    let carol = people.pop().unwrap();
    let [alice, bob] = people.get_disjoint_mut([0, 1]).unwrap();
    // Enough Commits for a snapshot, deltas after it, and a Proposal that waits.
    for _ in 0..70 {
        let update = alice.prepare(Change::update());
        alice.commit(update).await.unwrap();
    }
    bob.read().await.unwrap();
    let leaving = bob.engine.leave(&bob.state, GROUP).unwrap();
    let leaving = v1::submit_request::Body::Proposal(leaving.into());
    bob.submit_new(leaving.clone()).await.unwrap();
    let head = alice.page(0, 1).await.unwrap();

    world.stop_server().await;
    world.start_server().await;
    for person in [&mut *alice, &mut *bob] {
        person.rpc = world.rpc();
    }
    assert_eq!(
        alice.page(0, 1).await.unwrap(),
        head,
        "the token is still good"
    );
    // The follower still knows the tree and who is leaving.
    let twice = bob.submit_new(leaving).await.unwrap_err();
    assert_eq!(twice.code(), Code::InvalidArgument);
    let deaf = bundle(&alice.prepare(Change::update()));
    let refused = alice.submit_new(deaf).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    let Some(ErrorDetail::WrongEpoch(detail)) = ErrorDetail::of(&refused) else {
        panic!("{refused}");
    };
    assert_eq!(
        detail.head_sequence, head.head_sequence,
        "it has not read all"
    );
    alice.discard();
    alice.read().await.unwrap();
    let change = Change::remove(vec![carol.device()]);
    let confirming = alice.prepare(change);
    let gone = alice.commit(confirming).await.unwrap();
    assert_eq!(bob.page(gone - 1, 0).await.unwrap().readable_sequence, gone);
}

struct Live {
    requests: mpsc::Sender<v1::StreamRequest>,
    events: Streaming<v1::StreamResponse>,
}

impl Live {
    async fn open(person: &mut Person, after: Option<u64>) -> Self {
        let (requests, receiver) = mpsc::channel(4);
        let open = v1::OpenStream {
            mailbox_after_cursor: 0,
            groups: after.map(follow).into_iter().collect(),
        };
        let open = v1::stream_request::Request::Open(open);
        let request = v1::StreamRequest {
            request: Some(open),
        };
        requests.send(request).await.unwrap();
        let request = person.signed(ReceiverStream::new(receiver));
        let events = person.rpc.stream(request).await.unwrap().into_inner();
        Self { requests, events }
    }

    async fn say(&self, request: v1::stream_request::Request) {
        let request = v1::StreamRequest {
            request: Some(request),
        };
        self.requests.send(request).await.unwrap();
    }

    /// The next event; that KeyPackages run low is passed over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let next = self.events.message();
            let next = tokio::time::timeout(std::time::Duration::from_secs(10), next);
            let event = next.await.unwrap().unwrap()?.event?;
            let is_low = matches!(
                &event,
                Event::Mailbox(v1::MailboxItem {
                    item: Some(v1::mailbox_item::Item::KeyPackagesLow(_)),
                    ..
                })
            );
            if !is_low {
                return Some(event);
            }
        }
    }

    async fn sequence(&mut self) -> u64 {
        match self.next().await {
            Some(Event::Entry(entry)) => entry.entry.unwrap().sequence,
            other => panic!("{other:?}"),
        }
    }
}

fn follow(after_sequence: u64) -> v1::FollowGroup {
    v1::FollowGroup {
        group_id: id(GROUP.as_bytes()),
        after_sequence,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_stream_sends_the_past_then_the_present_until_removal() {
    let mut world = World::start().await;
    let mut people = world.group(&["alice", "bob"]).await;
    let mut carol = world.person("carol").await;
    let [alice, bob] = people.get_disjoint_mut([0, 1]).unwrap();
    for number in 0..100 {
        alice.send(&format!("{number}")).await.unwrap();
    }
    let mut live = Live::open(bob, Some(1)).await;
    let mut mailbox_caught_up = false;
    let mut places = Vec::new();
    loop {
        match live.next().await.unwrap() {
            Event::CaughtUp(caught_up) if caught_up.group_id.is_empty() => mailbox_caught_up = true,
            Event::CaughtUp(_) => break,
            Event::Entry(entry) => places.push(entry.entry.unwrap().sequence),
            Event::Mailbox(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(mailbox_caught_up);
    assert_eq!(places, (2..=101).collect::<Vec<_>>());

    // Who waits for a Welcome gets it at once, and follows the group on the same stream.
    let mut waiting = Live::open(&mut carol, None).await;
    assert!(matches!(waiting.next().await, Some(Event::CaughtUp(_))));
    waiting
        .say(v1::stream_request::Request::Follow(follow(0)))
        .await;
    assert!(matches!(waiting.next().await, Some(Event::Ended(_))));
    let added = alice.add(&["carol"]).await.unwrap();
    assert!(matches!(waiting.next().await, Some(Event::Mailbox(_))));
    waiting
        .say(v1::stream_request::Request::Follow(follow(added)))
        .await;
    assert!(matches!(waiting.next().await, Some(Event::CaughtUp(_))));
    let sent = alice.send("live").await.unwrap();
    assert_eq!(waiting.sequence().await, sent);
    assert_eq!(
        [live.sequence().await, live.sequence().await],
        [added, sent]
    );

    let removal = alice.prepare(Change::remove(vec![bob.device()]));
    let removed = alice.commit(removal).await.unwrap();
    alice.send("not for bob").await.unwrap();
    assert_eq!(live.sequence().await, removed);
    assert!(matches!(live.next().await, Some(Event::Ended(_))));
    assert_eq!(waiting.sequence().await, removed);

    // The server's end is the stream's end, not a failure, and it does not wait for readers.
    tokio::time::timeout(std::time::Duration::from_secs(5), world.stop_server())
        .await
        .expect("a prompt stop");
    assert_eq!(live.next().await, None);
}
