//! The engine of Conclave's clients.

use std::time::SystemTime;

use anyhow::Context as _;
use conclave_benches_life::{Device, Invitation, slice_of};
use conclave_engine::{
    Change, Device as Identity, Effects, Engine, EngineError, KeyPackage, LoadedGroups,
    MemoryState, PreparedCommit, State, StateError,
};
use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceClaims, DeviceId, GroupId, GroupRules, SigningKey,
    UnixMillis, limits::ADDS_PER_COMMIT_MAX,
};

const GROUP: GroupId = GroupId::from_bytes([7; 16]);

struct Ours {
    engine: Engine,
    state: Kept,
    added_last: Option<DeviceId>,
    written: u64,
}

pub(super) fn device(number: u32) -> anyhow::Result<Box<dyn Device>> {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let mut seed = [1; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    let key = SigningKey::from_seed(&seed);
    seed[31] = 2;
    let address = DeviceAddress {
        user: format!("member{number}@example.org").parse()?,
        device: DeviceId::from_bytes(id),
    };
    let claims = DeviceClaims::starting(address, key.verifying_key(), now());
    let certificate = DeviceCertificate::issue(claims, &SigningKey::from_seed(&seed));
    Ok(Box::new(Ours {
        engine: Engine::new(Identity::new(certificate, key)?),
        state: Kept::default(),
        added_last: None,
        written: 0,
    }))
}

/// State in memory, beside which the group stays loaded, as in a client.
#[derive(Default)]
struct Kept {
    memory: MemoryState,
    loaded: LoadedGroups,
}

impl State for Kept {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.memory.read(key)
    }

    fn loaded(&self) -> Option<&LoadedGroups> {
        Some(&self.loaded)
    }
}

fn now() -> UnixMillis {
    UnixMillis::from(SystemTime::now())
}

impl Ours {
    fn run<T>(
        &mut self,
        operation: impl FnOnce(&Engine, &dyn State) -> Result<Effects<T>, EngineError>,
    ) -> anyhow::Result<T> {
        let effects = operation(&self.engine, &self.state).inspect_err(|_| {
            self.state.loaded.lost();
        })?;
        for (key, value) in effects.writes.iter() {
            self.written += (key.len() + value.map_or(0, <[u8]>::len)) as u64;
        }
        self.state.memory.apply(effects.writes);
        self.state.loaded.kept();
        Ok(effects.value)
    }

    fn commit(&mut self, change: Change) -> anyhow::Result<PreparedCommit> {
        let commit = self.run(|engine, state| engine.commit(state, GROUP, change, now()))?;
        self.run(|engine, state| engine.merge_pending(state, GROUP))?;
        Ok(commit)
    }

    fn invite(&mut self, packages: &[Vec<u8>]) -> anyhow::Result<Invitation> {
        let (mut welcome_bytes, mut commit_bytes, mut slice_bytes) = (0, 0, 0);
        let mut last = None;
        for batch in packages.chunks(ADDS_PER_COMMIT_MAX) {
            let parse = |bytes: &Vec<u8>| KeyPackage::from_bytes(bytes, now());
            let adds = batch.iter().map(parse).collect::<Result<_, _>>()?;
            let commit = self.commit(Change::add(adds))?;
            let added = commit.added.last();
            self.added_last = added.map(|certificate| certificate.address().device);
            let welcome = commit.welcome.context("nobody was added")?;
            welcome_bytes += welcome.len();
            commit_bytes += commit.commit.len();
            slice_bytes = slice_bytes.max(slice_of(&welcome)?);
            last = Some((commit.commit, welcome));
        }
        let (commit, welcome) = last.context("nobody was added")?;
        Ok(Invitation {
            commit,
            welcome,
            tree: self.engine.ratchet_tree(&self.state, GROUP)?,
            welcome_bytes,
            commit_bytes,
            slice_bytes,
        })
    }
}

impl Device for Ours {
    fn key_package(&mut self) -> anyhow::Result<Vec<u8>> {
        let made = self.run(|engine, state| engine.key_packages(state, 1, now()))?;
        made.into_iter().next().context("no KeyPackage")
    }

    fn create(&mut self, packages: Vec<Vec<u8>>) -> anyhow::Result<Invitation> {
        let rules = GroupRules::default();
        self.run(|engine, state| engine.create_group(state, GROUP, &rules, now()))?;
        self.invite(&packages)
    }

    fn add(&mut self, package: &[u8]) -> anyhow::Result<Invitation> {
        self.invite(&[package.to_vec()])
    }

    fn remove_last(&mut self, _: u32) -> anyhow::Result<Vec<u8>> {
        let device = self.added_last.context("nobody was added")?;
        Ok(self.commit(Change::remove(vec![device]))?.commit)
    }

    fn update(&mut self) -> anyhow::Result<Vec<u8>> {
        Ok(self.commit(Change::update())?.commit)
    }

    fn join(&mut self, invitation: &Invitation) -> anyhow::Result<()> {
        let (welcome, tree) = (&invitation.welcome, &invitation.tree);
        self.run(|engine, state| engine.join(state, welcome, tree))?;
        Ok(())
    }

    fn send(&mut self, content: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.run(|engine, state| engine.encrypt(state, GROUP, content, None))
    }

    fn receive(&mut self, message: &[u8]) -> anyhow::Result<()> {
        self.run(|engine, state| engine.process(state, GROUP, message, now()))?;
        Ok(())
    }

    fn load(&mut self) -> anyhow::Result<()> {
        self.state.loaded = LoadedGroups::default();
        self.engine.epoch(&self.state, GROUP)?;
        Ok(())
    }

    fn written(&mut self) -> u64 {
        std::mem::take(&mut self.written)
    }
}
