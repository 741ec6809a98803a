//! What is true once everything has healed and everybody is at rest: all members of a group are in
//! one epoch with one history, and what was wanted was done once.

use std::collections::{BTreeMap, BTreeSet};

use conclave_client::{Entry, EntryKind, GroupId, Sequence, Standing, UserId};

use crate::{
    Violation,
    plan::creator,
    wishes::Wanted,
    world::{World, broken},
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
    /// The first report of a Commit. Who can't follow one, its creator too, misses what is said from
    /// there on, until it is back or the group goes on as another.
    reported: u64,
    /// What it goes on as, and where it ended.
    successor: Option<(GroupId, u64)>,
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
            let truths = self.truths(number, group)?;
            for truth in &truths {
                if let Some((_, at)) = truth.successor {
                    self.witness.ended(truth.group, at);
                }
                for client in 0..self.machines.len() {
                    self.stands_with(client, truth)?;
                    self.remembers(client, truth)?;
                }
            }
            if let Some(first) = truths.first() {
                self.read_what_they_may(first)?;
            }
            self.said_once(&truths)?;
            self.only_culprits_are_left_out(&truths)?;
        }
        self.witness.nothing_is_lost()
    }

    /// A group, and those that it goes on as.
    fn truths(&mut self, number: usize, group: GroupId) -> Result<Vec<Truth>, Violation> {
        let lineage = self.lineage(creator(self.scenario, number), group)?;
        let groups = lineage.iter().enumerate();
        groups
            .map(|(at, group)| self.truth(number, *group, lineage.get(at + 1).copied()))
            .collect()
    }

    fn truth(
        &mut self,
        number: usize,
        group: GroupId,
        successor: Option<GroupId>,
    ) -> Result<Truth, Violation> {
        let creator = creator(self.scenario, number);
        let entries = self.history(creator, group)?;
        let mut reports = entries.iter().filter(|(_, entry)| is_report(entry));
        let reported = reports.next().map(|(at, _)| *at);
        let last = entries.keys().next_back().copied().unwrap_or_default();
        let session = self.machines[creator].session();
        let session = session.ok_or(Violation::Restless { client: creator })?;
        let (epoch, members) = match successor {
            Some(_) => ((0, Vec::new()), Vec::new()),
            None => (
                session.epoch(group).map_err(|it| broken(creator, &it))?,
                session.members(group).map_err(|it| broken(creator, &it))?,
            ),
        };
        Ok(Truth {
            number,
            group,
            epoch,
            members: members.into_iter().map(|member| member.user).collect(),
            reported: reported.unwrap_or(u64::MAX),
            successor: successor.map(|successor| (successor, last)),
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
        for entry in entries.values_mut() {
            self.can_be_reported(client, entry)?;
        }
        Ok(entries)
    }

    /// Whether a client could report a message of somebody else. Of one's own that was acknowledged and not read
    /// there is no proof, so that nothing is said of those.
    fn can_be_reported(&self, client: usize, entry: &mut Entry) -> Result<(), Violation> {
        let EntryKind::Message(posted) = &mut entry.kind else {
            return Ok(());
        };
        let is_exempt = posted.deleted || entry.author == self.machines[client].user;
        if !posted.is_reportable && !is_exempt {
            let (id, sequence) = (entry.group, entry.sequence.0);
            let number = self.groups.iter().position(|it| *it == Some(id));
            let group = number.unwrap_or_default();
            return Err(Violation::Unreportable {
                group,
                client,
                sequence,
            });
        }
        posted.is_reportable = true;
        Ok(())
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
        let standing = known.as_ref().map(|group| group.standing);
        if let Some((successor, _)) = truth.successor {
            let goes_on = known.and_then(|group| group.successor);
            let is_there = matches!(standing, None | Some(Standing::Ended))
                && goes_on.is_none_or(|it| it == successor);
            return if is_there {
                Ok(())
            } else {
                let reason = format!("it goes on, and this one thinks: {standing:?}");
                Err(diverged(reason))
            };
        }
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
        let machine = &self.machines[client];
        let came_back = match (machine.was_restored, machine.is_one_of_two) {
            (true, _) => u64::MAX,
            // It may have come later than the other.
            (_, true) => truth.last_rejoined(user).max(last_added(&history, user)),
            _ => truth.last_rejoined(user),
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
            let may_miss = known.is_none() && (**at <= came_back || **at >= truth.reported);
            was_there(**at) && known != Some(*entry) && !may_miss
        });
        let invented = history.keys().find(|at| {
            was_there(**at) && !truth.entries.contains_key(*at) && **at < truth.reported
        });
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
            // Of what came after a report, the creator may not know who was there.
            let is_known =
                sequence < truth.reported && client != creator(self.scenario, truth.number);
            if is_known && !stays[client].iter().any(inside) {
                return Err(Violation::ReadOutside {
                    group: truth.number,
                    client,
                    sequence,
                });
            }
        }
        Ok(())
    }

    /// Whether each message is in one of the logs once, where its sender was told.
    fn said_once(&mut self, truths: &[Truth]) -> Result<(), Violation> {
        let Some(number) = truths.first().map(|truth| truth.number) else {
            return Ok(());
        };
        // Those who can't follow a Commit know different parts of what was said.
        let mut places: BTreeMap<String, BTreeSet<(usize, u64)>> = BTreeMap::new();
        for (generation, truth) in truths.iter().enumerate() {
            for client in 0..self.machines.len() {
                for (at, entry) in self.history(client, truth.group)? {
                    if let Some(text) = entry.text() {
                        let known = places.entry(text.to_owned()).or_default();
                        known.insert((generation, at));
                    }
                }
            }
        }
        for wanted in self.wanted.iter().filter(|it| it.group == number) {
            let Some(text) = &wanted.text else { continue };
            let known = places.get(text).cloned().unwrap_or_default();
            if !self.is_as_told(wanted, &known, truths) {
                return Err(Violation::NotOnce {
                    client: wanted.client,
                    text: text.clone(),
                    count: known.len(),
                });
            }
        }
        Ok(())
    }

    /// Whether those without whom a group goes on had it coming, and are not there.
    fn only_culprits_are_left_out(&self, truths: &[Truth]) -> Result<(), Violation> {
        for (truth, next) in truths.iter().zip(truths.iter().skip(1)) {
            let last = truth.entries.values().next_back().map(|it| &it.kind);
            let Some(EntryKind::Continued {
                without: Some(without),
                ..
            }) = last
            else {
                continue;
            };
            let found = self.machines.iter().position(|it| it.user == *without);
            let Some(client) = found else { continue };
            let group = truth.number;
            if !self.is_culprit(without) {
                return Err(Violation::Wronged { group, client });
            }
            if next.members.contains(without) && !self.plan.adds(client, group) {
                return Err(Violation::CulpritStays { group, client });
            }
        }
        Ok(())
    }

    fn is_culprit(&self, user: &UserId) -> bool {
        let mut culprits = self.culprits.iter();
        culprits.any(|it| self.machines[*it].user == *user)
    }

    fn is_as_told(
        &self,
        wanted: &Wanted,
        places: &BTreeSet<(usize, u64)>,
        truths: &[Truth],
    ) -> bool {
        let machine = &self.machines[wanted.client];
        if machine.was_restored || self.is_culprit(&machine.user) {
            // It may have forgotten what it wanted, and how that ended; nor is anything owed to whoever
            // sends what is not what it made.
            return places.len() <= 1;
        }
        match &wanted.outcome {
            Some(Ok(sequence)) => {
                let ends = truths.iter().filter_map(|it| it.successor);
                // What turned out to stand behind the end of a log was said once more.
                let was_behind = ends.into_iter().any(|(_, end)| end < *sequence);
                let is_there = |(_, at): &(usize, u64)| at == sequence || was_behind;
                places.len() == 1 && places.iter().all(is_there)
            }
            Some(Err(_)) => places.is_empty(),
            // Forgotten: it was done once, or given up because the sender was no member any more.
            None => {
                let stays = truths.last().map(|it| it.stays(&machine.user));
                let stays = stays.filter(|_| truths.len() == 1).unwrap_or_default();
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
        let mut asked_to_leave = false;
        for (at, entry) in &self.entries {
            let (added, removed) = match &entry.kind {
                EntryKind::Leaves => {
                    asked_to_leave |= entry.author == *user;
                    continue;
                }
                // The wish to leave goes with the leaf that had it.
                EntryKind::Rejoined if entry.author == *user => {
                    asked_to_leave = false;
                    continue;
                }
                // Who had asked to leave goes with whatever Commit comes next.
                EntryKind::Rejoined if asked_to_leave => (&[][..], std::slice::from_ref(user)),
                EntryKind::Added(added) => (&added[..], &[][..]),
                EntryKind::Removed(removed) => (&[][..], &removed[..]),
                EntryKind::Changed { added, removed } => (&added[..], &removed[..]),
                _ => continue,
            };
            if removed.contains(user)
                && let Some((_, to)) = stays.last_mut()
            {
                *to = *at;
                asked_to_leave = false;
            }
            // A second device may come later.
            let is_there = stays.last().is_some_and(|(_, to)| *to == u64::MAX);
            if added.contains(user) && !is_there {
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
}

/// Where a history says last that a user came in: nowhere before the end, where it never did.
fn last_added(history: &BTreeMap<u64, Entry>, user: &UserId) -> u64 {
    let adds = |entry: &Entry| match &entry.kind {
        EntryKind::Added(added) | EntryKind::Changed { added, .. } => added.contains(user),
        _ => false,
    };
    let mut added = history.iter().rev().filter(|(_, entry)| adds(entry));
    added.next().map_or(u64::MAX, |(at, _)| *at)
}

fn is_report(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::Reported(_))
}
