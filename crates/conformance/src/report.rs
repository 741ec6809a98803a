//! What came of a run, as a table and as JSON.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::engine::{EngineName, Verdict};

/// Different failures that a table shows for one file and engine; JSON has them all.
const SHOWN_FAILURES: usize = 10;

/// What came of all files.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// One for each file, in the order given.
    pub files: Vec<FileReport>,
}

/// What came of one file.
#[derive(Debug, Serialize)]
pub struct FileReport {
    /// The file's path as it was given or found.
    pub path: String,
    /// What its entries test.
    pub kind: &'static str,
    /// How many entries it holds.
    pub entries: usize,
    /// One for each engine asked for.
    pub engines: Vec<EngineReport>,
}

/// What one engine made of one file.
#[derive(Debug, Serialize)]
pub struct EngineReport {
    /// Which engine.
    pub engine: EngineName,
    /// Entries that hold.
    pub passed: usize,
    /// Entries that don't: their index and what differed.
    pub failed: Vec<(usize, String)>,
    /// Entries that were not tried, counted by the reason.
    pub skipped: BTreeMap<&'static str, usize>,
}

impl Report {
    /// Whether no entry failed.
    pub fn holds(&self) -> bool {
        self.engines().all(|(_, report)| report.failed.is_empty())
    }

    fn engines(&self) -> impl Iterator<Item = (&FileReport, &EngineReport)> {
        self.files
            .iter()
            .flat_map(|file| file.engines.iter().map(move |engine| (file, engine)))
    }
}

impl EngineReport {
    pub(crate) fn new(engine: EngineName) -> Self {
        Self {
            engine,
            passed: 0,
            failed: Vec::new(),
            skipped: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, entry: usize, verdict: Verdict) {
        match verdict {
            Verdict::Pass => self.passed += 1,
            Verdict::Fail(why) => self.failed.push((entry, why)),
            Verdict::Skip(reason) => *self.skipped.entry(reason).or_default() += 1,
        }
    }

    fn cell(&self) -> String {
        let skipped: usize = self.skipped.values().sum();
        format!("{} / {} / {skipped}", self.passed, self.failed.len())
    }
}

/// A Markdown table, then the reasons of skips, then failures.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        table(f, &self.rows())?;
        self.skips(f)?;
        self.failures(f)
    }
}

impl Report {
    fn rows(&self) -> Vec<Vec<String>> {
        let mut header = vec!["file".to_owned(), "entries".to_owned()];
        if let Some(first) = self.files.first() {
            let name =
                |engine: &EngineReport| format!("{}: pass / fail / skip", engine.engine.name());
            header.extend(first.engines.iter().map(name));
        }
        let row = |file: &FileReport| {
            let cells = file.engines.iter().map(EngineReport::cell);
            [file.path.clone(), file.entries.to_string()]
                .into_iter()
                .chain(cells)
                .collect()
        };
        std::iter::once(header)
            .chain(self.files.iter().map(row))
            .collect()
    }

    fn skips(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reasons = BTreeMap::<_, BTreeMap<_, usize>>::new();
        for (file, engine) in self.engines() {
            for (reason, count) in &engine.skipped {
                let kinds = reasons.entry((engine.engine.name(), *reason)).or_default();
                *kinds.entry(file.kind).or_default() += count;
            }
        }
        if !reasons.is_empty() {
            writeln!(f, "\nSkipped:\n")?;
        }
        for ((engine, reason), kinds) in reasons {
            let kinds = kinds.iter().map(|(kind, count)| format!("{kind} {count}"));
            let kinds = kinds.collect::<Vec<_>>().join(", ");
            writeln!(f, "- {engine}: {reason}: {kinds}.")?;
        }
        Ok(())
    }

    fn failures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.holds() {
            writeln!(f, "\nFailed:\n")?;
        }
        for (file, engine) in self.engines() {
            let mut reasons = BTreeMap::<_, Vec<_>>::new();
            for (entry, why) in &engine.failed {
                reasons.entry(why).or_default().push(entry);
            }
            let more = reasons.len().saturating_sub(SHOWN_FAILURES);
            let name = engine.engine.name();
            for (why, entries) in reasons.into_iter().take(SHOWN_FAILURES) {
                let (count, first) = (entries.len(), entries[0]);
                writeln!(
                    f,
                    "- {name}, {}: {count}, the first [{first}]: {why}",
                    file.path
                )?;
            }
            if more > 0 {
                writeln!(f, "- {name}, {}: {more} reasons more", file.path)?;
            }
        }
        Ok(())
    }
}

fn table(f: &mut fmt::Formatter<'_>, rows: &[Vec<String>]) -> fmt::Result {
    let width = |column| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(String::len)
            .max()
    };
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<_> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    for (index, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            write!(f, "| {cell:<width$} ")?;
        }
        writeln!(f, "|")?;
        if index == 0 {
            widths
                .iter()
                .try_for_each(|width| write!(f, "|{:-<1$}", "", width + 2))?;
            writeln!(f, "|")?;
        }
    }
    Ok(())
}
