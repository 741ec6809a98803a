//! Finding messages by their words: an index in memory, made from the history when it is first asked
//! and kept up with it.
//!
//! What it says is only a guess, which the history confirms: a message that was edited, deleted or
//! has expired meanwhile is not found by words that it no longer has, and nothing of it has to be
//! taken out of the index.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
};

use conclave_protocol::{GroupId, Sequence, UnixMillis};

use super::Session;
use crate::{ClientError, Entry};

/// Messages that are read from the history at once.
const PAGE: usize = 2000;

/// Where the words of messages stand.
#[derive(Debug, Default)]
pub(super) struct Index {
    words: BTreeMap<Box<str>, Vec<u32>>,
    /// What the numbers stand for, in the order in which they were indexed.
    places: Vec<(GroupId, Sequence)>,
    /// How far each group was indexed.
    read: HashMap<GroupId, Sequence>,
    /// The last edit in each group that was indexed.
    edited: HashMap<GroupId, (UnixMillis, Sequence)>,
}

impl Session {
    /// Messages that have all the words, of which the last may be the beginning of one; at most
    /// `limit`, the latest of each group first. Words are compared without regard to case.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn search(
        &mut self,
        query: &str,
        group: Option<GroupId>,
        limit: usize,
    ) -> Result<Vec<Entry>, ClientError> {
        self.update_index()?;
        let wanted: Vec<String> = words(query).collect();
        let mut found: Vec<Entry> = Vec::new();
        for (id, at) in self.index.find(&wanted) {
            if found.len() >= limit {
                break;
            }
            let is_known = |it: &Entry| (it.group, it.sequence) == (id, at);
            if group.is_some_and(|group| group != id) || found.iter().any(is_known) {
                continue;
            }
            let entry = self.local.read(|tx| tx.shown_entry(id, at))?;
            found.extend(entry.filter(|entry| has_all(entry, &wanted)));
        }
        Ok(found)
    }

    /// Takes in what has come into the history since, also from another program on the same home.
    fn update_index(&mut self) -> Result<(), ClientError> {
        for group in self.local.read(|tx| tx.groups())? {
            loop {
                let after = self.index.read.get(&group.id).copied().unwrap_or_default();
                let page = self.local.read(|tx| tx.texts(group.id, after, PAGE))?;
                let Some((last, _)) = page.last() else { break };
                self.index.read.insert(group.id, *last);
                for (at, text) in &page {
                    self.index.add(group.id, *at, text);
                }
            }
            self.index_edits(group.id)?;
        }
        Ok(())
    }

    fn index_edits(&mut self, group: GroupId) -> Result<(), ClientError> {
        let since = self.index.edited.get(&group).copied().unwrap_or_default();
        for place in self.local.read(|tx| tx.edited_since(group, since))? {
            self.index.edited.insert(group, place);
            let entry = self.local.read(|tx| tx.entry(group, place.1))?;
            if let Some(text) = entry.as_ref().and_then(Entry::text) {
                self.index.add(group, place.1, text);
            }
        }
        Ok(())
    }
}

impl Index {
    fn add(&mut self, group: GroupId, at: Sequence, text: &str) {
        // 2^32 messages are more than a home holds.
        let Ok(number) = u32::try_from(self.places.len()) else {
            return;
        };
        self.places.push((group, at));
        for word in words(text) {
            match self.words.get_mut(word.as_str()) {
                Some(numbers) if numbers.last() == Some(&number) => {}
                Some(numbers) => numbers.push(number),
                None => {
                    self.words.insert(word.into(), vec![number]);
                }
            }
        }
    }

    /// Where all the words stand, the last indexed first.
    fn find(&self, wanted: &[String]) -> impl Iterator<Item = (GroupId, Sequence)> {
        let mut numbers = Numbers::default();
        if let Some((last, whole)) = wanted.split_last() {
            let range = (Bound::Included(last.as_str()), Bound::Unbounded);
            let beginning = self.words.range::<str, _>(range);
            for (_, there) in beginning.take_while(|(word, _)| word.starts_with(last.as_str())) {
                numbers.add(there);
            }
            for word in whole {
                let there = self.words.get(word.as_str());
                numbers.keep(there.map_or(&[][..], Vec::as_slice));
            }
        }
        let places = &self.places;
        numbers
            .into_latest()
            .filter_map(|number| places.get(number).copied())
    }
}

