//! Devices with their states, the service, and how each deed is tried and judged.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use super::{
    super::{Body, Groups, Handshake, Request},
    DEVICES, Deed, Model, USERS,
};
use crate::{
    accounts::Accounts,
    auth::Authenticator,
    error::Refusal,
    hub::Hub,
    server::Registration,
    stamping::Stamper,
    store::{Mail, Store},
    wire::SlicedWelcome,
};
use conclave_engine::{
    Change, Device, Effects, Engine, EngineError, KeyPackage, MemoryState, Opening, PreparedCommit,
    Processed,
};
use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceClaims, DeviceId, GroupId, GroupRules, KeyPossession,
    RequestId, Sequence, SigningKey, UnixMillis,
};

const GROUP: GroupId = GroupId::from_bytes([7; 16]);

struct Actor {
    engine: Engine,
    state: MemoryState,
    cursor: Sequence,
}

impl Actor {
    fn new(at: usize) -> Self {
        let number = u8::try_from(at).unwrap() + 1;
        let key = SigningKey::from_seed(&[number; 32]);
        let address = DeviceAddress {
            user: format!("{}@here", USERS[at]).parse().unwrap(),
            device: DeviceId::from_bytes([number; 16]),
        };
        let claims = DeviceClaims::starting(address, key.verifying_key(), now());
        let identity = SigningKey::from_seed(&[USERS[at].as_bytes()[0]; 32]);
        let certificate = DeviceCertificate::issue(claims, &identity);
        Self {
            engine: Engine::new(Device::new(certificate, key).unwrap()),
            state: MemoryState::default(),
            cursor: Sequence(0),
        }
    }

    fn device(&self) -> DeviceId {
        self.engine.device().address().device
    }

    fn apply<T>(&mut self, effects: Effects<T>) -> T {
        self.state.apply(effects.writes);
        effects.value
    }
}

fn now() -> UnixMillis {
    SystemTime::now().into()
}

/// A request that was accepted.
struct Accepted {
    by: usize,
    request: RequestId,
    commit: Option<PreparedCommit>,
    message: Vec<u8>,
    sequence: Sequence,
}

pub(super) struct World {
    accounts: Accounts,
    groups: Groups,
    store: Arc<dyn Store>,
    actors: [Actor; DEVICES],
    model: Model,
    last: Option<Accepted>,
    requests: u64,
}

