//! What a message costs to write, whatever the size of the group, and that what is not written is not
//! missed: programs die between any two writes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and a measurement is shown"
)]

#[path = "../common/mod.rs"]
mod common;
mod party;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use conclave_engine::{Change, EngineError, Processed};
use proptest::prelude::*;

use crate::party::{GROUP, Party, group_of, now};

/// Bytes that may be written for one message, amortised.
const BYTES_A_MESSAGE_MAX: usize = 4096;

/// Bytes that a Commit with a path may write, where the tree is not written whole.
const BYTES_A_COMMIT_MAX: usize = 6144;

/// Smaller groups have trees that are written whole, as one value.
const PATCHED_MEMBERS_MIN: usize = 300;

/// Commits of one run.
const COMMITS: usize = 16;

/// Messages of one run: several times as many as are put off.
const MESSAGES: usize = 1000;

#[test]
fn a_message_in_a_group_of_300_writes_little() {
    on_large_stack(|| {
        measure(300);
    });
}

#[test]
#[ignore = "takes a minute: cargo test --release -p conclave-engine --test written -- --ignored --nocapture"]
fn a_message_in_a_group_of_10_000_writes_little() {
    on_large_stack(|| {
        let small = measure(10);
        let large = measure(10_000);
        for (small, large) in small.into_iter().zip(large) {
            assert!(
                large.as_secs_f64() <= 1.5 * small.as_secs_f64(),
                "{large:?} is over 1.5 times {small:?}"
            );
        }
    });
}

/// Sends and receives, says what was written, and gives the median times of both.
fn measure(members: usize) -> [Duration; 2] {
    let [mut alice, mut bob] = group_of(members);
    let (alice_before, bob_before) = (alice.written, bob.written);
    let (mut sends, mut reads) = (Vec::new(), Vec::new());
    for _ in 0..MESSAGES {
        let begun = Instant::now();
        let message = alice.send(b"a message");
        sends.push(begun.elapsed());
        let begun = Instant::now();
        bob.read(&message).unwrap();
        reads.push(begun.elapsed());
    }
    let sent = (alice.written - alice_before) / MESSAGES;
    let received = (bob.written - bob_before) / MESSAGES;
    let mut commits = Vec::new();
    for _ in 0..COMMITS {
        let commit = alice.commit(Change::update());
        let before = bob.written;
        bob.read(&commit.commit).unwrap();
        commits.push(bob.written - before);
    }
    commits.sort_unstable();
    let (commit, mean) = (
        commits[COMMITS / 2],
        commits.iter().sum::<usize>() / COMMITS,
    );
    sends.sort_unstable();
    reads.sort_unstable();
    let times = [sends[MESSAGES / 2], reads[MESSAGES / 2]];
    println!(
        "{members} members: bytes written for a message sent {sent}, received {received}, \
         for a Commit received {commit} (median; mean {mean}); {:?} to send, {:?} to receive",
        times[0], times[1]
    );
    assert!(sent <= BYTES_A_MESSAGE_MAX && received <= BYTES_A_MESSAGE_MAX);
    assert!(members < PATCHED_MEMBERS_MIN || commit <= BYTES_A_COMMIT_MAX);
    times
}

#[test]
fn where_everybody_speaks_a_message_writes_little_too() {
    on_large_stack(|| {
        let mut all = party::all_of(40);
        let mut bob = all.swap_remove(1);
        let before = bob.written;
        for round in 0..20 {
            for party in &mut all {
                let message = party.send(format!("{round}").as_bytes());
                bob.read(&message).unwrap();
            }
        }
        assert!((bob.written - before) / (20 * all.len()) <= BYTES_A_MESSAGE_MAX);
    });
}

