//! How one text became another: what was cut out of it, and what stands there instead.
//!
//! A Commit changes a handful of nodes of a tree whose encoding is megabytes long. The encoding is
//! kept once as a whole, and then what each Commit changed about it.

use std::collections::HashMap;

/// Bytes that have to be alike for two places to count as the same. Keys and hashes are longer than
/// that, so what is met twice by chance is rare; it costs a longer patch and nothing else.
const WINDOW: usize = 32;

/// How far to look for where two texts are alike again without a shift between them: a leaf with its
/// certificate.
const STRAIGHT_MAX: usize = 2048;

/// Encoded splices: each the distance from the end of the one before in the old text, how much is cut
/// out there, and what is put in. Numbers are LEB128.
pub(super) fn diff(old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut patch = Vec::new();
    let mut index = None;
    let (mut from, mut to, mut last) = (0, 0, 0);
    loop {
        let alike = common_prefix(&old[from..], &new[to..]);
        (from, to) = (from + alike, to + alike);
        if from == old.len() && to == new.len() {
            return patch;
        }
        let (cut, put) = next_alike(old, new, (from, to), &mut index);
        push_number(&mut patch, from - last);
        push_number(&mut patch, cut);
        push_number(&mut patch, put);
        patch.extend_from_slice(&new[to..to + put]);
        (from, to) = (from + cut, to + put);
        last = from;
    }
}

/// Makes the new text of the old one; `None` where the patch is not one of this text.
pub(super) fn apply(text: &mut Vec<u8>, patch: &[u8]) -> Option<()> {
    let splices = parse(text.len(), patch)?;
    if splices.iter().all(|it| it.cut == it.put.len()) {
        for splice in splices {
            text[splice.at..splice.at + splice.cut].copy_from_slice(splice.put);
        }
        return Some(());
    }
    let mut new = Vec::with_capacity(text.len() + patch.len());
    let mut kept = 0;
    for splice in splices {
        new.extend_from_slice(&text[kept..splice.at]);
        new.extend_from_slice(splice.put);
        kept = splice.at + splice.cut;
    }
    new.extend_from_slice(&text[kept..]);
    *text = new;
    Some(())
}

struct Splice<'a> {
    at: usize,
    cut: usize,
    put: &'a [u8],
}

fn parse(length: usize, mut patch: &[u8]) -> Option<Vec<Splice<'_>>> {
    let mut splices = Vec::new();
    let mut end = 0_usize;
    while !patch.is_empty() {
        let at = end.checked_add(take_number(&mut patch)?)?;
        let cut = take_number(&mut patch)?;
        let put = take_number(&mut patch)?;
        let (put, rest) = patch.split_at_checked(put)?;
        patch = rest;
        end = at.checked_add(cut).filter(|end| *end <= length)?;
        splices.push(Splice { at, cut, put });
    }
    Some(splices)
}

type Index<'a> = HashMap<&'a [u8], Vec<usize>>;

/// How much to cut out of the old text and to put in from the new one until they are alike again.
fn next_alike<'a>(
    old: &'a [u8],
    new: &[u8],
    (from, to): (usize, usize),
    index: &mut Option<Index<'a>>,
) -> (usize, usize) {
    let (old_rest, new_rest) = (&old[from..], &new[to..]);
    let straight = (1..STRAIGHT_MAX).find(|skip| {
        let ahead = old_rest.get(*skip..skip + WINDOW);
        ahead.is_some() && ahead == new_rest.get(*skip..skip + WINDOW)
    });
    if let Some(skip) = straight {
        return (skip, skip);
    }
    let index = index.get_or_insert_with(|| index_of(old));
    for (put, window) in new_rest.windows(WINDOW).enumerate() {
        let Some(places) = index.get(window) else {
            continue;
        };
        if let Some(place) = places.get(places.partition_point(|it| *it < from)) {
            // Places are known to within a window: what is alike before it counts too.
            let cut = place - from;
            let back = common_suffix(&old_rest[..cut], &new_rest[..put]);
            return (cut - back, put - back);
        }
    }
    (old_rest.len(), new_rest.len())
}

fn index_of(text: &[u8]) -> Index<'_> {
    let mut index = Index::new();
    for (number, window) in text.chunks_exact(WINDOW).enumerate() {
        index.entry(window).or_default().push(number * WINDOW);
    }
    index
}

fn common_prefix(these: &[u8], those: &[u8]) -> usize {
    // Whole windows first: comparing those is what the processor is good at.
    let windows = these.chunks_exact(WINDOW).zip(those.chunks_exact(WINDOW));
    let whole = windows.take_while(|(this, that)| this == that).count() * WINDOW;
    let rest = these[whole..].iter().zip(&those[whole..]);
    whole + rest.take_while(|(this, that)| this == that).count()
}

fn common_suffix(these: &[u8], those: &[u8]) -> usize {
    let bytes = these.iter().rev().zip(those.iter().rev());
    bytes.take_while(|(this, that)| this == that).count()
}

/// Appends a number, seven bits a byte, the least first.
pub(super) fn push_number(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

/// Takes a number off the front.
pub(super) fn take_number(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0_usize;
    for shift in (0..usize::BITS).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= usize::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// A text, and one that came of it by cutting and putting in.
    fn texts() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
        let edits = vec((any::<u16>(), 0..200_usize, vec(0..4_u8, 0..200)), 0..8);
        (vec(0..4_u8, 0..4000), edits).prop_map(|(old, edits)| {
            let mut new = old.clone();
            for (at, cut, put) in edits {
                let at = usize::from(at) % (new.len() + 1);
                let end = (at + cut).min(new.len());
                new.splice(at..end, put);
            }
            (old, new)
        })
    }

    proptest! {
        #[test]
        fn a_patch_makes_the_new_text((old, new) in texts()) {
            let patch = diff(&old, &new);
            let mut text = old.clone();
            prop_assert!(apply(&mut text, &patch).is_some());
            prop_assert!(text == new);
        }

        #[test]
        fn no_patch_breaks_anything(mut text in vec(any::<u8>(), 0..100), patch in vec(any::<u8>(), 0..100)) {
            let _ = apply(&mut text, &patch);
        }
    }

    #[test]
    fn a_patch_is_as_long_as_what_changed() {
        let old: Vec<u8> = (0..40_000_u32).flat_map(u32::to_be_bytes).collect();
        let mut new = old.clone();
        new[80_000..80_064].fill(0xab);
        new.splice(120_000..120_000, [0xcd; 700]);
        new.drain(140_000..140_500);
        assert!(diff(&old, &new).len() < 64 + 700 + 3 * 12);
        assert!(diff(&old, &old).is_empty());
    }
}
