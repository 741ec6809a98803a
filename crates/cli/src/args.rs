//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

mod account;
mod chat;
mod demo;
mod load;
mod moderate;
mod reporting;
mod server;

pub(crate) use account::{Account, Device, Invite, Passphrase, Recover, Recovery};
pub(crate) use chat::Chat;
pub(crate) use demo::{Demo, Story};
pub(crate) use load::Load;
pub(crate) use moderate::{
    Decide, Decision, Moderate, Moderation, Role as ModeratorRole, Verdict, VerifyReport,
};
pub(crate) use reporting::{Report, Unreportable};
pub(crate) use server::{Admin, NamedRate, Registration, Serve};

/// End-to-end encrypted messaging for very large groups.
///
/// Start with `conclave demo`. To chat: `conclave serve` in one terminal, and `conclave chat` in another.
/// Or command by command:
/// `conclave --home alice register alice --server http://127.0.0.1:4400`, the same for bob, and
/// `conclave --home alice group create club`, `conclave --home alice group add club bob`,
/// `conclave --home alice send club "hello"`, `conclave --home bob read club`.
#[derive(Debug, Parser)]
#[command(
    name = "conclave",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
pub(crate) struct Args {
    /// Folder that holds your account and messages; two homes are two people
    #[arg(
        long,
        global = true,
        env = "CONCLAVE_HOME",
        default_value_os_t = default_home(),
        value_name = "DIR",
        value_hint = ValueHint::DirPath
    )]
    pub(crate) home: PathBuf,

    /// File whose first line is the home's passphrase, or the one that a new home gets; without it,
    /// `CONCLAVE_PASSPHRASE` is taken, or the passphrase is asked for
    #[arg(
        long,
        global = true,
        env = "CONCLAVE_PASSPHRASE_FILE",
        value_name = "FILE",
        value_hint = ValueHint::FilePath
    )]
    pub(crate) passphrase_file: Option<PathBuf>,

    /// Print data as JSON, one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a delivery service
    Serve(Serve),
    /// See it work: a real server and several people, with every claim checked
    Demo(Demo),
    /// Register a new user at a server, with this home as the first device
    Register {
        /// The name you want, for example alice
        name: String,
        /// The server's address, for example `https://chat.example.org:4400`
        #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
        server: String,
        /// The certificate (PEM) that certifies the server's, where browsers would not know it
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        ca: Option<PathBuf>,
        /// The registration code, where the server asks for one
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
    },
    /// Chat in the full screen; where this home has no account yet, it is asked for there
    Chat(Chat),
    /// Show whose home this is
    Whoami,
    /// Create groups and change who is in them
    Group {
        #[command(subcommand)]
        command: Group,
    },
    /// Let others ask to be let into a group, and let them in
    Invite {
        #[command(subcommand)]
        command: Invite,
    },
    /// Look after your account
    Account {
        #[command(subcommand)]
        command: Account,
    },
    /// Use several devices as one user, and revoke those that were lost
    Device {
        #[command(subcommand)]
        command: Device,
    },
    /// Choose the passphrase that your home is encrypted under, or have none
    Passphrase {
        #[command(subcommand)]
        command: Passphrase,
    },
    /// Write your identity key down, so that you can come back when every device is lost
    Recovery {
        #[command(subcommand)]
        command: Recovery,
    },
    /// Come back with a recovery phrase, in an empty home, after you lost every device
    ///
    /// Asks for the phrase on the standard input. The new device comes into your groups and reads what
    /// is said from then on; what was said before is on the lost devices only.
    Recover(Recover),
    /// Show the digits that you and another user compare, to see that nobody stands between you
    Verify {
        /// A user whom you share a group with
        user: String,
        /// Accept the new identity key of a user who has another than before: the digits of it that
        /// you compared, as this command shows them
        #[arg(long, value_name = "DIGITS")]
        accept_new_key: Option<String>,
        /// Show the QR code even where there seems to be no room for it
        #[arg(long)]
        qr: bool,
    },
    /// Say something in a group
    Send(Send),
    /// Put a mark on a message, for example an emoji
    React {
        #[command(flatten)]
        message: Named,
        /// The mark, for example 👍
        reaction: String,
        /// Take it off again
        #[arg(long)]
        withdraw: bool,
    },
    /// Put another text in the place of one that you sent
    Edit {
        #[command(flatten)]
        message: Named,
        /// What it says from now on
        text: String,
    },
    /// Take back a message that you sent
    Delete {
        #[command(flatten)]
        message: Named,
    },
    /// Find messages by their words; the last may be the beginning of one
    Search {
        /// The words
        words: String,
        /// Only in this group
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Write a group's history to a file, as JSON, one object a line
    Export {
        /// The group's name, or the beginning of its id
        group: String,
        /// The file, which must not exist
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        to: PathBuf,
    },
    /// Report messages to those who moderate the server, with the proof that they were sent
    ///
    /// They see these messages and who sent them, and nothing else of the group. The server checks the proofs
    /// before anybody sees them.
    Report(Report),
    /// Note that you do not want to be notified of a group
    Mute {
        /// The group's name, or the beginning of its id
        group: String,
        /// You do again
        #[arg(long)]
        undo: bool,
    },
    /// Show nothing of what a user says; it is kept all the same
    Block {
        /// The user, for example bob
        user: String,
        /// Show it again
        #[arg(long)]
        undo: bool,
    },
    /// Show or choose whether others are told how far you have read, in groups of few
    Receipts {
        /// What you choose
        choice: Option<Choice>,
    },
    /// Save a file that came with a message
    Download {
        #[command(flatten)]
        message: Named,
        /// Which of several, counted from 1
        #[arg(long, value_name = "N", default_value_t = 1)]
        number: usize,
        /// Where to save it, instead of here and under its own name
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        to: Option<PathBuf>,
    },
    /// Read a group's messages
    Read(Read),
    #[command(flatten)]
    Moderation(Moderation),
    /// Look after a server's data
    Admin {
        #[command(subcommand)]
        command: Admin,
    },
    /// See how a server bears a load: real users who talk, come and go at given rates
    Load(Load),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    /// Create a group with you in it
    Create {
        /// What to call it
        name: String,
        /// Have the users in it whom this file names, one a line; `-` is the standard input. Who can't be
        /// added is listed, and the others are added
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        members_from: Option<PathBuf>,
    },
    /// Show the digits that all members compare, to see that they are in it with the same devices
    Fingerprint {
        /// The group's name, or the beginning of its id
        group: String,
    },
    /// List your groups
    List,
    /// Add users to a group
    Add {
        /// The group's name, or the beginning of its id
        group: String,
        /// Users, for example bob, or bob@example.org
        #[arg(required_unless_present = "from")]
        users: Vec<String>,
        /// And those whom this file names, one a line; `-` is the standard input. Who can't be added
        /// is listed, and the others are added
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        from: Option<PathBuf>,
    },
    /// Remove users from a group
    Remove {
        /// The group's name, or the beginning of its id
        group: String,
        /// Users, for example bob, or bob@example.org
        #[arg(required = true)]
        users: Vec<String>,
    },
    /// Leave a group; another member's device confirms it
    Leave {
        /// The group's name, or the beginning of its id
        group: String,
        /// Make this member an owner first: the last owner has to
        #[arg(long, value_name = "USER")]
        hand_over_to: Option<String>,
    },
    /// Make somebody an owner, an admin or a member of a group; only owners may
    Role {
        /// The group's name, or the beginning of its id
        group: String,
        /// The member, for example bob
        user: String,
        /// What they are from then on
        role: MemberRole,
    },
    /// Show who may do what in a group, or change it; only owners may
    Permissions(Permissions),
    /// Show what is said of a group, or say something else
    Describe(Describe),
    /// Give a group a picture, take it away, or save it
    Picture(Picture),
    /// Show or choose after what time messages in a group are gone
    Expiry(Expiry),
    /// Show or choose what becomes of messages that nobody could report; only owners may
    ///
    /// A message can be reported where its sender committed to it and the server stamped it. Programs that
    /// follow the protocol always do.
    Unreportable {
        /// The group's name, or the beginning of its id
        group: String,
        /// What becomes of them from then on
        choice: Option<Unreportable>,
    },
    /// Delete a group at the server, once nobody else is in it
    Delete {
        /// The group's name, or the beginning of its id
        group: String,
    },
    /// List a group's members
    Members {
        /// The group's name, or the beginning of its id
        group: String,
    },
    /// Renew your keys in a group
    Update {
        /// The group's name, or the beginning of its id
        group: String,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Describe {
    /// The group's name, or the beginning of its id
    pub(crate) group: String,
    /// What it is called from then on
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// What it is about; empty for nothing
    #[arg(long)]
    pub(crate) text: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Picture {
    /// The group's name, or the beginning of its id
    pub(crate) group: String,
    /// The picture, of 512 KiB at most
    #[arg(value_hint = ValueHint::FilePath, conflicts_with_all = ["save", "remove"])]
    pub(crate) file: Option<PathBuf>,
    /// Save the picture that there is
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "remove")]
    pub(crate) save: Option<PathBuf>,
    /// Have none
    #[arg(long)]
    pub(crate) remove: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Expiry {
    /// The group's name, or the beginning of its id
    pub(crate) group: String,
    /// For example 30s, 10m, 8h or 7d; `off` has messages stay
    #[arg(value_parser = lifetime)]
    pub(crate) time: Option<Lifetime>,
}

/// For how long messages stay; `None` for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime(pub(crate) Option<Duration>);

fn lifetime(text: &str) -> Result<Lifetime, String> {
    match text {
        "off" => Ok(Lifetime(None)),
        text => time(text).map(|time| Lifetime(Some(time))),
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Permissions {
    /// The group's name, or the beginning of its id
    pub(crate) group: String,
    /// Who may add users
    #[arg(long, value_name = "WHO")]
    pub(crate) add: Option<Who>,
    /// Who may remove users
    #[arg(long, value_name = "WHO")]
    pub(crate) remove: Option<Who>,
    /// Who may name and describe the group
    #[arg(long, value_name = "WHO")]
    pub(crate) describe: Option<Who>,
    /// Who may send messages
    #[arg(long, value_name = "WHO")]
    pub(crate) send: Option<Who>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MemberRole {
    /// May do everything, and says who is what
    Owner,
    /// May do what the permissions leave to admins
    Admin,
    /// May do what the permissions leave to everyone
    Member,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Who {
    /// Every member
    Everyone,
    /// Admins and owners
    Admins,
    /// Owners
    Owners,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Send {
    /// The group's name, or the beginning of its id
    pub(crate) group: String,
    /// What to say
    #[arg(
        required_unless_present = "attach",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) text: String,
    /// Send a file with it; may be given several times
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) attach: Vec<PathBuf>,
    /// The message that this answers, as `read` shows it: 12 for #12
    #[arg(long, value_name = "MESSAGE")]
    pub(crate) reply_to: Option<String>,
    /// Have it gone everywhere after this time, for example 30s, 10m, 8h or 7d
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) expires: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// They are
    On,
    /// They are not
    Off,
}

/// A message in a group.
#[derive(Debug, ClapArgs)]
pub(crate) struct Named {
    /// The group's name, or the beginning of its id
    pub(crate) group: String,
    /// The message, as `read` shows it: 12 for #12; or the beginning of its id
    pub(crate) message: String,
}

/// A time as people write it: a number and s, m, h or d.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let parsed = units.iter().find_map(|(unit, seconds)| {
        let number: u32 = text.strip_suffix(*unit)?.parse().ok()?;
        Some(Duration::from_secs(u64::from(number) * seconds))
    });
    parsed
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "write a time like 30s, 10m, 8h or 7d".to_owned())
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Read {
    /// The group's name, or the beginning of its id
    pub(crate) group: String,
    /// Go on printing what comes, until interrupted
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only what stands after this place in the group's log
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    pub(crate) after: u64,
}

fn default_home() -> PathBuf {
    std::env::home_dir().unwrap_or_default().join(".conclave")
}
