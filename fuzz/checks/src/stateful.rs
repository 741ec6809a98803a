use std::fmt::Debug;

use arbitrary::{Arbitrary, Unstructured};
use conclave_conformance::{Change, Client, EngineName, ExternalJoin, Form, Handshakes};

/// Members of the group at once: more only make each step slower.
const MEMBERS_MAX: usize = 6;

/// Steps of one life.
const STEPS_MAX: usize = 24;

/// Messages that are remembered, to be said again.
const HEARD_MAX: usize = 64;

/// The suite: what a message means is the same in all of them, and this one is the fastest.
const SUITE: u16 = 1;

/// Something that happens in the group. Numbers are taken modulo what there is.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Step {
    /// Somebody is added, whose Welcome may be spoilt at first.
    Add {
        by: u8,
        whom: Newcomer,
        spoilt: Option<Spoil>,
    },
    /// Somebody joins by an external Commit, whose GroupInfo may be spoilt at first.
    Join {
        by: u8,
        whom: Newcomer,
        spoilt: Option<Spoil>,
    },
    Remove {
        by: u8,
        whom: u8,
    },
    Commit {
        by: u8,
        with_path: bool,
    },
    /// One proposes, another commits. The others may get the Commit first, which must not do.
    Propose {
        by: u8,
        committer: u8,
        what: Wish,
        is_reordered: bool,
    },
    Say {
        by: u8,
    },
    /// What was said once is said again.
    Replay {
        which: u8,
    },
    /// What was said once is said again, not quite the same.
    Forge {
        which: u8,
        spoil: Spoil,
    },
    /// Bytes of nobody.
    Noise {
        bytes: [u8; 24],
    },
}

#[derive(Debug, Clone, Copy, Arbitrary)]
struct Newcomer {
    kind: u8,
    has_private_handshakes: bool,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Wish {
    Update,
    Remove { whom: u8 },
}

/// What makes a message another one.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Spoil {
    Flip { at: u16, mask: u8 },
    CutOff { bytes: u8 },
    Longer { by: u8 },
}

/// A life of one group in which ours, OpenMLS and mls-rs are members, told by `input`. After each step all
/// are in one epoch; whatever is spoilt, replayed or comes too early is refused by everybody, and changes
/// nothing.
pub fn stateful(input: &[u8]) {
    let mut source = Unstructured::new(input);
    let Ok(creator) = source.arbitrary::<Newcomer>() else {
        return;
    };
    let mut world = World::new(creator);
    for _ in 0..STEPS_MAX {
        if source.is_empty() {
            return;
        }
        let Ok(step) = source.arbitrary::<Step>() else {
            return;
        };
        world.take(step);
        world.agree();
    }
}

struct World {
    members: Vec<Box<dyn Client>>,
    born: usize,
    heard: Vec<Vec<u8>>,
}

impl World {
    fn new(creator: Newcomer) -> Self {
        let mut world = Self {
            members: Vec::new(),
            born: 0,
            heard: Vec::new(),
        };
        let mut first = world.born(creator);
        first.create(b"fuzzed").expect("a group can be made");
        world.members.push(first);
        world
    }

    fn born(&mut self, newcomer: Newcomer) -> Box<dyn Client> {
        self.born += 1;
        let engine = EngineName::ALL[usize::from(newcomer.kind) % EngineName::ALL.len()];
        let name = format!("{} {}", engine.name(), self.born);
        let mut client = engine.client(&name, SUITE).expect("all have the suite");
        let handshakes = match newcomer.has_private_handshakes {
            true => Handshakes::Private,
            false => Handshakes::Public,
        };
        must(client.set_handshakes(handshakes));
        client
    }

