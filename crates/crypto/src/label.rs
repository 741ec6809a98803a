//! The encoding of labelled inputs (RFC 9420 §5): byte strings behind a variable-length prefix.

/// Every label of MLS begins with this (RFC 9420 §5.1.2, §5.1.3, §8).
const PREFIX: &str = "MLS 1.0 ";

/// Appends `bytes` as `opaque<V>` (RFC 9420 §2.1.2).
///
/// Lengths past 2^30 - 1 can't be written; input that long never gets this far, since messages are
/// bounded well below before they are parsed.
#[allow(clippy::cast_possible_truncation)] // Each arm holds only numbers that fit.
pub(crate) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        len @ 0..=0x3f => out.push(len as u8),
        len @ 0x40..=0x3fff => out.extend((len as u16 | 0x4000).to_be_bytes()),
        len => out.extend((len as u32 | 0x8000_0000).to_be_bytes()),
    }
    out.extend_from_slice(bytes);
}

/// A labelled content: `label<V>` with MLS's prefix, then `content<V>`.
pub(crate) fn labelled(label: &str, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(PREFIX.len() + label.len() + content.len() + 8);
    write_bytes(&mut out, &[PREFIX.as_bytes(), label.as_bytes()].concat());
    write_bytes(&mut out, content);
    out
}
