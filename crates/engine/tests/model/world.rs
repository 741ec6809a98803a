//! The log, the devices, and what the model expects of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use conclave_engine::{
    Change, Device, Effects, Engine, EngineError, KeyPackage, PreparedCommit, Processed, State,
};
use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceClaims, DeviceId, GroupId, GroupRules, SigningKey,
    UnixMillis,
};

use crate::common::Home;

const GROUP: GroupId = GroupId::from_bytes([7; 16]);

#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Commits; without changes it is an update.
    Commit {
        by: usize,
        adds: Vec<usize>,
        removes: Vec<usize>,
    },
    /// Two commit in the same epoch: the first wins.
    Race {
        first: usize,
        second: usize,
        adds: Vec<usize>,
        removes: Vec<usize>,
    },
    /// Sends a message.
    Send { by: usize },
    /// Encrypts a message that never arrives.
    SendInVain { by: usize },
    /// Asks to leave.
    Leave { by: usize },
    /// Reads what is in the log.
    CatchUp { by: usize },
}

struct Client {
    engine: Engine,
    home: Home,
    /// Operations that a crash has struck.
    crashes: u32,
    /// Entries of the log that it has read; meaningful while it holds the group.
    cursor: usize,
    holds_group: bool,
    read: Vec<Vec<u8>>,
}

pub(crate) struct World {
    clients: Vec<Client>,
    log: Vec<Vec<u8>>,
    now: UnixMillis,
    /// Whether operations are struck by a crash before they take effect.
    pub(crate) crashes: bool,
    // What the model knows.
    members: BTreeSet<usize>,
    leaving: BTreeSet<usize>,
    expected: BTreeMap<usize, Vec<Vec<u8>>>,
    /// The last entry that each device must not be able to read: before it joined.
    before_joining: BTreeMap<usize, usize>,
}

impl World {
    pub(crate) fn new(devices: usize) -> Self {
        let now = UnixMillis::from(SystemTime::now());
        let mut world = Self {
            clients: (0..devices).map(|index| client(index, now)).collect(),
            log: Vec::new(),
            now,
            crashes: false,
            members: BTreeSet::from([0]),
            leaving: BTreeSet::new(),
            expected: BTreeMap::new(),
            before_joining: BTreeMap::new(),
        };
        let creator = &mut world.clients[0];
        creator.holds_group = true;
        creator.run(false, |engine, state| {
            engine.create_group(state, GROUP, &GroupRules::default(), now)
        });
        world
    }

    pub(crate) fn perform(&mut self, act: &Act) {
        match act {
            Act::Commit { by, adds, removes } => {
                if let Some(commit) = self.prepare(*by, adds, removes) {
                    self.accept(*by, &commit);
                }
            }
            Act::Race {
                first,
                second,
                adds,
                removes,
            } => self.race(*first, *second, adds, removes),
            Act::Send { by } => self.send(*by, true),
            Act::SendInVain { by } => self.send(*by, false),
            Act::Leave { by } => self.leave(*by),
            Act::CatchUp { by } => self.catch_up(*by),
        }
    }

    /// Everybody reads to the end; then members agree with each other and with the model.
    pub(crate) fn check(&mut self) {
        for index in 0..self.clients.len() {
            self.catch_up(index);
        }
        let mut authenticators = BTreeSet::new();
        let expected: BTreeSet<_> = self.members.iter().map(|index| address(*index)).collect();
        for (index, client) in self.clients.iter().enumerate() {
            assert_eq!(client.holds_group, self.members.contains(&index));
            if client.holds_group {
                let (engine, state) = (&client.engine, &client.home);
                authenticators.insert(engine.epoch_authenticator(state, GROUP).unwrap());
                let roster = engine.roster(state, GROUP).unwrap();
                let roster: BTreeSet<_> = roster
                    .iter()
                    .map(|member| member.certificate.address().clone())
                    .collect();
                assert_eq!(roster, expected);
                let leaving = engine.pending_leaves(state, GROUP).unwrap();
                let leaving: BTreeSet<_> = leaving
                    .iter()
                    .map(|leaver| index_of(&leaver.device))
                    .collect();
                assert_eq!(leaving, self.leaving);
                let staying = self.members.difference(&self.leaving);
                let staying: Vec<_> = staying.map(|index| address(*index).device).collect();
                let is_deserted = |gone| engine.is_deserted(state, GROUP, gone).unwrap();
                assert_eq!(is_deserted(&[]), staying.is_empty());
                assert!(is_deserted(&staying));
            }
            let expected = self.expected.get(&index).cloned().unwrap_or_default();
            assert_eq!(client.read, expected, "device {index} read something else");
            self.check_nothing_earlier(index);
        }
        assert_eq!(authenticators.len(), 1);
    }

