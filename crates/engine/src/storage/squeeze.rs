//! Leaving out what is not there: in a large group, nearly all of a secret tree is nodes without a
//! secret, and each is a byte.

use zeroize::Zeroizing;

use super::number::{push_number, take_number};

/// What MessagePack never begins with: a squeezed text does.
const MARK: u8 = 0xc1;

/// MessagePack's `nil`.
const NIL: u8 = 0xc0;

/// Runs that are shorter stay where they are.
const RUN_MIN: usize = 8;

/// The text in turns of bytes as they are and a number of `nil`s.
pub(super) fn squeeze(text: &[u8]) -> Vec<u8> {
    let mut squeezed = Vec::with_capacity(text.len() + 16);
    squeezed.push(MARK);
    let mut rest = text;
    while !rest.is_empty() {
        let (at, run) = next_run(rest);
        push_number(&mut squeezed, at);
        squeezed.extend_from_slice(&rest[..at]);
        push_number(&mut squeezed, run);
        rest = &rest[at + run..];
    }
    squeezed
}

/// What was squeezed, or never was; `None` where it is neither, or longer than `length_max`.
pub(super) fn expand(bytes: Zeroizing<Vec<u8>>, length_max: usize) -> Option<Zeroizing<Vec<u8>>> {
    let Some(squeezed) = bytes.strip_prefix(&[MARK]) else {
        return Some(bytes);
    };
    let length = turns(squeezed).try_fold(0_usize, |length, turn| {
        let (plain, run) = turn?;
        length.checked_add(plain.len())?.checked_add(run)
    });
    // All at once, so that no part of it stays behind in memory.
    let mut text = Vec::with_capacity(length.filter(|it| *it <= length_max)?);
    for (plain, run) in turns(squeezed).flatten() {
        text.extend_from_slice(plain);
        text.resize(text.len() + run, NIL);
    }
    Some(Zeroizing::new(text))
}

/// Bytes as they are and a number of `nil`s, in turn; `None` in the place of what is neither.
fn turns(mut rest: &[u8]) -> impl Iterator<Item = Option<(&[u8], usize)>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let turn = take_turn(&mut rest);
        if turn.is_none() {
            rest = &[];
        }
        Some(turn)
    })
}

fn take_turn<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], usize)> {
    let plain = take_number(rest)?;
    let (plain, after) = rest.split_at_checked(plain)?;
    *rest = after;
    Some((plain, take_number(rest)?))
}

/// Where the next run of `nil`s begins, and how long it is.
fn next_run(text: &[u8]) -> (usize, usize) {
    let mut at = 0;
    while let Some(found) = text[at..].iter().position(|byte| *byte == NIL) {
        at += found;
        let run = text[at..].iter().take_while(|byte| **byte == NIL).count();
        if run >= RUN_MIN {
            return (at, run);
        }
        at += run;
    }
    (text.len(), 0)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn squeezed_is_expanded(text in vec(prop_oneof![Just(vec![NIL; 9]), vec(0xbf..=0xc1_u8, 0..20)], 0..30)) {
            let text = text.concat();
            let squeezed = squeeze(&text);
            prop_assert_eq!(expand(squeezed.into(), 1000), Some(text.into()));
        }

        #[test]
        fn no_bytes_break_anything(bytes in vec(any::<u8>(), 0..100)) {
            let _ = expand([vec![MARK], bytes].concat().into(), 1000);
        }
    }

    #[test]
    fn nodes_without_a_secret_cost_nothing() {
        assert!(squeeze(&[NIL; 40_000]).len() < 8);
        let plain = Zeroizing::new(vec![0x93, 1, 2]);
        assert_eq!(expand(plain.clone(), 10), Some(plain));
    }
}
