//! What a case file proves, and what it does not, in sentences for people who know nothing of cryptography.

use std::fmt;

use conclave_protocol::{Content, Evidence, EvidenceError, Proved, UnixMillis, VerifyingKey};
use jiff::Timestamp;

use crate::{
    audit::{Act, Actor, Entry},
    case::{Case, CaseFile},
    encoding::hex,
    measure::{Measure, MeasureKind},
};

/// One thing that is proved, or is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// Whether it is proved.
    pub is_proved: bool,
    /// For people.
    pub text: String,
}

/// What came of looking at a case file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Whether all holds that the file says it proves.
    pub holds: bool,
    /// One for each thing, those that are proved first.
    pub sentences: Vec<Sentence>,
}

impl Findings {
    /// Those that are proved.
    pub fn proved(&self) -> impl Iterator<Item = &str> {
        self.which(true)
    }

    /// Those that are not.
    pub fn not_proved(&self) -> impl Iterator<Item = &str> {
        self.which(false)
    }

    fn which(&self, proved: bool) -> impl Iterator<Item = &str> {
        let sentences = self.sentences.iter();
        sentences
            .filter(move |it| it.is_proved == proved)
            .map(|it| it.text.as_str())
    }
}

impl CaseFile {
    /// Checks everything in the file, with nothing else at hand but the operator's key where it is known from
    /// elsewhere: what the members' programs show, or the operator has published.
    #[must_use]
    pub fn examine(&self, known: Option<&VerifyingKey>) -> Findings {
        let mut found = Found::default();
        found.operator(self, known);
        if let Some(key) = self.case().operator_key() {
            found.messages(self.case(), &key);
        }
        found.words(self.case());
        found.limits(self.case(), known.is_some());
        let mut sentences = found.proved;
        sentences.extend(found.not_proved);
        Findings {
            holds: !found.is_broken,
            sentences,
        }
    }
}

/// Sentences as they are found.
#[derive(Default)]
struct Found {
    proved: Vec<Sentence>,
    not_proved: Vec<Sentence>,
    is_broken: bool,
}

impl Found {
    fn proves(&mut self, text: String) {
        self.proved.push(Sentence {
            is_proved: true,
            text,
        });
    }

    fn leaves_open(&mut self, text: impl Into<String>) {
        self.not_proved.push(Sentence {
            is_proved: false,
            text: text.into(),
        });
    }

    /// Something that the file says it proves does not hold.
    fn breaks(&mut self, text: String) {
        self.is_broken = true;
        self.leaves_open(text);
    }

    fn operator(&mut self, file: &CaseFile, known: Option<&VerifyingKey>) {
        let (case, server) = (file.case(), file.case().server());
        let Some(key) = case.operator_key() else {
            return self.breaks("BROKEN: what should be the operator's key is no key.".to_owned());
        };
        if known.is_some_and(|known| *known != key) {
            return self.breaks(format!(
                "BROKEN: the file is by another key than the one that you gave as that of {server}: \
                 nothing in it is the word of {server}."
            ));
        }
        if !file.is_signed_by(&key) {
            return self.breaks(
                "BROKEN: the operator's signature does not cover this file: it was changed after it was \
                 made, or made by somebody else."
                    .to_owned(),
            );
        }
        self.proves(format!(
            "The operator of {server}, who has the key {}, made this file at {} and signed it; nothing in \
             it was changed since.",
            hex(key.as_bytes()),
            time(case.made()),
        ));
    }

    fn messages(&mut self, case: &Case, operator: &VerifyingKey) {
        let certificates = case.certificates();
        for (number, item) in (1..).zip(case.report().items()) {
            let role = if item.is_context {
                "shown for context"
            } else {
                "reported"
            };
            match item.evidence.verify(operator, &certificates) {
                Ok(proved) => {
                    self.proves(format!("Message {number} ({role}): {}", sentence(&proved)));
                }
                Err(reason) => self.breaks(broken(number, &item.evidence, reason)),
            }
        }
    }

    /// What is somebody's word.
    fn words(&mut self, case: &Case) {
        let server = case.server();
        for line in case.audit() {
            let Entry {
                number,
                at_millis,
                by,
                act,
            } = &line.entry;
            self.leaves_open(format!(
                "That {by} {act}, at {} (entry {number} of the audit log), is the word of {server}; the \
                 log's hashes tell whether it was changed later.",
                time(*at_millis)
            ));
        }
        let report = case.report();
        self.leaves_open(format!(
            "That it was {} who reported this, at {}, is the word of {server}.",
            report.reporter().user,
            time(report.received()),
        ));
        if case.context().reporter_could_read {
            self.leaves_open(format!(
                "That the reporter was a member of the group when these messages were sent is the word of \
                 {server}."
            ));
        }
        let has_window = report.items().iter().any(|item| item.is_context);
        self.leaves_open(match (has_window, case.context().windows_are_gapless) {
            (true, true) => format!(
                "That nothing else was said between the messages shown for context is the word of {server}."
            ),
            (true, false) => "Whether something else was said between the messages shown for context: the \
                              log was no longer kept."
                .to_owned(),
            (false, _) => "What was said before, between and after: the reporter showed only these \
                           messages."
                .to_owned(),
        });
    }

