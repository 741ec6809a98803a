//! `conclave load`.

use std::{fmt::Write as _, time::Duration};

use anyhow::bail;
use conclave_load::{Plan, Progress, run};
use indicatif::ProgressBar;

use crate::{args::Load, chat, output::Output};

/// What a program that SIGINT ended gives back to a shell.
const INTERRUPTED: i32 = 130;

pub(crate) async fn load(load: Load, output: &Output) -> anyhow::Result<()> {
    let server = chat::registration(load.server, load.ca, None)?;
    let plan = Plan {
        users: load.users,
        groups: load.groups,
        size: load.size,
        messages_per_second: load.messages_per_second,
        churn_per_minute: load.churn_per_minute,
        ramp: load.ramp.unwrap_or(Duration::ZERO),
        duration: load.duration,
        seed: load.seed,
    };
    // It shows itself on the error stream, and only in a terminal.
    let bar = ProgressBar::new_spinner();
    let tell = |progress| bar.set_message(text(progress));
    let done = run(&plan, &server, load.metrics.as_deref(), interrupted(), tell).await;
    bar.finish_and_clear();
    let report = done?;
    output.show(&report.to_string(), &serde_json::to_value(&report)?)?;
    if report.is_clean() || report.was_interrupted {
        return Ok(());
    }
    bail!("not all went well; the report says what did not")
}

/// Completes on Ctrl-C. A second one ends the program at once.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(INTERRUPTED);
        }
    });
}

fn text(progress: Progress) -> String {
    match progress {
        Progress::Registering { done, of } => format!("registering {done} of {of}"),
        Progress::Grouping { done, of } => format!("making groups: {done} of {of}"),
        Progress::Running {
            elapsed,
            of,
            due,
            sent,
            decrypted,
            errors,
        } => {
            let (elapsed, of) = (elapsed.as_secs(), of.as_secs());
            let mut text =
                format!("{elapsed} of {of} s: {due} due, {sent} sent, {decrypted} decrypted");
            if errors > 0 {
                // Writing to a string does not fail.
                let _ = write!(text, ", {errors} errors");
            }
            text
        }
        _ => String::new(),
    }
}
