//! The world: its time, what is about to happen in it, and everybody in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use conclave_client::{
    GroupId, UnixMillis,
    session::{Call, Hint, Rejection, Reply},
};
use conclave_delivery_service::InProcess;
use thiserror::Error;
use tokio::runtime::Runtime;

use crate::{
    Bug, Network, Plan, Scenario, Violation, What,
    machine::{Machine, SERVER},
    planted::Saboteur,
    traffic::PATIENCE_MILLIS,
    wishes::Wanted,
    witness::Witness,
};

/// How often a client connects anew, which makes up for lost hints, in milliseconds.
const RECONNECTS_MILLIS: u64 = 7_000;

/// How long everybody has to come to rest once the network has healed, in milliseconds.
const REST_MILLIS: u64 = 15 * 60_000;

/// A world that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("seed {seed}, at {at_millis} ms: {violation}")]
pub struct Failure {
    /// The plan's seed.
    pub seed: u64,
    /// When, in milliseconds after the beginning.
    pub at_millis: u64,
    /// What.
    pub violation: Violation,
}

/// A world that went well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Requests that reached the service.
    pub requests: u64,
    /// Log entries that the service acknowledged.
    pub entries: u64,
    /// Commits among them.
    pub commits: u64,
    /// Crashes of clients.
    pub crashes: u64,
    /// How long it lasted until everybody was at rest, in milliseconds of its own time.
    pub millis: u64,
}

/// Where what happens is told, line by line.
#[derive(Debug, Default)]
pub struct Trace(Option<Vec<String>>);

impl Trace {
    /// One that is kept.
    #[must_use]
    pub fn kept() -> Self {
        Self(Some(Vec::new()))
    }

    /// What was told.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        self.0.as_deref().unwrap_or_default()
    }

    pub(crate) fn tell(&mut self, at_millis: u64, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.0 {
            lines.push(format!("{at_millis:>7}  {}", line()));
        }
    }
}

/// Plays a plan.
///
/// # Errors
/// What went wrong first.
pub fn run(
    plan: &Plan,
    scenario: &Scenario,
    bug: Option<Bug>,
    trace: &mut Trace,
) -> Result<Report, Failure> {
    let failure = |at_millis, violation| Failure {
        seed: plan.seed,
        at_millis,
        violation,
    };
    let mut world = World::new(plan, scenario, bug, trace).map_err(|it| failure(0, it))?;
    let played = world.play();
    let millis = world.millis;
    played.map_err(|violation| failure(millis, violation))
}

/// Something about to happen.
pub(crate) enum Happening {
    Step(usize),
    Wake(usize),
    Reconnect(usize),
    Arrive(usize, u64, Call),
    Answer {
        client: usize,
        number: u64,
        service_life: u64,
        call: Call,
        answer: Result<Reply, Rejection>,
    },
    Timeout(usize, u64),
    Hint(usize, Hint),
    Start(usize),
    Heal,
}

pub(crate) struct World<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) plan: &'a Plan,
    pub(crate) trace: &'a mut Trace,
    pub(crate) runtime: Runtime,
    pub(crate) service: InProcess,
    /// How often the service has started.
    pub(crate) service_life: u64,
    pub(crate) saboteur: Saboteur,
    /// Whose next Commit in which group nobody can process.
    pub(crate) spoilers: BTreeSet<(usize, GroupId)>,
    /// Who has made such a Commit.
    pub(crate) culprits: BTreeSet<usize>,
    pub(crate) machines: Vec<Machine>,
    /// Who reaches nobody until when.
    pub(crate) cut_until: Vec<u64>,
    /// When each client looks up next.
    wakes: Vec<Option<u64>>,
    pub(crate) groups: Vec<Option<GroupId>>,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) witness: Witness,
    pub(crate) network: Network,
    pub(crate) is_healed: bool,
    pub(crate) beginning: UnixMillis,
    pub(crate) millis: u64,
    order: u64,
    coming: BTreeMap<(u64, u64), Happening>,
    pub(crate) report: Report,
}

impl<'a> World<'a> {
    fn new(
        plan: &'a Plan,
        scenario: &'a Scenario,
        bug: Option<Bug>,
        trace: &'a mut Trace,
    ) -> Result<Self, Violation> {
        // OpenMLS dates KeyPackages by the system's clock, so every world begins now. Nothing in it
        // depends on when that is.
        let beginning = UnixMillis::from(SystemTime::now());
        let machines = machines(plan.seed, scenario, bug, beginning)?;
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        Ok(Self {
            scenario,
            plan,
            trace,
            runtime: runtime.map_err(|error| broken(0, &error))?,
            service: InProcess::new(SERVER, beginning),
            service_life: 0,
            saboteur: Saboteur::new(bug),
            spoilers: BTreeSet::new(),
            culprits: BTreeSet::new(),
            cut_until: vec![0; machines.len()],
            wakes: vec![None; machines.len()],
            machines,
            groups: vec![None; scenario.groups],
            wanted: Vec::new(),
            witness: Witness::default(),
            network: scenario.network.clone(),
            is_healed: false,
            beginning,
            millis: 0,
            order: 0,
            coming: BTreeMap::new(),
            report: Report::default(),
        })
    }

