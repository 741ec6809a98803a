//! What people say and think of what others said, as everybody sees it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/table.rs"]
mod table;

use std::time::Duration;

use common::World;
use conclave_client::{
    AttachmentError, ClientError, Event, GroupId, Message, MessageId, Posted, Sequence,
};
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
    let files = |client: &conclave_client::Client| common::decrypted(client.home());
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

#[tokio::test(flavor = "multi_thread")]
async fn files_come_as_they_were_sent_or_not_at_all() {
    let world = World::start().await;
    let (people, group) = world.group(&["alice", "bob"]).await;
    let (alice, bob) = (&people[0], &people[1]);
    let folder = world.folder.path();
    let (source, target) = (folder.join("source.bin"), folder.join("target.bin"));
    let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&source, &bytes).unwrap();
    let last = std::sync::Mutex::new(None);
    let told = |progress| *last.lock().unwrap() = Some(progress);
    let attachment = alice.upload(group, &source, "a/b", told).await.unwrap();
    let progress: conclave_client::Progress = last.lock().unwrap().take().unwrap();
    assert_eq!(progress.done, progress.total);
    let message = Message::text("here").attach(attachment.clone());
    alice.send(group, message).await.unwrap();
    bob.sync().await.unwrap();
    let history = common::history(bob, group).await;
    let came = history.last().unwrap().message().unwrap().clone();
    assert_eq!(came.message.attachments().first(), Some(&attachment));

    let mut wrong = attachment.clone();
    wrong.size_bytes -= 100_000;
    let refused = bob.download(group, &wrong, &target, |_| {}).await;
    let damaged = ClientError::Attachment(AttachmentError::Damaged);
    assert_eq!(refused.unwrap_err().to_string(), damaged.to_string());
    wrong = attachment.clone();
    wrong.content_hash[0] ^= 1;
    let refused = bob.download(group, &wrong, &target, |_| {}).await;
    let gone = ClientError::Attachment(AttachmentError::Gone);
    assert_eq!(refused.unwrap_err().to_string(), gone.to_string());
    let left: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert!(!target.exists() && left.len() == 4, "{left:?}");
    bob.download(group, &attachment, &target, |_| {})
        .await
        .unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), bytes);
    for home in [alice.home(), bob.home()] {
        let files = std::fs::read_dir(home).unwrap();
        let names = files.map(|it| it.unwrap().file_name().into_string().unwrap());
        assert!(names.into_iter().all(|it| it.starts_with("client.")));
    }
}
