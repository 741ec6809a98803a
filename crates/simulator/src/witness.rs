//! What is true at every step, whoever crashes and whatever is lost: the witness sees all that the
//! service answers and where each client stands, and says when two of these can't both be.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use conclave_client::{GroupId, session::Call, session::Reply};
use conclave_rpc::v1::{self, submit_request::Body};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// Something that must never happen, and has. Clients and groups go by their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Violation {
    /// Two Commits were accepted in one epoch.
    #[error("group {group}: two Commits were accepted in epoch {epoch}")]
    TwoCommits {
        /// The group.
        group: usize,
        /// The epoch that both end.
        epoch: u64,
    },
    /// Two different entries were seen at one place of a log.
    #[error("group {group}: entry {sequence} is not the same for everybody")]
    Fork {
        /// The group.
        group: usize,
        /// The place.
        sequence: u64,
    },
    /// What the service acknowledged is not in the log.
    #[error("group {group}: entry {sequence} was acknowledged and is gone")]
    Lost {
        /// The group.
        group: usize,
        /// Its place.
        sequence: u64,
    },
    /// A KeyPackage was handed out for two requests.
    #[error("a KeyPackage of {user} was handed out twice")]
    KeyPackageTwice {
        /// Whose it is.
        user: String,
    },
    /// Two clients are in one epoch and do not share it.
    #[error("group {group}: clients in epoch {epoch} have different epoch authenticators")]
    Forked {
        /// The group.
        group: usize,
        /// The epoch.
        epoch: u64,
    },
    /// A client read what it had no right to.
    #[error("group {group}: client {client} read entry {sequence}, when it was no member")]
    ReadOutside {
        /// The group.
        group: usize,
        /// The client.
        client: usize,
        /// The entry's place.
        sequence: u64,
    },
    /// A client's own machinery failed.
    #[error("client {client} failed: {reason}")]
    Broken {
        /// The client.
        client: usize,
        /// In its words.
        reason: String,
    },
    /// A member could not read a message.
    #[error("group {group}: client {client} could not decrypt entry {sequence}")]
    Unreadable {
        /// The group.
        group: usize,
        /// The client.
        client: usize,
        /// The entry's place.
        sequence: u64,
    },
    /// A member took a message of somebody else that it could not report.
    #[error("group {group}: client {client} could not report entry {sequence}")]
    Unreportable {
        /// The group.
        group: usize,
        /// The client.
        client: usize,
        /// The entry's place.
        sequence: u64,
    },
    /// After everything healed, somebody is not where the others are.
    #[error("group {group}: client {client} does not come to where the others are: {reason}")]
    Diverged {
        /// The group.
        group: usize,
        /// The client.
        client: usize,
        /// In what it differs.
        reason: String,
    },
    /// What a client wanted was done twice, or elsewhere than it was told, or not at all.
    #[error("client {client}: {text} stands {count} times in the log, where once is right")]
    NotOnce {
        /// Who wanted it.
        client: usize,
        /// The message.
        text: String,
        /// How often it is there.
        count: usize,
    },
    /// A group goes on without somebody whose Commits were right.
    #[error("group {group}: it goes on without client {client}, who has not spoilt it")]
    Wronged {
        /// The group.
        group: usize,
        /// The client.
        client: usize,
    },
    /// A group goes on with the one who spoilt it.
    #[error("group {group}: it goes on, and client {client}, who spoilt it, is there")]
    CulpritStays {
        /// The group.
        group: usize,
        /// The client.
        client: usize,
    },
    /// After everything healed, somebody still has something to do.
    #[error("client {client} does not come to rest")]
    Restless {
        /// The client.
        client: usize,
    },
}

type Hash = [u8; 32];

/// What one place of a log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    epoch: u64,
    message: Hash,
    is_commit: bool,
}

/// What was seen of one group.
#[derive(Debug, Default)]
struct Seen {
    number: usize,
    log: BTreeMap<u64, Place>,
    commits: BTreeMap<u64, u64>,
    authenticators: BTreeMap<u64, Vec<u8>>,
    acknowledged: BTreeSet<u64>,
    read: BTreeSet<u64>,
    read_by: BTreeSet<(usize, u64)>,
    /// Where it ended, since it went on as another group.
    end: Option<u64>,
}

/// Who sees all.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    groups: BTreeMap<Vec<u8>, Seen>,
    taken: BTreeMap<Hash, (usize, Vec<u8>)>,
    last_resort: BTreeSet<Hash>,
}

impl Witness {
    /// A group exists from now on.
    pub(crate) fn group(&mut self, id: GroupId, number: usize) {
        let seen = self.groups.entry(id.as_bytes().to_vec()).or_default();
        seen.number = number;
    }

    /// A client was answered.
    pub(crate) fn answered(
        &mut self,
        client: usize,
        call: &Call,
        reply: &Reply,
    ) -> Result<(), Violation> {
        match (call, reply) {
            (Call::PublishKeyPackages(asked), _) => {
                self.last_resort
                    .insert(hash(&asked.last_resort_key_package));
                Ok(())
            }
            (Call::TakeKeyPackages(asked), Reply::TakeKeyPackages(given)) => {
                self.handed_out(client, asked, given)
            }
            (Call::Submit(asked), Reply::Submit(given)) => self.accepted(asked, given),
            (Call::ReadLog(asked), Reply::ReadLog(given)) => self.read(client, asked, given),
            _ => Ok(()),
        }
    }

