//! What people say and think of what others said, as everybody sees it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/table.rs"]
mod table;

use std::time::Duration;

use common::World;
use conclave_client::{ClientError, Event, GroupId, Message, MessageId, Posted, Sequence};
use table::Table;

fn posted(table: &mut Table, seat: usize, group: GroupId, at: Sequence) -> Posted {
    let entry = table.session(seat).entry(group, at).unwrap().unwrap();
    entry.message().unwrap().clone()
}

/// Has somebody say something, and gives its place and id.
fn say(
    table: &mut Table,
    seat: usize,
    group: GroupId,
    message: impl Into<Message>,
) -> (Sequence, MessageId) {
    table.session(seat).send(group, message).unwrap();
    table.settle();
    let last = table.history(seat, group).pop().unwrap();
    (last.sequence, last.message().unwrap().id)
}

#[test]
fn everybody_sees_answers_edits_reactions_and_deletions() {
    let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
    let (question, id) = say(&mut table, 0, group, "when?");
    let (answer, answer_id) = say(&mut table, 1, group, Message::text("at 7").reply_to(id));
    table
        .session(2)
        .react(group, answer_id, "👍", false)
        .unwrap();
    table.session(1).edit(group, answer_id, "at 8").unwrap();
    table.settle();
    for seat in 0..3 {
        let answer = posted(&mut table, seat, group, answer);
        assert_eq!(answer.text(), "at 8");
        assert_eq!(answer.message.replies_to(), Some(id));
        assert!(answer.edited.is_some());
        let reactions: Vec<_> = answer.reactions.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(reactions, ["👍"]);
    }
    // Both the one who did it and the others hear of it.
    for seat in 0..3 {
        let events = table.seats[seat].events.iter();
        let changed = events.filter(|event| matches!(event, Event::Changed(_)));
        assert_eq!(changed.count(), 2, "{seat}");
    }

    table
        .session(2)
        .react(group, answer_id, "👍", true)
        .unwrap();
    table.session(0).delete(group, id).unwrap();
    table.settle();
    for seat in 0..3 {
        assert!(posted(&mut table, seat, group, answer).reactions.is_empty());
        let question = posted(&mut table, seat, group, question);
        assert_eq!((question.deleted, question.text()), (true, ""));
    }
    let refused = table.session(1).edit(group, id, "never");
    assert!(matches!(refused, Err(ClientError::UnknownMessage)));
    let refused = table.session(0).delete(group, answer_id);
    assert!(matches!(refused, Err(ClientError::NotAuthor)));
    let digits = &answer_id.to_string()[..8];
    for text in [digits, &answer.to_string()] {
        let named = table.session(0).message_named(group, text).unwrap();
        assert_eq!(named.sequence, answer);
    }
}

#[test]
fn a_message_is_gone_when_its_time_is_over() {
    let (mut table, group) = Table::with(&["alice", "bob"]);
    let brief = Message::text("brief").expires_after(Duration::from_secs(60));
    let (place, _) = say(&mut table, 0, group, brief);
    say(&mut table, 1, group, "lasting");
    let due = posted(&mut table, 1, group, place).expires.unwrap();
    for seat in 0..2 {
        assert_eq!(table.session(seat).next_expiry().unwrap(), Some(due));
        let early = due.before(Duration::from_millis(1));
        assert!(table.session(seat).expire(early).unwrap().is_empty());
        let events = table.session(seat).expire(due).unwrap();
        let sequence = place;
        assert_eq!(events, [Event::Expired { group, sequence }]);
        assert_eq!(table.texts(seat, group), ["lasting"]);
    }
    // One who was away reads it no longer.
    let carol = table.sit_down("carol");
    table.settle();
    let user = table.session(carol).user().clone();
    table.session(0).add(group, &[user]).unwrap();
    table.settle();
    let brief = Message::text("brief too").expires_after(Duration::from_secs(60));
    table.session(0).send(group, brief).unwrap();
    while table.step(0, |_, answer| answer) {}
    table.now = table.now.after(Duration::from_secs(61));
    table.settle();
    assert!(table.texts(carol, group).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_message_that_is_gone_stays_on_the_disk() {
    let world = World::start().await;
    let (people, group) = world.group(&["alice", "bob"]).await;
    let (alice, bob) = (&people[0], &people[1]);
    let files = |client: &conclave_client::Client| {
        let files = std::fs::read_dir(client.home()).unwrap();
        let bytes = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
        bytes.collect::<Vec<_>>().concat()
    };
    let holds =
        |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|it| it == text.as_bytes());

    let brief = Message::text("zxq-brief-zxq").expires_after(Duration::from_secs(2));
    alice.send(group, brief).await.unwrap();
    let said = alice.send(group, "zxq-taken-back-zxq").await.unwrap();
    let edited = alice.send(group, "zxq-before-zxq").await.unwrap();
    bob.sync().await.unwrap();
    assert!(holds(&files(bob), "zxq-taken-back-zxq"));
    let id = async |at| {
        let entry = alice.entry(group, at).await.unwrap().unwrap();
        entry.message().unwrap().id
    };
    alice.delete(group, id(said.sequence).await).await.unwrap();
    let edited = id(edited.sequence).await;
    alice.edit(group, edited, "after").await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    for client in [alice, bob] {
        client.sync().await.unwrap();
        assert!(!holds(&files(client), "zxq"), "{}", client.user());
        assert!(holds(&files(client), "after"));
    }
}
