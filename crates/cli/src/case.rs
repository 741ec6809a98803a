//! `conclave verify-report`: what a case file proves, to somebody who has nothing else.

use std::{fs::File, io::Read as _};

use anyhow::{Context as _, bail};
use conclave_safety::{CaseFile, Findings, operator_key};
use serde_json::{Value, json};

use crate::{args::VerifyReport, output::Output};

/// Bytes of a file that are read: more than any case file has.
const READ_MAX: u64 = 8 * 1024 * 1024;

pub(crate) fn verify(command: &VerifyReport, output: &Output) -> anyhow::Result<()> {
    let known = command.operator_key.as_deref().map(|text| {
        operator_key(text).context("an operator's key has 64 hexadecimal digits, and this is none")
    });
    let known = known.transpose()?;
    let path = command.file.display();
    let file = File::open(&command.file).with_context(|| format!("cannot read {path}"))?;
    let mut bytes = Vec::new();
    let read = file.take(READ_MAX).read_to_end(&mut bytes);
    read.with_context(|| format!("cannot read {path}"))?;
    let findings = CaseFile::from_json(&bytes)?.examine(known.as_ref());
    output.show(&findings_text(&findings), &findings_json(&findings))?;
    if !findings.holds {
        bail!("the case file does not prove what it says");
    }
    Ok(())
}

/// Each sentence in a line.
pub(crate) fn findings_text(findings: &Findings) -> String {
    let lines = |title: &str, sentences: Vec<&str>| {
        let lines = sentences.iter().map(|it| format!("\n  - {it}"));
        format!("{title}{}", lines.collect::<String>())
    };
    let (proved, not_proved) = (findings.proved().collect(), findings.not_proved().collect());
    format!(
        "{}\n{}",
        lines("PROVED:", proved),
        lines("NOT PROVED:", not_proved)
    )
}

pub(crate) fn findings_json(findings: &Findings) -> Value {
    let (proved, not_proved): (Vec<_>, Vec<_>) =
        (findings.proved().collect(), findings.not_proved().collect());
    json!({
        "holds": findings.holds,
        "proved": proved,
        "not_proved": not_proved,
    })
}
