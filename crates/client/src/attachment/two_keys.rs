//! ChaCha20-Poly1305 (RFC 8439) does not commit to its key: here are sealed bytes that open under two keys, to two
//! files. It is how Facebook's reports were led astray (Dodis, Grubbs, Ristenpart and Woodage 2018): somebody sends a
//! picture, and a report shows another. Here the key is part of what the sender commits to.

use conclave_protocol::{
    Attachment, AttachmentKey, Commitment, Content, DeviceAddress, DeviceId, GroupId, Message,
    UnixMillis,
};
use sha2::{Digest as _, Sha256};

use super::seal::Opener;

/// The one chunk of a file that needs no padding.
const FILE_BYTES: usize = 256;
/// Its nonce: no prefix, the first chunk, the last one.
const NONCE: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// RFC 8439 §2.3.
fn chacha_block(key: &[u8; 32], counter: u32) -> [u8; 64] {
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
    let words: Vec<u32> = b"expand 32-byte k"
        .chunks(4)
        .chain(key.chunks(4))
        .chain(counter.to_le_bytes().chunks(4))
        .chain(NONCE.chunks(4))
        .map(word)
        .collect();
    let mut state: [u32; 16] = words.try_into().unwrap();
    let first = state;
    let mut quarter = |a: usize, b: usize, c: usize, d: usize| {
        for (to, from, with, turn) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
            state[to] = state[to].wrapping_add(state[from]);
            state[with] = (state[with] ^ state[to]).rotate_left(turn);
        }
    };
    for _ in 0..10 {
        for column in 0..4 {
            quarter(column, column + 4, column + 8, column + 12);
        }
        for at in 0..4 {
            quarter(at, 4 + (at + 1) % 4, 8 + (at + 2) % 4, 12 + (at + 3) % 4);
        }
    }
    let mut block = [0; 64];
    for ((bytes, word), first) in block.chunks_mut(4).zip(state).zip(first) {
        bytes.copy_from_slice(&word.wrapping_add(first).to_le_bytes());
    }
    block
}

/// A number modulo 2^130 - 5, in limbs of 26 bits.
#[derive(Clone, Copy)]
struct Number([u64; 5]);

const LIMB: u64 = (1 << 26) - 1;

impl Number {
    /// `low + high * 2^128`.
    fn new(low: u128, high: u64) -> Self {
        let limb = |at: u32| u64::try_from((low >> (26 * at)) & u128::from(LIMB)).unwrap();
        Self([limb(0), limb(1), limb(2), limb(3), limb(4) | (high << 24)])
    }

    /// A block of a message, with the bit above it (RFC 8439 §2.5).
    fn block(bytes: &[u8]) -> Self {
        Self::new(u128::from_le_bytes(bytes.try_into().unwrap()), 1)
    }

    fn carried(mut self) -> Self {
        for _ in 0..2 {
            for at in 0..5 {
                let carry = self.0[at] >> 26;
                self.0[at] &= LIMB;
                self.0[(at + 1) % 5] += if at == 4 { 5 * carry } else { carry };
            }
        }
        self
    }

    fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] + other.0[at])).carried()
    }

    fn minus(self, other: Self) -> Self {
        let four_times_p = |at: usize| 4 * if at == 0 { LIMB - 4 } else { LIMB };
        let limb = |at: usize| self.0[at] + four_times_p(at) - other.0[at];
        Self(std::array::from_fn(limb)).carried()
    }

    fn times(self, other: Self) -> Self {
        let mut product = [0; 5];
        for (at, one) in self.0.iter().enumerate() {
            for (by, two) in other.0.iter().enumerate() {
                let wraps = if at + by >= 5 { 5 } else { 1 };
                product[(at + by) % 5] += one * two * wraps;
            }
        }
        Self(product).carried()
    }

    fn inverse(self) -> Self {
        // To the power of 2^130 - 7: all bits are set but two.
        let one = Self::new(1, 0);
        (0..130).rev().fold(one, |power, bit| {
            let square = power.times(power);
            if matches!(bit, 1 | 2) {
                square
            } else {
                square.times(self)
            }
        })
    }

    /// The one number below the modulus, as [`Self::new`] takes it.
    fn parts(self) -> (u128, u64) {
        let mut limbs = self.carried().carried().0;
        if limbs[0] >= LIMB - 4 && limbs[1..].iter().all(|limb| *limb == LIMB) {
            limbs = [limbs[0] - (LIMB - 4), 0, 0, 0, 0];
        }
        let low = |at: usize, limb: u64| u128::from(limb) << (26 * at);
        let lows = low(0, limbs[0]) | low(1, limbs[1]) | low(2, limbs[2]) | low(3, limbs[3]);
        (lows | low(4, limbs[4] & ((1 << 24) - 1)), limbs[4] >> 24)
    }
}

