//! What the word under the cursor may become.

use super::{
    chat::Chat,
    text::clean_line,
    verbs::{self, VERBS, Words},
};

/// Marks that many people put on messages.
pub(super) const MARKS: &[(&str, &str)] = &[
    ("👍", "yes"),
    ("👎", "no"),
    ("❤", "love"),
    ("😂", "laughing"),
    ("🎉", "hooray"),
    ("😮", "surprised"),
    ("😢", "sad"),
    ("👀", "looking at it"),
    ("✅", "done"),
    ("🙏", "thanks"),
];

/// More than these are not shown.
const CANDIDATES_MAX: usize = 50;

/// What the word that begins at a place may become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Completion {
    pub(super) from: usize,
    pub(super) candidates: Vec<Candidate>,
    /// The one that stands in the line now.
    pub(super) chosen: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) word: String,
    pub(super) about: String,
}

/// What to offer, and the beginning of a file's name where files have to be looked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) completion: Option<Completion>,
    pub(super) files: Option<String>,
}

impl Completion {
    pub(super) fn of(from: usize, candidates: Vec<Candidate>) -> Option<Self> {
        (!candidates.is_empty()).then_some(Self {
            from,
            candidates,
            chosen: None,
        })
    }

    /// The beginning that all of them have.
    pub(super) fn alike(&self) -> &str {
        let mut words = self.candidates.iter().map(|it| it.word.as_str());
        let first = words.next().unwrap_or_default();
        words.fold(first, |alike, word| {
            let differs = alike.char_indices().zip(word.chars());
            let end = differs.clone().find(|((_, a), b)| a != b);
            let shorter = alike.len().min(word.len());
            &alike[..end.map_or(shorter, |((at, _), _)| at)]
        })
    }

    /// The next or the one before, round and round.
    pub(super) fn step(&mut self, forward: bool) -> &Candidate {
        let count = self.candidates.len();
        let next = match (self.chosen, forward) {
            (None, true) => 0,
            (None, false) => count - 1,
            (Some(at), true) => (at + 1) % count,
            (Some(at), false) => (at + count - 1) % count,
        };
        self.chosen = Some(next);
        &self.candidates[next]
    }
}

/// What to offer for the line as far as the cursor. Words are offered where somebody asks, commands
/// and mentions also unasked.
pub(super) fn offer(chat: &Chat, line: &str, asked: bool) -> Offer {
    let from = line.rfind(char::is_whitespace).map_or(0, |at| {
        at + line[at..].chars().next().map_or(1, char::len_utf8)
    });
    let word = &line[from..];
    if let Some(name) = line.strip_prefix('/').filter(|_| from == 0) {
        return found(0, commands(name));
    }
    if let Some(name) = word.strip_prefix('@') {
        return found(from, mentions(chat, name));
    }
    let verb = line.strip_prefix('/').and_then(|it| {
        let name = it.split_whitespace().next()?;
        verbs::find(name)
    });
    match verb {
        Some(verb) if asked => words(chat, verb.words, line, from),
        _ => Offer::default(),
    }
}

fn found(from: usize, mut candidates: Vec<Candidate>) -> Offer {
    candidates.truncate(CANDIDATES_MAX);
    Offer {
        completion: Completion::of(from, candidates),
        files: None,
    }
}

fn commands(name: &str) -> Vec<Candidate> {
    let fitting = VERBS.iter().filter(|verb| verb.name.starts_with(name));
    fitting
        .map(|verb| Candidate {
            word: format!("/{}", verb.name),
            about: match verb.takes {
                "" => verb.about.to_owned(),
                takes => format!("{takes}  {}", verb.about),
            },
        })
        .collect()
}

fn mentions(chat: &Chat, name: &str) -> Vec<Candidate> {
    let members = chat.room().map(|room| room.details.members.as_slice());
    let names = members.unwrap_or_default().iter();
    let names = names.map(|member| chat.short(&member.user));
    plain(
        names
            .filter(|it| it.starts_with(name))
            .map(|it| format!("@{it}")),
    )
}

fn plain(words: impl Iterator<Item = String>) -> Vec<Candidate> {
    words
        .map(|word| Candidate {
            word,
            about: String::new(),
        })
        .collect()
}

fn words(chat: &Chat, kind: Words, line: &str, from: usize) -> Offer {
    let word = &line[from..];
    let fits = |it: &String| it.starts_with(word);
    match kind {
        Words::None => Offer::default(),
        Words::Members => {
            let members = chat.room().map(|room| room.details.members.as_slice());
            let names = members.unwrap_or_default().iter();
            let names = names.map(|member| chat.short(&member.user));
            found(from, plain(names.filter(fits)))
        }
        Words::Users | Words::Others => {
            let known = chat.known.iter().filter(|user| {
                let members = chat.room().map(|room| room.details.members.as_slice());
                let mut members = members.unwrap_or_default().iter();
                kind == Words::Users || !members.any(|member| member.user == **user)
            });
            found(from, plain(known.map(|user| chat.short(user)).filter(fits)))
        }
        Words::Groups => {
            // A name may have several words.
            let from = line
                .find(char::is_whitespace)
                .map_or(line.len(), |at| at + 1);
            let names = chat.rooms.iter().map(super::room::Room::name);
            found(
                from,
                plain(names.filter(|it| it.starts_with(&line[from..]))),
            )
        }
        Words::Marks => {
            let marks = MARKS.iter().filter(|(mark, about)| {
                mark.starts_with(word) || about.starts_with(word.trim_start_matches(':'))
            });
            let marks = marks.map(|(mark, about)| Candidate {
                word: (*mark).to_owned(),
                about: (*about).to_owned(),
            });
            found(from, marks.collect())
        }
        Words::OnOff => found(
            from,
            plain(["on".to_owned(), "off".to_owned()].into_iter().filter(fits)),
        ),
        Words::Files => {
            let from = line
                .find(char::is_whitespace)
                .map_or(line.len(), |at| at + 1);
            Offer {
                completion: None,
                files: Some(line[from..].to_owned()),
            }
        }
    }
}

/// What to offer where these files begin as the line ends.
pub(super) fn files(line: &str, beginning: &str, names: Vec<String>) -> Option<Completion> {
    let from = line.len().checked_sub(beginning.len())?;
    let is_asked = line.starts_with('/') && line.get(from..) == Some(beginning);
    // A name that can't be typed back can't be offered.
    let mut names = plain(names.into_iter().filter(|name| clean_line(name) == *name));
    names.truncate(CANDIDATES_MAX);
    Completion::of(from, names).filter(|_| is_asked)
}