/// A set of numbers of messages, as bits.
#[derive(Debug, Default)]
struct Numbers(Vec<u64>);

impl Numbers {
    fn add(&mut self, numbers: &[u32]) {
        for number in numbers {
            let (place, bit) = (*number as usize / 64, number % 64);
            if place >= self.0.len() {
                self.0.resize(place + 1, 0);
            }
            self.0[place] |= 1 << bit;
        }
    }

    /// Keeps those that are among `numbers` too.
    fn keep(&mut self, numbers: &[u32]) {
        let mut others = Self::default();
        others.add(numbers);
        self.0.truncate(others.0.len());
        for (bits, others) in self.0.iter_mut().zip(others.0) {
            *bits &= others;
        }
    }

    /// All, the largest first.
    fn into_latest(self) -> impl Iterator<Item = usize> {
        let words = self.0.into_iter().enumerate().rev();
        words.flat_map(|(place, bits)| {
            let set = (0..64).rev().filter(move |bit| bits >> bit & 1 == 1);
            set.map(move |bit| place * 64 + bit)
        })
    }
}

fn has_all(entry: &Entry, wanted: &[String]) -> bool {
    let there: Vec<String> = words(entry.text().unwrap_or_default()).collect();
    let Some((last, whole)) = wanted.split_last() else {
        return false;
    };
    whole.iter().all(|word| there.contains(word)) && there.iter().any(|it| it.starts_with(last))
}

/// The words of a text, in small letters.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use conclave_protocol::{Message, MessageId};

    use super::*;
    use crate::{
        EntryKind, Group, Home, Posted, Registration, Standing,
        session::{Database, Seed},
    };

    const GROUP: GroupId = GroupId::from_bytes([9; 16]);

    /// Says what a search of so many messages takes; see `docs/performance.md`.
    #[test]
    #[ignore = "measures"]
    #[allow(clippy::print_stdout)]
    fn a_hundred_thousand_messages_are_searched_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path()).locked_by("correct horse".parse().unwrap());
        let seed = [7; 32].into();
        drop(with_messages(
            Database::create(home.clone()).unwrap(),
            &seed,
            100_000,
        ));
        let before = Instant::now();
        let mut session = Session::open(Database::open(home).unwrap(), &seed).unwrap();
        let unlocked = before.elapsed();
        assert_eq!(session.search("has line99", None, 20).unwrap().len(), 20);
        let built = before.elapsed();
        // The second of them is in all messages, in three words of each.
        let mut longest = std::time::Duration::ZERO;
        for query in ["word777 line5", "words wo", "talk", "of line4242"] {
            let before = Instant::now();
            assert!(
                !session.search(query, None, 20).unwrap().is_empty(),
                "{query}"
            );
            longest = longest.max(before.elapsed());
        }
        println!(
            "unlocked in {unlocked:?}, the first search after {built:?}, then {longest:?} at most"
        );
        assert!(built.as_millis() < 2000 && longest.as_millis() < 50);
    }

    fn with_messages(database: Database, seed: &Seed, count: u64) -> Session {
        let at = Registration::at("http://here");
        let mut session =
            Session::create(database, &at, "here", "alice", seed, UnixMillis(0)).unwrap();
        let filled = session.local.write(|tx| {
            tx.put_group(&Group {
                id: GROUP,
                name: None,
                standing: Standing::Member,
                cursor: Sequence(count),
                successor: None,
            })?;
            for at in 1..=count {
                let text = format!(
                    "line{at} has word{} and {} more words of a talk",
                    at % 1000,
                    at % 77
                );
                let mut id = [0; 32];
                id[..8].copy_from_slice(&at.to_be_bytes());
                let id = MessageId::from_bytes(id);
                tx.record(&Entry {
                    group: GROUP,
                    sequence: Sequence(at),
                    accepted: UnixMillis(at),
                    author: "bob@here".parse().unwrap(),
                    kind: EntryKind::Message(Posted::new(id, Message::text(text), UnixMillis(at))),
                })?;
            }
            Ok(())
        });
        filled.unwrap();
        session
    }
}
