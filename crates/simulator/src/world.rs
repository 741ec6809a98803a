//! The world: its time, what is about to happen in it, and everybody in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use conclave_client::{
    ClientError, GroupId, UnixMillis,
    session::{Call, Hint, IntentId, Rejection, Reply},
};
use conclave_delivery_service::InProcess;
use thiserror::Error;
use tokio::runtime::Runtime;

use crate::{
    Bug, Deed, Fault, Network, Plan, Scenario, Violation, What,
    machine::{Machine, SERVER},
    planted::Saboteur,
    traffic::PATIENCE_MILLIS,
    witness::Witness,
};

/// How often a client connects anew, which makes up for lost hints, in milliseconds.
const RECONNECTS_MILLIS: u64 = 7_000;

/// How long the longest crash at a step of its own lasts, in milliseconds.
const STUMBLE_MILLIS: u64 = 3_000;

/// How long everybody has to come to rest once the network has healed, in milliseconds.
const REST_MILLIS: u64 = 15 * 60_000;

/// When everybody connects anew after the network has healed, in milliseconds.
const AFTER_HEALING_MILLIS: [u64; 3] = [0, 30_000, 90_000];

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

/// Something that a client wanted, and what became of it.
pub(crate) struct Wanted {
    pub(crate) client: usize,
    pub(crate) group: usize,
    pub(crate) intent: IntentId,
    pub(crate) text: Option<String>,
    pub(crate) outcome: Option<Result<u64, String>>,
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
    plan: &'a Plan,
    pub(crate) trace: &'a mut Trace,
    pub(crate) runtime: Runtime,
    pub(crate) service: InProcess,
    /// How often the service has started.
    pub(crate) service_life: u64,
    pub(crate) saboteur: Saboteur,
    /// Whose next Commit in which group nobody can process.
    pub(crate) spoilers: BTreeSet<(usize, GroupId)>,
    pub(crate) machines: Vec<Machine>,
    /// Who reaches nobody until when.
    cut_until: Vec<u64>,
    /// When each client looks up next.
    wakes: Vec<Option<u64>>,
    pub(crate) groups: Vec<Option<GroupId>>,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) witness: Witness,
    pub(crate) network: Network,
    is_healed: bool,
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
        let machines = (0..scenario.clients)
            .map(|it| {
                let planted = bug.and_then(Bug::in_clients);
                let machine = Machine::new(it, plan.seed, planted, beginning);
                machine.map_err(|error| broken(it, &error))
            })
            .collect::<Result<Vec<_>, _>>()?;
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

    fn break_down(&mut self, fault: &Fault) -> Result<(), Violation> {
        match fault {
            Fault::Crash(client, millis) => self.crash(*client, *millis),
            Fault::Restart => {
                self.service.restart();
                self.service_life += 1;
                Ok(())
            }
            Fault::Partition(clients, millis) => {
                for client in clients {
                    self.cut_until[*client] = self.millis + millis;
                }
                Ok(())
            }
            Fault::Restore(client, millis) => {
                self.crash(*client, 0)?;
                let before = self.millis.saturating_sub(*millis);
                self.machines[*client].restore_disk(before);
                Ok(())
            }
        }
    }

    fn crash(&mut self, client: usize, down_millis: u64) -> Result<(), Violation> {
        self.note_outcomes(client)?;
        let millis = self.millis;
        let machine = &mut self.machines[client];
        machine.crash();
        machine
            .copy_disk(millis)
            .map_err(|error| broken(client, &error))?;
        self.report.crashes += 1;
        self.plan_in(down_millis, Happening::Start(client));
        Ok(())
    }

    fn start(&mut self, client: usize) -> Result<(), Violation> {
        let started = self.machines[client].start();
        started.map_err(|error| broken(client, &error))?;
        self.wake_at(client, self.millis);
        Ok(())
    }

    fn heal(&mut self) -> Result<(), Violation> {
        self.is_healed = true;
        self.network = Network::healed();
        self.cut_until.fill(0);
        for client in 0..self.machines.len() {
            self.start(client)?;
            for wait in AFTER_HEALING_MILLIS {
                self.plan_in(wait, Happening::Hint(client, Hint::Connected));
            }
        }
        Ok(())
    }

    /// A client wants something, where it can.
    fn want(&mut self, client: usize, deed: &Deed, index: usize) -> Result<(), Violation> {
        let now = self.now();
        let users = |clients: &[usize]| -> Vec<_> {
            let machines = &self.machines;
            clients
                .iter()
                .map(|it| machines[*it].user.clone())
                .collect()
        };
        let text = format!("c{client}#{index}");
        let (number, others) = match deed {
            Deed::Add(group, clients) => (*group, users(clients)),
            Deed::Remove(group, other) => (*group, users(&[*other])),
            Deed::Create(group)
            | Deed::Update(group)
            | Deed::Spoil(group)
            | Deed::Leave(group)
            | Deed::Send(group) => (*group, Vec::new()),
        };
        let group = self.groups[number];
        let group = group.map(|group| self.lineage(client, group)).transpose()?;
        let group = group.and_then(|lineage| lineage.last().copied());
        let Some(session) = self.machines[client].session() else {
            return Ok(());
        };
        let wanted = match (deed, group) {
            (Deed::Create(_), None) => {
                session
                    .create_group(&format!("g{number}"), now)
                    .map(|(group, intent)| {
                        self.groups[number] = Some(group);
                        self.witness.group(group, number);
                        vec![intent]
                    })
            }
            (Deed::Add(..), Some(group)) => session.add(group, &others),
            (Deed::Remove(..), Some(group)) => session.remove(group, &others).map(|it| vec![it]),
            (Deed::Update(_) | Deed::Spoil(_), Some(group)) => {
                session.update(group).map(|it| vec![it])
            }
            (Deed::Leave(_), Some(group)) => session.leave(group).map(|it| vec![it]),
            (Deed::Send(_), Some(group)) => session.send(group, &text).map(|it| vec![it]),
            _ => return Ok(()),
        };
        match wanted {
            Ok(intents) => {
                let text = matches!(deed, Deed::Send(_)).then_some(text);
                if let (Deed::Spoil(_), Some(group)) = (deed, group) {
                    self.spoilers.insert((client, group));
                }
                self.wanted.extend(intents.into_iter().map(|intent| Wanted {
                    client,
                    group: number,
                    intent,
                    text: text.clone(),
                    outcome: None,
                }));
                self.wake_at(client, self.millis);
                Ok(())
            }
            Err(error @ (ClientError::Database(_) | ClientError::Engine(_))) => {
                Err(broken(client, &error))
            }
            Err(refused) => {
                self.trace
                    .tell(self.millis, || format!("  it can't: {refused}"));
                Ok(())
            }
        }
    }

    /// A group and those that it goes on as, as far as a client knows.
    pub(crate) fn lineage(
        &mut self,
        client: usize,
        group: GroupId,
    ) -> Result<Vec<GroupId>, Violation> {
        let mut lineage = vec![group];
        while let Some(session) = self.machines[client].session()
            && let Some(last) = lineage.last()
            && let Some(known) = session.group(*last).map_err(|it| broken(client, &it))?
            && let Some(successor) = known.successor
            && !lineage.contains(&successor)
        {
            lineage.push(successor);
        }
        Ok(lineage)
    }

    /// A process crashes now and then at a step of its own.
    pub(crate) fn stumble(&mut self, client: usize) -> Result<(), Violation> {
        let dice = &mut self.machines[client].dice;
        let stumbles = dice.below(1_000_000) < self.scenario.crashes_per_million_steps as usize;
        let down = dice.next() % STUMBLE_MILLIS;
        if stumbles && !self.is_healed {
            self.trace
                .tell(self.millis, || format!("c{client} crashes"));
            return self.crash(client, down);
        }
        Ok(())
    }

    fn hint(&mut self, client: usize, hint: Hint) -> Result<(), Violation> {
        if let Some(session) = self.machines[client].session() {
            session.hint(hint).map_err(|error| broken(client, &error))?;
            self.wake_at(client, self.millis);
        }
        Ok(())
    }

    /// Keeps how what a client wanted has ended: a client forgets it some time after.
    pub(crate) fn note_outcomes(&mut self, client: usize) -> Result<(), Violation> {
        let Some(session) = self.machines[client].session() else {
            return Ok(());
        };
        let open = |wanted: &&mut Wanted| wanted.client == client && wanted.outcome.is_none();
        for wanted in self.wanted.iter_mut().filter(open) {
            let outcome = session.outcome(wanted.intent);
            let outcome = outcome.map_err(|error| broken(client, &error))?;
            wanted.outcome = outcome.map(|it| it.map(|receipt| receipt.sequence.0));
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

pub(crate) fn broken(client: usize, error: &dyn std::error::Error) -> Violation {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    Violation::Broken { client, reason }
}
