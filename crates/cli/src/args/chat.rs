//! What the full-screen chat is told.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueHint};

#[derive(Debug, ClapArgs)]
pub(crate) struct Chat {
    /// The name to suggest where there is no account
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The server's address to suggest where there is no account
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) server: Option<String>,
    /// The certificate (PEM) that certifies the server's, where browsers would not know it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ca: Option<PathBuf>,
    /// The registration code, where the server asks for one
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
}
