//! The demonstration.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum, ValueHint};

#[derive(Debug, ClapArgs)]
pub(crate) struct Demo {
    /// Which story is told
    #[arg(long, value_enum, default_value_t = Story::Chat)]
    pub(crate) story: Story,
    /// How many people take part
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(3..=2000)
    )]
    pub(crate) members: u16,
    /// Keep the server's and everybody's data in this folder, which must be empty or new
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) keep: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Story {
    /// People chat, come and go, and the server is killed
    Chat,
    /// Somebody threatens, is reported and suspended, and a court checks it; made-up reports are refused
    Report,
}
