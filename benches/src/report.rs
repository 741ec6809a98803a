//! The report: what every implementation does in groups of many sizes, measured in one run.

mod elsewhere;
mod life;
mod plot;
mod table;

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use self::elsewhere::Elsewhere;
use crate::full_tree;
use anyhow::Context as _;
pub use conclave_benches_life::{Allocated, Row, Time, timed};
pub use table::cells;

/// Measures everything for groups of these sizes and writes `report.md` and the plots into a folder.
///
/// # Errors
/// Where an implementation refuses what another one of its own made, or nothing can be written.
pub fn write(sizes: &[u32], folder: &Path, allocated: Allocated) -> anyhow::Result<()> {
    let elsewhere = Elsewhere::build()?;
    let mut rows = Vec::new();
    for size in sizes {
        say(&format!("groups of {size}"))?;
        rows.extend(life::rows(*size, &elsewhere, allocated)?);
        if *size >= full_tree::MEMBERS_MIN {
            rows.extend(full_tree::rows(*size)?);
        }
    }
    let context = || format!("can't write into {}", folder.display());
    fs::create_dir_all(folder).with_context(context)?;
    let mut text = table::heading(sizes)?;
    for rows in by_deed(&rows) {
        let name = format!("{}.svg", file_name(&rows[0].what));
        let has_plot = plot::write(&rows, &folder.join(&name))?;
        text += &table::section(&rows, has_plot.then_some(name.as_str()))?;
    }
    fs::write(folder.join("report.md"), text).with_context(context)?;
    say(&format!("written into {}", folder.display()))
}

/// Rows of one deed each, in the order in which they came.
fn by_deed(rows: &[Row]) -> Vec<Vec<&Row>> {
    let mut deeds: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        match deeds.iter_mut().find(|deed| deed[0].what == row.what) {
            Some(deed) => deed.push(row),
            None => deeds.push(vec![row]),
        }
    }
    deeds
}

fn file_name(what: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    what.to_ascii_lowercase().chars().map(plain).collect()
}

fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stderr(), "{line}")?)
}
