//! How much memory one follower or one member of a large group takes, in bytes that are allocated
//! when it has begun, and at most while it did:
//!
//! `cargo run --release -p conclave-benches -- 10000`
//!
//! What C libraries allocate is not counted; MLS keys held there are few.

use std::{
    env,
    io::{self, Write as _},
};

use conclave_benches::{Members, Scene};
use conclave_conformance::EngineName;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

fn main() -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "| members | who | bytes a member | at most, while beginning |"
    )?;
    writeln!(out, "|---|---|---|---|")?;
    for size in env::args().skip(1) {
        let size: u32 = size.parse()?;
        let scene = Scene::new(size, 0)?;
        for engine in EngineName::ALL {
            let what = format!("follower, {}", engine.name());
            let begin = || engine.observe(&scene.info, &scene.tree);
            writeln!(out, "{}", row(size, &what, begin)?)?;
        }
        for engine in EngineName::ALL {
            let mut members = Members::new(size, &[engine])?;
            let what = format!("member, {}", engine.name());
            writeln!(out, "{}", row(size, &what, || members.join(0))?)?;
        }
    }
    Ok(())
}

/// What is allocated by `begin` while its outcome lives, shared out among all members.
fn row<T>(
    size: u32,
    what: &str,
    begin: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<String> {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let begun = begin()?;
    let each = |bytes: usize| bytes.saturating_sub(before) / size as usize;
    let (held, most) = (
        each(ALLOCATED.current_usage()),
        each(ALLOCATED.peak_usage()),
    );
    drop(begun);
    Ok(format!("| {size} | {what} | {held} | {most} |"))
}
