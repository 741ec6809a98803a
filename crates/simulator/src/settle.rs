//! What is true once everything has healed and everybody is at rest: all members of a group are in
//! one epoch with one history, and what was wanted was done once.

use std::collections::BTreeMap;

use conclave_client::{Entry, EntryKind, GroupId, Sequence, Standing, UserId};

use crate::{
    Violation,
    plan::creator,
    world::{Wanted, World, broken},
};

/// Entries of a history that are read at once.
const PAGE: usize = 1000;

/// A group as its creator knows it, who was there all the time.
struct Truth {
    number: usize,
    group: GroupId,
    epoch: (u64, Vec<u8>),
    members: Vec<UserId>,
    entries: BTreeMap<u64, Entry>,
}

/// From which entry to which somebody was a member; both included.
type Stay = (u64, u64);

impl World<'_> {
    /// Holds everybody to the same truth.
    pub(crate) fn settle(&mut self) -> Result<(), Violation> {
        for client in 0..self.machines.len() {
            self.note_outcomes(client)?;
        }
        let groups: Vec<_> = self.groups.iter().copied().enumerate().collect();
        for (number, group) in groups {
            let Some(group) = group else { continue };
            let truth = self.truth(number, group)?;
            for client in 0..self.machines.len() {
                self.stands_with(client, &truth)?;
                self.remembers(client, &truth)?;
            }
            self.read_what_they_may(&truth)?;
            self.said_once(&truth)?;
        }
        self.witness.nothing_is_lost()
    }

    fn truth(&mut self, number: usize, group: GroupId) -> Result<Truth, Violation> {
        let creator = creator(self.scenario, number);
        let entries = self.history(creator, group)?;
        let session = self.machines[creator].session();
        let session = session.ok_or(Violation::Restless { client: creator })?;
        let members = session.members(group).map_err(|it| broken(creator, &it))?;
        Ok(Truth {
            number,
            group,
            epoch: session.epoch(group).map_err(|it| broken(creator, &it))?,
            members: members.into_iter().map(|member| member.user).collect(),
            entries,
        })
    }

    fn history(
        &mut self,
        client: usize,
        group: GroupId,
    ) -> Result<BTreeMap<u64, Entry>, Violation> {
        let mut entries = BTreeMap::new();
        let mut after = Sequence(0);
        while let Some(session) = self.machines[client].session() {
            let page = session
                .history(group, after, PAGE)
                .map_err(|error| broken(client, &error))?;
            let Some(last) = page.last() else { break };
            after = last.sequence;
            // Whoever adds somebody tells the name again, and does not keep what it tells.
            let kept = page
                .into_iter()
                .filter(|entry| !matches!(entry.kind, EntryKind::Named(_)));
            entries.extend(kept.map(|entry| (entry.sequence.0, entry)));
        }
        Ok(entries)
    }

    /// Whether a client is in the group's epoch, or out of it, as the truth has it.
    fn stands_with(&mut self, client: usize, truth: &Truth) -> Result<(), Violation> {
        let diverged = |reason: String| Violation::Diverged {
            group: truth.number,
            client,
            reason,
        };
        let machine = &mut self.machines[client];
        let is_member = truth.members.contains(&machine.user);
        let session = machine.session().ok_or(Violation::Restless { client })?;
        let known = session
            .group(truth.group)
            .map_err(|it| broken(client, &it))?;
        let standing = known.map(|group| group.standing);
        match (is_member, standing) {
            (false, None | Some(Standing::Ended)) => return Ok(()),
            (true, Some(Standing::Member)) => {}
            (_, standing) => {
                let reason = format!("a member: {is_member}, and it thinks: {standing:?}");
                return Err(diverged(reason));
            }
        }
        let epoch = session
            .epoch(truth.group)
            .map_err(|it| broken(client, &it))?;
        if epoch == truth.epoch {
            Ok(())
        } else {
            let reason = format!(
                "it is in epoch {}, the others in {}",
                epoch.0, truth.epoch.0
            );
            Err(diverged(reason))
        }
    }

    /// Whether a client's history is the part of the truth that it was there for.
    fn remembers(&mut self, client: usize, truth: &Truth) -> Result<(), Violation> {
        let history = self.history(client, truth.group)?;
        let user = &self.machines[client].user;
        let stays = truth.stays(user);
        // What was said before it came back is missing, as far as it had not been read; and whoever
        // finds its folder put back may find itself removed, too.
        let came_back = match self.machines[client].was_restored {
            true => u64::MAX,
            false => truth.last_rejoined(user),
        };
        let was_there = |at: u64| stays.iter().any(|(from, to)| *from < at && at <= *to);
        if let Some((sequence, _)) = history
            .iter()
            .find(|(_, entry)| entry.kind == EntryKind::Unreadable)
        {
            return Err(Violation::Unreadable {
                group: truth.number,
                client,
                sequence: *sequence,
            });
        }
        let missed = truth.entries.iter().find(|(at, entry)| {
            let known = history.get(*at);
            let may_miss = known.is_none() && **at <= came_back;
            was_there(**at) && known != Some(*entry) && !may_miss
        });
        let invented = history
            .keys()
            .find(|at| was_there(**at) && !truth.entries.contains_key(*at));
        match missed.map(|(at, _)| at).or(invented) {
            None => Ok(()),
            Some(at) => Err(Violation::Diverged {
                group: truth.number,
                client,
                reason: format!(
                    "entry {at} is {:?} for it and {:?} for the creator",
                    history.get(at).map(|entry| &entry.kind),
                    truth.entries.get(at).map(|entry| &entry.kind),
                ),
            }),
        }
    }

    /// Whether everybody was given only entries of their stays.
    fn read_what_they_may(&self, truth: &Truth) -> Result<(), Violation> {
        let stays: Vec<Vec<Stay>> = self
            .machines
            .iter()
            .map(|machine| truth.stays(&machine.user))
            .collect();
        for (client, sequence) in self.witness.readers(truth.group) {
            let inside = |(from, to): &Stay| *from <= sequence && sequence <= *to;
            if client != creator(self.scenario, truth.number) && !stays[client].iter().any(inside) {
                return Err(Violation::ReadOutside {
                    group: truth.number,
                    client,
                    sequence,
                });
            }
        }
        Ok(())
    }

    /// Whether each message is in the log once, where its sender was told.
    fn said_once(&self, truth: &Truth) -> Result<(), Violation> {
        for wanted in self.wanted.iter().filter(|it| it.group == truth.number) {
            let Some(text) = &wanted.text else { continue };
            let places = truth.places(text);
            if !self.is_as_told(wanted, &places, truth) {
                return Err(Violation::NotOnce {
                    client: wanted.client,
                    text: text.clone(),
                    count: places.len(),
                });
            }
        }
        Ok(())
    }

    fn is_as_told(&self, wanted: &Wanted, places: &[u64], truth: &Truth) -> bool {
        let machine = &self.machines[wanted.client];
        if machine.was_restored {
            // It may have forgotten what it wanted, and how that ended.
            return places.len() <= 1;
        }
        match &wanted.outcome {
            Some(Ok(sequence)) => places == [*sequence],
            Some(Err(_)) => places.is_empty(),
            // Forgotten: it was done once, or given up because the sender was no member any more.
            None => {
                let stays = truth.stays(&machine.user);
                let stayed = stays.len() == 1 && stays[0].1 == u64::MAX;
                places.len() <= 1 && (!stayed || places.len() == 1)
            }
        }
    }
}

