//! When a group goes on as another, decided from its log alone.
//!
//! A Commit that enough members can't process is *upheld* by their reports; then somebody makes a
//! *successor*, with everybody but the Commit's author, and those who are in it vote for it in the
//! old group's log. Enough votes end the old group, at the place of the one that was still missing.
//! Reports and votes count by users: [`users_needed`] of those who were in the epoch before the
//! Commit, its author left out. All read the same entries in the same order, so all who know who was
//! in that epoch decide alike. A [`Bystander`], who came later or could process the Commit, follows where
//! most of the members that it knows vote, or the one who brought it in, and finds the same place: each
//! vote says how many are needed.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    DeviceId, GroupId, ReportedCommit, Sequence, Successor, UnixMillis, UserId,
    limits::{REPORTS_COUNT_FOR, USERS_ENOUGH},
};

/// How many of so many users have to say the same: most of them, or
/// [`USERS_ENOUGH`](crate::limits::USERS_ENOUGH) of many.
#[must_use]
pub fn users_needed(users: usize) -> usize {
    (users / 2 + 1).min(USERS_ENOUGH)
}

/// A report or vote that a log holds, its signature checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Its place.
    pub at: Sequence,
    /// When the service accepted it.
    pub accepted: UnixMillis,
    /// The device that says so.
    pub by: DeviceId,
    /// Its user.
    pub user: UserId,
    /// What it says.
    pub says: Says,
}

/// What a member says of a Commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// That it can't be processed.
    Report(ReportedCommit),
    /// That the group goes on as another.
    Vote(Successor),
}

impl Says {
    /// The Commit that it is about.
    #[must_use]
    pub fn commit(&self) -> &ReportedCommit {
        match self {
            Self::Report(commit) => commit,
            Self::Vote(successor) => &successor.commit,
        }
    }
}

/// A Commit that this device could not process, and who has a say in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    commit: ReportedCommit,
    accepted: UnixMillis,
    /// The devices in the epoch before, without those of the Commit's author.
    voters: BTreeMap<DeviceId, UserId>,
    users_needed: usize,
}

/// What a log says of a Commit, as far as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The devices whose reports count, in the order of the log.
    pub reporters: Vec<DeviceId>,
    /// Where enough users have reported, and when.
    pub upheld: Option<(Sequence, UnixMillis)>,
    /// The votes that count, in the order of the log.
    pub votes: Vec<(GroupId, UserId)>,
    /// When the last one was accepted.
    pub last_vote: Option<UnixMillis>,
    /// The group that goes on, and the last entry that counts in the old one.
    pub successor: Option<(GroupId, Sequence)>,
}

impl Case {
    /// A Commit that was accepted at `accepted` in the epoch that these devices were in.
    #[must_use]
    pub fn new(
        commit: ReportedCommit,
        accepted: UnixMillis,
        mut roster: BTreeMap<DeviceId, UserId>,
    ) -> Self {
        if let Some(author) = roster.get(&commit.author).cloned() {
            roster.retain(|_, user| *user != author);
        }
        let users: BTreeSet<&UserId> = roster.values().collect();
        Self {
            commit,
            accepted,
            users_needed: users_needed(users.len()),
            voters: roster,
        }
    }

    /// The Commit.
    #[must_use]
    pub fn commit(&self) -> &ReportedCommit {
        &self.commit
    }

    /// When it was accepted.
    #[must_use]
    pub fn accepted(&self) -> UnixMillis {
        self.accepted
    }

    /// Who has a say.
    #[must_use]
    pub fn voters(&self) -> &BTreeMap<DeviceId, UserId> {
        &self.voters
    }

    /// What is voted for where this group goes on as another.
    #[must_use]
    pub fn successor(&self, group: GroupId) -> Successor {
        Successor {
            commit: self.commit,
            group,
            // It is not above USERS_ENOUGH.
            users_needed: u32::try_from(self.users_needed).unwrap_or(u32::MAX),
        }
    }

    /// What the log says, given what was heard in it, in its order.
    #[must_use]
    pub fn judge(&self, heard: &[Heard]) -> Judgement {
        let until = self.accepted.after(REPORTS_COUNT_FOR);
        let in_time = |it: &Heard| it.accepted <= until || matches!(it.says, Says::Vote(_));
        let counts = |it: &&Heard| self.voters.contains_key(&it.by) && in_time(it);
        let heard = heard.iter().filter(counts);
        count(&self.commit, self.users_needed, None, heard)
    }
}

/// What a device knows that has no [`Case`] of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bystander {
    /// The devices in the group, as far as it knows them.
    pub members: BTreeMap<DeviceId, UserId>,
    /// Its own user.
    pub own: UserId,
    /// From where on it has followed the log: where it was added, or came back by itself. Of a Commit
    /// before, it takes the word of its own user's devices.
    pub since: Sequence,
    /// Where it was added, and by whom: of a Commit before, it takes the word of that user.
    pub added: Option<(Sequence, UserId)>,
}