    fn at(&self, number: u8) -> usize {
        usize::from(number) % self.members.len()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Add { by, whom, spoilt } if self.members.len() < MEMBERS_MAX => {
                self.add(self.at(by), whom, spoilt);
            }
            Step::Join { by, whom, spoilt } if self.members.len() < MEMBERS_MAX => {
                self.join(self.at(by), whom, spoilt);
            }
            Step::Remove { by, whom } if self.at(by) != self.at(whom) => {
                let leaf = must(self.members[self.at(whom)].leaf());
                self.commit(self.at(by), &[Change::Remove(leaf)], true);
                self.members.remove(self.at(whom));
            }
            Step::Commit { by, with_path } => drop(self.commit(self.at(by), &[], with_path)),
            Step::Propose {
                by,
                committer,
                what,
                is_reordered,
            } if self.at(by) != self.at(committer) => {
                self.propose(self.at(by), self.at(committer), what, is_reordered);
            }
            Step::Say { by } => self.say(self.at(by)),
            Step::Replay { which } => {
                if let Some(message) = self.remembered(which) {
                    self.refuse(&message);
                }
            }
            Step::Forge { which, spoil } => {
                if let Some(message) = self.remembered(which)
                    && let Some(forged) = spoil.apply(&message)
                {
                    self.refuse(&forged);
                }
            }
            Step::Noise { bytes } => self.refuse(&bytes),
            Step::Add { .. } | Step::Join { .. } | Step::Remove { .. } | Step::Propose { .. } => {}
        }
    }

    fn add(&mut self, by: usize, whom: Newcomer, spoilt: Option<Spoil>) {
        let mut joiner = self.born(whom);
        let package = must(joiner.key_package());
        let welcome = self.commit(by, &[Change::Add(package)], true);
        let welcome = welcome.expect("an Add gives a Welcome");
        // OpenMLS gives its KeyPackage away with the first Welcome, whatever becomes of it.
        let keeps_package = EngineName::ALL[usize::from(whom.kind) % 3] != EngineName::Openmls;
        if let Some(forged) = spoilt.and_then(|spoil| spoil.apply(&welcome))
            && keeps_package
        {
            must_not(&joiner.join(&forged, None), "a spoilt Welcome");
        }
        must(joiner.join(&welcome, None));
        self.members.push(joiner);
    }

    fn join(&mut self, by: usize, whom: Newcomer, spoilt: Option<Spoil>) {
        let info = must(self.members[by].group_info(true));
        let mut joiner = self.born(whom);
        let how = ExternalJoin::default();
        if let Some(forged) = spoilt.and_then(|spoil| spoil.apply(&info)) {
            must_not(&joiner.join_externally(&forged, &how), "a spoilt GroupInfo");
        }
        let commit = must(joiner.join_externally(&info, &how));
        for member in &mut self.members {
            must(member.receive(&commit));
        }
        self.members.push(joiner);
        self.remember(commit);
    }

    fn propose(&mut self, by: usize, committer: usize, what: Wish, is_reordered: bool) {
        let change = match what {
            Wish::Update => Change::Update,
            Wish::Remove { whom } => {
                let whom = self.at(whom);
                if whom == committer || whom == by {
                    return;
                }
                Change::Remove(must(self.members[whom].leaf()))
            }
        };
        let proposal = must(self.members[by].propose(&change));
        must(self.members[committer].receive(&proposal));
        let made = must(self.members[committer].commit(&[]));
        for (at, member) in self.members.iter_mut().enumerate() {
            if at != by && at != committer {
                if is_reordered {
                    must_not(
                        &member.receive(&made.commit),
                        "a Commit before its Proposal",
                    );
                }
                // A PrivateMessage that came too early may have cost its key, but not its Proposal's.
                must(member.receive(&proposal));
            }
        }
        self.settle(committer, &made.commit, is_reordered);
        if let Change::Remove(leaf) = change {
            self.members.retain(|member| must(member.leaf()) != leaf);
        }
        self.remember(proposal);
        self.remember(made.commit);
    }

    fn commit(&mut self, by: usize, changes: &[Change], path: bool) -> Option<Vec<u8>> {
        let form = Form { path, tree: true };
        let made = must(self.members[by].commit_as(changes, form));
        self.settle(by, &made.commit, false);
        self.remember(made.commit);
        made.welcome
    }

    /// Everybody goes into the epoch of a Commit; whoever saw it too early may have lost its key.
    fn settle(&mut self, by: usize, commit: &[u8], was_early: bool) {
        let mut lost = Vec::new();
        for (at, member) in self.members.iter_mut().enumerate() {
            if at == by {
                must(member.merge());
            } else if let Err(error) = member.receive(commit) {
                assert!(was_early, "a Commit is refused: {error:#}");
                lost.push(at);
            }
        }
        for at in lost.into_iter().rev() {
            self.members.remove(at);
        }
    }

    fn say(&mut self, by: usize) {
        let message = must(self.members[by].encrypt(b"said", b"aloud"));
        for (at, member) in self.members.iter_mut().enumerate() {
            if at != by {
                let heard = must(member.receive(&message)).expect("it is application data");
                assert_eq!(
                    (&*heard.data, &*heard.authenticated_data),
                    (&b"said"[..], &b"aloud"[..])
                );
            }
        }
        self.remember(message);
    }

    /// Nobody takes it in, and it changes nothing.
    fn refuse(&mut self, message: &[u8]) {
        for member in &mut self.members {
            let before = must(member.epoch_authenticator());
            must_not(&member.receive(message), "a forgery or a replay");
            assert_eq!(must(member.epoch_authenticator()), before);
        }
    }

    fn remember(&mut self, message: Vec<u8>) {
        if self.heard.len() == HEARD_MAX {
            self.heard.remove(0);
        }
        self.heard.push(message);
    }

    fn remembered(&self, which: u8) -> Option<Vec<u8>> {
        let place = usize::from(which).checked_rem(self.heard.len())?;
        Some(self.heard[place].clone())
    }

    fn agree(&self) {
        let mut all = self.members.iter().map(|member| {
            let exported = must(member.export("fuzzed", b"", 32));
            (must(member.epoch_authenticator()), exported)
        });
        let first = all.next();
        assert!(
            all.all(|other| Some(&other) == first.as_ref()),
            "two epochs"
        );
    }
}

impl Spoil {
    /// Another message than the given one, or none.
    fn apply(self, message: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = message.to_vec();
        match self {
            Self::Flip { at, mask } => {
                let at = usize::from(at).checked_rem(bytes.len())?;
                bytes[at] ^= mask;
            }
            Self::CutOff { bytes: count } => {
                bytes.truncate(bytes.len().saturating_sub(usize::from(count)));
            }
            Self::Longer { by } => bytes.extend(std::iter::repeat_n(0, usize::from(by))),
        }
        (bytes != message).then_some(bytes)
    }
}

/// What is as it should be is done by everybody.
fn must<T>(outcome: Result<T, impl Debug>) -> T {
    outcome.expect("what RFC 9420 allows is refused")
}

fn must_not<T, E>(outcome: &Result<T, E>, what: &str) {
    assert!(outcome.is_err(), "{what} is accepted");
}
