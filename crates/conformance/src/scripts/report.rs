//! What came of the scripts.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::engine::EngineName;

/// Failures that the text shows; JSON has them all.
const SHOWN_FAILURES: usize = 20;

/// Everything that was played.
#[derive(Debug, Default, Serialize)]
pub struct ScriptsReport {
    /// One for each script, suite and cast.
    pub performances: Vec<Performance>,
}

/// One script, played once.
#[derive(Debug, Serialize)]
pub struct Performance {
    /// Where the script stands.
    pub file: String,
    /// Its name there.
    pub script: String,
    /// In which suite it was played.
    pub suite: u16,
    /// Who played, in the order in which the actors appear, over and over.
    pub cast: Vec<EngineName>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of one performance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All that the script asks for holds.
    Pass,
    /// Something does not.
    Fail(String),
    /// It was not played.
    Skip(&'static str),
}

impl ScriptsReport {
    /// Whether nothing failed.
    pub fn holds(&self) -> bool {
        self.failures().next().is_none()
    }

    fn failures(&self) -> impl Iterator<Item = (&Performance, &str)> {
        let all = self.performances.iter();
        all.filter_map(|one| match &one.outcome {
            Outcome::Fail(why) => Some((one, &**why)),
            Outcome::Pass | Outcome::Skip(_) => None,
        })
    }
}

/// A Markdown table, then the reasons of skips, then failures.
impl fmt::Display for ScriptsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut scripts = BTreeMap::<_, [usize; 3]>::new();
        let mut skips = BTreeMap::<_, usize>::new();
        for one in &self.performances {
            let counts = scripts.entry((&one.file, &one.script)).or_default();
            match &one.outcome {
                Outcome::Pass => counts[0] += 1,
                Outcome::Fail(_) => counts[1] += 1,
                Outcome::Skip(reason) => {
                    counts[2] += 1;
                    *skips.entry(reason).or_default() += 1;
                }
            }
        }
        writeln!(f, "| file | script | pass | fail | skip |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        for ((file, script), [pass, fail, skip]) in scripts {
            writeln!(f, "| {file} | {script} | {pass} | {fail} | {skip} |")?;
        }
        for (reason, count) in skips {
            writeln!(f, "\nSkipped: {reason}: {count}.")?;
        }
        for (one, why) in self.failures().take(SHOWN_FAILURES) {
            let cast: Vec<_> = one.cast.iter().map(|engine| engine.name()).collect();
            let (script, suite, cast) = (&one.script, one.suite, cast.join(", "));
            writeln!(f, "\nFailed: {script}, suite {suite}, {cast}: {why}.")?;
        }
        Ok(())
    }
}
