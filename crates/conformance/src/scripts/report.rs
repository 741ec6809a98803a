//! What came of the scripts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Serialize;

use crate::vectors::shapes;

/// Failures that the text shows; JSON has them all.
const SHOWN_FAILURES: usize = 20;

/// Everything that was played.
#[derive(Default, Serialize)]
pub struct ScriptsReport {
    /// One for each script, suite, kind of handshakes and cast.
    pub performances: Vec<Performance>,
    #[serde(skip)]
    numbers: Vec<usize>,
    #[serde(skip)]
    recorded: Vec<shapes::PassiveClient>,
}

/// One script, played once.
#[derive(Debug, Clone, Serialize)]
pub struct Performance {
    /// Where the script stands.
    pub file: String,
    /// Its name there.
    pub script: String,
    /// In which suite it was played.
    pub suite: u16,
    /// Whether Proposals and Commits were PrivateMessages.
    pub private_handshakes: bool,
    /// Who played each actor.
    pub cast: BTreeMap<String, String>,
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
    /// Somebody can't do what it asks for.
    Skip(String),
}

impl Outcome {
    /// Says in which step a failure was.
    pub(super) fn at(self, step: usize) -> Self {
        match self {
            Self::Fail(why) => Self::Fail(format!("step {step}: {why}")),
            other => other,
        }
    }
}

impl ScriptsReport {
    pub(super) fn add(
        &mut self,
        number: usize,
        performance: Performance,
        recorded: Vec<shapes::PassiveClient>,
    ) {
        self.numbers.push(number);
        self.performances.push(performance);
        self.recorded.extend(recorded);
    }

    /// Brings what several jobs have played into the order of the programme.
    pub(super) fn sort(&mut self) {
        let mut all: Vec<_> = self
            .numbers
            .drain(..)
            .zip(self.performances.drain(..))
            .collect();
        all.sort_by_key(|(number, _)| *number);
        (self.numbers, self.performances) = all.into_iter().unzip();
    }

    /// Whether nothing failed.
    pub fn holds(&self) -> bool {
        self.failures().next().is_none()
    }

    /// Scripts that passed each time they were played, by file and name.
    pub fn passed_always(&self) -> BTreeSet<(&str, &str)> {
        let mut scripts = BTreeMap::new();
        for one in &self.performances {
            let all_passed = scripts.entry((&*one.file, &*one.script)).or_insert(true);
            *all_passed &= one.outcome == Outcome::Pass;
        }
        let passed = scripts.into_iter().filter(|(_, all_passed)| *all_passed);
        passed.map(|(script, _)| script).collect()
    }

    /// What was recorded of it for clients that only listen, as a file of vectors.
    ///
    /// # Errors
    /// None that is known.
    pub fn passive_cases(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(&self.recorded)
    }

    /// How many performances passed, failed and were skipped.
    pub fn counts(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for one in &self.performances {
            counts[one.outcome.column()] += 1;
        }
        counts
    }

    fn failures(&self) -> impl Iterator<Item = (&Performance, &str)> {
        let all = self.performances.iter();
        all.filter_map(|one| match &one.outcome {
            Outcome::Fail(why) => Some((one, &**why)),
            Outcome::Pass | Outcome::Skip(_) => None,
        })
    }
}

impl Outcome {
    fn column(&self) -> usize {
        match self {
            Self::Pass => 0,
            Self::Fail(_) => 1,
            Self::Skip(_) => 2,
        }
    }
}

/// A Markdown table, then the reasons of skips, then failures.
impl fmt::Display for ScriptsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut scripts = BTreeMap::<_, [usize; 3]>::new();
        let mut skips = BTreeMap::<_, usize>::new();
        for one in &self.performances {
            let counts = scripts.entry((&one.file, &one.script)).or_default();
            counts[one.outcome.column()] += 1;
            if let Outcome::Skip(reason) = &one.outcome {
                *skips.entry(reason).or_default() += 1;
            }
        }
        writeln!(f, "| file | script | pass | fail | skip |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        for ((file, script), [pass, fail, skip]) in scripts {
            writeln!(f, "| {file} | {script} | {pass} | {fail} | {skip} |")?;
        }
        let [pass, fail, skip] = self.counts();
        writeln!(f, "| all | | {pass} | {fail} | {skip} |")?;
        for (reason, count) in skips {
            writeln!(f, "\nSkipped: {reason}: {count}.")?;
        }
        for (one, why) in self.failures().take(SHOWN_FAILURES) {
            let (script, suite, cast) = (&one.script, one.suite, &one.cast);
            let mode = if one.private_handshakes {
                "private"
            } else {
                "public"
            };
            writeln!(
                f,
                "\nFailed: {script}, suite {suite}, {mode}, {cast:?}: {why}."
            )?;
        }
        Ok(())
    }
}