    fn check_nothing_earlier(&self, index: usize) {
        let client = &self.clients[index];
        let Some(joined) = self
            .before_joining
            .get(&index)
            .filter(|_| client.holds_group)
        else {
            return;
        };
        for entry in &self.log[..*joined] {
            let result = client.engine.process(&client.home, GROUP, entry, self.now);
            assert!(matches!(result, Err(EngineError::WrongEpoch { .. })));
        }
    }

    /// A Commit of what can be done out of what is asked for, by somebody who can do it.
    fn prepare(&mut self, by: usize, adds: &[usize], removes: &[usize]) -> Option<PreparedCommit> {
        self.catch_up(by);
        if !self.members.contains(&by) {
            return None;
        }
        let adds: BTreeSet<_> = adds
            .iter()
            .filter(|add| !self.members.contains(add))
            .collect();
        let removes = removes
            .iter()
            .filter(|remove| self.members.contains(remove) && **remove != by)
            .map(|remove| device_id(*remove))
            .collect();
        let adds = adds.into_iter().map(|add| self.key_package(*add)).collect();
        let change = Change {
            adds,
            removes,
            rules: None,
        };
        let (now, crashes) = (self.now, self.crashes);
        let client = &mut self.clients[by];
        if self.leaving.contains(&by) {
            let result = client.engine.commit(&client.home, GROUP, change, now);
            assert!(matches!(result, Err(EngineError::Leaving)));
            return None;
        }
        Some(client.run(crashes, |engine, state| {
            engine.commit(state, GROUP, change.clone(), now)
        }))
    }

    /// The log takes the Commit: its author merges it, and those that it adds join.
    fn accept(&mut self, by: usize, commit: &PreparedCommit) {
        self.log.push(commit.commit.clone());
        let (now, crashes) = (self.now, self.crashes);
        let entry = &commit.commit;
        let author = &mut self.clients[by];
        let echo = author.run(false, |engine, state| {
            engine.process(state, GROUP, entry, now)
        });
        assert_eq!(echo, Processed::OwnCommit);
        let epoch = author.run(crashes, |engine, state| engine.merge_pending(state, GROUP));
        assert_eq!(epoch, commit.epoch.next());
        author.cursor = self.log.len();
        let tree = author.engine.ratchet_tree(&author.home, GROUP).unwrap();

        self.leaving.clear();
        for removed in &commit.removed {
            self.members.remove(&index_of(&removed.device));
        }
        for added in &commit.added {
            let index = index_of(&added.address().device);
            self.members.insert(index);
            self.before_joining.insert(index, self.log.len());
            let welcome = commit.welcome.as_ref().unwrap();
            let joiner = &mut self.clients[index];
            let joined = joiner.run(crashes, |engine, state| engine.join(state, welcome, &tree));
            assert_eq!((joined.group, joined.epoch), (GROUP, epoch));
            assert_eq!(joined.added_by, address(by));
            joiner.holds_group = true;
            joiner.cursor = self.log.len();
        }
    }

    fn race(&mut self, first: usize, second: usize, adds: &[usize], removes: &[usize]) {
        let Some(winner) = self.prepare(first, adds, removes) else {
            return;
        };
        let loser = (first != second)
            .then(|| self.prepare(second, &[], &[]))
            .flatten();
        self.accept(first, &winner);
        if loser.is_none() || !self.clients[second].holds_group {
            return;
        }
        let client = &self.clients[second];
        assert!(
            client
                .engine
                .has_pending_commit(&client.home, GROUP)
                .unwrap()
        );
        self.catch_up(second);
        let client = &self.clients[second];
        if client.holds_group {
            assert!(
                !client
                    .engine
                    .has_pending_commit(&client.home, GROUP)
                    .unwrap()
            );
        }
    }

