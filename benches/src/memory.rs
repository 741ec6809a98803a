//! How much memory one follower or one member of a large group takes, in bytes that are allocated
//! when it has begun, and at most while it did.
//!
//! What C libraries allocate is not counted; MLS keys held there are few.

use std::io::{self, Write as _};

use conclave_benches::{Members, Scene};
use conclave_conformance::EngineName;
use peak_alloc::PeakAlloc;

/// Prints the table of `docs/performance.md`.
///
/// # Errors
/// Where an implementation refuses a group.
pub(crate) fn print(sizes: &[u32], allocated: &PeakAlloc) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "| members | who | bytes a member | at most, while beginning |"
    )?;
    writeln!(out, "|---|---|---|---|")?;
    for size in sizes {
        let scene = Scene::new(*size, 0)?;
        for engine in EngineName::ALL {
            let what = format!("follower, {}", engine.name());
            let begin = || engine.observe(&scene.info, &scene.tree);
            writeln!(out, "{}", row(*size, &what, allocated, begin)?)?;
        }
        for engine in EngineName::ALL {
            let mut members = Members::new(*size, &[engine])?;
            let what = format!("member, {}", engine.name());
            let join = || members.join(0);
            writeln!(out, "{}", row(*size, &what, allocated, join)?)?;
        }
    }
    Ok(())
}

/// What is allocated by `begin` while its outcome lives, shared out among all members.
fn row<T>(
    size: u32,
    what: &str,
    allocated: &PeakAlloc,
    begin: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<String> {
    let before = allocated.current_usage();
    allocated.reset_peak_usage();
    let begun = begin()?;
    let each = |bytes: usize| bytes.saturating_sub(before) / size as usize;
    let (held, most) = (
        each(allocated.current_usage()),
        each(allocated.peak_usage()),
    );
    drop(begun);
    Ok(format!("| {size} | {what} | {held} | {most} |"))
}
