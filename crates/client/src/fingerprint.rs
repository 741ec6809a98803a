//! Numbers that people compare to see that nobody stands between them: of two users, and of all who
//! are in a group.

use conclave_protocol::{DeviceCertificate, UserId, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// How often a user's half of a safety number is hashed again: whoever searches for a key with the
/// same digits pays for it each time.
const ROUNDS: usize = 5_000;

/// Digits in one group, as people read them out.
const GROUP_DIGITS: usize = 5;

/// Groups in one user's half of a safety number: about 100 bits.
const USER_GROUPS: usize = 6;

/// Groups in a roster's fingerprint: about 200 bits, since whoever makes a roster chooses much of
/// what is hashed.
const ROSTER_GROUPS: usize = 12;

/// 60 digits that are the same for both users, whoever asks, as long as each has the identity key
/// that the other knows.
pub(crate) fn safety_number(a: (&UserId, &VerifyingKey), b: (&UserId, &VerifyingKey)) -> String {
    let mut halves = [half(a), half(b)];
    halves.sort();
    halves.join(" ")
}

/// 60 digits that are the same for all who see the same devices, of the same users with the same
/// keys, in a group.
pub(crate) fn roster<'a>(certificates: impl Iterator<Item = &'a DeviceCertificate>) -> String {
    let mut lines: Vec<[u8; 32]> = certificates.map(line).collect();
    lines.sort_unstable();
    let mut hash = labelled("roster");
    for line in lines {
        hash.update(line);
    }
    digits(hash, ROSTER_GROUPS)
}

fn half((user, key): (&UserId, &VerifyingKey)) -> String {
    let mut hash = labelled("safety number");
    update_with_user(&mut hash, user, key);
    for _ in 0..ROUNDS {
        let so_far = hash.finalize();
        hash = labelled("safety number");
        hash.update(so_far);
        update_with_user(&mut hash, user, key);
    }
    digits(hash, USER_GROUPS)
}

fn line(certificate: &DeviceCertificate) -> [u8; 32] {
    let address = certificate.address();
    let mut hash = labelled("device");
    update_with_user(&mut hash, &address.user, certificate.identity_key());
    hash.update(address.device.as_bytes());
    hash.update(certificate.claims().signature_key.as_bytes());
    hash.finalize().into()
}

fn labelled(label: &str) -> Sha256 {
    let mut hash = Sha256::new();
    hash.update(b"Conclave 1.0 fingerprint ");
    hash.update(label);
    hash.update([0]);
    hash
}

/// A user's name never holds a zero, so nothing else reads the same.
fn update_with_user(hash: &mut Sha256, user: &UserId, key: &VerifyingKey) {
    hash.update(user.as_str());
    hash.update([0]);
    hash.update(key.as_bytes());
}

/// So many groups of digits, each from eight bytes of its own: the bias of the remainder is below
/// one in 10^14.
fn digits(hash: Sha256, groups: usize) -> String {
    let seed = hash.finalize();
    let group = |index: usize| {
        let mut hash = labelled("digits");
        hash.update(seed);
        hash.update([u8::try_from(index).unwrap_or(u8::MAX)]);
        let bytes = hash.finalize();
        let number = bytes
            .iter()
            .take(8)
            .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        format!("{:0width$}", number % 100_000, width = GROUP_DIGITS)
    };
    (0..groups).map(group).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use conclave_protocol::{DeviceAddress, DeviceClaims, DeviceId, SigningKey, UnixMillis};

    use super::*;

    fn key(number: u8) -> VerifyingKey {
        SigningKey::from_seed(&[number; 32]).verifying_key()
    }

    fn user(name: &str) -> UserId {
        name.parse().unwrap()
    }

    fn certificate(name: &str, device: u8, identity: u8) -> DeviceCertificate {
        let address = DeviceAddress {
            user: user(name),
            device: DeviceId::from_bytes([device; 16]),
        };
        let claims = DeviceClaims::starting(address, key(device), UnixMillis(0));
        DeviceCertificate::issue(claims, &SigningKey::from_seed(&[identity; 32]))
    }

    #[test]
    fn both_see_the_same_number_and_any_other_key_or_name_another() {
        let (a, b) = (user("a@x"), user("b@x"));
        let number = safety_number((&a, &key(1)), (&b, &key(2)));
        assert_eq!(number, safety_number((&b, &key(2)), (&a, &key(1))));
        assert_eq!(number.len(), 12 * 5 + 11);
        assert!(number.chars().all(|c| c.is_ascii_digit() || c == ' '));
        for (a, key_a, b, key_b) in [
            (&a, 3, &b, 2),
            (&a, 1, &b, 3),
            (&a, 2, &b, 1),
            (&user("c@x"), 1, &b, 2),
        ] {
            assert_ne!(number, safety_number((a, &key(key_a)), (b, &key(key_b))));
        }
    }

    #[test]
    fn a_roster_has_one_fingerprint_in_any_order_and_another_with_any_other_member() {
        let [a, b, c] = [("a@x", 1, 9), ("b@x", 2, 8), ("b@x", 2, 7)]
            .map(|(name, device, identity)| certificate(name, device, identity));
        assert_eq!(roster([&a, &b].into_iter()), roster([&b, &a].into_iter()));
        assert_ne!(roster([&a, &b].into_iter()), roster([&a].into_iter()));
        assert_ne!(roster([&a, &b].into_iter()), roster([&a, &c].into_iter()));
    }
}