    fn send(&mut self, by: usize, arrives: bool) {
        self.catch_up(by);
        if !self.members.contains(&by) {
            return;
        }
        let content = format!("message {} by {by}", self.log.len()).into_bytes();
        let franking = Some(&b"a commitment"[..]);
        let client = &mut self.clients[by];
        if !self.leaving.is_empty() {
            let result = client
                .engine
                .encrypt(&client.home, GROUP, &content, franking);
            assert!(matches!(result, Err(EngineError::PendingProposals)));
            return;
        }
        let message = client.run(self.crashes, |engine, state| {
            engine.encrypt(state, GROUP, &content, franking)
        });
        if !arrives {
            return;
        }
        self.log.push(message);
        for member in &self.members {
            if *member != by {
                self.expected
                    .entry(*member)
                    .or_default()
                    .push(content.clone());
            }
        }
    }

    fn leave(&mut self, by: usize) {
        self.catch_up(by);
        if !self.members.contains(&by) {
            return;
        }
        let client = &self.clients[by];
        match client.engine.leave(&client.home, GROUP) {
            Ok(proposal) => {
                assert!(self.leaving.insert(by));
                self.log.push(proposal);
            }
            Err(EngineError::Leaving) => assert!(self.leaving.contains(&by)),
            Err(error) => panic!("{error}"),
        }
    }

    fn catch_up(&mut self, index: usize) {
        let (now, crashes) = (self.now, self.crashes);
        let client = &mut self.clients[index];
        while client.holds_group && client.cursor < self.log.len() {
            let entry = &self.log[client.cursor];
            client.cursor += 1;
            let processed = client.run(crashes, |engine, state| {
                engine.process(state, GROUP, entry, now)
            });
            match processed {
                Processed::Application {
                    content, franking, ..
                } => {
                    assert_eq!(franking.as_deref(), Some(&b"a commitment"[..]));
                    client.read.push(content);
                }
                Processed::Commit { removed_self, .. } if removed_self => {
                    client.holds_group = false;
                }
                Processed::Commit { .. } | Processed::Proposal { .. } | Processed::OwnMessage => (),
                other => panic!("{other:?} was not expected"),
            }
        }
        if let Some(entry) = self.log.last().filter(|_| !client.holds_group) {
            let result = client.engine.process(&client.home, GROUP, entry, now);
            assert!(matches!(
                result,
                Err(EngineError::Evicted | EngineError::UnknownGroup)
            ));
        }
    }

    fn key_package(&mut self, of: usize) -> KeyPackage {
        // One that was removed has to read that before it can join again.
        self.catch_up(of);
        let now = self.now;
        let made = self.clients[of].run(self.crashes, |engine, state| {
            engine.key_packages(state, 1, now)
        });
        KeyPackage::from_bytes(&made[0], now).unwrap()
    }
}

impl Client {
    /// Runs an operation and applies its writes; in a crash they are lost and it runs again.
    fn run<T>(
        &mut self,
        crashes: bool,
        operation: impl Fn(&Engine, &dyn State) -> Result<Effects<T>, EngineError>,
    ) -> T {
        if crashes {
            drop(operation(&self.engine, &self.home).unwrap());
            self.crashes += 1;
            // Of the program, or of the transaction alone.
            match self.crashes % 2 {
                0 => self.home.restart(),
                _ => self.home.roll_back(),
            }
        }
        let effects = operation(&self.engine, &self.home).unwrap();
        self.home.apply(effects.writes);
        effects.value
    }
}

fn client(index: usize, now: UnixMillis) -> Client {
    let key = SigningKey::from_seed(&[seed(index); 32]);
    let identity = SigningKey::from_seed(&[seed(index) + 100; 32]);
    let claims = DeviceClaims::starting(address(index), key.verifying_key(), now);
    let certificate = DeviceCertificate::issue(claims, &identity);
    Client {
        engine: Engine::new(Device::new(certificate, key).unwrap()),
        home: Home::default(),
        crashes: 0,
        cursor: 0,
        holds_group: false,
        read: Vec::new(),
    }
}

fn address(index: usize) -> DeviceAddress {
    DeviceAddress {
        user: format!("user{index}@example.org").parse().unwrap(),
        device: device_id(index),
    }
}

fn device_id(index: usize) -> DeviceId {
    DeviceId::from_bytes([seed(index); 16])
}

fn index_of(device: &DeviceId) -> usize {
    usize::from(device.as_bytes()[0])
}

fn seed(index: usize) -> u8 {
    u8::try_from(index).unwrap()
}
