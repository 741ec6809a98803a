//! State that an earlier build wrote still loads: a store outlives the program that made it.
//!
//! After a change of format that is meant, with its migration written: set `MADE` to the time, run
//! `cargo test -p conclave-engine --test stored -- --ignored`, and commit the new files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use conclave_engine::{
    Change, Device, Effects, Engine, KeyPackage, MemoryState, Processed, State, StateError,
};
use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceClaims, DeviceId, Epoch, GroupId, GroupRules,
    SigningKey, UnixMillis,
};

const MADE: UnixMillis = UnixMillis(1795407831000);
const GROUP: GroupId = GroupId::from_bytes([1; 16]);

#[test]
fn a_group_of_an_earlier_build_goes_on() {
    let engine = engine("alice", 1);
    let stored = Stored(include_bytes!("alice.state"));
    let message = include_bytes!("message");

    let roster = engine.roster(&stored, GROUP).unwrap();
    let users: Vec<_> = roster
        .iter()
        .map(|member| member.certificate.address().user.name())
        .collect();
    assert_eq!(users, ["alice", "bob"]);
    let read = engine.process(&stored, GROUP, message, MADE).unwrap();
    assert!(matches!(read.value, Processed::Application { content, .. } if content == b"hello"));
    let merged = engine.merge_pending(&stored, GROUP).unwrap();
    assert_eq!(merged.value, Epoch(2));
}

#[test]
#[ignore = "writes what the test above reads"]
fn write_it_anew() {
    let (alice, bob) = (engine("alice", 1), engine("bob", 2));
    let (mut alices, mut bobs) = (MemoryState::default(), MemoryState::default());
    take(
        &mut alices,
        alice
            .create_group(&MemoryState::default(), GROUP, &GroupRules::default(), MADE)
            .unwrap(),
    );
    let packages = take(
        &mut bobs,
        bob.key_packages(&MemoryState::default(), 1, MADE).unwrap(),
    );
    let add = Change::add(vec![KeyPackage::from_bytes(&packages[0], MADE).unwrap()]);
    let commit = alice.commit(&alices, GROUP, add, MADE).unwrap();
    let commit = take(&mut alices, commit);
    let merged = alice.merge_pending(&alices, GROUP).unwrap();
    take(&mut alices, merged);
    let tree = alice.ratchet_tree(&alices, GROUP).unwrap();
    let joined = bob.join(&bobs, &commit.welcome.unwrap(), &tree).unwrap();
    take(&mut bobs, joined);
    let message = bob.encrypt(&bobs, GROUP, b"hello", None).unwrap();
    let pending = alice
        .commit(&alices, GROUP, Change::update(), MADE)
        .unwrap();
    take(&mut alices, pending);

    let mut state = Vec::new();
    for (key, value) in alices.iter() {
        for part in [key, value] {
            state.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
            state.extend_from_slice(part);
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stored");
    std::fs::write(folder.join("alice.state"), state).unwrap();
    std::fs::write(folder.join("message"), message.value).unwrap();
}

fn engine(user: &str, seed: u8) -> Engine {
    let key = SigningKey::from_seed(&[seed; 32]);
    let address = DeviceAddress {
        user: format!("{user}@example.org").parse().unwrap(),
        device: DeviceId::from_bytes([seed; 16]),
    };
    let claims = DeviceClaims::starting(address, key.verifying_key(), MADE);
    let certificate = DeviceCertificate::issue(claims, &SigningKey::from_seed(&[seed + 9; 32]));
    Engine::new(Device::new(certificate, key).unwrap())
}

fn take<T>(state: &mut MemoryState, effects: Effects<T>) -> T {
    state.apply(effects.writes);
    effects.value
}

/// Keys and values, each with its length in front.
struct Stored(&'static [u8]);

impl State for Stored {
    fn read(&self, wanted: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let mut rest = self.0;
        while let Some(key) = next(&mut rest) {
            let value = next(&mut rest).ok_or_else(|| StateError::new("cut short"))?;
            if key == wanted {
                return Ok(Some(value.to_vec()));
            }
        }
        Ok(None)
    }
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (part, behind) = behind.split_at_checked(length)?;
    *rest = behind;
    Some(part)
}
