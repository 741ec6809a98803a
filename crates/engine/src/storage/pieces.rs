//! How one encoding became another of the same shape, piece by piece.
//!
//! A Commit changes a handful of nodes of a tree whose encoding is megabytes long. The encoding is kept
//! once as a whole, and then what each Commit changed about it: a *patch*. The pieces that are compared
//! are the elements of the arrays that lie two deep in MessagePack, which in OpenMLS's trees are the leaves
//! and the parents, and what stands between those arrays. Nothing here knows what a piece means: of an
//! encoding that is built in another way, the pieces are larger, and so are the patches.

use super::number::{push_number, take_number};

/// How deep the arrays lie whose elements are pieces.
const DEPTH: u32 = 2;

/// An encoding, cut into pieces: runs of elements of one array each, and between them runs of one piece.
pub(super) struct Pieces<'a>(Vec<Vec<&'a [u8]>>);

/// What a patch says of one run.
struct Change<'a> {
    run: usize,
    length: usize,
    pieces: Vec<(usize, &'a [u8])>,
}

impl<'a> Pieces<'a> {
    /// Cuts an encoding. Bytes that are none are one piece.
    pub(super) fn of(text: &'a [u8]) -> Self {
        let mut cutter = Cutter {
            rest: text,
            text,
            runs: Vec::new(),
        };
        match cutter.cut(0) {
            Some(()) if cutter.rest.is_empty() => {
                cutter.end_plain();
                Self(cutter.runs)
            }
            _ => Self(vec![vec![text]]),
        }
    }

    /// What makes `new` of these; `None` where they are of different shapes.
    pub(super) fn patch_to(&self, new: &Self) -> Option<Vec<u8>> {
        if self.0.len() != new.0.len() {
            return None;
        }
        let (mut patch, mut last_run) = (Vec::new(), 0);
        for (number, (old, new)) in self.0.iter().zip(&new.0).enumerate() {
            let is_new = |(index, piece): &(usize, &&[u8])| old.get(*index) != Some(*piece);
            let changed: Vec<_> = new.iter().enumerate().filter(is_new).collect();
            if changed.is_empty() && old.len() == new.len() {
                continue;
            }
            push_number(&mut patch, number - last_run);
            push_number(&mut patch, new.len());
            push_number(&mut patch, changed.len());
            let mut next = 0;
            for (index, piece) in changed {
                push_number(&mut patch, index - next);
                push_number(&mut patch, piece.len());
                patch.extend_from_slice(piece);
                next = index + 1;
            }
            last_run = number;
        }
        Some(patch)
    }

    /// Changes what a patch changes; `None` where it is not one of these pieces.
    pub(super) fn apply(&mut self, mut patch: &'a [u8]) -> Option<()> {
        let mut run = 0;
        while !patch.is_empty() {
            let change = Change::take(&mut patch, run)?;
            run = change.run;
            let pieces = self.0.get_mut(run)?;
            // All that is longer than before is in the patch, so no patch makes more than it holds.
            let more = change.length.saturating_sub(pieces.len());
            if change.pieces.len() < more {
                return None;
            }
            pieces.resize(change.length, &[]);
            for (index, piece) in change.pieces {
                *pieces.get_mut(index)? = piece;
            }
        }
        Some(())
    }

    /// The encoding that they are of.
    pub(super) fn text(&self) -> Vec<u8> {
        let pieces = || self.0.iter().flatten();
        let mut text = Vec::with_capacity(pieces().map(|piece| piece.len()).sum());
        pieces().for_each(|piece| text.extend_from_slice(piece));
        text
    }
}

impl<'a> Change<'a> {
    fn take(patch: &mut &'a [u8], last_run: usize) -> Option<Self> {
        let run = last_run.checked_add(take_number(patch)?)?;
        let (length, count) = (take_number(patch)?, take_number(patch)?);
        let (mut pieces, mut next) = (Vec::new(), 0_usize);
        for _ in 0..count {
            let index = next.checked_add(take_number(patch)?)?;
            let bytes = take_number(patch)?;
            let (piece, rest) = patch.split_at_checked(bytes)?;
            *patch = rest;
            pieces.push((index, piece));
            next = index.checked_add(1)?;
        }
        Some(Self {
            run,
            length,
            pieces,
        })
    }
}

/// Walks through MessagePack.
struct Cutter<'a> {
    rest: &'a [u8],
    /// From where on nothing has been cut.
    text: &'a [u8],
    runs: Vec<Vec<&'a [u8]>>,
}

impl<'a> Cutter<'a> {
    /// Passes over a value that lies so deep, and cuts it where it is to be cut.
    fn cut(&mut self, depth: u32) -> Option<()> {
        let before = self.rest;
        let Some(elements) = take_array(&mut self.rest) else {
            self.rest = before;
            return skip(&mut self.rest);
        };
        if depth < DEPTH {
            return (0..elements).try_for_each(|_| self.cut(depth + 1));
        }
        self.end_plain();
        let mut run = Vec::new();
        for _ in 0..elements {
            let element = self.rest;
            skip(&mut self.rest)?;
            run.push(&element[..element.len() - self.rest.len()]);
        }
        self.runs.push(run);
        self.text = self.rest;
        Some(())
    }

    /// What was passed over and not cut is one piece, be it empty.
    fn end_plain(&mut self) {
        let plain = self.text.len() - self.rest.len();
        self.runs.push(vec![&self.text[..plain]]);
        self.text = self.rest;
    }
}