impl Truth {
    /// When a user was a member.
    fn stays(&self, user: &UserId) -> Vec<Stay> {
        let mut stays: Vec<Stay> = Vec::new();
        for (at, entry) in &self.entries {
            let (added, removed) = match &entry.kind {
                EntryKind::Added(added) => (&added[..], &[][..]),
                EntryKind::Removed(removed) => (&[][..], &removed[..]),
                EntryKind::Changed { added, removed } => (&added[..], &removed[..]),
                _ => continue,
            };
            if removed.contains(user)
                && let Some((_, to)) = stays.last_mut()
            {
                *to = *at;
            }
            if added.contains(user) {
                stays.push((*at, u64::MAX));
            }
        }
        stays
    }

    /// Where a user last came back with new keys.
    fn last_rejoined(&self, user: &UserId) -> u64 {
        let came_back = |entry: &Entry| entry.kind == EntryKind::Rejoined && entry.author == *user;
        let last = self
            .entries
            .iter()
            .rev()
            .find(|(_, entry)| came_back(entry));
        last.map_or(0, |(at, _)| *at)
    }

    fn places(&self, text: &str) -> Vec<u64> {
        let says = |entry: &Entry| entry.text() == Some(text);
        let entries = self.entries.iter();
        entries
            .filter(|(_, entry)| says(entry))
            .map(|(at, _)| *at)
            .collect()
    }
}
