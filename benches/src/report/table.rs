//! The tables, in Markdown.

use std::{fmt::Write as _, fs, num::NonZeroUsize, thread, time::Duration};

use super::{Row, Time};

/// What was resolved, which says what the peers' versions are.
const LOCK: &str = include_str!("../../../Cargo.lock");

/// What the program was resolved to that has OpenMLS with SQLite.
const LOCK_ELSEWHERE: &str = include_str!("../../openmls-sqlite/Cargo.lock");

/// The peers whose versions count.
const PEERS: [&str; 8] = [
    "openmls",
    "openmls_rust_crypto",
    "openmls_memory_storage",
    "openmls_sqlite_storage",
    "mls-rs",
    "mls-rs-crypto-awslc",
    "mls-rs-crypto-rustcrypto",
    "aws-lc-rs",
];

/// What stands above all tables.
pub(super) fn heading(sizes: &[u32]) -> anyhow::Result<String> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = about
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |it| it.trim_start_matches([' ', '\t', ':']));
    let versions: Vec<String> = PEERS
        .iter()
        .map(|name| format!("{name} {}", version(name).unwrap_or("?")))
        .collect();
    let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
    let mut text = String::new();
    writeln!(text, "# Groups of many sizes, side by side\n")?;
    writeln!(
        text,
        "Made by `cargo run --release -p conclave-benches -- report {}` on {cores} cores ({model}), \
         suite 1, with {}.\n",
        sizes.join(" "),
        versions.join(", ")
    )?;
    writeln!(
        text,
        "*Conclave* is the engine of its clients: OpenMLS on AWS-LC with a storage of its own, each step \
         with what it has written. *Cryptography alone* is a signature and a seal, without any protocol. *OpenMLS* is used as it comes, with RustCrypto and its memory storage, and with its SQLite storage in a \
         program beside: a file in WAL mode with `synchronous = FULL`, JSON in it, each step in one transaction, and \
         what is written are the pages of its log, while its memory is without SQLite's; \
         *mls-rs* with either, its state written into its memory storage after each step. In the groups \
         that are made here by adding everybody at once the tree is blank, so that each Commit with a \
         path carries a ciphertext for each member; the tables of a *full tree* are of a forged group \
         that has lived for long. There *ours* is the crates `mls-public` and `mls-member`, and all three \
         use AWS-LC. Times are of the processor, all threads together, where nothing else is said. What \
         is written is what a step hands to the storage, on average; what goes over the wire is the most \
         that one step sends.\n"
    )?;
    Ok(text)
}

fn version(name: &str) -> Option<&'static str> {
    let begin = format!("name = \"{name}\"");
    let mut lines = LOCK
        .lines()
        .chain(LOCK_ELSEWHERE.lines())
        .skip_while(|line| *line != begin);
    let line = lines.nth(1)?.strip_prefix("version = \"")?;
    line.strip_suffix('"')
}

/// One deed, in all sizes.
pub(super) fn section(rows: &[&Row], plot: Option<&str>) -> anyhow::Result<String> {
    let Some(first) = rows.first() else {
        return Ok(String::new());
    };
    let has = |bytes: fn(&Row) -> Option<u64>| rows.iter().any(|row| bytes(row).is_some());
    let columns: Vec<Column> = COLUMNS.into_iter().filter(|it| has(it.bytes)).collect();
    let has_times = rows.iter().any(|row| !row.times.is_empty());
    let mut text = format!("## {}\n\n", first.what);
    if let Some(plot) = plot {
        writeln!(text, "![{}]({plot})\n", first.what)?;
    }
    let mut heads = vec!["members", "who"];
    if has_times {
        heads.extend(["median", "least", "most", "by the clock"]);
    }
    heads.extend(columns.iter().map(|column| column.head));
    writeln!(text, "| {} |", heads.join(" | "))?;
    writeln!(text, "|{}", "---|".repeat(heads.len()))?;
    for row in rows {
        write!(text, "| {} | {} |", row.members, row.who)?;
        if has_times {
            write!(text, " {} |", cells(row))?;
        }
        for column in &columns {
            let bytes = (column.bytes)(row).map_or_else(|| "–".to_owned(), bytes);
            write!(text, " {bytes} |")?;
        }
        writeln!(text)?;
    }
    text.push('\n');
    Ok(text)
}

#[derive(Clone, Copy)]
struct Column {
    head: &'static str,
    bytes: fn(&Row) -> Option<u64>,
}

const COLUMNS: [Column; 3] = [
    Column {
        head: "on the wire",
        bytes: |row| row.wire_bytes,
    },
    Column {
        head: "written",
        bytes: Row::written_each,
    },
    Column {
        head: "memory",
        bytes: |row| row.memory_bytes,
    },
];

/// Median, least and most of the processor's times, and the median by the clock.
#[must_use]
pub fn cells(row: &Row) -> String {
    let (processor, passed) = (
        row.sorted(|time: &Time| time.processor),
        row.sorted(|time| time.passed),
    );
    let at = |times: &[Duration], index: usize| times.get(index).copied().unwrap_or_default();
    let (median, last) = (row.times.len() / 2, row.times.len().saturating_sub(1));
    let cells = [
        at(&processor, median),
        at(&processor, 0),
        at(&processor, last),
        at(&passed, median),
    ];
    cells.map(|time| format!("{time:.3?}")).join(" | ")
}

fn bytes(count: u64) -> String {
    // As precise as anybody reads.
    #[expect(clippy::cast_precision_loss)]
    let exact = count as f64;
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{:.1} kB", exact / 1e3),
        _ => format!("{:.1} MB", exact / 1e6),
    }
}
