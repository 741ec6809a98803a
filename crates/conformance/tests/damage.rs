//! Vectors that do not hold are noticed: a check that can't fail proves nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::Path};

use conclave_conformance::{EngineName, check, generate};
use serde_json::Value;

/// What may be changed without anybody having to notice: inputs that nothing is compared with.
const UNNOTICED: [&str; 2] = ["cipher_suite", "signature_priv"];

/// The kinds in which each byte string is held against another.
const KINDS: [&str; 10] = [
    "crypto-basics",
    "key-schedule",
    "psk_secret",
    "secret-tree",
    "message-protection",
    "transcript-hashes",
    "tree-operations",
    "tree-validation",
    "treekem",
    "passive-client",
];

#[test]
fn every_generated_value_matters() {
    let folder = tempfile::tempdir().unwrap();
    for kind in KINDS {
        let entries: Vec<Value> = serde_json::from_str(&generate(kind).unwrap()).unwrap();
        let mut changed = 0;
        while let Some((path, damaged)) = damage(&entries[0], changed) {
            changed += 1;
            let name = path.rsplit('/').next().unwrap();
            if UNNOTICED.contains(&name) {
                continue;
            }
            let file = folder.path().join("damaged.json");
            fs::write(&file, serde_json::to_vec(&[damaged]).unwrap()).unwrap();
            assert!(!holds(&file), "{kind}: {path} does not matter");
        }
        assert!(changed > 4, "{kind}");
    }
}

#[test]
fn files_that_are_no_vectors_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for content in [
        "",
        "[]",
        "{}",
        "[{\"unknown\": 1}]",
        "[{\"n_leaves\": \"many\"}]",
    ] {
        let file = folder.path().join("broken.json");
        fs::write(&file, content).unwrap();
        assert!(check(&[file], &EngineName::ALL).is_err(), "{content}");
    }
}

fn holds(file: &Path) -> bool {
    check(&[file.to_owned()], &[EngineName::Ours]).is_ok_and(|report| report.holds())
}

/// The entry with its `index`th hexadecimal string changed, and where that stands.
fn damage(entry: &Value, index: usize) -> Option<(String, Value)> {
    let mut path = None;
    let mut damaged = entry.clone();
    visit(&mut damaged, String::new(), &mut { index }, &mut path);
    path.map(|path| (path, damaged))
}

fn visit(value: &mut Value, at: String, left: &mut usize, path: &mut Option<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                visit(field, format!("{at}/{name}"), left, path);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                visit(item, format!("{at}[{index}]"), left, path);
            }
        }
        Value::String(text) if path.is_none() && !at.ends_with("label") => {
            if *left == 0 {
                let first = if text.starts_with('0') { "1" } else { "0" };
                text.replace_range(..1, first);
                *path = Some(at);
            }
            *left = left.wrapping_sub(1);
        }
        _ => {}
    }
}
