//! Reports of messages, and what moderators make of them.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Subcommand, ValueEnum, ValueHint};
use conclave_client::DeviceId;

use super::time;

#[derive(Debug, Subcommand)]
pub(crate) enum Moderation {
    /// See reports of messages and decide on them, as one of a server's moderators
    Moderate {
        #[command(subcommand)]
        command: Moderate,
    },
    /// Ask for a decision of moderators about you to be looked at again
    ///
    /// `conclave account standing` shows what was decided, and why.
    Appeal {
        /// The decision's number
        decision: u64,
        /// What you have to say
        text: String,
    },
    /// Check a case file without a server or an account: what it proves, and what not
    VerifyReport(VerifyReport),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Moderate {
    /// List reports that wait for a decision, and appeals that wait for an answer
    List {
        /// Also reports that were decided on
        #[arg(long)]
        all: bool,
    },
    /// Show a report, with what its proofs prove; that you saw it stands in the audit log
    Show {
        /// The report, as `list` shows it: 3 for #3; or its id
        report: String,
        /// Save it as a case file, which anybody can check with `conclave verify-report`
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        case_file: Option<PathBuf>,
    },
    /// Decide on a report
    Decide(Decide),
    /// Answer an appeal; not against your own decision
    Answer {
        /// The decision's number, as `list` shows it
        decision: u64,
        /// What becomes of it
        verdict: Verdict,
        /// What is said to the person
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Lift a decision before its time
    Lift {
        /// The decision's number, as `audit` shows it
        decision: u64,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Make somebody a moderator, or take the role back; only chiefs may
    Appoint {
        /// The user, for example carol
        user: String,
        /// What they may do from then on
        role: Role,
    },
    /// Show who did what, and check that nothing of it was changed
    Audit {
        /// Only what stands after this entry
        #[arg(long, value_name = "ENTRY", default_value_t = 0)]
        after: u64,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Decide {
    /// The report, as `list` shows it: 3 for #3; or its id
    pub(crate) report: String,
    /// What is done
    pub(crate) what: Decision,
    /// To whom, where messages of several users are reported
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// To this one device only
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<DeviceId>,
    /// For how long, for example 12h or 7d
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub(crate) duration: Option<Duration>,
    /// Why, in words for the person, or with `dismiss` for other moderators
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Decision {
    /// Nothing
    Dismiss,
    /// A word to the person
    Warn,
    /// They may send a message every half minute
    Slow,
    /// They may send nothing, and add nobody
    Suspend,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verdict {
    /// The decision is lifted
    Uphold,
    /// The decision stands
    Reject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Sees reports and the audit log
    Viewer,
    /// Also decides, and answers appeals
    Moderator,
    /// Also appoints
    Chief,
    /// Not a moderator, or no longer
    None,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct VerifyReport {
    /// The case file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The operator's key, 64 hexadecimal digits, from a source that you trust
    #[arg(long, value_name = "KEY")]
    pub(crate) operator_key: Option<String>,
}