/// Takes the beginning of an array, and gives how many elements it has; `None` for anything else.
fn take_array(text: &mut &[u8]) -> Option<usize> {
    let (marker, rest) = text.split_first()?;
    *text = rest;
    match marker {
        0x90..=0x9f => Some(usize::from(marker & 0x0f)),
        0xdc => take_size(text, 2),
        0xdd => take_size(text, 4),
        _ => None,
    }
}

/// Passes over one value with all that is in it.
fn skip(text: &mut &[u8]) -> Option<()> {
    let mut values = 1_usize;
    while values > 0 {
        let (marker, rest) = text.split_first()?;
        *text = rest;
        let (bytes, inside) = extent(*marker, text)?;
        *text = text.get(bytes..)?;
        values = (values - 1).checked_add(inside)?;
    }
    Some(())
}

/// How many bytes follow a marker, and how many values after those.
fn extent(marker: u8, text: &mut &[u8]) -> Option<(usize, usize)> {
    let small = usize::from(marker & 0x0f);
    Some(match marker {
        0x00..=0x7f | 0xc0..=0xc3 | 0xe0..=0xff => (0, 0),
        0x80..=0x8f => (0, 2 * small),
        0x90..=0x9f => (0, small),
        0xa0..=0xbf => (usize::from(marker & 0x1f), 0),
        0xc4 | 0xd9 => (take_size(text, 1)?, 0),
        0xc5 | 0xda => (take_size(text, 2)?, 0),
        0xc6 | 0xdb => (take_size(text, 4)?, 0),
        // Of an extension, its type comes first.
        0xc7 => (take_size(text, 1)?.checked_add(1)?, 0),
        0xc8 => (take_size(text, 2)?.checked_add(1)?, 0),
        0xc9 => (take_size(text, 4)?.checked_add(1)?, 0),
        0xd4..=0xd8 => (1 + (1 << (marker - 0xd4)), 0),
        0xcc | 0xd0 => (1, 0),
        0xcd | 0xd1 => (2, 0),
        0xca | 0xce | 0xd2 => (4, 0),
        0xcb | 0xcf | 0xd3 => (8, 0),
        0xdc => (0, take_size(text, 2)?),
        0xdd => (0, take_size(text, 4)?),
        0xde => (0, take_size(text, 2)?.checked_mul(2)?),
        0xdf => (0, take_size(text, 4)?.checked_mul(2)?),
    })
}

/// Takes a big-endian number of so many bytes.
fn take_size(text: &mut &[u8], bytes: usize) -> Option<usize> {
    let (number, rest) = text.split_at_checked(bytes)?;
    *text = rest;
    let add = |sum: usize, byte: &u8| (sum << 8) | usize::from(*byte);
    Some(number.iter().fold(0, add))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// A node, as far as it matters here.
    type Node = Option<Vec<u8>>;

    /// Something that is built as OpenMLS's trees are.
    type Tree = ((Vec<Node>, Vec<Node>, Node), Vec<u8>);

    fn nodes() -> impl Strategy<Value = Vec<Node>> {
        vec(proptest::option::of(vec(any::<u8>(), 0..70)), 0..40)
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let hash = vec(any::<u8>(), 32);
        ((nodes(), nodes(), Just(None)), hash)
    }

    fn encoded(value: &impl serde::Serialize) -> Vec<u8> {
        let mut bytes = Vec::new();
        crate::codec::encode_into(&mut bytes, value).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn patches_make_of_each_tree_the_next(trees in vec(tree(), 2..5)) {
            let texts: Vec<Vec<u8>> = trees.iter().map(encoded).collect();
            let patches: Vec<Vec<u8>> = texts
                .windows(2)
                .map(|pair| Pieces::of(&pair[0]).patch_to(&Pieces::of(&pair[1])).unwrap())
                .collect();
            let mut pieces = Pieces::of(&texts[0]);
            for patch in &patches {
                prop_assert!(pieces.apply(patch).is_some());
            }
            prop_assert_eq!(Some(&pieces.text()), texts.last());
        }

        #[test]
        fn what_is_cut_is_whole_again(text in vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Pieces::of(&text).text(), text);
        }

        #[test]
        fn no_patch_breaks_anything(tree in tree(), patch in vec(0..9_u8, 0..40)) {
            let text = encoded(&tree);
            let _ = Pieces::of(&text).apply(&patch);
        }
    }

    #[test]
    fn a_patch_is_as_long_as_what_changed() {
        let node = |number: usize| Some(vec![number.to_le_bytes()[0]; 64]);
        let blank: Vec<Node> = vec![None; 10_000];
        let leaves: Vec<Node> = (0..10_000).map(node).collect();
        let old: Tree = ((leaves, blank, None), vec![0; 32]);
        let mut new = old.clone();
        // A path, where nodes were blank and are not, or the other way round.
        for height in 0..13_usize {
            new.0.1[(1 << height) - 1] = node(height);
        }
        new.0.0[7] = None;
        new.0.0.push(node(1));
        new.1 = vec![1; 32];
        let (old, new) = (encoded(&old), encoded(&new));
        let patch = Pieces::of(&old).patch_to(&Pieces::of(&new)).unwrap();
        assert!(patch.len() < 16 * (64 + 8), "{} bytes", patch.len());
        let same = Pieces::of(&old).patch_to(&Pieces::of(&old));
        assert_eq!(same, Some(Vec::new()));
    }
}