#[test]
fn a_large_tree_is_written_once_and_then_what_changed() {
    on_large_stack(|| {
        let [mut alice, mut bob] = group_of(300);
        let tree = alice.tree().len();
        for _ in 0..40 {
            let before = bob.written;
            let commit = alice.commit(Change::update());
            bob.read(&commit.commit).unwrap();
            // Half of the writings are of the tree's patches, which grow until it is written whole.
            assert!(bob.written - before < 2 * tree);
            bob.home.restart();
        }
        assert_eq!(alice.tree(), bob.tree());
        let message = alice.send(b"there");
        assert_eq!(bob.read(&message).unwrap(), b"there");
    });
}

#[test]
fn a_reader_who_dies_every_day_never_falls_too_far_behind_anybody() {
    on_large_stack(|| {
        let mut all = party::all_of(3);
        let [mut carol, mut bob, mut alice] = [(); 3].map(|()| all.pop().unwrap());
        for day in 0..40 {
            // Who speaks first is not who speaks most.
            let message = carol.send(b"good morning");
            bob.read(&message).unwrap();
            for number in 0..60 {
                let message = alice.send(&[day, number]);
                assert_eq!(bob.read(&message).unwrap(), [day, number]);
            }
            bob.home.restart();
            alice.home.restart();
        }
    });
}

#[test]
fn whose_certificates_were_verified_is_kept() {
    on_large_stack(|| {
        let [mut alice, _] = group_of(300);
        let mut carol = Party::new(1000);
        let commit = alice.commit(Change::add(vec![carol.key_package()]));
        carol.join(&alice, &commit);
        let kept = carol.verified();
        let certificates = kept.iter().map(|row| row.len() / 32).sum::<usize>();
        assert_eq!(certificates, 301);

        let commit = alice.commit(Change::remove(vec![carol.device()]));
        carol.read(&commit.commit).unwrap();
        carol.home.restart();
        let commit = alice.commit(Change::add(vec![carol.key_package()]));
        carol.join(&alice, &commit);
        // Who is verified anew would be kept anew.
        assert_eq!(carol.verified(), kept);
    });
}

/// Something that changes a large group: by whom, and whom it is about.
#[derive(Debug, Clone)]
enum Turn {
    Renew(usize),
    Add(usize, usize),
    Remove(usize, prop::sample::Index),
    /// A program ends, and goes on with what is stored.
    End(usize),
}

/// Those of a large group who are there and commit; the others only have leaves.
const COMMITTERS: usize = 4;

fn turn() -> impl Strategy<Value = Turn> {
    let who = 0..COMMITTERS;
    prop_oneof![
        6 => who.clone().prop_map(Turn::Renew),
        2 => (who.clone(), 1..20_usize).prop_map(|(by, count)| Turn::Add(by, count)),
        2 => (who.clone(), any::<prop::sample::Index>()).prop_map(|(by, whom)| Turn::Remove(by, whom)),
        1 => who.prop_map(Turn::End),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..Default::default() })]

    // With several programs, all of them patch what they have in memory or have loaded.
    #[test]
    fn what_is_stored_of_a_large_group_is_what_is_in_memory(turns in prop::collection::vec(turn(), 1..24)) {
        on_large_stack(move || {
            let mut all = party::all_of(COMMITTERS);
            let mut others: Vec<Party> = Vec::new();
            grow(&mut all, &mut others, 0, 45);
            for turn in turns {
                match turn {
                    Turn::Renew(by) => commit(&mut all, by, Change::update()),
                    Turn::Add(by, count) => grow(&mut all, &mut others, by, count),
                    Turn::Remove(by, whom) => {
                        let gone = others.swap_remove(whom.index(others.len()));
                        commit(&mut all, by, Change::remove(vec![gone.device()]));
                    }
                    Turn::End(who) => all[who].home.restart(),
                }
                let epoch = all[0].epoch(&all[0].home);
                for party in &all {
                    assert!(party.epoch(&party.home) == epoch);
                    assert!(party.epoch(&party.home.state) == epoch);
                }
            }
        });
    }
}

