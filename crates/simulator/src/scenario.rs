//! What a world is like, before a seed makes it one.

use serde::Deserialize;
use thiserror::Error;

use crate::{Deed, Fault, Step, What};

/// A kind of world. In TOML, every field may be left out.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// Devices.
    pub clients: usize,
    /// How many of them, the last ones, are second devices, of users who create no group as far as there
    /// are others: at most one in five, and none where what happens is not drawn.
    pub second_devices: usize,
    /// Groups, each created by another client where there are enough.
    pub groups: usize,
    /// Members with which a group begins, its creator included.
    pub members: usize,
    /// What the clients want, all together, after the groups are there.
    pub deeds: usize,
    /// What goes wrong besides the network: crashes, restarts, partitions.
    pub faults: usize,
    /// Over how long all of that is spread, in seconds.
    pub seconds: u64,
    /// The chance that a process crashes at one step of its own, in a million.
    pub crashes_per_million_steps: u32,
    /// The chance, in a hundred, that what somebody wants is to spoil a group for all others.
    pub spoils: usize,
    /// The chance, in a hundred, that an owner says who may do what in a group.
    pub governs: usize,
    /// The network, until it heals.
    pub network: Network,
    /// What happens, where it is not to be drawn. Clients and groups go by their numbers; group `n`
    /// is for client `n` to create, as far as there are clients.
    pub steps: Vec<Step>,
}

/// A network. Chances are in a thousand.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// That a request, a reply or a hint is lost.
    pub lost: u32,
    /// That a request or a reply arrives twice.
    pub doubled: u32,
    /// That one is slow: it takes up to `slow_millis`, so that others overtake it.
    pub slow: u32,
    /// The usual way takes up to this long, in milliseconds.
    pub usual_millis: u64,
    /// A slow way takes up to this long, in milliseconds.
    pub slow_millis: u64,
}

/// A scenario that can't be played.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The file is not one.
    #[error("not a scenario: {0}")]
    Toml(#[from] toml::de::Error),
    /// A number makes no sense.
    #[error("not a scenario: {0}")]
    Invalid(&'static str),
}

impl Scenario {
    /// One group of all clients, where nothing goes wrong but what stands in the plan.
    #[must_use]
    pub fn without_faults(clients: usize) -> Self {
        Self {
            clients,
            groups: 1,
            members: clients,
            crashes_per_million_steps: 0,
            network: Network {
                lost: 0,
                doubled: 0,
                slow: 0,
                ..Network::default()
            },
            ..Self::default()
        }
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            clients: 20,
            second_devices: 0,
            groups: 5,
            members: 6,
            deeds: 120,
            faults: 12,
            seconds: 60,
            crashes_per_million_steps: 2_000,
            spoils: 1,
            governs: 0,
            network: Network::default(),
            steps: Vec::new(),
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            lost: 30,
            doubled: 20,
            slow: 50,
            usual_millis: 40,
            slow_millis: 3_000,
        }
    }
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// [`ScenarioError`].
    pub fn from_toml(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text)?;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), ScenarioError> {
        let network = &self.network;
        let problem = if self.clients == 0 || self.groups == 0 || self.members == 0 {
            "there has to be somebody"
        } else if self.members > self.users() {
            "a group has at most all users as its members"
        } else if self.seconds == 0 {
            "it has to last a second"
        } else if network.lost + network.doubled + network.slow > 1000 {
            "chances are in a thousand"
        } else if network.lost > 900 {
            "something has to arrive"
        } else if !self.steps.iter().all(|step| self.knows(&step.what)) {
            "a step is about a client or a group that is not there"
        } else {
            return Ok(());
        };
        Err(ScenarioError::Invalid(problem))
    }
}

impl Scenario {
    /// Users go by the numbers of their first devices.
    pub(crate) fn users(&self) -> usize {
        match self.steps.is_empty() {
            true => self.clients - self.second_devices.min(self.clients / 5),
            false => self.clients,
        }
    }

    /// The second device of a user.
    pub(crate) fn second_of(&self, user: usize) -> Option<usize> {
        (self.users()..self.clients).find(|it| self.first_of(*it) == Some(user))
    }

    /// The first device of the user whose second device this is.
    pub(crate) fn first_of(&self, client: usize) -> Option<usize> {
        let nth = client.checked_sub(self.users())?;
        Some((self.groups + nth) % self.users())
    }

    fn knows(&self, what: &What) -> bool {
        let (clients, group) = match what {
            What::Deed(actor, deed) => {
                let (group, mut others) = match deed {
                    Deed::Add(group, others) => (*group, others.clone()),
                    Deed::Remove(group, other) | Deed::Promote(group, other, _) => {
                        (*group, vec![*other])
                    }
                    Deed::Create(group)
                    | Deed::Update(group)
                    | Deed::Spoil(group)
                    | Deed::Leave(group)
                    | Deed::Restrict(group, _)
                    | Deed::Send(group) => (*group, Vec::new()),
                };
                others.push(*actor);
                (others, group)
            }
            What::Fault(Fault::Crash(client, _) | Fault::Restore(client, _)) => (vec![*client], 0),
            What::Fault(Fault::Partition(clients, _)) => (clients.clone(), 0),
            What::Fault(Fault::Restart) => (Vec::new(), 0),
        };
        clients.iter().all(|client| *client < self.clients) && group < self.groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_as_usual_and_nonsense_is_refused() {
        let read = Scenario::from_toml("clients = 3\nmembers = 2\n[network]\nlost = 100").unwrap();
        assert_eq!(read.clients, 3);
        assert_eq!(read.network.lost, 100);
        assert_eq!(read.groups, Scenario::default().groups);
        for nonsense in [
            "client = 3",
            "clients = 0",
            "clients = 2\nmembers = 3",
            "[network]\nlost = 950",
            "seconds = 0",
            "clients = 2\nmembers = 2\n[[steps]]\nat_millis = 1\nwhat = { fault = { crash = [2, 9] } }",
            "groups = 1\n[[steps]]\nat_millis = 1\nwhat = { deed = [0, { send = 1 }] }",
        ] {
            assert!(Scenario::from_toml(nonsense).is_err(), "{nonsense}");
        }
    }
}
