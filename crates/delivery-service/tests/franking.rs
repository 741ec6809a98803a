//! What the service states of a message, anybody can check.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{GROUP, Person, World};
use conclave_protocol::{
    Commitment, Epoch, Frank, FrankError, Sequence, Stamp, StampingKeyCertificate, UnixMillis,
    VerifyingKey,
};
use conclave_rpc::v1;

async fn keys(person: &mut Person) -> Vec<StampingKeyCertificate> {
    let described = person.rpc.describe(v1::DescribeRequest {}).await.unwrap();
    let described = described.into_inner();
    let operator = VerifyingKey::try_from(&described.operator_key[..]).unwrap();
    let certificates = described.stamping_certificates.iter();
    let certificates = certificates.map(|bytes| StampingKeyCertificate::from_bytes(bytes).unwrap());
    let certificates: Vec<_> = certificates.collect();
    assert!(certificates.iter().all(|it| it.verify(&operator).is_ok()));
    certificates
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_its_sender_committed_to_is_stamped() {
    let world = World::start().await;
    let mut people = world.group(&["alice", "bob"]).await;
    let content = [7; 256];
    let sender = people[0].engine.device().address().clone();
    let commitment = Commitment::to(GROUP, &sender, &content).unwrap();
    let committed = people[0].encrypt_with(&content, Some(&commitment.to_item()));
    let committed = people[0].submit_new(committed).await.unwrap();
    let bare = people[0].send("not committed to").await.unwrap();

    let keys = keys(&mut people[1]).await;
    let page = people[1].page(committed - 1, 0).await.unwrap();
    let [entry, other] = &page.entries[..] else {
        panic!("two entries");
    };
    assert_eq!((entry.sequence, other.sequence), (committed, bare));
    assert!(other.frank.is_empty());
    let frank = Frank::from_bytes(&entry.frank).unwrap();
    let by = keys.iter().find(|it| it.id() == frank.key()).unwrap();
    let stamp = Stamp {
        group: GROUP,
        epoch: Epoch(entry.epoch),
        sequence: Sequence(entry.sequence),
        accepted: UnixMillis(entry.accepted_millis),
        sender,
        commitment,
        message_hash: Stamp::hash_of(&entry.message),
    };
    assert_eq!(frank.verify(&stamp, by), Ok(()));
    let of_bob = Stamp {
        sender: people[1].engine.device().address().clone(),
        ..stamp
    };
    assert_eq!(frank.verify(&of_bob, by), Err(FrankError::Stamp));
}
