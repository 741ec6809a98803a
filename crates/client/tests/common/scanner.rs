//! Looks for planted markers in files: as they are, in hex, in base64, and pulled apart.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, missing_docs)]

use std::{collections::HashMap, fs, path::Path};

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

/// A piece of a marker, in some form. Random bytes hold one with a chance of 2^-64 at each place.
const PIECE_BYTES: usize = 8;

/// Bytes from one to the next of a marker that was pulled apart, at most: as UTF-32 does it.
const STRIDE_MAX: usize = 4;

/// What was planted, by the name that a test calls it.
#[derive(Default)]
pub struct Markers(HashMap<[u8; PIECE_BYTES], &'static str>);

impl Markers {
    pub fn plant(&mut self, name: &'static str, marker: &[u8]) {
        for form in forms(marker) {
            let pieces = form.windows(PIECE_BYTES);
            self.0
                .extend(pieces.map(|it| (it.try_into().unwrap(), name)));
        }
    }

    /// The names of what is found in the files of a folder, or in their names, sorted.
    pub fn found_in(&self, folder: &Path) -> Vec<&'static str> {
        let mut found = Vec::new();
        for file in fs::read_dir(folder).unwrap() {
            let file = file.unwrap();
            found.extend(self.found_in_bytes(file.file_name().as_encoded_bytes()));
            found.extend(self.found_in_bytes(&fs::read(file.path()).unwrap()));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    pub fn found_in_bytes(&self, bytes: &[u8]) -> Vec<&'static str> {
        let mut found = Vec::new();
        for stride in 1..=STRIDE_MAX {
            for bytes in bytes.windows(stride * (PIECE_BYTES - 1) + 1) {
                let piece = std::array::from_fn(|at| bytes[at * stride]);
                found.extend(self.0.get(&piece));
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The names of what is found in any of many stretches of bytes, where nobody pulls markers apart.
    #[allow(dead_code)] // Not every test looks at memory.
    pub fn found_in_stretches(
        &self,
        stretches: impl IntoIterator<Item = Vec<u8>>,
    ) -> Vec<&'static str> {
        let mut found = Vec::new();
        for bytes in stretches {
            let pieces = bytes.windows(PIECE_BYTES);
            found.extend(
                pieces.filter_map(|it| self.0.get::<[u8; PIECE_BYTES]>(it.try_into().unwrap())),
            );
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn forms(marker: &[u8]) -> Vec<Vec<u8>> {
    assert!(
        marker.len() > PIECE_BYTES,
        "too short to be told from chance"
    );
    let mut forms = vec![
        marker.to_vec(),
        marker.iter().rev().copied().collect(),
        HEXLOWER.encode(marker).into_bytes(),
        HEXUPPER.encode(marker).into_bytes(),
    ];
    for encoding in [BASE64_NOPAD, BASE64URL_NOPAD] {
        for before in 0..3 {
            // The symbols that the marker alone decides, wherever it begins in what is encoded.
            let text = encoding.encode(&[&[0; 2][..before], marker].concat());
            let (first, last) = ((before * 8).div_ceil(6), (before + marker.len()) * 8 / 6);
            forms.push(text.as_bytes()[first..last].to_vec());
        }
    }
    forms
}

#[test]
fn the_scanner_finds_what_is_planted_in_every_form_and_nothing_else() {
    let marker = b"planted marker";
    let mut markers = Markers::default();
    markers.plant("it", marker);
    let wide: Vec<u8> = marker.iter().flat_map(|it| [*it, 0]).collect();
    let halves = [&marker[..7], &[0; 100], &marker[6..]].concat();
    let mut planted = vec![
        marker.to_vec(),
        wide,
        halves,
        HEXUPPER.encode(marker).into(),
    ];
    for before in 0..6 {
        let whole = [&vec![7; before][..], marker, b"and more"].concat();
        planted.push(BASE64_NOPAD.encode(&whole).into());
        planted.push(BASE64URL_NOPAD.encode(&whole).into());
    }
    for planted in planted {
        let inside = [&[1; 50], &planted[..], &[2; 50]].concat();
        assert_eq!(markers.found_in_bytes(&inside), ["it"], "{planted:?}");
    }
    assert!(markers.found_in_bytes(&marker[..7]).is_empty());
}