    fn play(&mut self) -> Result<Report, Violation> {
        for (index, step) in self.plan.steps.iter().enumerate() {
            self.plan_at(step.at_millis, Happening::Step(index));
        }
        let last = self.plan.steps.last().map_or(0, |step| step.at_millis);
        let healed = last + PATIENCE_MILLIS;
        self.plan_at(healed, Happening::Heal);
        for client in 0..self.machines.len() {
            self.wake_at(client, client as u64);
            let first = RECONNECTS_MILLIS + 100 * client as u64;
            self.plan_at(first, Happening::Reconnect(client));
        }
        while let Some(((at, _), happening)) = self.coming.pop_first() {
            if at > healed + REST_MILLIS {
                return Err(self.who_is_restless());
            }
            self.millis = at;
            self.happen(happening)?;
        }
        self.report.millis = self.millis;
        self.settle()?;
        Ok(self.report)
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Violation> {
        match happening {
            Happening::Step(index) => self.take_step(index),
            Happening::Wake(client) => {
                self.wakes[client] = None;
                self.go_on(client)
            }
            Happening::Reconnect(client) => {
                if !self.is_healed {
                    self.plan_in(RECONNECTS_MILLIS, Happening::Reconnect(client));
                }
                self.hint(client, Hint::Connected)
            }
            Happening::Arrive(client, number, call) => self.serve(client, number, &call),
            Happening::Answer {
                client,
                number,
                service_life,
                call,
                answer,
            } => {
                if service_life == self.service_life && !self.is_cut(client) {
                    self.take_in(client, number, &call, answer)
                } else {
                    Ok(())
                }
            }
            Happening::Timeout(client, number) => self.give_up(client, number),
            Happening::Hint(client, hint) => {
                if self.is_cut(client) {
                    return Ok(());
                }
                self.hint(client, hint)
            }
            Happening::Start(client) => self.start(client),
            Happening::Heal => self.heal(),
        }
    }

    fn take_step(&mut self, index: usize) -> Result<(), Violation> {
        let what = &self.plan.steps[index].what;
        self.trace.tell(self.millis, || format!("{what:?}"));
        match what {
            What::Deed(client, deed) => self.want(*client, deed, index),
            What::Fault(fault) => self.break_down(fault),
        }
    }

    pub(crate) fn hint(&mut self, client: usize, hint: Hint) -> Result<(), Violation> {
        if let Some(session) = self.machines[client].session() {
            session.hint(hint).map_err(|error| broken(client, &error))?;
            self.wake_at(client, self.millis);
        }
        Ok(())
    }

    fn who_is_restless(&self) -> Violation {
        let restless = self.coming.values().find_map(|happening| match happening {
            Happening::Wake(client) | Happening::Timeout(client, _) => Some(*client),
            _ => None,
        });
        Violation::Restless {
            client: restless.unwrap_or(0),
        }
    }

    pub(crate) fn is_cut(&self, client: usize) -> bool {
        self.millis < self.cut_until[client]
    }

    pub(crate) fn now(&self) -> UnixMillis {
        UnixMillis(self.beginning.0 + self.millis)
    }

    pub(crate) fn wake_at(&mut self, client: usize, at_millis: u64) {
        let at = at_millis.max(self.millis);
        if self.wakes[client].is_none_or(|known| at < known) {
            self.wakes[client] = Some(at);
            self.plan_at(at, Happening::Wake(client));
        }
    }

    pub(crate) fn plan_in(&mut self, wait_millis: u64, happening: Happening) {
        self.plan_at(self.millis + wait_millis, happening);
    }

    fn plan_at(&mut self, at_millis: u64, happening: Happening) {
        self.order += 1;
        self.coming.insert((at_millis, self.order), happening);
    }
}

fn machines(
    seed: u64,
    scenario: &Scenario,
    bug: Option<Bug>,
    now: UnixMillis,
) -> Result<Vec<Machine>, Violation> {
    let planted = bug.and_then(Bug::in_clients);
    let mut machines: Vec<Machine> = Vec::new();
    for client in 0..scenario.clients {
        let machine = match scenario.first_of(client) {
            Some(first) => Machine::linked(client, seed, &mut machines[first], now),
            None => Machine::new(client, seed, planted, now),
        };
        machines.push(machine.map_err(|error| broken(client, &error))?);
    }
    Ok(machines)
}

pub(crate) fn broken(client: usize, error: &dyn std::error::Error) -> Violation {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    Violation::Broken { client, reason }
}