impl Bystander {
    /// Where the group goes on: the Commit, the successor, and the last entry that counts.
    #[must_use]
    pub fn follow(&self, heard: &[Heard]) -> Option<(ReportedCommit, GroupId, Sequence)> {
        let proposed: Vec<Successor> = heard.iter().filter_map(proposed).collect();
        let followed = proposed
            .into_iter()
            .filter(|proposed| self.believes(proposed, heard));
        let ends = followed.filter_map(|proposed| {
            let author = self.members.get(&proposed.commit.author);
            let counts = |it: &&Heard| Some(&it.user) != author;
            let needed = usize::try_from(proposed.users_needed).unwrap_or(usize::MAX);
            let upheld = self.came_after(&proposed).then_some(UnixMillis(0));
            let heard = heard.iter().filter(counts);
            let (group, at) = count(&proposed.commit, needed, upheld, heard).successor?;
            Some((proposed.commit, group, at))
        });
        ends.min_by_key(|(_, _, at)| *at)
    }

    /// Whether most of the users that it knows vote for this, itself left out where the Commit or a later
    /// one brought it in, or, where it came later, its own user or the one who brought it.
    fn believes(&self, proposed: &Successor, heard: &[Heard]) -> bool {
        let author = self.members.get(&proposed.commit.author);
        let members = self.members.values();
        // Whom the Commit itself or a later one brought in has no say in it.
        let added = self.added.as_ref().map(|(added, _)| *added);
        let was_there = added.is_none_or(|added| added < proposed.commit.sequence);
        let came_with = self.since == proposed.commit.sequence;
        let silent = (came_with || !was_there).then_some(&self.own);
        let has_say = |it: &&UserId| Some(*it) != author && Some(*it) != silent;
        let users: BTreeSet<&UserId> = members.filter(has_say).collect();
        let says = Says::Vote(*proposed);
        let votes = heard.iter().filter(|it| it.says == says);
        let voters: BTreeSet<&UserId> = votes.map(|it| &it.user).collect();
        let agreeing = voters.intersection(&users).count();
        let is_vouched = self.vouchers(proposed).any(|by| voters.contains(by));
        is_vouched || agreeing >= users_needed(users.len())
    }

    /// Whose word is enough, where this device was not there to see for itself.
    fn vouchers(&self, proposed: &Successor) -> impl Iterator<Item = &UserId> {
        let at = proposed.commit.sequence;
        let author = self.members.get(&proposed.commit.author);
        let own = self.came_after(proposed).then_some(&self.own);
        let added = self.added.as_ref().filter(|(added, _)| *added > at);
        let vouchers = own.into_iter().chain(added.map(|(_, by)| by));
        vouchers.filter(move |by| Some(*by) != author)
    }

    fn came_after(&self, proposed: &Successor) -> bool {
        self.since > proposed.commit.sequence
    }
}

fn proposed(heard: &Heard) -> Option<Successor> {
    match heard.says {
        Says::Vote(successor) => Some(successor),
        Says::Report(_) => None,
    }
}

/// Counts what is said of one Commit by those who count. `upheld` is said of one that is known to be.
fn count<'a>(
    commit: &ReportedCommit,
    needed: usize,
    upheld: Option<UnixMillis>,
    heard: impl Iterator<Item = &'a Heard>,
) -> Judgement {
    let mut judgement = Judgement {
        upheld: upheld.map(|at| (Sequence(0), at)),
        ..Judgement::default()
    };
    let mut reported = BTreeSet::new();
    let mut voted: BTreeMap<GroupId, BTreeSet<&UserId>> = BTreeMap::new();
    // Groups with enough votes, in the order in which they had them.
    let mut elected = Vec::new();
    for it in heard {
        match it.says {
            Says::Report(about) if about == *commit => {
                judgement.reporters.push(it.by);
                reported.insert(&it.user);
                if reported.len() >= needed && judgement.upheld.is_none() {
                    judgement.upheld = Some((it.at, it.accepted));
                }
            }
            Says::Vote(vote)
                if vote.commit == *commit && usize::try_from(vote.users_needed) == Ok(needed) =>
            {
                let voters = voted.entry(vote.group).or_default();
                if voters.insert(&it.user) {
                    judgement.votes.push((vote.group, it.user.clone()));
                    judgement.last_vote = Some(it.accepted);
                    if voters.len() == needed {
                        elected.push(vote.group);
                    }
                }
            }
            _ => {}
        }
        if let (Some(_), Some(group), None) =
            (judgement.upheld, elected.first(), judgement.successor)
        {
            judgement.successor = Some((*group, it.at));
        }
    }
    judgement
}

#[cfg(test)]
mod tests;
