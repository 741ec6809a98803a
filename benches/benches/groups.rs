//! Large groups whose trees are full, ours beside OpenMLS and mls-rs, in one run: a joiner validates the
//! tree, a follower takes in a Commit, a member opens one. Prints the tables of `docs/performance.md`.
//!
//! `cargo bench -p conclave-benches --bench groups [-- SIZE...]`
//!
//! This is no criterion benchmark: setting one up for another try costs a peer up to minutes, so each
//! Commit of a chain is measured once, the implementations taking turns. Processor time stands beside
//! the time that passed, since it says the same on a machine that has other work too.

#![allow(missing_docs)]

use std::{
    env,
    io::{self, Write as _},
};

use conclave_benches::{full_tree, report::cells};

const SIZES: [u32; 4] = [100, 1_000, 10_000, 100_000];

fn main() -> anyhow::Result<()> {
    // Cargo adds an option of its own.
    let given = env::args().skip(1).filter(|given| !given.starts_with("--"));
    let sizes: Vec<u32> = given.map(|size| size.parse()).collect::<Result<_, _>>()?;
    let sizes = if sizes.is_empty() {
        SIZES.to_vec()
    } else {
        sizes
    };
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "| members | what | who | processor, median | least | most | by the clock, median |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for size in sizes {
        for row in full_tree::rows(size)? {
            writeln!(
                out,
                "| {size} | {} | {} | {} |",
                row.what,
                row.who,
                cells(&row)
            )?;
            out.flush()?;
        }
    }
    Ok(())
}
