//! Devices in a group of any size, each with what it has written.

use std::sync::OnceLock;

use conclave_engine::{
    Change, Device, Effects, Engine, EngineError, KeyPackage, MemoryState, PreparedCommit,
    Processed, State, WriteSet,
};
use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceClaims, DeviceId, GroupId, GroupRules, SigningKey,
    UnixMillis, limits::ADDS_PER_COMMIT_MAX,
};

use crate::common::Home;

pub(crate) const GROUP: GroupId = GroupId::from_bytes([7; 16]);

pub(crate) struct Party {
    pub(crate) engine: Engine,
    pub(crate) home: Home,
    /// Bytes of keys and values.
    pub(crate) written: usize,
}

/// One time for all of a run: OpenMLS asks the clock for lifetimes.
pub(crate) fn now() -> UnixMillis {
    static NOW: OnceLock<UnixMillis> = OnceLock::new();
    *NOW.get_or_init(|| UnixMillis::from(std::time::SystemTime::now()))
}

/// The founder of a group of so many, and the first whom it added.
pub(crate) fn group_of(members: usize) -> [Party; 2] {
    let mut founder = Party::founder();
    let mut bob = Party::new(1);
    let commit = founder.commit(Change::add(vec![bob.key_package()]));
    bob.join(&founder, &commit);
    let others: Vec<usize> = (2..members).collect();
    for part in others.chunks(ADDS_PER_COMMIT_MAX) {
        let adds = part.iter().map(|it| Party::new(*it).key_package());
        let commit = founder.commit(Change::add(adds.collect()));
        bob.read(&commit.commit).unwrap();
    }
    [founder, bob]
}

/// All members of a group of so many.
pub(crate) fn all_of(members: usize) -> Vec<Party> {
    let mut founder = Party::founder();
    let mut others: Vec<Party> = (1..members).map(Party::new).collect();
    let adds = others.iter_mut().map(Party::key_package).collect();
    let commit = founder.commit(Change::add(adds));
    for other in &mut others {
        other.join(&founder, &commit);
    }
    others.insert(0, founder);
    others
}

impl Party {
    pub(crate) fn new(number: usize) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(number as u64 + 1).to_be_bytes());
        let key = SigningKey::from_seed(&seed);
        let mut device = [0; 16];
        device.copy_from_slice(&seed[..16]);
        let address = DeviceAddress {
            user: format!("user{number}@example.org").parse().unwrap(),
            device: DeviceId::from_bytes(device),
        };
        let claims = DeviceClaims::starting(address, key.verifying_key(), now());
        seed[31] = 1;
        let certificate = DeviceCertificate::issue(claims, &SigningKey::from_seed(&seed));
        Self {
            engine: Engine::new(Device::new(certificate, key).unwrap()),
            home: Home::default(),
            written: 0,
        }
    }

    fn founder() -> Self {
        let mut founder = Self::new(0);
        let rules = GroupRules::default();
        let created = founder
            .engine
            .create_group(&founder.home, GROUP, &rules, now());
        founder.take(created.unwrap());
        founder
    }

    pub(crate) fn key_package(&mut self) -> KeyPackage {
        let made = self.engine.key_packages(&MemoryState::default(), 1, now());
        let made = self.take(made.unwrap());
        KeyPackage::from_bytes(&made[0], now()).unwrap()
    }

    pub(crate) fn join(&mut self, by: &Self, commit: &PreparedCommit) {
        let welcome = commit.welcome.as_ref().unwrap();
        let joined = self.engine.join(&self.home, welcome, &by.tree()).unwrap();
        self.take(joined);
    }

    pub(crate) fn device(&self) -> DeviceId {
        self.engine.device().address().device
    }

    /// Which certificates it knows to be signed, by their hashes.
    pub(crate) fn verified(&self) -> Vec<Vec<u8>> {
        const KIND: u8 = 23;
        let rows = self.home.state.iter().filter(|(key, _)| key[0] == KIND);
        rows.map(|(_, row)| row.to_vec()).collect()
    }

    /// What all members of an epoch have alike, and who they are: as it is in memory, or as it would be if
    /// it were loaded now.
    pub(crate) fn epoch(&self, state: &dyn State) -> (Vec<u8>, Vec<u8>, Vec<u8>, usize) {
        let engine = &self.engine;
        (
            engine.ratchet_tree(state, GROUP).unwrap(),
            engine.epoch_authenticator(state, GROUP).unwrap(),
            engine.export(state, GROUP, "test", b"").unwrap().to_vec(),
            engine.roster(state, GROUP).unwrap().len(),
        )
    }

    pub(crate) fn tree(&self) -> Vec<u8> {
        self.engine.ratchet_tree(&self.home, GROUP).unwrap()
    }

    pub(crate) fn commit(&mut self, change: Change) -> PreparedCommit {
        let commit = self.engine.commit(&self.home, GROUP, change, now());
        let commit = self.take(commit.unwrap());
        let merged = self.engine.merge_pending(&self.home, GROUP).unwrap();
        self.take(merged);
        commit
    }

    pub(crate) fn send(&mut self, content: &[u8]) -> Vec<u8> {
        let sent = self.engine.encrypt(&self.home, GROUP, content, None);
        self.take(sent.unwrap())
    }

    /// What an entry of the log says; nothing where it is a Commit.
    pub(crate) fn read(&mut self, entry: &[u8]) -> Result<Vec<u8>, EngineError> {
        let read = self.engine.process(&self.home, GROUP, entry, now())?;
        Ok(match self.take(read) {
            Processed::Application { content, .. } => content,
            _ => Vec::new(),
        })
    }

    fn take<T>(&mut self, effects: Effects<T>) -> T {
        self.apply(effects.writes);
        effects.value
    }

    pub(crate) fn apply(&mut self, writes: WriteSet) {
        for (key, value) in writes.iter() {
            self.written += key.len() + value.map_or(0, <[u8]>::len);
        }
        self.home.apply(writes);
    }
}
