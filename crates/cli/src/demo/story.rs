//! Telling a story whose sentences are checked.

use std::{
    fmt::Debug,
    io::{self, Write},
};

/// What was told so far, and which sentences did not hold.
pub(super) struct Story {
    listener: Box<dyn Write + Send>,
    checks: usize,
    broken: Vec<String>,
}

impl Story {
    /// A story that `listener` hears.
    pub(super) fn to(listener: impl Write + Send + 'static) -> Self {
        Self {
            listener: Box::new(listener),
            checks: 0,
            broken: Vec::new(),
        }
    }

    /// A sentence that sets the scene.
    pub(super) fn tell(&mut self, sentence: &str) -> io::Result<()> {
        self.line(&format!("\n{sentence}"))
    }

    /// A sentence that holds where `actual` is what was expected; else it says what differed.
    pub(super) fn check<T: PartialEq + Debug>(
        &mut self,
        sentence: &str,
        actual: &T,
        expected: &T,
    ) -> io::Result<()> {
        let differs = (actual != expected)
            .then(|| format!("expected {}, found {}", brief(expected), brief(actual)));
        self.verdict(sentence, differs)
    }

    /// A sentence that holds where `result` is fine; else it says what went wrong.
    pub(super) fn expect<T>(
        &mut self,
        sentence: &str,
        result: Result<T, impl std::fmt::Display>,
    ) -> io::Result<()> {
        self.verdict(sentence, result.err().map(|error| error.to_string()))
    }

    /// Ends well only if every sentence held.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        if self.broken.is_empty() {
            self.line(&format!("\nAll {} checks hold.", self.checks))?;
            return Ok(());
        }
        anyhow::bail!(
            "{} of {} checks do not hold:\n  {}",
            self.broken.len(),
            self.checks,
            self.broken.join("\n  ")
        )
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.listener, "{text}")?;
        self.listener.flush()
    }

    fn verdict(&mut self, sentence: &str, problem: Option<String>) -> io::Result<()> {
        self.checks += 1;
        match problem {
            None => self.line(&format!("  ok      {sentence}")),
            Some(problem) => {
                self.line(&format!("  FAILED  {sentence}\n          {problem}"))?;
                self.broken.push(format!("{sentence} ({problem})"));
                Ok(())
            }
        }
    }
}

/// The value, cut where it gets too long to read.
fn brief(value: &impl Debug) -> String {
    const CHARS: usize = 400;
    let text = format!("{value:?}");
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_that_does_not_hold_breaks_the_story_and_says_what_differed() {
        let mut story = Story::to(io::sink());
        story.check("one is one", &1, &1).unwrap();
        story.check("one is two", &1, &2).unwrap();
        story
            .expect("this works", Err::<(), _>("it does not"))
            .unwrap();
        let error = story.end().unwrap_err().to_string();
        for part in ["2 of 3", "one is two", "expected 2, found 1", "it does not"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
