//! The arguments about what can be reported.

use clap::{Args as ClapArgs, ValueEnum};
use conclave_client::ReportCategory;

#[derive(Debug, ClapArgs)]
pub(crate) struct Report {
    /// The group's name, or the beginning of its id
    pub(crate) group: String,
    /// The messages, as `read` shows them: 12 for #12
    #[arg(required = true)]
    pub(crate) messages: Vec<String>,
    /// What they are: spam, harassment, threat, hate, sexual-abuse-of-children or other
    #[arg(long = "as", value_name = "WHAT", default_value = "other")]
    pub(crate) category: ReportCategory,
    /// What you have to say of it
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) comment: String,
    /// Show so many messages before and after them too
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) around: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unreportable {
    /// They are shown, with a mark
    Marked,
    /// Nothing of them is shown or kept
    Refused,
}
