//! One client's process: it runs or it does not, and what is durable outlives it.

use conclave_client::{
    ClientError, DeviceId, Planted, Registration, UnixMillis, UserId,
    session::{Call, Database, Session},
};
use zeroize::Zeroizing;

use crate::plan::Dice;

/// The server that everybody is registered at.
pub(crate) const SERVER: &str = "here";

/// How old the oldest kept copy of a folder is, in copies.
const COPIES_MAX: usize = 4;

/// A client's process and its disk.
pub(crate) struct Machine {
    bug: Option<Planted>,
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    /// Whether its user has two.
    pub(crate) is_one_of_two: bool,
    process: Process,
    /// What it waits for, and since when.
    pub(crate) asked: Option<(u64, Call)>,
    /// Counts what it asks, over all its lives.
    asked_count: u64,
    /// What becomes of its messages, and when it crashes.
    pub(crate) dice: Dice,
    /// What its restarts draw their randomness from.
    seeds: Dice,
    /// Copies of its disk, with the moment of each.
    copies: Vec<(u64, Database)>,
    /// Whether its disk was ever put back.
    pub(crate) was_restored: bool,
}

enum Process {
    Runs(Box<Session>),
    Crashed(Database),
    /// Only while one of the others is made of it.
    Gone,
}

impl Machine {
    pub(crate) fn new(
        number: usize,
        seed: u64,
        bug: Option<Planted>,
        now: UnixMillis,
    ) -> Result<Self, ClientError> {
        let part = 1 + 2 * number as u64;
        let mut seeds = Dice::new(seed, part);
        let mut session = Session::create(
            Database::in_memory()?,
            &Registration::at("http://here"),
            SERVER,
            &format!("c{number}"),
            &Zeroizing::new(seeds.bytes()),
            now,
        )?;
        bug.into_iter().for_each(|bug| session.plant(bug));
        Ok(Self::with(session, bug, Dice::new(seed, part + 1), seeds))
    }

    /// The second device of a user, which the first one links.
    pub(crate) fn linked(
        number: usize,
        seed: u64,
        first: &mut Self,
        now: UnixMillis,
    ) -> Result<Self, ClientError> {
        let part = 1 + 2 * number as u64;
        let mut seeds = Dice::new(seed, part);
        let database = Database::in_memory()?;
        let code = Session::begin_link(&database, &Zeroizing::new(seeds.bytes()))?;
        let bug = first.bug;
        first.is_one_of_two = true;
        let first = first.session().ok_or(ClientError::NotRegistered)?;
        let answer = first.link(&code, now)?;
        let at = Registration::at("http://here");
        let seed_of_life = Zeroizing::new(seeds.bytes());
        let mut session = Session::finish_link(database, &at, &answer, &seed_of_life)?;
        bug.into_iter().for_each(|bug| session.plant(bug));
        let mut machine = Self::with(session, bug, Dice::new(seed, part + 1), seeds);
        machine.is_one_of_two = true;
        Ok(machine)
    }

    fn with(session: Session, bug: Option<Planted>, dice: Dice, seeds: Dice) -> Self {
        Self {
            bug,
            user: session.user().clone(),
            device: session.device(),
            is_one_of_two: false,
            process: Process::Runs(Box::new(session)),
            asked: None,
            asked_count: 0,
            dice,
            seeds,
            copies: Vec::new(),
            was_restored: false,
        }
    }

    /// The session, while the process runs.
    pub(crate) fn session(&mut self) -> Option<&mut Session> {
        match &mut self.process {
            Process::Runs(session) => Some(session),
            Process::Crashed(_) | Process::Gone => None,
        }
    }

    /// Notes that a call is on its way, and gives it a number.
    pub(crate) fn asks(&mut self, call: Call) -> u64 {
        self.asked_count += 1;
        self.asked = Some((self.asked_count, call));
        self.asked_count
    }

    /// Ends the process. What it had not committed is lost.
    pub(crate) fn crash(&mut self) {
        self.asked = None;
        self.process = match std::mem::replace(&mut self.process, Process::Gone) {
            Process::Runs(session) => Process::Crashed(session.close()),
            crashed => crashed,
        };
    }

    /// Starts the process on what is durable, where it does not run.
    pub(crate) fn start(&mut self) -> Result<(), ClientError> {
        let process = std::mem::replace(&mut self.process, Process::Gone);
        self.process = match process {
            Process::Crashed(database) => {
                let seed = Zeroizing::new(self.seeds.bytes());
                let mut session = Session::open(database, &seed)?;
                self.bug.into_iter().for_each(|bug| session.plant(bug));
                Process::Runs(Box::new(session))
            }
            runs => runs,
        };
        Ok(())
    }

    /// Copies the disk of a process that does not run.
    pub(crate) fn copy_disk(&mut self, at_millis: u64) -> Result<(), ClientError> {
        if let Process::Crashed(database) = &self.process {
            self.copies.push((at_millis, database.copy()?));
            if self.copies.len() > COPIES_MAX {
                self.copies.remove(0);
            }
        }
        Ok(())
    }

    /// Puts the disk of a process that does not run back to the latest copy that is old enough,
    /// where there is one.
    pub(crate) fn restore_disk(&mut self, before_millis: u64) {
        let found = self
            .copies
            .iter()
            .rposition(|(at_millis, _)| *at_millis <= before_millis);
        let (Some(found), Process::Crashed(_)) = (found, &self.process) else {
            return;
        };
        let (_, database) = self.copies.remove(found);
        self.process = Process::Crashed(database);
        self.was_restored = true;
    }
}
