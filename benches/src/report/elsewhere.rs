//! A life in another program: OpenMLS on its SQLite storage, which links another SQLite than Conclave does.
//! `openmls-sqlite/` is that program. It is told each step on its standard input, and answers when it has done it.

use std::{
    env,
    io::{BufRead as _, BufReader, Lines, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, ensure};
use conclave_benches_life::{Life, Row};

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openmls-sqlite/Cargo.toml");

/// The program, built.
pub(super) struct Elsewhere(PathBuf);

/// The program at work on one life.
pub(super) struct LifeElsewhere {
    program: Child,
    steps: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Elsewhere {
    /// Builds the program, into a folder of its own beside this program's.
    pub(super) fn build() -> anyhow::Result<Self> {
        let target = env::current_exe()?;
        let target = target.ancestors().nth(2).context("no target folder")?;
        let target = target.join("openmls-sqlite");
        let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args([
                "build",
                "--release",
                "--locked",
                "--manifest-path",
                MANIFEST,
            ])
            .arg("--target-dir")
            .arg(&target)
            .status()
            .context("can't run cargo to build OpenMLS with SQLite")?;
        ensure!(
            built.success(),
            "can't build {MANIFEST}: cargo says why above"
        );
        Ok(Self(target.join("release/openmls-sqlite")))
    }

    /// Has a group of this size made.
    pub(super) fn begin(&self, size: u32) -> anyhow::Result<LifeElsewhere> {
        LifeElsewhere::begin(&self.0, size)
    }
}

impl LifeElsewhere {
    fn begin(program: &Path, size: u32) -> anyhow::Result<Self> {
        let mut program = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't run {}", program.display()))?;
        let steps = program.stdin.take();
        let answers = program.stdout.take().context("no standard output")?;
        let mut life = Self {
            program,
            steps,
            answers: BufReader::new(answers).lines(),
        };
        life.step(&format!("begin {size}"))?;
        Ok(life)
    }

    /// Has a step done: the lines that were answered.
    fn step(&mut self, step: &str) -> anyhow::Result<Vec<String>> {
        let failed = || format!("OpenMLS with SQLite failed at {step:?} and says why above");
        let steps = self.steps.as_mut().with_context(failed)?;
        writeln!(steps, "{step}").with_context(failed)?;
        let mut lines = Vec::new();
        loop {
            let line = self.answers.next().with_context(failed)??;
            if line == "done" {
                return Ok(lines);
            }
            lines.push(line);
        }
    }
}

impl Life for LifeElsewhere {
    fn join(&mut self) -> anyhow::Result<()> {
        self.step("join").map(drop)
    }

    fn change(&mut self) -> anyhow::Result<()> {
        self.step("change").map(drop)
    }

    fn messages(&mut self) -> anyhow::Result<()> {
        self.step("messages").map(drop)
    }

    fn rows(mut self: Box<Self>) -> anyhow::Result<Vec<Row>> {
        let lines = self.step("rows")?;
        let rows = lines.iter().map(|line| serde_json::from_str(line));
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// It ends where its standard input does, and clears up its databases.
impl Drop for LifeElsewhere {
    fn drop(&mut self) {
        self.steps = None;
        drop(self.program.wait());
    }
}