fn grow(all: &mut [Party], others: &mut Vec<Party>, by: usize, count: usize) {
    static NUMBER: AtomicUsize = AtomicUsize::new(1000);
    let number = NUMBER.fetch_add(count, Ordering::Relaxed);
    let mut more: Vec<Party> = (number..number + count).map(Party::new).collect();
    let adds = more.iter_mut().map(Party::key_package).collect();
    others.append(&mut more);
    commit(all, by, Change::add(adds));
}

fn commit(all: &mut [Party], by: usize, change: Change) {
    let commit = all[by].commit(change);
    for (number, party) in all.iter_mut().enumerate() {
        if number != by {
            party.read(&commit.commit).unwrap();
        }
    }
}

/// Something that happens between Alice, who sends, and Bob.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// So many messages are sent, read and kept.
    Talk(u8),
    /// A message is encrypted and the transaction rolled back.
    SendInVain,
    /// A message is encrypted and kept, and lost on its way.
    Lose,
    /// A message is decrypted, and the transaction rolled back; then it is read again.
    ReadTwice,
    /// A program dies: the sender's, or the reader's.
    Die(bool),
    /// A message that nobody can read is put before the reader.
    Junk,
    /// Another epoch begins.
    Commit,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..40_u8).prop_map(Act::Talk),
        2 => Just(Act::SendInVain),
        1 => Just(Act::Lose),
        2 => Just(Act::ReadTwice),
        4 => any::<bool>().prop_map(Act::Die),
        1 => Just(Act::Junk),
        1 => Just(Act::Commit),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..Default::default() })]

    // Each message is read, so no generation was used twice: its key is gone once it is read.
    #[test]
    fn no_generation_comes_twice_and_no_message_is_lost(acts in prop::collection::vec(act(), 1..40)) {
        on_large_stack(move || {
            let [mut alice, mut bob] = group_of(2);
            let mut junk = alice.send(b"nothing");
            bob.read(&junk).unwrap();
            for act in acts {
                perform(act, &mut alice, &mut bob, &mut junk);
            }
            let message = alice.send(b"at last");
            assert_eq!(bob.read(&message).unwrap(), b"at last");
        });
    }
}

fn perform(act: Act, alice: &mut Party, bob: &mut Party, junk: &mut Vec<u8>) {
    match act {
        Act::Talk(count) => {
            for number in 0..count {
                let message = alice.send(&[number]);
                assert_eq!(bob.read(&message).unwrap(), [number]);
                *junk = message;
            }
        }
        Act::SendInVain => {
            drop(alice.engine.encrypt(&alice.home, GROUP, b"in vain", None));
            alice.home.roll_back();
        }
        Act::Lose => drop(alice.send(b"lost")),
        Act::ReadTwice => {
            let message = alice.send(b"twice");
            drop(bob.engine.process(&bob.home, GROUP, &message, now()));
            bob.home.roll_back();
            assert_eq!(bob.read(&message).unwrap(), b"twice");
        }
        Act::Die(true) => alice.home.restart(),
        Act::Die(false) => bob.home.restart(),
        Act::Junk => {
            // Where the reader has died since, it could read again what it has read: nobody asks it to.
            let mut junk = junk.clone();
            let last = junk.len() - 1;
            junk[last] ^= 1;
            let refused = bob.read(&junk);
            assert!(matches!(
                refused,
                Err(EngineError::Undecryptable | EngineError::WrongEpoch { .. })
            ));
        }
        Act::Commit => {
            let commit = alice.commit(Change::update());
            let read = bob.engine.process(&bob.home, GROUP, &commit.commit, now());
            let read = read.unwrap();
            assert!(matches!(read.value, Processed::Commit { .. }));
            bob.apply(read.writes);
        }
    }
}

/// Runs a test where OpenMLS, in a debug build, has the stack that it needs.
fn on_large_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(16 << 20);
    if let Err(panic) = thread.spawn(test).unwrap().join() {
        std::panic::resume_unwind(panic);
    }
}
