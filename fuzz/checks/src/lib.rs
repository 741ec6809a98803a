//! What the fuzzer throws bytes at: each target is a function that panics if something does not
//! hold. The fuzzer drives them with a nightly toolchain (`docs/fuzzing.md`); `cargo test` replays
//! the corpora on a stable one.

#![allow(clippy::panic, clippy::expect_used)] // A target has no other way to say no.

mod differential;
mod evidence;
mod ordering;
mod requests;
mod stateful;
mod wire;

use conclave_protocol::{Content, DeviceCertificate, DeviceList};

pub use differential::differential;
pub use evidence::{EVIDENCE_TYPES, case, evidence};
pub use ordering::ordering;
pub use requests::{REQUESTS, requests};
pub use stateful::stateful;
pub use wire::{WIRE_TYPES, wire};

/// A target.
pub type Target = fn(&[u8]);

/// All targets, by the names of their corpora.
pub const TARGETS: [(&str, Target); 10] = [
    ("wire", wire),
    ("requests", requests),
    ("content", content),
    ("certificate", certificate),
    ("differential", differential),
    ("rows", rows),
    ("stateful", stateful),
    ("ordering", ordering),
    ("evidence", evidence),
    ("case", case),
];

/// What a member sent is always something, and means the same when it is sent on.
pub fn content(input: &[u8]) {
    let content = Content::open(input);
    match content.seal([0; 32]) {
        Ok(bytes) => assert_eq!(Content::open(&bytes), content),
        Err(_) => assert_eq!(content, Content::Unknown(input.to_vec())),
    }
}

/// What the client's outbox reads it writes again so that it means the same.
pub fn rows(input: &[u8]) {
    assert!(conclave_client::outbox_row_holds(input));
}

/// Certificates and device lists have one encoding, valid or not.
pub fn certificate(input: &[u8]) {
    if let Ok(certificate) = DeviceCertificate::from_verified_bytes(input) {
        assert_eq!(certificate.to_bytes(), input);
        // Only to see that it does not panic: nobody forges a signature by chance.
        let _ = DeviceCertificate::from_bytes(input);
    }
    if let Ok(list) = DeviceList::from_verified_bytes(input) {
        assert_eq!(list.to_bytes(), input);
        let _ = DeviceList::from_bytes(input);
    }
}

/// The kind that the first byte chooses among `count`, and the rest.
fn choose(input: &[u8], count: usize) -> Option<(usize, &[u8])> {
    let (first, rest) = input.split_first()?;
    Some((usize::from(*first).checked_rem(count)?, rest))
}
