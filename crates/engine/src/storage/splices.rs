//! Patches as earlier versions wrote them: what was cut out of a text, and what stands there instead.

use super::number::take_number;

/// Makes the new text of the old one; `None` where the patch is not one of this text.
///
/// A patch is splices: each the distance from the end of the one before in the old text, how much is cut
/// out there, and what is put in.
pub(super) fn apply(text: &[u8], mut patch: &[u8]) -> Option<Vec<u8>> {
    let mut new = Vec::with_capacity(text.len() + patch.len());
    let mut rest = text;
    while !patch.is_empty() {
        let (kept, after) = rest.split_at_checked(take_number(&mut patch)?)?;
        let cut = take_number(&mut patch)?;
        let put = take_number(&mut patch)?;
        let (put, behind) = patch.split_at_checked(put)?;
        new.extend_from_slice(kept);
        new.extend_from_slice(put);
        (rest, patch) = (after.get(cut..)?, behind);
    }
    new.extend_from_slice(rest);
    Some(new)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn splices_cut_and_put_in() {
        let patch = [&[1, 2, 3][..], b"XYZ", &[1, 0, 1, b'!']].concat();
        let new = apply(b"abcdef", &patch);
        assert_eq!(new.as_deref(), Some(&b"aXYZd!ef"[..]));
        assert_eq!(apply(b"abc", &[1, 3, 0]), None);
    }

    proptest! {
        #[test]
        fn no_patch_breaks_anything(text in vec(any::<u8>(), 0..100), patch in vec(0..9_u8, 0..100)) {
            let _ = apply(&text, &patch);
        }
    }
}