    fn handed_out(
        &mut self,
        client: usize,
        asked: &v1::TakeKeyPackagesRequest,
        given: &v1::TakeKeyPackagesResponse,
    ) -> Result<(), Violation> {
        for user in &given.users {
            for package in &user.key_packages {
                let package = hash(package);
                if self.last_resort.contains(&package) {
                    continue;
                }
                let request = (client, asked.request_id.to_vec());
                let first = self.taken.entry(package).or_insert_with(|| request.clone());
                if *first != request {
                    let user = user.user.clone();
                    return Err(Violation::KeyPackageTwice { user });
                }
            }
        }
        Ok(())
    }

    fn accepted(
        &mut self,
        asked: &v1::SubmitRequest,
        given: &v1::SubmitResponse,
    ) -> Result<(), Violation> {
        let Some(seen) = self.groups.get_mut(&asked.group_id[..]) else {
            return Ok(());
        };
        let (message, is_commit) = match &asked.body {
            Some(Body::Commit(bundle)) => (&bundle.commit, true),
            Some(Body::Proposal(message) | Body::ApplicationMessage(message)) => (message, false),
            None => return Ok(()),
        };
        let place = Place {
            epoch: epoch(message),
            message: hash(message),
            is_commit,
        };
        seen.acknowledged.insert(given.sequence);
        seen.holds(given.sequence, place)
    }

    fn read(
        &mut self,
        client: usize,
        asked: &v1::ReadLogRequest,
        given: &v1::ReadLogResponse,
    ) -> Result<(), Violation> {
        let Some(seen) = self.groups.get_mut(&asked.group_id[..]) else {
            return Ok(());
        };
        given
            .entries
            .iter()
            .try_for_each(|entry| seen.reads(client, entry))
    }

    /// Where a client stands in a group.
    pub(crate) fn stands(
        &mut self,
        group: GroupId,
        epoch: u64,
        authenticator: Vec<u8>,
    ) -> Result<(), Violation> {
        let Some(seen) = self.groups.get_mut(&group.as_bytes()[..]) else {
            return Ok(());
        };
        match seen.authenticators.entry(epoch) {
            Entry::Vacant(place) => {
                place.insert(authenticator);
            }
            Entry::Occupied(known) if *known.get() != authenticator => {
                let group = seen.number;
                return Err(Violation::Forked { group, epoch });
            }
            Entry::Occupied(_) => {}
        }
        Ok(())
    }

    /// A group went on as another: what stands behind this place does not count.
    pub(crate) fn ended(&mut self, group: GroupId, at: u64) {
        if let Some(seen) = self.groups.get_mut(&group.as_bytes()[..]) {
            seen.end = Some(at);
        }
    }

    /// That everything acknowledged was read by somebody, once everybody has read all.
    pub(crate) fn nothing_is_lost(&self) -> Result<(), Violation> {
        for seen in self.groups.values() {
            let mut lost = seen.acknowledged.difference(&seen.read);
            if let Some(sequence) = lost.find(|at| seen.end.is_none_or(|end| **at <= end)) {
                return Err(Violation::Lost {
                    group: seen.number,
                    sequence: *sequence,
                });
            }
        }
        Ok(())
    }

    /// Who was given which entries of a group.
    pub(crate) fn readers(&self, group: GroupId) -> impl Iterator<Item = (usize, u64)> {
        let seen = self.groups.get(&group.as_bytes()[..]);
        seen.into_iter()
            .flat_map(|seen| seen.read_by.iter().copied())
    }
}

impl Seen {
    fn reads(&mut self, client: usize, entry: &v1::LogEntry) -> Result<(), Violation> {
        let place = Place {
            epoch: entry.epoch,
            message: hash(&entry.message),
            is_commit: entry.kind() == v1::EntryKind::Commit,
        };
        self.read.insert(entry.sequence);
        self.read_by.insert((client, entry.sequence));
        self.holds(entry.sequence, place)
    }

    fn holds(&mut self, sequence: u64, place: Place) -> Result<(), Violation> {
        let group = self.number;
        if place.is_commit {
            let epoch = place.epoch;
            let first = *self.commits.entry(epoch).or_insert(sequence);
            let known = self.log.get(&first);
            if first != sequence || known.is_some_and(|known| *known != place) {
                return Err(Violation::TwoCommits { group, epoch });
            }
        }
        if *self.log.entry(sequence).or_insert(place) == place {
            Ok(())
        } else {
            Err(Violation::Fork { group, sequence })
        }
    }
}

/// The epoch in the header of a PublicMessage or PrivateMessage (RFC 9420 §6), whose group id is as
/// long as ours are: version, wire format, the id and its length come first.
fn epoch(message: &[u8]) -> u64 {
    let bytes = message.get(21..29).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_be_bytes)
}

fn hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}
