//! What another process has in its memory.

#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::PathBuf,
};

/// Bytes that are read at once.
const STRETCH_BYTES: usize = 1 << 20;

/// All memory that a process may write to, in stretches that overlap by some bytes.
pub fn memory(process: u32) -> Vec<Vec<u8>> {
    let process = PathBuf::from(format!("/proc/{process}"));
    let mut memory = File::open(process.join("mem")).unwrap();
    let maps = fs::read_to_string(process.join("maps")).unwrap();
    let mut stretches = Vec::new();
    for (from, to) in maps.lines().filter_map(writable) {
        for at in (from..to).step_by(STRETCH_BYTES) {
            let length = (to - at).min(STRETCH_BYTES as u64 + 64);
            let mut bytes = vec![0; usize::try_from(length).unwrap()];
            memory.seek(SeekFrom::Start(at)).unwrap();
            // What was given back since the maps were read is not there to be read.
            if memory.read_exact(&mut bytes).is_ok() && bytes.iter().any(|byte| *byte != 0) {
                stretches.push(bytes);
            }
        }
    }
    stretches
}

/// Where a mapping begins and ends, if what is in it was written by the process.
fn writable(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    words.next()?.starts_with("rw").then_some(())?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    Some((address(from)?, address(to)?))
}
