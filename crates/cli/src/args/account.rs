//! What somebody can say of an own account: its devices, its passphrase, its recovery, and whom it lets in.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueHint};

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// List your devices
    List,
    /// On a new device, in an empty home: show its code
    Code {
        /// Show the QR code even where there seems to be no room for it
        #[arg(long)]
        qr: bool,
    },
    /// On your first device: let in the device that showed this code, and show what it needs
    Link {
        /// What `conclave device code` showed
        code: String,
        /// Hand your identity key over as well, readable by that device alone: it can then link and
        /// revoke devices, this one too. Should it be lost, revoking it does not take the key back
        #[arg(long)]
        hand_over_identity: bool,
        /// Do not hand over what was said in your groups before that device came
        #[arg(long)]
        no_history: bool,
        /// Show the QR code even where there seems to be no room for it
        #[arg(long)]
        qr: bool,
    },
    /// Hand over, or on the new device take, what was said before it came, and show how far that is
    ///
    /// Every command that asks the server does it too. The device that was there first has to have had
    /// a command since the new one registered, and the new one another one after that.
    History,
    /// On the new device: register with what your first device showed
    Join {
        /// What `conclave device link` showed
        answer: String,
        /// The server's address
        #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
        server: String,
        /// The certificate (PEM) that certifies the server's, where browsers would not know it
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        ca: Option<PathBuf>,
        /// The registration code, where the server asks for one
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
    },
    /// On a device with your identity key: shut another device out, for good
    Revoke {
        /// Its id, or the beginning of it
        device: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Passphrase {
    /// Set a passphrase, or another one; asks for it twice
    Set {
        /// File whose first line is the new passphrase, instead of asking
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        new_passphrase_file: Option<PathBuf>,
    },
    /// Have a random passphrase, which the system's keyring keeps: who is logged in opens the home
    Keyring,
    /// Have no passphrase: whoever can read the folder can read your messages
    Remove,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Recovery {
    /// Show your recovery phrase: 24 words to be written down and kept from everybody else
    Show,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Invite {
    /// Make an invitation; whoever has it can ask to be let in, once
    Create {
        /// The group's name, or the beginning of its id
        group: String,
        /// For how many days
        #[arg(
            long,
            value_name = "DAYS",
            default_value_t = 7,
            value_parser = clap::value_parser!(u16).range(1..=30)
        )]
        days: u16,
    },
    /// Ask to be let in; a member's `conclave invite approve` does it
    Redeem {
        /// What `conclave invite create` showed
        invitation: String,
    },
    /// Show who asks to be let in
    List,
    /// Let somebody in who asks
    Approve {
        /// The group's name, or the beginning of its id
        group: String,
        /// The user, for example bob
        user: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// Show what moderators of the server decided about you, why, and how to appeal
    Standing,
    /// Delete your account with all its devices, and this home; for good
    Delete {
        /// Your name, so that it is you who says so
        name: String,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Recover {
    /// Your name at the server
    pub(crate) name: String,
    /// The server's address
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) server: String,
    /// The certificate (PEM) that certifies the server's, where browsers would not know it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ca: Option<PathBuf>,
    /// The registration code, where your name was deleted and the server asks for one
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// Shut all your other devices out, for good, once this one is in your groups
    #[arg(long)]
    pub(crate) revoke_others: bool,
}
