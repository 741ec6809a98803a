//! A device's state and its copies.

use conclave_protocol::InstanceNonce;

use super::{
    super::{Shown, Store},
    device, register,
};

pub(super) fn a_state_is_told_from_its_copies(store: &dyn Store) {
    register(store, 2);
    let check = |number, nonce, next, sent, starts_over| {
        let shown = Shown {
            nonce: InstanceNonce::from_bytes([nonce; 16]),
            next: InstanceNonce::from_bytes([next; 16]),
            sent,
            starts_over,
        };
        store.check_instance(device(number), &shown).unwrap()
    };
    let is_latest = |nonce, next, sent| check(1, nonce, next, sent, false).unwrap();
    assert_eq!(check(9, 0, 1, 0, false), None, "there is no such device");
    assert!(is_latest(0, 1, 0), "nothing was seen before");
    assert!(is_latest(0, 1, 0), "the answer was lost");
    assert!(is_latest(1, 2, 5));
    for (nonce, next, sent) in [(0, 3, 5), (0, 1, 9), (2, 3, 4)] {
        assert!(!is_latest(nonce, next, sent), "{nonce} {next} {sent}");
    }
    assert!(is_latest(2, 3, 5), "a refusal changes nothing");
    // A copy that is taken now is a copy as soon as the other has asked.
    assert!(is_latest(3, 4, 5));
    assert!(!is_latest(3, 5, 6));
    assert_eq!(check(1, 3, 5, 0, true), Some(true), "it begins anew");
    assert!(!is_latest(4, 6, 9));
    assert!(is_latest(5, 6, 0));
    assert_eq!(check(2, 0, 1, 0, false), Some(true), "another device");
    store.delete_device(device(1)).unwrap();
    assert_eq!(check(1, 6, 7, 0, false), None);
}