    /// What no case file can prove.
    fn limits(&mut self, case: &Case, is_known: bool) {
        if !is_known {
            self.leaves_open(format!(
                "That this key is that of {}: compare it with the one that the members' programs show, or \
                 that the operator has published, and give it with --operator-key.",
                case.server()
            ));
        }
        self.leaves_open(
            "That the operator told the truth when it signed, at the time of each message, whose device sent \
             what: whoever has its key can sign what nobody sent. No recipient can.",
        );
        self.leaves_open(
            "Who held the device: a message is proved to be of a device, not of a hand.",
        );
        self.leaves_open("Whether what is said in the messages is true.");
        let has_files = case.report().items().iter().any(|item| {
            matches!(Content::open(&item.evidence.envelope), Content::Message(it) if !it.attachments().is_empty())
        });
        if has_files {
            self.leaves_open(
                "What the attached files show: the file has their hashes and keys, not the files. Whoever \
                 has one can check that it is the one that was sent.",
            );
        }
    }
}

fn sentence(proved: &Proved<'_>) -> String {
    let stamp = proved.stamp();
    format!(
        "the operator signed, at {}, that the device {} of {} sent to the group {}, at place {} of its log, a \
         message of which only one wording fits; and that wording is: {}",
        time(stamp.accepted),
        stamp.sender.device,
        stamp.sender.user,
        stamp.group,
        stamp.sequence,
        said(&proved.content()),
    )
}

fn broken(number: usize, evidence: &Evidence, reason: EvidenceError) -> String {
    let user = &evidence.stamp.sender.user;
    match reason {
        EvidenceError::Commitment => format!(
            "BROKEN: message {number} is not what {user} sent: the operator signed that a message was sent, \
             and this is another wording."
        ),
        reason => format!(
            "BROKEN: nothing shows that message {number} was sent by {user}, or at all: {reason}."
        ),
    }
}

/// What a message says, in one line.
fn said(content: &Content) -> String {
    match content {
        Content::Message(message) => {
            let files = message.attachments().iter().map(|file| {
                let (name, hash) = (quoted(&file.name), hex(&file.content_hash));
                format!(", with the file {name} whose encrypted form has the SHA-256 {hash}")
            });
            quoted(message.body()) + &files.collect::<String>()
        }
        Content::GroupName(name) => format!("the group is called {}", quoted(name)),
        Content::GroupProfile(profile) => {
            let profile = conclave_protocol::Profile::from_bytes(profile).unwrap_or_default();
            let (name, text) = (quoted(&profile.name), quoted(&profile.description));
            format!("the group is called {name} and described as {text}")
        }
        Content::Edit { target, text, .. } => {
            format!("the message {target} says from now on {}", quoted(text))
        }
        Content::Deletion { target } => format!("the message {target} is taken back"),
        Content::Reaction {
            target, reaction, ..
        } => format!("the mark {} on the message {target}", quoted(reaction)),
        Content::Receipt { .. } => "how far its sender has read".to_owned(),
        Content::History { .. } => "where another device of the sender finds a history".to_owned(),
        _ => "something that this version does not know".to_owned(),
    }
}

/// In quotation marks, and without what would drive a terminal or reorder a line.
fn quoted(text: &str) -> String {
    let shown = text.chars().map(|c| match c {
        '\n' => ' ',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    });
    format!("“{}”", shown.collect::<String>())
}

/// What was done, as the predicate of a sentence: "suspended mallory@here until …".
impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Appointed { user, role } => match role {
                Some(role) => write!(f, "made {user} a {role}"),
                None => write!(f, "took {user}'s role as a moderator"),
            },
            Self::Shown { report } => write!(f, "saw the report {report}"),
            Self::Dismissed { report, reason } => {
                write!(f, "dismissed the report {report}, since {}", quoted(reason))
            }
            Self::Decided {
                report,
                measure,
                reason,
            } => write!(
                f,
                "{measure}, by the report {report}, since {}",
                quoted(reason)
            ),
            Self::Appealed { decision, text } => {
                write!(f, "appealed against decision {decision}: {}", quoted(text))
            }
            Self::Answered {
                decision,
                is_upheld,
                answer,
            } => {
                let how = if *is_upheld { "upheld" } else { "rejected" };
                write!(
                    f,
                    "{how} the appeal against decision {decision}: {}",
                    quoted(answer)
                )
            }
            Self::Lifted { decision, reason } => {
                write!(f, "lifted decision {decision}, since {}", quoted(reason))
            }
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whom = match self.target.device {
            Some(device) => format!("the device {device} of {}", self.target.user),
            None => self.target.user.to_string(),
        };
        let until = time(self.until_millis);
        match self.kind {
            MeasureKind::Warning => write!(f, "warned {whom}"),
            MeasureKind::Slow => write!(f, "slowed {whom} down until {until}"),
            MeasureKind::Suspension => write!(f, "suspended {whom} until {until}"),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("the operator"),
            Self::User(user) => user.fmt(f),
        }
    }
}

/// The whole entry, as one sentence.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            at_millis,
            by,
            act,
        } = self;
        write!(f, "{number}. At {}, {by} {act}.", time(*at_millis))
    }
}

/// A moment as everybody reads it alike.
fn time(at: UnixMillis) -> String {
    i64::try_from(at.0)
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok())
        .map_or_else(
            || "an impossible time".to_owned(),
            |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        )
}