/// One of the two keys, with what follows from it.
struct Side {
    r: Number,
    s: u128,
    keystream: Vec<u8>,
}

impl Side {
    fn of(key: &[u8; 32]) -> Self {
        let once = chacha_block(key, 0);
        let half = |at: usize| u128::from_le_bytes(once[at..at + 16].try_into().unwrap());
        let clamp = 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;
        Self {
            r: Number::new(half(0) & clamp, 0),
            s: half(16),
            keystream: (1..=4).flat_map(|at| chacha_block(key, at)).collect(),
        }
    }

    /// What the last two blocks have to sum up to, for this tag: `y * r + x`.
    fn wanted(&self, sealed: &[u8], tag: u128) -> Number {
        let mut length = [0; 16];
        length[8..].copy_from_slice(&(FILE_BYTES as u64).to_le_bytes());
        let zero = Number::new(0, 0);
        let known = sealed[..FILE_BYTES - 32].chunks(16).map(Number::block);
        let free = [zero, zero];
        let all = known.chain(free).chain([Number::block(&length)]);
        let sum = all.fold(zero, |sum, block| sum.plus(block).times(self.r));
        let rest = Number::new(tag.wrapping_sub(self.s), 0).minus(sum);
        rest.times(self.r.times(self.r).inverse())
    }
}

/// Sealed bytes that open under both keys: the first half of each file is what one likes.
fn sealed_under_both(keys: [&[u8; 32]; 2], files: [&[u8]; 2]) -> Vec<u8> {
    let [one, two] = keys.map(Side::of);
    let mut sealed = vec![0; FILE_BYTES];
    for (side, (file, from)) in [&one, &two]
        .into_iter()
        .zip(files.into_iter().zip([0, 112]))
    {
        let places = sealed[from..from + 112]
            .iter_mut()
            .zip(&side.keystream[from..]);
        for ((to, key), byte) in places.zip(file.iter().chain(std::iter::repeat(&b' '))) {
            *to = key ^ byte;
        }
    }
    let apart = one.r.minus(two.r).inverse();
    for tag in 0.. {
        let (first, second) = (one.wanted(&sealed, tag), two.wanted(&sealed, tag));
        let y = first.minus(second).times(apart);
        let x = first.minus(y.times(one.r));
        // Blocks of messages have the bit above them, and none higher.
        if let ((y, 1), (x, 1)) = (y.parts(), x.parts()) {
            sealed[FILE_BYTES - 32..FILE_BYTES - 16].copy_from_slice(&y.to_le_bytes());
            sealed[FILE_BYTES - 16..].copy_from_slice(&x.to_le_bytes());
            sealed.extend(tag.to_le_bytes());
            return sealed;
        }
    }
    Vec::new()
}

#[test]
fn two_keys_for_one_attachment_are_two_messages() {
    let keys = [[1; 32], [2; 32]];
    let files = [&b"a harmless picture"[..], &b"a threat"[..]];
    let sealed = sealed_under_both([&keys[0], &keys[1]], files);
    let attachments = keys.map(|key| Attachment {
        key: AttachmentKey::from_bytes(key),
        content_hash: Sha256::digest(&sealed).into(),
        size_bytes: FILE_BYTES as u64,
        name: "picture".to_owned(),
        media_type: String::new(),
        kept_until: UnixMillis(0),
    });
    // The attack works: one blob, one hash, two files.
    for ((attachment, file), from) in attachments.iter().zip(files).zip([0, 112]) {
        let (mut opener, mut opened) = (Opener::new(attachment).unwrap(), Vec::new());
        opener.open(&sealed, &mut opened).unwrap();
        opener.finish().unwrap();
        assert!(opened[from..].starts_with(file));
    }
    // And comes to nothing: whoever shows the other key shows what the sender has not committed to.
    let alice = DeviceAddress {
        user: "alice@here".parse().unwrap(),
        device: DeviceId::from_bytes([3; 16]),
    };
    let commitments = attachments.map(|attachment| {
        let content = Content::Message(Message::default().attach(attachment));
        let envelope = content.seal([4; 32]).unwrap();
        Commitment::to(GroupId::from_bytes([5; 16]), &alice, &envelope).unwrap()
    });
    assert_ne!(commitments[0], commitments[1]);
}
