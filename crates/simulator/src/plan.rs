//! What happens in a world, moment by moment: drawn from a seed before anything begins.

use std::fmt;

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use serde::Deserialize;

use crate::Scenario;

/// Everything that is wanted and everything that goes wrong, in order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// From which all else is drawn: the network's whims, keys, waits.
    pub seed: u64,
    /// What happens.
    pub steps: Vec<Step>,
}

/// Something that happens at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Milliseconds after the world begins.
    pub at_millis: u64,
    /// What it is.
    pub what: What,
}

impl Step {
    /// Something that a client does, so many milliseconds after the world begins.
    #[must_use]
    pub fn deed(at_millis: u64, client: usize, deed: Deed) -> Self {
        Self {
            at_millis,
            what: What::Deed(client, deed),
        }
    }
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A client wants something.
    Deed(usize, Deed),
    /// Something breaks.
    Fault(Fault),
}

/// What a client wants done in a group, both by number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// The group made.
    Create(usize),
    /// Clients added.
    Add(usize, Vec<usize>),
    /// A client removed.
    Remove(usize, usize),
    /// Its keys renewed.
    Update(usize),
    /// Everybody unable to go on: a Commit that the service takes and no member can process.
    Spoil(usize),
    /// Out.
    Leave(usize),
    /// A message sent.
    Send(usize),
    /// A client made an admin, or a member again.
    Promote(usize, usize, bool),
    /// Only admins, or everybody, to add, remove and describe.
    Restrict(usize, bool),
}

/// What breaks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A client's process ends, and starts again so many milliseconds later.
    Crash(usize, u64),
    /// The service's process ends and starts again at once.
    Restart,
    /// These clients reach nobody for so many milliseconds.
    Partition(Vec<usize>, u64),
    /// A client's folder is put back to what it was so many milliseconds ago.
    Restore(usize, u64),
}

/// When the groups are created.
const GROUPS_AT_MILLIS: u64 = 2_000;

/// When the other deeds begin.
const DEEDS_FROM_MILLIS: u64 = 5_000;

impl Plan {
    /// The plan that a seed makes of a scenario: its steps where it has some, else drawn ones.
    #[must_use]
    pub fn draw(seed: u64, scenario: &Scenario) -> Self {
        let mut draft = Draft {
            dice: Dice::new(seed, 0),
            scenario,
            members: vec![Vec::new(); scenario.groups],
        };
        if !scenario.steps.is_empty() {
            let mut steps = scenario.steps.clone();
            steps.sort_by_key(|step| step.at_millis);
            return Self { seed, steps };
        }
        let mut steps = draft.beginnings();
        let mut moments: Vec<u64> = (0..scenario.deeds).map(|_| draft.moment()).collect();
        // In order, so that deeds are for those who will be members by then.
        moments.sort_unstable();
        for at_millis in moments {
            let what = draft.deed();
            steps.push(Step { at_millis, what });
        }
        for _ in 0..scenario.faults {
            let what = What::Fault(draft.fault());
            let at_millis = draft.moment();
            steps.push(Step { at_millis, what });
        }
        steps.sort_by_key(|step| step.at_millis);
        Self { seed, steps }
    }

    /// Whether somebody is to be added to a group after it was made.
    pub(crate) fn adds(&self, client: usize, group: usize) -> bool {
        let later = self
            .steps
            .iter()
            .filter(|it| it.at_millis >= DEEDS_FROM_MILLIS);
        later.into_iter().any(|step| match &step.what {
            What::Deed(_, Deed::Add(number, clients)) => {
                *number == group && clients.contains(&client)
            }
            _ => false,
        })
    }
}

/// A plan in the making.
struct Draft<'a> {
    dice: Dice,
    scenario: &'a Scenario,
    /// Who will be in each group, if all goes as wanted.
    members: Vec<Vec<usize>>,
}

