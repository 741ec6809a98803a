//! The arguments about what can be reported.

use clap::ValueEnum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unreportable {
    /// They are shown, with a mark
    Marked,
    /// Nothing of them is shown or kept
    Refused,
}