impl World {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        let hub = Arc::new(Hub::default());
        let auth = Authenticator::new("here".into(), [0; 32]);
        let stamper = Arc::new(Stamper::new("here", &[0; 32]));
        let world = Self {
            accounts: Accounts::new(
                Arc::clone(&store),
                Arc::clone(&hub),
                Arc::new(auth),
                Registration::Open,
                Arc::clone(&stamper),
            ),
            groups: Groups::new(Arc::clone(&store), hub, stamper),
            store,
            actors: std::array::from_fn(Actor::new),
            model: Model::default(),
            last: None,
            requests: 0,
        };
        for at in 0..DEVICES {
            let device = world.actors[at].engine.device();
            let possession = KeyPossession {
                server: "here".into(),
                user: device.address().user.clone(),
                device: device.address().device,
            };
            let number = u8::try_from(at).unwrap() + 1;
            let proof = possession.prove(&SigningKey::from_seed(&[number; 32]));
            let certificate = device.certificate().to_bytes();
            world
                .accounts
                .register(&certificate, &proof, "", now())
                .unwrap();
        }
        world
    }

    fn request(&mut self) -> RequestId {
        self.requests += 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.requests.to_be_bytes());
        RequestId::from_bytes(bytes)
    }

    fn submit(&self, by: usize, request: RequestId, body: Body<'_>) -> Result<Sequence, Refusal> {
        let request = Request {
            sender: self.actors[by].device(),
            group: GROUP,
            request,
            body,
        };
        Ok(self.groups.submit(&request, now())?.sequence)
    }

    fn submit_commit(&mut self, by: usize, commit: PreparedCommit) -> Result<(), Refusal> {
        let request = self.request();
        let sequence = self.submit(by, request, body(&commit))?;
        self.last = Some(Accepted {
            by,
            request,
            message: Vec::new(),
            commit: Some(commit),
            sequence,
        });
        Ok(())
    }

    pub(super) fn act(&mut self, by: usize, deed: Deed) {
        if !self.model.exists {
            self.create(by);
        }
        match deed {
            Deed::Send => self.send(by),
            Deed::Update => self.commit(by, &[], &[]),
            Deed::Add(whom) => self.add(by, whom),
            Deed::Remove(whom) => self.commit(by, &[], &[whom]),
            Deed::Leave => self.leave(by),
            Deed::ComeIn => self.come_in(by),
            Deed::Publish => self.publish(by),
            Deed::Repeat { anew } => self.repeat(anew),
            Deed::End => self.end(by),
        }
        self.deliver();
        self.check();
    }

    fn create(&mut self, by: usize) {
        let actor = &mut self.actors[by];
        let rules = GroupRules::default();
        let created = actor
            .engine
            .create_group(&actor.state, GROUP, &rules, now());
        let created = actor.apply(created.unwrap());
        let (info, tree) = (&created.group_info, &created.ratchet_tree);
        let device = actor.device();
        self.groups
            .create(device, GROUP, info, tree, now())
            .unwrap();
        self.model.exists = true;
        self.model.ranges[by].push((1, None));
    }

    fn send(&mut self, by: usize) {
        let actor = &mut self.actors[by];
        let sent = actor.engine.encrypt(&actor.state, GROUP, b"text", None);
        let sent = match sent {
            Ok(sent) => sent,
            // RFC 9420 §12.4: not while somebody is leaving.
            Err(EngineError::PendingProposals) => {
                assert!(!self.model.leaving.is_empty());
                return;
            }
            Err(_) => return assert!(!self.model.is_member(by)),
        };
        let message = actor.apply(sent);
        let request = self.request();
        let sequence = self
            .submit(by, request, Body::Application(&message))
            .unwrap();
        self.model.length += 1;
        assert_eq!(sequence.0, self.model.length);
        self.last = Some(Accepted {
            by,
            request,
            commit: None,
            message,
            sequence,
        });
    }

    fn commit(&mut self, by: usize, adds: &[(usize, KeyPackage)], removes: &[usize]) {
        let change = Change {
            adds: adds.iter().map(|(_, package)| package.clone()).collect(),
            removes: removes.iter().map(|at| self.actors[*at].device()).collect(),
            rules: None,
        };
        let actor = &mut self.actors[by];
        // What the engine itself refuses never reaches the service.
        let Ok(prepared) = actor.engine.commit(&actor.state, GROUP, change, now()) else {
            return;
        };
        let prepared = actor.apply(prepared);
        assert!(self.model.is_member(by) && !self.model.leaving.contains(&by));
        self.submit_commit(by, prepared).unwrap();
        let added: Vec<usize> = adds.iter().map(|(at, _)| *at).collect();
        self.model.commit(&added, removes);
        let actor = &mut self.actors[by];
        let merged = actor.engine.merge_pending(&actor.state, GROUP);
        actor.apply(merged.unwrap());
        actor.cursor = Sequence(self.model.length);
        for at in added {
            self.join(at, by);
        }
    }

    fn add(&mut self, by: usize, whom: usize) {
        let (request, taker) = (self.request(), self.actors[by].device());
        let user = self.actors[whom].engine.device().address().user.to_string();
        let taken = self.accounts.take(taker, request, &[user], now());
        let packages = match taken {
            Ok(mut taken) => taken.pop().unwrap().1.unwrap(),
            // One requester takes only so many.
            Err(refusal) => return assert!(matches!(refusal, Refusal::Busy(_))),
        };
        let mut adds = Vec::new();
        let mut packages = packages.iter();
        for at in (0..DEVICES).filter(|at| USERS[*at] == USERS[whom]) {
            if self.model.stock[at] > 0 {
                self.model.stock[at] -= 1;
                let package = KeyPackage::from_bytes(packages.next().unwrap(), now()).unwrap();
                assert_eq!(
                    package.certificate().address().device,
                    self.actors[at].device()
                );
                if !self.model.is_member(at) {
                    adds.push((at, package));
                }
            }
        }
        assert_eq!(packages.next(), None, "one of each device that has any");
        if !adds.is_empty() {
            self.commit(by, &adds, &[]);
        }
    }

    fn join(&mut self, at: usize, by: usize) {
        let mail = self
            .store
            .read_mailbox(self.actors[at].device(), 0, 999)
            .unwrap();
        let mut welcomes = mail.into_iter().filter_map(|item| match item.mail {
            Mail::Welcome(welcome) => Some(welcome),
            Mail::Notice(_) => None,
        });
        let welcome = welcomes.next_back().unwrap();
        assert_eq!(welcome.receipt.sequence.0, self.model.length);
        let bytes = SlicedWelcome::join(&welcome.shared, &welcome.secrets).unwrap();
        let committer = &self.actors[by];
        let tree = committer
            .engine
            .ratchet_tree(&committer.state, GROUP)
            .unwrap();
        let actor = &mut self.actors[at];
        let joined = actor.engine.join(&actor.state, &bytes, &tree);
        actor.apply(joined.unwrap());
        actor.cursor = welcome.receipt.sequence;
    }

    fn leave(&mut self, by: usize) {
        let actor = &self.actors[by];
        let Ok(proposal) = actor.engine.leave(&actor.state, GROUP) else {
            return;
        };
        let request = self.request();
        let body = Body::Handshake(Handshake::Proposal(&proposal));
        let sequence = self.submit(by, request, body).unwrap();
        assert!(self.model.is_member(by) && self.model.leaving.insert(by));
        self.model.length += 1;
        assert_eq!(sequence.0, self.model.length);
    }

    fn come_in(&mut self, by: usize) {
        let actor = &self.actors[by];
        let opening = match self.groups.open(GROUP, actor.device(), now()) {
            Ok(opening) => opening,
            Err(refusal) => {
                assert!(matches!(refusal, Refusal::NotMember));
                return assert!(!self.model.may_come_in(by));
            }
        };
        assert!(self.model.may_come_in(by));
        assert_eq!(opening.entrance.proposals.len(), self.model.leaving.len());
        let opening = Opening {
            group_info: &opening.entrance.group_info,
            ratchet_tree: &opening.tree,
            proposals: &opening.entrance.proposals,
            approval: &[],
        };
        let joined = actor
            .engine
            .external_join(&actor.state, GROUP, opening, now());
        let joined = joined.unwrap();
        let commit = joined.value.clone();
        self.submit_commit(by, commit).unwrap();
        self.model.commit(&[], &[by]);
        let at = self.model.length;
        self.model.ranges[by].retain(|(from, _)| *from != at);
        self.model.ranges[by].push((at, None));
        let actor = &mut self.actors[by];
        actor.apply(joined);
        actor.cursor = Sequence(self.model.length);
    }

    pub(super) fn publish(&mut self, by: usize) {
        let actor = &mut self.actors[by];
        let packages = actor.engine.key_packages(&actor.state, 3, now());
        let packages = actor.apply(packages.unwrap());
        let device = actor.device();
        let stock = self.accounts.publish(device, &packages, &[], now());
        self.model.stock[by] += 3;
        assert_eq!(stock.unwrap(), self.model.stock[by]);
    }

    fn repeat(&mut self, anew: bool) {
        let Some(last) = self.last.take() else {
            return;
        };
        let request = if anew { self.request() } else { last.request };
        let body = match &last.commit {
            Some(commit) => body(commit),
            None => Body::Application(&last.message),
        };
        let answer = self.submit(last.by, request, body);
        let is_external = last.commit.as_ref().is_some_and(|commit| {
            commit.added.first() == Some(self.actors[last.by].engine.device().certificate())
        });
        match answer {
            Ok(sequence) if !anew => assert_eq!(sequence, last.sequence),
            // A message of the epoch may be sent again under another id.
            Ok(sequence) => {
                assert!(last.commit.is_none() && self.model.is_member(last.by));
                self.model.length += 1;
                assert_eq!(sequence.0, self.model.length);
            }
            Err(Refusal::WrongEpoch(head)) => {
                assert_eq!(head.epoch.0, self.model.epoch);
            }
            Err(Refusal::NotMember) => {
                assert!(!is_external || !self.model.may_come_in(last.by));
                assert!(!self.model.is_member(last.by));
            }
            Err(refusal) => panic!("{refusal}"),
        }
    }

    fn end(&mut self, by: usize) {
        let alone = (0..DEVICES).all(|at| !self.model.is_member(at) || USERS[at] == USERS[by]);
        match self.groups.delete(GROUP, self.actors[by].device()) {
            Ok(()) => {
                assert!(self.model.is_member(by) && alone);
                self.model.end();
                self.last = None;
                for actor in &mut self.actors {
                    if let Ok(deleted) = actor.engine.delete_group(&actor.state, GROUP) {
                        actor.apply(deleted);
                    }
                    actor.cursor = Sequence(0);
                }
                self.create(by);
            }
            Err(Refusal::NotMember) => assert!(!self.model.is_member(by)),
            Err(Refusal::NotAlone) => assert!(self.model.is_member(by) && !alone),
            Err(refusal) => panic!("{refusal}"),
        }
    }

    /// Everybody who has the group takes in what is new.
    fn deliver(&mut self) {
        for at in 0..DEVICES {
            let actor = &mut self.actors[at];
            if actor.engine.epoch(&actor.state, GROUP).is_err() {
                continue;
            }
            let device = actor.device();
            let page = self
                .groups
                .read(GROUP, device, actor.cursor, 999, usize::MAX >> 1);
            for entry in page.unwrap().entries {
                actor.cursor = entry.sequence;
                let processed =
                    actor
                        .engine
                        .process(&actor.state, GROUP, &entry.message, entry.accepted);
                // A message that was sent twice can be read once.
                let Ok(processed) = processed else {
                    continue;
                };
                let removed = matches!(
                    processed.value,
                    Processed::Commit {
                        removed_self: true,
                        ..
                    }
                );
                actor.apply(processed);
                if removed {
                    let deleted = actor.engine.delete_group(&actor.state, GROUP);
                    actor.apply(deleted.unwrap());
                    break;
                }
            }
        }
    }

    fn check(&self) {
        let mut authenticators = BTreeMap::new();
        for (at, actor) in self.actors.iter().enumerate() {
            assert_eq!(
                self.read_all(actor.device()),
                self.model.readable(at),
                "device {at}"
            );
            if self.model.is_member(at) {
                let authenticator = actor.engine.epoch_authenticator(&actor.state, GROUP);
                authenticators.insert(authenticator.unwrap(), at);
            }
        }
        assert!(
            authenticators.len() <= 1,
            "the members are not in one epoch"
        );
        let (head, _) = self
            .store
            .access(GROUP, self.actors[0].device())
            .unwrap()
            .unwrap();
        assert_eq!(
            (head.epoch.0, head.sequence.0),
            (self.model.epoch, self.model.length)
        );
    }

    fn read_all(&self, device: DeviceId) -> Vec<u64> {
        let (mut all, mut after) = (Vec::new(), Sequence(0));
        while let Ok(page) = self.groups.read(GROUP, device, after, 999, usize::MAX >> 1) {
            let Some(last) = page.entries.last() else {
                break;
            };
            after = last.sequence;
            all.extend(page.entries.iter().map(|entry| entry.sequence.0));
        }
        all
    }
}

fn body(commit: &PreparedCommit) -> Body<'_> {
    Body::Handshake(Handshake::Commit {
        commit: &commit.commit,
        welcome: commit.welcome.as_deref().unwrap_or_default(),
        group_info: &commit.group_info,
    })
}