impl Draft<'_> {
    fn beginnings(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for group in 0..self.scenario.groups {
            let creator = creator(self.scenario, group);
            let mut others: Vec<usize> = (0..self.scenario.users())
                .filter(|client| *client != creator)
                .collect();
            while others.len() >= self.scenario.members {
                others.swap_remove(self.dice.below(others.len()));
            }
            self.members[group] = others.clone();
            self.members[group].push(creator);
            for (wait, deed) in [(0, Deed::Create(group)), (500, Deed::Add(group, others))] {
                steps.push(Step {
                    at_millis: GROUPS_AT_MILLIS + wait,
                    what: What::Deed(creator, deed),
                });
            }
        }
        steps
    }

    fn moment(&mut self) -> u64 {
        DEEDS_FROM_MILLIS + self.dice.next() % (self.scenario.seconds * 1000)
    }

    fn deed(&mut self) -> What {
        let group = self.dice.below(self.scenario.groups);
        let actor = self.member(group);
        let creator = creator(self.scenario, group);
        if self.spoils() && actor != creator {
            self.members[group].retain(|it| *it != actor);
            return What::Deed(self.device_of(actor), Deed::Spoil(group));
        }
        if self.governs() {
            return What::Deed(creator, self.decree(group, creator));
        }
        let deed = match self.dice.below(100) {
            0..50 => Deed::Send(group),
            50..68 => {
                let other = self.dice.below(self.scenario.users());
                self.members[group].retain(|it| *it != other);
                self.members[group].push(other);
                Deed::Add(group, vec![other])
            }
            68..84 => {
                let other = self.member(group);
                if other == creator || other == actor {
                    Deed::Update(group)
                } else {
                    self.members[group].retain(|it| *it != other);
                    Deed::Remove(group, other)
                }
            }
            // Who leaves with one device stays with the other.
            84..90 if actor != creator && self.scenario.second_of(actor).is_none() => {
                self.members[group].retain(|it| *it != actor);
                Deed::Leave(group)
            }
            _ => Deed::Update(group),
        };
        What::Deed(self.device_of(actor), deed)
    }

    /// One of a user's devices.
    fn device_of(&mut self, user: usize) -> usize {
        let second = self.scenario.second_of(user);
        second.filter(|_| self.dice.below(2) == 0).unwrap_or(user)
    }

    /// What an owner says of who may do what. Members go on trying what they may not.
    fn decree(&mut self, group: usize, creator: usize) -> Deed {
        let (other, yes) = (self.member(group), self.dice.below(3) > 0);
        match self.dice.below(2) {
            0 if other != creator => Deed::Promote(group, other, yes),
            _ => Deed::Restrict(group, yes),
        }
    }

    /// Not asked where nobody ever does, so that other worlds stay what they are.
    fn governs(&mut self) -> bool {
        self.scenario.governs > 0 && self.dice.below(100) < self.scenario.governs
    }

    /// Not asked where nobody ever does, so that other worlds stay what they are.
    fn spoils(&mut self) -> bool {
        self.scenario.spoils > 0 && self.dice.below(100) < self.scenario.spoils
    }

    /// Somebody who will be in the group: the creator always is.
    fn member(&mut self, group: usize) -> usize {
        let count = self.members[group].len();
        self.members[group][self.dice.below(count)]
    }

    fn fault(&mut self) -> Fault {
        let client = self.dice.below(self.scenario.clients);
        let millis = self.dice.next() % 10_000;
        match self.dice.below(10) {
            0..5 => Fault::Crash(client, millis),
            5..7 => Fault::Restart,
            // Not a creator's: the truth about a group is what its creator knows.
            7 if client >= self.scenario.groups => Fault::Restore(client, millis),
            _ => {
                let dice = &mut self.dice;
                let cut = (0..self.scenario.clients).filter(|_| dice.below(4) == 0);
                Fault::Partition(cut.collect(), millis)
            }
        }
    }
}

/// Who creates a group. It stays, so that somebody can let the others go and knows all of it.
pub(crate) fn creator(scenario: &Scenario, group: usize) -> usize {
    group % scenario.users()
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6} ms  {:?}", self.at_millis, self.what)
    }
}

/// Chance that can be had again.
#[derive(Debug)]
pub(crate) struct Dice(ChaCha20Rng);

impl Dice {
    /// The dice of one part of a world: other parts don't change what these throw.
    pub(crate) fn new(seed: u64, part: u64) -> Self {
        let mut dice = ChaCha20Rng::seed_from_u64(seed);
        dice.set_stream(part);
        Self(dice)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// One of `0..bound`, which is not empty.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // The remainder is less than a usize.
        usize::try_from(self.next() % bound as u64).unwrap_or(0)
    }

    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_all_and_another_says_something_else() {
        let scenario = Scenario::default();
        let plan = Plan::draw(7, &scenario);
        assert_eq!(Plan::draw(7, &scenario), plan);
        assert_ne!(Plan::draw(8, &scenario).steps, plan.steps);
        let begun = 2 * scenario.groups;
        assert_eq!(plan.steps.len(), begun + scenario.deeds + scenario.faults);
        assert!(plan.steps.is_sorted_by_key(|step| step.at_millis));
    }
}
