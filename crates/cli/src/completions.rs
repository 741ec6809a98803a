//! `conclave completions`.

use std::io::{self, Write as _};

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::args::Args;

pub(crate) fn run(shell: Shell) -> anyhow::Result<()> {
    // clap_complete panics when its writer fails, so it writes to memory.
    let mut script = Vec::new();
    generate(shell, &mut Args::command(), "conclave", &mut script);
    io::stdout().write_all(&script)?;
    Ok(())
}
